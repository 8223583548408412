//===- CompileOptions.h - What nibble-compile can be asked for -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_COMPILEOPTIONS_H
#define NIBBLE_PIPELINES_COMPILEOPTIONS_H

#include "mlir/Support/LLVM.h"
#include "nibble/Quantizer/AutoRound.h"
#include "nibble/Quantizer/GPTQ.h"
#include "nibble/Quantizer/ScaleMethods.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

/// Points of the compilation at which it can stop, and start again. Values are
/// in the order in which they are reached.
enum class Phase { ONNX, Nibble, Quantized, Linalg, Vector, LLVM, Object };

/// Name of a phase as in `--compile-to`.
llvm::StringRef stringifyPhase(Phase phase);
std::optional<Phase> symbolizePhase(llvm::StringRef name);

/// What is written at the end.
enum class EmitKind {
  SharedLibrary,
  ObjectFile,
  Executable,
  MLIR,
  LLVMIR,
  Assembly,
  ONNX,
  /// ONNX with QuantizeLinear and DequantizeLinear.
  QDQ
};

/// A textual pass pipeline to run when a phase is complete or, with
/// `atRequests`, inside of the phase `quantized`: layers have requests then,
/// and the methods that serve them follow.
struct InsertedPipeline {
  Phase after;
  std::string pipeline;
  bool atRequests = false;
};

/// Options of one compilation; defaults are those of the command line. Strings
/// are as the user wrote them and are checked by `validate`.
struct CompileOptions {
  std::string inputFile;
  std::string outputFile;
  std::optional<EmitKind> emit;
  std::optional<Phase> compileTo;

  // Quantization.
  std::string quantize = "none";
  std::string method = "rtn";
  /// Absent: 128, and 64 for NF4 and FP4.
  std::optional<int64_t> groupSize;
  bool symmetric = true;
  std::string scaleRule = "default";
  /// "default": f16, and f32 for NF4 and FP4.
  std::string scaleType = "default";
  bool doubleQuant = false;
  std::string head = "none";
  std::string outlierThreshold = "6";
  std::string configFile;
  /// Of the scheme auto: what is to be kept, one of the two, and what there is
  /// to choose from; see SchemeChoice.h. The rules that it found go to a file.
  std::string budget, maxError, candidates, writeConfigFile;
  bool allowUnfused = false;
  quantizer::GPTQOptions gptq;
  quantizer::AWQOptions awq;
  /// A number from 0 to 1, or "auto".
  std::string smoothQuantAlpha = "0.5";
  quantizer::AutoRoundOptions autoRound;
  /// Of autoround: samples of a step, the codes to begin with (gptq or rtn),
  /// and of the order of the samples.
  unsigned batchSize = 8;
  std::string roundingStart = "gptq";
  uint64_t seed = 42;
  /// Statistics that nibble-calibrate wrote.
  std::string calibrationFile;
  /// Codes of activations with static scales, as ONNX Runtime's quantizer calls
  /// them: uint8 or int8, and whether the zero point is in the middle.
  std::string activationType = "uint8";
  bool activationSymmetric = false;
  bool biasCorrection = true;
  bool equalize = true;
  /// dB that rounding the input must leave of the output of a product.
  double minimumSQNR = 30;

  /// Whether decomposed forms become operators again. By default yes, but not
  /// in an ONNX file: other runtimes lack some of the newest operators.
  std::optional<bool> fuseOperators;

  // Shapes: NAME=N.
  std::vector<std::string> dims;

  // Code.
  std::string target = "cpu";
  /// GPUs with commas between them; empty: the oldest that can be compiled for.
  std::string chips;
  std::string march = "native";
  std::string compute = "f32";
  /// Threads of the compiler and default of the compiled model; 0: all.
  unsigned threads = 0;
  std::string weights = "auto";

  // Passes of plugins.
  std::vector<InsertedPipeline> insertedPipelines;

  /// Samples: files and folders as nibble/Calibration/Samples.h has them.
  std::vector<std::string> data;
  /// Samples of it that methods look at, 0: all, and tokens of a sample.
  uint64_t samples = 0;
  int64_t window = 512;
  /// Bytes of hidden states of the samples in memory; more go to a temporary
  /// file. 0: half of the machine's memory.
  uint64_t memoryLimit = 0;
  /// How the model computes while methods look at its activations: f32, bf16,
  /// or auto, which is bf16 if this machine multiplies it in AMX tiles.
  std::string calibrationCompute = "f32";

  // What the user sees.
  std::vector<std::string> reports;
  /// Histograms, and errors of outputs from statistics: they take time.
  bool reportDetails = true;
  /// Samples of `data` that a report compares outputs on; 0: none.
  unsigned reportSamples = 16;
  bool estimate = false;
  bool json = false;
  std::string progress = "auto";

  /// The kind of output: `emit`, or what the name of the output says.
  EmitKind getEmitKind() const;
  bool isCuda() const { return target == "cuda"; }
  /// `chips`, or the default.
  llvm::StringRef getChips() const;
  /// Where compilation stops: `compileTo`, or what the kind of output needs.
  Phase getLastPhase() const;
  /// Checks every value that has a fixed set of choices. The message names the
  /// option, the value and the choices; the exit status for it is 2.
  llvm::Error validate() const;
};

} // namespace nibble

#endif // NIBBLE_PIPELINES_COMPILEOPTIONS_H
