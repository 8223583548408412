//===- Exporter.h - The ONNX exporter's state -------------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_FORMAT_ONNX_EXPORTER_H
#define NIBBLE_LIB_FORMAT_ONNX_EXPORTER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "onnx.pb.h"
#include "llvm/ADT/StringSet.h"

namespace nibble::format {

/// A tensor whose data is written behind the message.
struct LargeTensor {
  onnx_schema::TensorProto message;
  ConstantData data;
  uint64_t size;
};

/// Converts one module to messages.
class Exporter {
public:
  explicit Exporter(mlir::ModuleOp module) : module(module) {}

  llvm::LogicalResult run();

  /// The model without the large tensors, which belong to its graph.
  onnx_schema::ModelProto model;
  std::vector<LargeTensor> largeTensors;

private:
  // The graph (ExportGraph.cpp).
  llvm::LogicalResult exportFunction(mlir::func::FuncOp function);
  llvm::LogicalResult exportBlock(mlir::Block &block,
                                  onnx_schema::GraphProto &graph);
  llvm::LogicalResult exportOp(mlir::Operation *op,
                               onnx_schema::GraphProto &graph);
  llvm::LogicalResult exportConstant(mlir::Operation *op,
                                     onnx_schema::GraphProto &graph);
  llvm::LogicalResult exportRegions(mlir::Operation *op,
                                    onnx_schema::NodeProto &node);
  llvm::LogicalResult exportOutputs(mlir::Operation *terminator,
                                    mlir::ArrayAttr attributes,
                                    onnx_schema::GraphProto &graph);
  llvm::LogicalResult exportType(mlir::Location loc, mlir::Type type,
                                 mlir::DictionaryAttr attributes,
                                 onnx_schema::TypeProto &proto);
  void setModelFields();
  void requireVersion(mlir::Operation *op);
  mlir::DictionaryAttr getDefaults(mlir::OperationName name);
  std::string getName(mlir::Value value);
  std::string getUniqueName(llvm::StringRef base);

  // Attributes and tensors (ExportTensors.cpp).
  llvm::LogicalResult exportAttribute(mlir::Operation *op,
                                      mlir::NamedAttribute attribute,
                                      onnx_schema::NodeProto &node);
  llvm::LogicalResult describeTensor(mlir::Location loc, mlir::ShapedType type,
                                     onnx_schema::TensorProto &tensor);
  llvm::LogicalResult exportTensor(mlir::Location loc,
                                   mlir::ElementsAttr elements,
                                   onnx_schema::TensorProto &tensor);

  mlir::ModuleOp module;
  llvm::DenseMap<mlir::Value, std::string> names;
  llvm::StringSet<> valueNames, nodeNames;
  llvm::StringSet<> domains;
  llvm::DenseMap<mlir::OperationName, mlir::DictionaryAttr> defaultAttributes;
  int64_t opsetVersion = 25;
  /// The IR version rises with the element types in use.
  int64_t irVersion = 10;
};

/// Bytes of all elements of `data` as ONNX stores them, given to `write` in
/// pieces of bounded size.
void forEachPiece(const ConstantData &data,
                  llvm::function_ref<void(llvm::ArrayRef<char>)> write);

} // namespace nibble::format

#endif // NIBBLE_LIB_FORMAT_ONNX_EXPORTER_H
