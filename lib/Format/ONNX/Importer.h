//===- Importer.h - The ONNX importer's state -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_FORMAT_ONNX_IMPORTER_H
#define NIBBLE_LIB_FORMAT_ONNX_IMPORTER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/ONNX/IR/ONNXInterfaces.h"
#include "nibble/Format/ONNX/Import.h"
#include "nibble/Format/ONNX/ModelFile.h"
#include "onnx.pb.h"
#include "llvm/ADT/StringSet.h"

namespace nibble::format {

/// Converts one model. Messages do not begin with the path: the caller adds it.
class Importer {
public:
  Importer(ModelFile &file, mlir::MLIRContext *context,
           const ImportOptions &options)
      : file(file), model(file.getModel()), context(context), options(options),
        builder(context) {}

  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> run();

private:
  using GraphProto = onnx_schema::GraphProto;
  using NodeProto = onnx_schema::NodeProto;
  using AttributeProto = onnx_schema::AttributeProto;

  /// The values that a graph defines, and what it says about their types.
  struct Scope {
    const GraphProto *graph;
    /// The node that is being imported.
    size_t current = 0;
    llvm::StringMap<mlir::Value> values;
    llvm::StringMap<mlir::Type> types;
  };

  // The model (Importer.cpp).
  llvm::Error checkVersions();
  llvm::Error checkDims();
  llvm::Error checkOperators();
  void collectNames(const GraphProto &graph);
  void setModuleAttributes(mlir::ModuleOp module);
  llvm::Error importMainGraph(mlir::ModuleOp module);
  llvm::Error importTypes(const GraphProto &graph, Scope &scope);
  llvm::Error importInitializers(const GraphProto &graph);
  llvm::Error importNodes(const GraphProto &graph);
  /// What follows the inputs; returns the values of the graph's outputs.
  llvm::Expected<llvm::SmallVector<mlir::Value>>
  importBody(const GraphProto &graph);

  // Types (ImportTypes.cpp).
  llvm::Expected<mlir::Type> importType(const onnx_schema::TypeProto &type);
  llvm::Expected<mlir::Type>
  importTensorType(int32_t dataType, bool hasShape,
                   const onnx_schema::TensorShapeProto &shape);
  mlir::DictionaryAttr describeValue(const onnx_schema::ValueInfoProto &info);

  // Nodes (ImportNodes.cpp).
  llvm::Error importNode(const NodeProto &node, size_t index);
  llvm::Error importOperands(const NodeProto &node, size_t index,
                             const onnx::OpSignature &signature,
                             mlir::OperationState &state);
  llvm::Error addResults(const NodeProto &node,
                         const onnx::OpSignature &signature,
                         mlir::OperationState &state);
  llvm::Error importAttributes(const NodeProto &node,
                               const onnx::OpSignature &signature,
                               mlir::OperationState &state);
  llvm::Error importRegion(const GraphProto &graph, mlir::Region &region);
  llvm::Expected<mlir::Attribute> importAttribute(const AttributeProto &proto);
  std::string getLayerName(const NodeProto &node, size_t index) const;

  llvm::Error explainMissing(llvm::StringRef name) const;
  llvm::Error define(llvm::StringRef name, mlir::Value value,
                     const llvm::Twine &definer);
  mlir::Value lookup(llvm::StringRef name) const;
  mlir::Value getNoValue();

  ModelFile &file;
  const onnx_schema::ModelProto &model;
  mlir::MLIRContext *context;
  const ImportOptions &options;
  mlir::OpBuilder builder;
  mlir::func::FuncOp function;
  mlir::Value noValue;
  int64_t opsetVersion = kMaxOpsetVersion;
  std::vector<Scope> scopes;
  /// How many nodes have a name, in all graphs.
  llvm::StringMap<unsigned> nodeNames;
  llvm::StringMap<int64_t> dims;
};

/// Whether a domain is that of ONNX's own operators, which has two names.
bool isDefaultDomain(llvm::StringRef domain);

/// The name of the operation for a node: `onnx.Conv`, `onnx.microsoft.Gelu`.
std::string getOperationName(const onnx_schema::NodeProto &node);

/// The signature of an operator; none if it is not registered.
std::optional<onnx::OpSignature> getSignature(mlir::OperationName name);

/// Names of an operation's graph attributes, in the order of its regions.
llvm::SmallVector<llvm::StringRef>
getRegionNames(const onnx::OpSignature &signature);

/// Replaces the nodes that call the model's own functions by the functions'
/// bodies, except where `isRegistered` says that the operation is known.
llvm::Error inlineFunctions(
    onnx_schema::ModelProto &model,
    llvm::function_ref<bool(const onnx_schema::NodeProto &)> isRegistered);

} // namespace nibble::format

#endif // NIBBLE_LIB_FORMAT_ONNX_IMPORTER_H
