//===- GraphCheck.cpp - What is wrong with a graph ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphCheck.h"
#include "onnx.pb.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

using namespace llvm;
using nibble::onnx_schema::AttributeProto;
using nibble::onnx_schema::GraphProto;
using nibble::onnx_schema::NodeProto;

namespace nibble::format {
namespace {

/// Nodes of a cycle are listed up to this many.
constexpr size_t kMaxListed = 10;

/// The nodes on a way from `producer` back to `user` along inputs, or nothing.
SmallVector<size_t> findCycle(const GraphProto &graph,
                              const StringMap<size_t> &producers,
                              size_t producer, size_t user) {
  DenseMap<size_t, size_t> cameFrom;
  SmallVector<size_t> worklist{producer};
  cameFrom[producer] = producer;
  while (!worklist.empty()) {
    size_t node = worklist.pop_back_val();
    if (node == user)
      break;
    forEachUse(graph.node(node), [&](StringRef name) {
      auto it = producers.find(name);
      if (it != producers.end() &&
          cameFrom.try_emplace(it->second, node).second)
        worklist.push_back(it->second);
    });
  }
  SmallVector<size_t> path;
  if (!cameFrom.count(user))
    return path;
  for (size_t node = user; node != producer; node = cameFrom[node])
    path.push_back(node);
  path.push_back(producer);
  return path;
}

} // namespace

std::string describeNode(const NodeProto &node, size_t index) {
  std::string text = "node ";
  if (!node.name().empty())
    text += "'" + node.name() + "'";
  else if (node.output_size() && !node.output(0).empty())
    text += "of output '" + node.output(0) + "'";
  else
    text += std::to_string(index);
  return text + " (" + node.op_type() + ")";
}

void forEachUse(const NodeProto &node, function_ref<void(StringRef)> visit) {
  SmallVector<const NodeProto *> worklist{&node};
  auto addGraph = [&](const GraphProto &graph) {
    for (const NodeProto &inner : graph.node())
      worklist.push_back(&inner);
    for (const onnx_schema::ValueInfoProto &output : graph.output())
      visit(output.name());
  };
  while (!worklist.empty()) {
    const NodeProto *current = worklist.pop_back_val();
    for (const std::string &name : current->input())
      visit(name);
    for (const AttributeProto &attribute : current->attribute()) {
      if (attribute.has_g())
        addGraph(attribute.g());
      for (const GraphProto &graph : attribute.graphs())
        addGraph(graph);
    }
  }
}

std::string explainMissingValue(const GraphProto &graph, size_t user,
                                StringRef name) {
  StringMap<size_t> producers;
  for (size_t i = 0, e = graph.node_size(); i != e; ++i)
    for (const std::string &output : graph.node(i).output())
      if (!output.empty())
        producers.try_emplace(output, i);

  std::string text = describeNode(graph.node(user), user);
  auto it = producers.find(name);
  if (it == producers.end())
    return text + ": input '" + name.str() +
           "' is not produced by any node, graph input or initializer";
  SmallVector<size_t> cycle = findCycle(graph, producers, it->second, user);
  if (cycle.empty())
    return text + " uses '" + name.str() + "' before " +
           describeNode(graph.node(it->second), it->second) +
           " produces it: ONNX wants nodes in topological order";
  text = "the graph has a cycle: " + text;
  for (size_t i = 1; i < cycle.size() && i <= kMaxListed; ++i)
    text += " -> " + describeNode(graph.node(cycle[i]), cycle[i]);
  if (cycle.size() > kMaxListed)
    text += " -> ...";
  return text + " -> " + describeNode(graph.node(user), user);
}

} // namespace nibble::format
