//===- ImportNodes.cpp - ONNX nodes to operations -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GraphCheck.h"
#include "Importer.h"
#include "TensorImport.h"
#include "mlir/IR/Diagnostics.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::Twine;
using namespace nibble::onnx_schema;

namespace nibble::format {

std::string getOperationName(const NodeProto &node) {
  StringRef domain = node.domain();
  if (domain.empty() || domain == "ai.onnx")
    return "onnx." + node.op_type();
  domain.consume_front("com.");
  return ("onnx." + domain + "." + node.op_type()).str();
}

std::optional<onnx::OpSignature> getSignature(OperationName name) {
  const auto *interface = name.getInterface<onnx::ONNXOpInterface>();
  if (!interface)
    return std::nullopt;
  return interface->getSignature();
}

SmallVector<StringRef> getRegionNames(const onnx::OpSignature &signature) {
  SmallVector<StringRef> names;
  signature.regions.split(names, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  return names;
}

/// The layer name is what configurations and reports refer to.
std::string Importer::getLayerName(const NodeProto &node, size_t index) const {
  if (!node.name().empty() && nodeNames.lookup(node.name()) == 1)
    return node.name();
  for (const std::string &output : node.output())
    if (!output.empty())
      return output;
  return node.op_type() + "_" + std::to_string(index);
}

static std::string formatArity(const onnx::Arity &arity) {
  if (arity.variadic)
    return "at least " + std::to_string(arity.required);
  if (arity.required == arity.declared)
    return std::to_string(arity.required);
  return std::to_string(arity.required) + " to " +
         std::to_string(arity.declared);
}

Error Importer::importOperands(const NodeProto &node, size_t index,
                               const onnx::OpSignature &signature,
                               OperationState &state) {
  size_t count = node.input_size();
  while (count > 0 && node.input(count - 1).empty() &&
         count > signature.operands.required)
    --count;
  for (size_t i = 0; i != count; ++i) {
    const std::string &name = node.input(i);
    Value value = name.empty() ? getNoValue() : lookup(name);
    if (!value)
      return explainMissing(name);
    state.operands.push_back(value);
  }
  const onnx::Arity &arity = signature.operands;
  if (!arity.accepts(count))
    return createStringError(describeNode(node, index) + " has " +
                             Twine(count) + " inputs, expected " +
                             formatArity(arity));
  for (; count < arity.fixed(); ++count)
    state.operands.push_back(getNoValue());
  return Error::success();
}

Error Importer::addResults(const NodeProto &node,
                           const onnx::OpSignature &signature,
                           OperationState &state) {
  size_t count = node.output_size();
  for (const std::string &name : node.output()) {
    Type type = NoneType::get(context);
    if (!name.empty()) {
      // An operator without inputs knows its type better than the model, which
      // some exporters get wrong for constants.
      type = node.input_size() > 0 ? scopes.back().types.lookup(name) : Type();
      if (!type)
        type = onnx::getUnknownTensorType(context);
    }
    state.types.push_back(type);
  }
  const onnx::Arity &arity = signature.results;
  while (!arity.variadic && count > arity.declared &&
         node.output(count - 1).empty()) {
    --count;
    state.types.pop_back();
  }
  if (!arity.accepts(count))
    return createStringError("has " + Twine(count) + " outputs, expected " +
                             formatArity(arity));
  for (; count < arity.fixed(); ++count)
    state.types.push_back(NoneType::get(context));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// The type of an attribute; IR version 1 models leave it out.
static AttributeProto::AttributeType getKind(const AttributeProto &proto) {
  if (proto.type() != AttributeProto::UNDEFINED)
    return proto.type();
  if (proto.has_f())
    return AttributeProto::FLOAT;
  if (proto.has_i())
    return AttributeProto::INT;
  if (proto.has_s())
    return AttributeProto::STRING;
  if (proto.has_t())
    return AttributeProto::TENSOR;
  if (proto.has_g())
    return AttributeProto::GRAPH;
  if (proto.floats_size())
    return AttributeProto::FLOATS;
  if (proto.ints_size())
    return AttributeProto::INTS;
  if (proto.strings_size())
    return AttributeProto::STRINGS;
  return AttributeProto::UNDEFINED;
}

static Expected<Attribute> asAttribute(Expected<ElementsAttr> value) {
  if (!value)
    return value.takeError();
  return Attribute(*value);
}

Expected<Attribute> Importer::importAttribute(const AttributeProto &proto) {
  switch (getKind(proto)) {
  case AttributeProto::FLOAT:
    return builder.getF32FloatAttr(proto.f());
  case AttributeProto::INT:
    return builder.getI64IntegerAttr(proto.i());
  case AttributeProto::STRING:
    return builder.getStringAttr(proto.s());
  case AttributeProto::TENSOR:
    return asAttribute(importTensor(file, proto.t(), context));
  case AttributeProto::SPARSE_TENSOR:
    return asAttribute(
        importSparseTensor(file, proto.sparse_tensor(), context));
  case AttributeProto::FLOATS:
    return builder.getDenseF32ArrayAttr(
        ArrayRef(proto.floats().data(), proto.floats_size()));
  case AttributeProto::INTS:
    return builder.getDenseI64ArrayAttr(
        ArrayRef(proto.ints().data(), proto.ints_size()));
  case AttributeProto::STRINGS: {
    SmallVector<Attribute> values;
    for (const std::string &value : proto.strings())
      values.push_back(builder.getStringAttr(value));
    return builder.getArrayAttr(values);
  }
  case AttributeProto::TYPE_PROTO: {
    Expected<Type> type = importType(proto.tp());
    if (!type)
      return type.takeError();
    return TypeAttr::get(*type);
  }
  case AttributeProto::UNDEFINED:
    return createStringError("it has no value");
  default:
    return createStringError("attributes of type " + Twine(int(proto.type())) +
                             " are not supported");
  }
}

/// Whether the operator may lack its subgraphs.
static bool areRegionsOptional(OperationName name) {
  return name.getStringRef() == "onnx.ai.onnx.preview.FlexAttention";
}

Error Importer::importAttributes(const NodeProto &node,
                                 const onnx::OpSignature &signature,
                                 OperationState &state) {
  SmallVector<StringRef> regions = getRegionNames(signature);
  for (const AttributeProto &proto : node.attribute()) {
    if (proto.name().empty())
      return createStringError("an attribute has no name");
    if (state.attributes.get(proto.name()))
      return createStringError("attribute '" + proto.name() +
                               "' is given twice");
    if (getKind(proto) == AttributeProto::GRAPH) {
      if (!llvm::is_contained(regions, proto.name()))
        return createStringError("graph attribute '" + proto.name() +
                                 "' is not one of this operator");
      continue;
    }
    Expected<Attribute> value = importAttribute(proto);
    if (!value)
      return createStringError("attribute '" + proto.name() +
                               "': " + toString(value.takeError()));
    state.addAttribute(proto.name(), *value);
  }
  for (StringRef region : regions) {
    auto given =
        llvm::count_if(node.attribute(), [&](const AttributeProto &proto) {
          return proto.name() == region;
        });
    if (given > 1 || (given == 0 && !areRegionsOptional(state.name)))
      return createStringError("expected one graph attribute '" + region +
                               "', got " + Twine(given));
    state.addRegion();
  }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Regions and nodes
//===----------------------------------------------------------------------===//

Error Importer::importRegion(const GraphProto &graph, Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region);
  scopes.emplace_back().graph = &graph;
  llvm::scope_exit leave([&] { scopes.pop_back(); });
  if (Error error = importTypes(graph, scopes.back()))
    return error;
  for (const ValueInfoProto &input : graph.input()) {
    Value argument =
        block->addArgument(scopes.back().types.lookup(input.name()),
                           NameLoc::get(builder.getStringAttr(input.name())));
    if (Error error = define(input.name(), argument, "another graph input"))
      return error;
  }
  Expected<SmallVector<Value>> outputs = importBody(graph);
  if (!outputs)
    return outputs.takeError();
  OperationState yield(region.getLoc(), "onnx.Yield");
  yield.addOperands(*outputs);
  builder.create(yield);
  return Error::success();
}

Error Importer::importNode(const NodeProto &node, size_t index) {
  auto fail = [&](Error error) {
    return createStringError(describeNode(node, index) + ": " +
                             toString(std::move(error)));
  };
  if (node.op_type().empty())
    return createStringError(describeNode(node, index) + " has no op_type");
  auto layer = builder.getStringAttr(getLayerName(node, index));
  OperationState state(NameLoc::get(layer), getOperationName(node));
  onnx::OpSignature signature = *getSignature(state.name);
  if (Error error = importOperands(node, index, signature, state))
    return error;
  if (Error error = addResults(node, signature, state))
    return fail(std::move(error));
  if (Error error = importAttributes(node, signature, state))
    return fail(std::move(error));
  state.addAttribute("onnx.name", layer);
  if (std::optional<RegisteredOperationName> info =
          state.name.getRegisteredInfo()) {
    // Setting an attribute of the wrong type as a property would drop it.
    std::string message;
    {
      ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
        message += diagnostic.str();
        return success();
      });
      auto emit = [&] { return emitError(state.location); };
      if (succeeded(info->verifyInherentAttrs(state.attributes, emit)))
        message.clear();
    }
    if (!message.empty())
      return fail(createStringError(message));
  }

  Operation *op = builder.create(state);
  SmallVector<StringRef> regions = getRegionNames(signature);

  for (const AttributeProto &proto : node.attribute()) {
    if (getKind(proto) != AttributeProto::GRAPH)
      continue;
    size_t number = llvm::find(regions, proto.name()) - regions.begin();
    if (Error error = importRegion(proto.g(), op->getRegion(number)))
      return fail(std::move(error));
  }
  for (size_t i = 0, e = node.output_size(); i != e; ++i)
    if (!node.output(i).empty())
      if (Error error = define(node.output(i), op->getResult(i),
                               describeNode(node, index)))
        return error;
  return Error::success();
}

} // namespace nibble::format
