//===- Importer.cpp - ONNX to the onnx dialect ----------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "GraphCheck.h"
#include "TensorImport.h"
#include "mlir/IR/Verifier.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::Twine;
using namespace nibble::onnx_schema;

namespace nibble::format {

Expected<std::pair<std::string, int64_t>> parseDim(StringRef text) {
  auto [name, number] = text.rsplit('=');
  int64_t size = 0;
  if (name.empty() || number.getAsInteger(10, size) || size < 0)
    return createStringError("'" + text +
                             "' does not fix a dimension: expected NAME=N "
                             "with a size N of 0 or more");
  return std::pair(name.str(), size);
}

//===----------------------------------------------------------------------===//
// Checks before the import
//===----------------------------------------------------------------------===//

bool isDefaultDomain(StringRef domain) {
  return domain.empty() || domain == "ai.onnx";
}

/// Calls `visit` with every node of a graph and its subgraphs.
static void forEachNode(const GraphProto &graph,
                        llvm::function_ref<void(const NodeProto &)> visit) {
  for (const NodeProto &node : graph.node()) {
    visit(node);
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        forEachNode(attribute.g(), visit);
  }
}

static bool usesDefaultDomain(const GraphProto &graph) {
  bool found = false;
  forEachNode(graph, [&](const NodeProto &node) {
    found |= isDefaultDomain(node.domain());
  });
  return found;
}

Error Importer::checkVersions() {
  if (model.ir_version() > kMaxIRVersion)
    return createStringError("IR version " + Twine(model.ir_version()) +
                             " is newer than " + Twine(kMaxIRVersion) +
                             ", the newest that is known; export the model "
                             "with an older ONNX version");
  for (const OperatorSetIdProto &opset : model.opset_import()) {
    if (!isDefaultDomain(opset.domain()))
      continue;
    if (opset.version() < 1 || opset.version() > kMaxOpsetVersion)
      return createStringError("operator set " + Twine(opset.version()) +
                               " is not known, expected 1 to " +
                               Twine(kMaxOpsetVersion));
    opsetVersion = opset.version();
    return Error::success();
  }
  // Before IR version 3 there was one operator set and no field for it. Later,
  // a model that uses no operator of it need not name it.
  if (model.ir_version() < 3)
    opsetVersion = 1;
  else if (usesDefaultDomain(model.graph()))
    return createStringError("opset_import does not name the version of the "
                             "default operator set");
  return Error::success();
}

/// Fixes dimensions by name, of those that the graph's values have.
Error Importer::checkDims() {
  llvm::MapVector<StringRef, bool> known;
  auto collect = [&](const auto &infos) {
    for (const ValueInfoProto &info : infos)
      for (const TensorShapeProto::Dimension &dim :
           info.type().tensor_type().shape().dim())
        if (!dim.dim_param().empty())
          known.insert({dim.dim_param(), true});
  };
  collect(model.graph().input());
  collect(model.graph().output());
  collect(model.graph().value_info());
  for (const auto &[name, size] : options.dims) {
    if (!known.count(name)) {
      std::string names =
          llvm::join(llvm::map_range(known,
                                     [](const auto &entry) {
                                       return "'" + entry.first.str() + "'";
                                     }),
                     ", ");
      return createStringError(
          "--dim " + name + "=" + Twine(size) +
          ": the model has no dimension of this name, " +
          (names.empty() ? "nor any other symbolic one" : "it has " + names));
    }
    dims[name] = size;
  }
  return Error::success();
}

/// Reports all operators that are not registered in one message.
Error Importer::checkOperators() {
  llvm::MapVector<StringRef, SmallVector<std::string>> unknown;
  llvm::StringSet<> names;
  size_t index = 0;
  forEachNode(model.graph(), [&](const NodeProto &node) {
    if (!getSignature(OperationName(getOperationName(node), context))) {
      std::string label = node.op_type();
      if (!isDefaultDomain(node.domain()))
        label += " (domain " + node.domain() + ")";
      unknown[names.insert(label).first->getKey()].push_back(
          getLayerName(node, index));
    }
    ++index;
  });
  if (unknown.empty())
    return Error::success();
  constexpr size_t maxListed = 8;
  std::string text = std::to_string(unknown.size()) +
                     " operators of the model are not supported:";
  if (unknown.size() == 1)
    text = "an operator of the model is not supported:";
  for (const auto &[label, nodes] : unknown) {
    text += "\n  " + label.str() + ": ";
    ArrayRef<std::string> listed = ArrayRef(nodes).take_front(maxListed);
    llvm::interleave(
        listed, [&](const std::string &node) { text += "'" + node + "'"; },
        [&] { text += ", "; });
    if (nodes.size() > maxListed)
      text += " and " + std::to_string(nodes.size() - maxListed) + " more";
  }
  return createStringError(text);
}

void Importer::collectNames(const GraphProto &graph) {
  forEachNode(graph, [&](const NodeProto &node) {
    if (!node.name().empty())
      ++nodeNames[node.name()];
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Error Importer::define(StringRef name, Value value, const Twine &definer) {
  auto [it, isNew] = scopes.back().values.try_emplace(name, value);
  if (isNew)
    return Error::success();
  std::string other = "a graph input";
  if (auto loc = dyn_cast<NameLoc>(it->second.getLoc());
      loc && it->second.getDefiningOp())
    other = "'" + loc.getName().str() + "'";
  return createStringError("value '" + name + "' is defined twice: by " +
                           other + " and by " + definer);
}

Value Importer::lookup(StringRef name) const {
  for (const Scope &scope : llvm::reverse(scopes))
    if (Value value = scope.values.lookup(name))
      return value;
  return Value();
}

/// Explains in terms of the graph that should have produced the value.
Error Importer::explainMissing(StringRef name) const {
  for (const Scope &scope : llvm::reverse(scopes))
    for (const NodeProto &node : scope.graph->node())
      if (llvm::is_contained(node.output(), name))
        return createStringError(
            explainMissingValue(*scope.graph, scope.current, name));
  const Scope &scope = scopes.back();
  return createStringError(
      explainMissingValue(*scope.graph, scope.current, name));
}

Value Importer::getNoValue() {
  if (!noValue) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&function.front());
    OperationState state(function.getLoc(), "onnx.NoValue");
    state.addTypes(builder.getNoneType());
    noValue = builder.create(state)->getResult(0);
  }
  return noValue;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

/// Enters the types that the graph states for its values.
Error Importer::importTypes(const GraphProto &graph, Scope &scope) {
  auto enter = [&](const auto &infos) -> Error {
    for (const ValueInfoProto &info : infos) {
      Expected<Type> type = importType(info.type());
      if (!type)
        return createStringError("type of value '" + info.name() +
                                 "': " + toString(type.takeError()));
      scope.types[info.name()] = *type;
    }
    return Error::success();
  };
  if (Error error = enter(graph.value_info()))
    return error;
  if (Error error = enter(graph.output()))
    return error;
  return enter(graph.input());
}

Error Importer::importInitializers(const GraphProto &graph) {
  auto add = [&](const std::string &name,
                 Expected<ElementsAttr> value) -> Error {
    if (!value)
      return value.takeError();
    auto nameAttr = builder.getStringAttr(name);
    OperationState state(NameLoc::get(nameAttr), "onnx.Constant");
    state.addAttribute("value", *value);
    state.addAttribute("onnx.name", nameAttr);
    state.addTypes(value->getShapedType());
    return define(name, builder.create(state)->getResult(0),
                  "initializer '" + name + "'");
  };
  for (const TensorProto &tensor : graph.initializer()) {
    if (tensor.name().empty())
      return createStringError("an initializer has no name");
    if (Error error = add(tensor.name(), importTensor(file, tensor, context)))
      return error;
  }
  for (const SparseTensorProto &tensor : graph.sparse_initializer()) {
    if (tensor.values().name().empty())
      return createStringError("a sparse initializer has no name");
    if (Error error = add(tensor.values().name(),
                          importSparseTensor(file, tensor, context)))
      return error;
  }
  return Error::success();
}

Error Importer::importNodes(const GraphProto &graph) {
  for (size_t i = 0, e = graph.node_size(); i != e; ++i) {
    scopes.back().current = i;
    if (Error error = importNode(graph.node(i), i))
      return error;
  }
  return Error::success();
}

Expected<SmallVector<Value>> Importer::importBody(const GraphProto &graph) {
  if (Error error = importInitializers(graph))
    return std::move(error);
  if (Error error = importNodes(graph))
    return std::move(error);
  SmallVector<Value> values;
  for (const ValueInfoProto &output : graph.output()) {
    Value value = lookup(output.name());
    if (!value)
      return createStringError("output '" + output.name() + "' of graph '" +
                               graph.name() +
                               "' is not produced by any node, graph input or "
                               "initializer");
    values.push_back(value);
  }
  return values;
}

Error Importer::importMainGraph(ModuleOp module) {
  const GraphProto &graph = model.graph();
  // Before IR version 4 every initializer had to be a graph input as well;
  // later, one that is an input may be overridden. We compile weights in, so
  // both are constants.
  llvm::StringSet<> constants;
  for (const TensorProto &tensor : graph.initializer())
    constants.insert(tensor.name());
  for (const SparseTensorProto &tensor : graph.sparse_initializer())
    constants.insert(tensor.values().name());

  Scope &scope = scopes.emplace_back();
  scope.graph = &graph;
  if (Error error = importTypes(graph, scope))
    return error;
  SmallVector<Type> argTypes;
  SmallVector<Attribute> argAttrs, resultAttrs;
  SmallVector<const ValueInfoProto *> inputs;
  for (const ValueInfoProto &input : graph.input()) {
    if (constants.contains(input.name()))
      continue;
    if (input.name().empty() || !input.has_type())
      return createStringError("graph input '" + input.name() +
                               "' needs a name and a type");
    inputs.push_back(&input);
    argTypes.push_back(scope.types.lookup(input.name()));
    argAttrs.push_back(describeValue(input));
  }
  for (const ValueInfoProto &output : graph.output())
    resultAttrs.push_back(describeValue(output));
  if (resultAttrs.empty())
    return createStringError("the graph has no outputs");

  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(builder, module.getLoc(), "main_graph",
                                  builder.getFunctionType(argTypes, {}));
  Block *entry = function.addEntryBlock();
  builder.setInsertionPointToEnd(entry);
  for (auto [input, argument] : llvm::zip(inputs, entry->getArguments())) {
    argument.setLoc(NameLoc::get(builder.getStringAttr(input->name())));
    if (Error error = define(input->name(), argument, "another graph input"))
      return error;
  }
  Expected<SmallVector<Value>> outputs = importBody(graph);
  if (!outputs)
    return outputs.takeError();
  func::ReturnOp::create(builder, function.getLoc(), *outputs);
  function.setFunctionType(
      builder.getFunctionType(argTypes, TypeRange(ValueRange(*outputs))));
  function.setAllArgAttrs(argAttrs);
  function.setAllResultAttrs(resultAttrs);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

void Importer::setModuleAttributes(ModuleOp module) {
  NamedAttrList domains;
  for (const OperatorSetIdProto &opset : model.opset_import()) {
    if (!isDefaultDomain(opset.domain()))
      domains.set(opset.domain(), builder.getI64IntegerAttr(opset.version()));
  }
  module->setAttr("onnx.opset_version",
                  builder.getI64IntegerAttr(opsetVersion));
  module->setAttr("onnx.ir_version",
                  builder.getI64IntegerAttr(model.ir_version()));
  if (!domains.empty())
    module->setAttr("onnx.opset_domains", domains.getDictionary(context));
  std::string producer = model.producer_name();
  if (!model.producer_version().empty())
    producer += " " + model.producer_version();
  if (!producer.empty())
    module->setAttr("onnx.producer", builder.getStringAttr(producer));
  if (!model.graph().name().empty())
    module->setAttr("onnx.graph_name",
                    builder.getStringAttr(model.graph().name()));
  NamedAttrList metadata;
  for (const StringStringEntryProto &entry : model.metadata_props())
    if (!entry.key().empty())
      metadata.set(entry.key(), builder.getStringAttr(entry.value()));
  if (!metadata.empty())
    module->setAttr("onnx.metadata", metadata.getDictionary(context));
}

Expected<OwningOpRef<ModuleOp>> Importer::run() {
  context->getOrLoadDialect<func::FuncDialect>();
  context->getOrLoadDialect<NibbleDialect>();
  context->getOrLoadDialect<onnx::ONNXDialect>();
  if (Error error = checkVersions())
    return std::move(error);
  if (Error error =
          inlineFunctions(file.getModel(), [&](const NodeProto &node) {
            return getSignature(OperationName(getOperationName(node), context))
                .has_value();
          }))
    return std::move(error);
  collectNames(model.graph());
  if (Error error = checkOperators())
    return std::move(error);
  if (Error error = checkDims())
    return std::move(error);

  StringRef path = file.getPath();
  OwningOpRef<ModuleOp> module = ModuleOp::create(
      FileLineColLoc::get(context, path.empty() ? "model" : path, 0, 0));
  setModuleAttributes(*module);
  if (Error error = importMainGraph(*module))
    return std::move(error);
  return std::move(module);
}

static OwningOpRef<ModuleOp>
importFile(Expected<std::unique_ptr<ModelFile>> file, StringRef name,
           MLIRContext *context, const ImportOptions &options) {
  // A binary file has no lines; zeros say so.
  Location loc = FileLineColLoc::get(context, name, 0, 0);
  if (!file) {
    emitError(loc) << toString(file.takeError());
    return nullptr;
  }
  Expected<OwningOpRef<ModuleOp>> module =
      Importer(**file, context, options).run();
  if (!module) {
    emitError(loc) << toString(module.takeError());
    return nullptr;
  }
  if (failed(verify(**module)))
    return nullptr;
  return std::move(*module);
}

OwningOpRef<ModuleOp> importONNX(StringRef path, MLIRContext *context,
                                 const ImportOptions &options) {
  return importFile(ModelFile::open(path), path, context, options);
}

OwningOpRef<ModuleOp> importONNX(llvm::MemoryBufferRef buffer,
                                 MLIRContext *context,
                                 const ImportOptions &options) {
  return importFile(ModelFile::parse(buffer), buffer.getBufferIdentifier(),
                    context, options);
}

} // namespace nibble::format
