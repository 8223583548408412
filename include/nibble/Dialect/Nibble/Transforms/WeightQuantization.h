//===- WeightQuantization.h - What quantization passes share ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_WEIGHTQUANTIZATION_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_WEIGHTQUANTIZATION_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Quantizer/MethodChain.h"
#include "nibble/Quantizer/Scheme.h"
#include <optional>

namespace nibble {

/// What `nibble-assign-schemes` asks for a weight. On operations it is the
/// discardable dictionary `nibble.request`, which the pass of the method takes
/// off again.
struct QuantizationRequest {
  /// What chooses codes.
  std::string method;
  /// What is to change the weight before, and what has done so: names of
  /// preparing methods. Nothing may be left of `prepare` when codes are chosen.
  std::vector<std::string> prepare, prepared;
  quantizer::QuantizationScheme scheme;
  /// Options of the method that differ from those of its pass.
  quantizer::MethodOptions options;
  /// Not empty: the scheme is still to be chosen, from these.
  std::vector<quantizer::QuantizationScheme> candidates;

  /// The request on `op`, if there is one. A malformed dictionary is an error.
  static mlir::FailureOr<std::optional<QuantizationRequest>>
  get(mlir::Operation *op);
  mlir::DictionaryAttr toAttr(mlir::MLIRContext *context) const;
};

/// A scheme of the quantizer as the dialect writes it, in rows packing.
SchemeAttr getSchemeAttr(mlir::MLIRContext *context,
                         const quantizer::QuantizationScheme &scheme);
/// The inverse; attributes do not say how scales are chosen.
quantizer::QuantizationScheme getQuantizerScheme(SchemeAttr attr);

/// On a layer with a request, between preparation and codes: the scales that
/// its weight has been multiplied with and its activations divided by, one for
/// each column of the weight. What is known of the activations as they were,
/// from a statistics file, must be divided by them. The pass that chooses codes
/// takes the attribute off.
inline constexpr llvm::StringLiteral foldedScalesAttrName =
    "nibble.folded_scales";
/// The same as numbers; empty without the attribute.
llvm::ArrayRef<float> getFoldedScales(mlir::Operation *op);

/// The weight of a layer as floats: where it lies, or a converted copy.
struct LayerWeight {
  ConstantData elements;
  std::vector<float> converted;
  quantizer::WeightView view;
};
/// Reads the constant weight of a layer. Errors name the layer.
mlir::FailureOr<LayerWeight> readWeight(QuantizableOpInterface op);

/// The name of a scheme in options, configurations and reports. `attr` is the
/// same scheme in the dialect.
std::string getUserName(const quantizer::QuantizationScheme &scheme,
                        SchemeAttr attr);

/// Chooses codes, scales and zeros for `weight`, which is mapped read-only;
/// `result` has the scheme and the sizes. `op` is there for its layer name and
/// activation input.
using QuantizeFn = llvm::function_ref<llvm::Error(
    QuantizableOpInterface op, const quantizer::WeightView &weight,
    quantizer::QuantizedWeight &result)>;

/// What `quantizeWeights` did.
struct QuantizationCounts {
  int64_t quantized = 0, otherMethods = 0, bytesSaved = 0;
};

/// Serves all requests in `module` that name `method`: reads a weight through
/// the mapping of its file, calls `quantize`, and replaces the weight by a
/// `nibble.dequantize` of new constants. Leaves a report on each operation.
/// One layer is in memory at a time; a weight with several users that ask for
/// the same is quantized once. Errors name the layer.
mlir::FailureOr<QuantizationCounts> quantizeWeights(mlir::ModuleOp module,
                                                    llvm::StringRef method,
                                                    QuantizeFn quantize);

/// The same for the requests of `operations`, whatever their methods are, in
/// this order. `begin` is called for each before its request and weight are
/// read, and may change them.
using BeginLayerFn =
    llvm::function_ref<llvm::LogicalResult(QuantizableOpInterface op)>;
mlir::FailureOr<QuantizationCounts>
quantizeWeights(mlir::ModuleOp module,
                llvm::ArrayRef<QuantizableOpInterface> operations,
                QuantizeFn quantize, BeginLayerFn begin = nullptr);

/// The same for a method of the quantizer's table, which needs the weight only.
mlir::FailureOr<QuantizationCounts>
quantizeWeights(mlir::ModuleOp module, const quantizer::Method &method);

/// The layers of `module` whose requests name one of `methods` to round them.
llvm::SmallVector<QuantizableOpInterface>
findRequests(mlir::ModuleOp module, llvm::ArrayRef<llvm::StringRef> methods);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_WEIGHTQUANTIZATION_H
