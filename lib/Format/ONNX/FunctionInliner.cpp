//===- FunctionInliner.cpp - Inlining a model's own functions -------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Works on messages, before there is IR: a call becomes the function's nodes
// with renamed values. Tensors are only references then, so copies are cheap.
//
//===----------------------------------------------------------------------===//

#include "GraphCheck.h"
#include "Importer.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"

using namespace llvm;
using namespace nibble::onnx_schema;

namespace nibble::format {
namespace {

/// Calls within calls, and subgraphs within subgraphs, after inlining.
constexpr unsigned kMaxDepth = 64;
constexpr size_t kMaxNodes = 1u << 20;

using NodeList = google::protobuf::RepeatedPtrField<NodeProto>;

/// Names and attributes of one call.
struct Call {
  StringMap<std::string> values;
  StringMap<const AttributeProto *> attributes;
  std::string prefix;
  /// Operator set of the body; 0 if it is the model's.
  int64_t opset = 0;
};

class Inliner {
public:
  Inliner(ModelProto &model, function_ref<bool(const NodeProto &)> isRegistered)
      : model(model), isRegistered(isRegistered) {}

  Error run();

private:
  Error expandNodes(NodeList &nodes, unsigned depth);
  Error expandCall(const NodeProto &node, const FunctionProto &function,
                   unsigned depth, NodeList &out);
  Error bindCall(const NodeProto &node, const FunctionProto &function,
                 Call &call);
  Error rewriteNode(NodeProto &node, Call &call);
  Error rewriteGraph(GraphProto &graph, Call &call);
  void collectNames(const GraphProto &graph);
  std::string getUniqueName(const std::string &name);
  std::string rename(const std::string &name, Call &call);

  ModelProto &model;
  function_ref<bool(const NodeProto &)> isRegistered;
  StringMap<const FunctionProto *> functions;
  /// Names of values and nodes in the model, and those that were made.
  StringSet<> used;
  size_t nodeCount = 0;
};

std::string getKey(StringRef domain, StringRef name, StringRef overload) {
  if (domain == "ai.onnx")
    domain = "";
  return (domain + Twine('\n') + name + Twine('\n') + overload).str();
}

std::string getKey(const NodeProto &node) {
  return getKey(node.domain(), node.op_type(), node.overload());
}

std::string Inliner::getUniqueName(const std::string &name) {
  std::string unique = name;
  for (unsigned i = 1; !used.insert(unique).second; ++i)
    unique = name + "_" + std::to_string(i);
  return unique;
}

/// The caller's name for a value of the function's body.
std::string Inliner::rename(const std::string &name, Call &call) {
  if (name.empty())
    return name;
  auto [it, isNew] = call.values.try_emplace(name);
  if (isNew)
    it->second = getUniqueName(call.prefix + "/" + name);
  return it->second;
}

Error Inliner::rewriteGraph(GraphProto &graph, Call &call) {
  for (auto *infos : {graph.mutable_input(), graph.mutable_output(),
                      graph.mutable_value_info()})
    for (ValueInfoProto &info : *infos)
      info.set_name(rename(info.name(), call));
  for (TensorProto &tensor : *graph.mutable_initializer())
    tensor.set_name(rename(tensor.name(), call));
  for (SparseTensorProto &tensor : *graph.mutable_sparse_initializer())
    tensor.mutable_values()->set_name(rename(tensor.values().name(), call));
  for (NodeProto &node : *graph.mutable_node())
    if (Error error = rewriteNode(node, call))
      return error;
  return Error::success();
}

/// Puts a node of a function's body in terms of the caller.
Error Inliner::rewriteNode(NodeProto &node, Call &call) {
  for (std::string &name : *node.mutable_input())
    name = rename(name, call);
  for (std::string &name : *node.mutable_output())
    name = rename(name, call);
  if (!node.name().empty())
    node.set_name(getUniqueName(call.prefix + "/" + node.name()));

  google::protobuf::RepeatedPtrField<AttributeProto> attributes;
  for (AttributeProto &attribute : *node.mutable_attribute()) {
    if (!attribute.ref_attr_name().empty()) {
      const AttributeProto *given =
          call.attributes.lookup(attribute.ref_attr_name());
      // An attribute that the call leaves out is left out in the body too.
      if (!given)
        continue;
      std::string name = attribute.name();
      attribute = *given;
      attribute.set_name(name);
    } else if (attribute.has_g()) {
      if (Error error = rewriteGraph(*attribute.mutable_g(), call))
        return error;
    }
    *attributes.Add() = std::move(attribute);
  }
  if (call.opset && isDefaultDomain(node.domain())) {
    AttributeProto &opset = *attributes.Add();
    opset.set_name(onnx::ONNXDialect::kOpsetAttr.str());
    opset.set_type(AttributeProto::INT);
    opset.set_i(call.opset);
  }
  node.mutable_attribute()->Swap(&attributes);
  return Error::success();
}

Error Inliner::bindCall(const NodeProto &node, const FunctionProto &function,
                        Call &call) {
  auto fail = [&](const Twine &what) {
    return createStringError(describeNode(node, 0) +
                             ": the model's function '" + function.name() +
                             "' " + what);
  };
  if (node.input_size() > function.input_size())
    return fail("takes " + Twine(function.input_size()) + " inputs, got " +
                Twine(node.input_size()));
  if (node.output_size() > function.output_size())
    return fail("has " + Twine(function.output_size()) + " outputs, got " +
                Twine(node.output_size()));
  std::string name = node.name();
  if (name.empty() && node.output_size())
    name = node.output(0);
  call.prefix = name.empty() ? function.name() : name;
  for (int i = 0; i != function.input_size(); ++i)
    call.values[function.input(i)] = i < node.input_size() ? node.input(i) : "";
  for (int i = 0; i != function.output_size(); ++i) {
    std::string outer = i < node.output_size() ? node.output(i) : "";
    if (outer.empty())
      continue;
    if (!call.values.try_emplace(function.output(i), outer).second)
      return fail("returns its input '" + function.output(i) +
                  "' itself or a value twice, which ONNX does not allow");
  }
  for (const AttributeProto &attribute : function.attribute_proto())
    call.attributes[attribute.name()] = &attribute;
  for (const AttributeProto &attribute : node.attribute())
    call.attributes[attribute.name()] = &attribute;
  return Error::success();
}

/// Appends the body of `function` for the call `node` to `out`.
Error Inliner::expandCall(const NodeProto &node, const FunctionProto &function,
                          unsigned depth, NodeList &out) {
  if (depth > kMaxDepth)
    return createStringError("the model's function '" + function.name() +
                             "' calls itself, or calls are nested more than " +
                             Twine(kMaxDepth) + " deep");
  Call call;
  for (const OperatorSetIdProto &opset : function.opset_import()) {
    bool isDefault = isDefaultDomain(opset.domain());
    if (isDefault &&
        (opset.version() < 1 || opset.version() > kMaxOpsetVersion))
      return createStringError("the model's function '" + function.name() +
                               "' uses operator set " + Twine(opset.version()) +
                               ", expected 1 to " + Twine(kMaxOpsetVersion));
    auto outer =
        find_if(model.opset_import(), [&](const OperatorSetIdProto &candidate) {
          return isDefault ? isDefaultDomain(candidate.domain())
                           : opset.domain() == candidate.domain();
        });
    bool known = outer != model.opset_import().end();
    if (known && outer->version() == opset.version())
      continue;
    // The nodes say of which set they are: onnx-normalize-opset looks at them.
    if (isDefault)
      call.opset = opset.version();
    else if (known)
      return createStringError("the model's function '" + function.name() +
                               "' uses operator set " + Twine(opset.version()) +
                               " of domain '" + opset.domain() +
                               "', the model uses " + Twine(outer->version()) +
                               "; export the model with one version");
  }
  if (Error error = bindCall(node, function, call))
    return error;
  NodeList body = function.node();
  for (NodeProto &inner : body)
    if (Error error = rewriteNode(inner, call))
      return error;
  if (Error error = expandNodes(body, depth))
    return error;
  for (NodeProto &inner : body)
    *out.Add() = std::move(inner);
  return Error::success();
}

Error Inliner::expandNodes(NodeList &nodes, unsigned depth) {
  if (depth > kMaxDepth)
    return createStringError("subgraphs and functions are nested more than " +
                             Twine(kMaxDepth) + " deep");
  NodeList result;
  for (NodeProto &node : nodes) {
    if (++nodeCount > kMaxNodes)
      return createStringError("more than " + Twine(kMaxNodes) +
                               " nodes after inlining the model's functions");
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        if (Error error =
                expandNodes(*attribute.mutable_g()->mutable_node(), depth + 1))
          return error;
    const FunctionProto *function = functions.lookup(getKey(node));
    if (!function || isRegistered(node)) {
      *result.Add() = std::move(node);
      continue;
    }
    if (Error error = expandCall(node, *function, depth + 1, result))
      return error;
  }
  nodes.Swap(&result);
  return Error::success();
}

void Inliner::collectNames(const GraphProto &graph) {
  for (const ValueInfoProto &input : graph.input())
    used.insert(input.name());
  for (const TensorProto &tensor : graph.initializer())
    used.insert(tensor.name());
  for (const NodeProto &node : graph.node()) {
    used.insert(node.name());
    for (const std::string &output : node.output())
      used.insert(output);
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        collectNames(attribute.g());
  }
}

Error Inliner::run() {
  if (model.functions_size() == 0)
    return Error::success();
  for (const FunctionProto &function : model.functions())
    if (!functions
             .try_emplace(getKey(function.domain(), function.name(),
                                 function.overload()),
                          &function)
             .second)
      return createStringError("the model defines function '" +
                               function.name() + "' of domain '" +
                               function.domain() + "' twice");
  collectNames(model.graph());
  return expandNodes(*model.mutable_graph()->mutable_node(), 0);
}

} // namespace

Error inlineFunctions(ModelProto &model,
                      function_ref<bool(const NodeProto &)> isRegistered) {
  return Inliner(model, isRegistered).run();
}

} // namespace nibble::format
