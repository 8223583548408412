//===- GraphCheck.h - What is wrong with a graph ----------------*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_FORMAT_ONNX_GRAPHCHECK_H
#define NIBBLE_LIB_FORMAT_ONNX_GRAPHCHECK_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace nibble::onnx_schema {
class GraphProto;
class NodeProto;
} // namespace nibble::onnx_schema

namespace nibble::format {

/// "node 'name' (OpType)", with the first output or the position for a node
/// without a name.
std::string describeNode(const onnx_schema::NodeProto &node, size_t index);

/// Calls `visit` with every value name that the node uses: its inputs and all
/// names that are used in its subgraphs, theirs included.
void forEachUse(const onnx_schema::NodeProto &node,
                llvm::function_ref<void(llvm::StringRef)> visit);

/// Why node `user` of `graph` can't use value `name`, which no node before it,
/// no input, initializer or enclosing graph defines: a cycle, a wrong order, or
/// a name that nothing produces.
std::string explainMissingValue(const onnx_schema::GraphProto &graph,
                                size_t user, llvm::StringRef name);

} // namespace nibble::format

#endif // NIBBLE_LIB_FORMAT_ONNX_GRAPHCHECK_H
