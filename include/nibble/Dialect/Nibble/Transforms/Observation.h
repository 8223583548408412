//===- Observation.h - What calibration looks at ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How values of the graph and entries of a statistics file belong together.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OBSERVATION_H
#define NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OBSERVATION_H

#include "mlir/IR/BuiltinOps.h"
#include "nibble/Calibration/Collector.h"
#include "nibble/Calibration/Statistics.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/DenseMap.h"
#include <memory>

namespace nibble {

/// The names of the values of a module at the end of phase onnx: the layer name
/// of the operation that makes a value, with "#i" for its result i > 0; a graph
/// input's own name. A name that was given before gets "~2", "~3". Constants
/// have none.
class TensorNames {
public:
  explicit TensorNames(mlir::ModuleOp module);
  /// Empty for a value without a name.
  llvm::StringRef get(mlir::Value value) const;

private:
  llvm::DenseMap<mlir::Value, std::string> names;
};

/// Name of the module attribute, an i64, that holds `hashModel`'s result.
constexpr llvm::StringLiteral modelHashAttrName = "nibble.model_hash";

/// What a model is, whatever sizes its symbolic dimensions are given: the hash
/// of its operations with their attributes and names, and of its constants. Of
/// a module that was just imported.
uint64_t hashModel(mlir::ModuleOp module);

/// Reads a statistics file for a module, once per state of the file, however
/// many passes ask. Errors are reported at the module: an empty path (`reason`
/// says who needs data), a file that can't be read, statistics of another
/// model, a module without a hash.
mlir::FailureOr<std::shared_ptr<const calibration::Statistics>>
loadStatistics(mlir::ModuleOp module, llvm::StringRef path,
               const llvm::Twine &reason);

/// What is known of the activations of a layer, by any of its names (of
/// QuantizableOpInterface::getLayers); null if nothing is.
const calibration::LayerStatistics *
findLayer(const calibration::Statistics &statistics, mlir::ArrayAttr names);

/// Tells `collector` of all `nibble.observe` of a module, in order of their
/// numbers. Error: an operation that does not say what it shows.
mlir::LogicalResult addObservations(mlir::ModuleOp module,
                                    calibration::Collector &collector);

} // namespace nibble

#endif // NIBBLE_DIALECT_NIBBLE_TRANSFORMS_OBSERVATION_H
