//===- Calibrator.h - Run a model over data and keep statistics -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_PIPELINES_CALIBRATOR_H
#define NIBBLE_PIPELINES_CALIBRATOR_H

#include "mlir/IR/MLIRContext.h"
#include "nibble/Calibration/Collector.h"
#include "nibble/Calibration/Samples.h"
#include <string>
#include <vector>

namespace nibble {
class CompiledModel;

/// What nibble-calibrate can be asked for; defaults are those of its command
/// line.
struct CalibrateOptions {
  std::string inputFile;
  std::vector<std::string> data;
  std::string outputFile;
  calibration::CollectorOptions collector;
  calibration::SampleOptions samples;
  /// Leave out the values of the graph, and only look at layers.
  bool layersOnly = false;
  /// Go on from the checkpoint of a run that was ended.
  bool resume = false;
  /// Seconds between checkpoints; 0: none.
  double checkpointSeconds = 30;
  // As in CompileOptions.
  std::vector<std::string> dims;
  std::string march = "native";
  std::string progress = "auto";
};

/// Compiles a model with observation and runs it over data. Problems are
/// reported as diagnostics of the context; after a failure the output has not
/// changed.
class Calibrator {
public:
  Calibrator(mlir::MLIRContext *context, CalibrateOptions options);
  ~Calibrator();
  llvm::LogicalResult run();

private:
  llvm::LogicalResult checkOutput();
  llvm::LogicalResult compile();
  llvm::LogicalResult openData();
  llvm::LogicalResult resume();
  llvm::LogicalResult runAll();
  llvm::LogicalResult runBatch(uint64_t index);
  llvm::LogicalResult writeCheckpoint();
  llvm::LogicalResult writeResult();
  void adviseOnSamples();
  std::string getCheckpointPath() const;
  bool hasCheckpoints() const {
    return options.resume || options.checkpointSeconds > 0;
  }
  llvm::LogicalResult fail(llvm::Error error);
  llvm::LogicalResult fail(const llvm::Twine &message);

  mlir::MLIRContext *context;
  CalibrateOptions options;
  std::unique_ptr<calibration::Collector> collector;
  std::unique_ptr<calibration::SampleReader> reader;
  std::unique_ptr<CompiledModel> model;
  uint64_t modelHash = 0;
  uint64_t nextBatch = 0, samplesDone = 0;
  /// Of all that the model was given, if there are checkpoints: what a run that
  /// goes on must have seen as well.
  NibbleHash dataHash;
  /// Why an observer ended a run.
  std::string observerError;
};

} // namespace nibble

#endif // NIBBLE_PIPELINES_CALIBRATOR_H
