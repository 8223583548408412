//===- ExportGraph.cpp - The onnx dialect to ONNX graphs ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Exporter.h"
#include "Importer.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"

using namespace mlir;
using namespace nibble::onnx_schema;

namespace nibble::format {
namespace {

/// Operators, and attributes with another value than the default, that ONNX got
/// after operator set 25. All else that changed since then are element types.
struct NewFeature {
  StringLiteral op;
  int64_t version;
  StringLiteral attribute;
};
constexpr NewFeature kNewFeatures[] = {
    {"onnx.CumProd", 26, ""},          {"onnx.BitCast", 26, ""},
    {"onnx.LinearAttention", 27, ""},  {"onnx.CausalConvWithState", 27, ""},
    {"onnx.Range", 27, "stash_type"},  {"onnx.SwiGLU", 28, ""},
    {"onnx.SpaceToDepth", 28, "mode"},
};

/// Operators that take more element types since an operator set after 25.
struct NewTypes {
  StringLiteral op;
  int64_t version;
};
constexpr NewTypes kNewFloatTypes[] = {
    {"onnx.Range", 27},           {"onnx.Celu", 28},
    {"onnx.Einsum", 28},          {"onnx.Unique", 28},
    {"onnx.ReverseSequence", 28}, {"onnx.OneHot", 28},
    {"onnx.Compress", 28},
};

const NewFeature *findNewAttribute(Operation *op, StringRef attribute) {
  for (const NewFeature &feature : kNewFeatures)
    if (op->getName().getStringRef() == feature.op &&
        feature.attribute == attribute)
      return &feature;
  return nullptr;
}

bool usesElementType(Operation *op, llvm::function_ref<bool(Type)> test) {
  auto check = [&](Type type) {
    auto shaped = dyn_cast<ShapedType>(type);
    return shaped && test(shaped.getElementType());
  };
  return llvm::any_of(op->getOperandTypes(), check) ||
         llvm::any_of(op->getResultTypes(), check);
}

/// Whether ONNX can state the type: an element type is known.
bool isTyped(Type type) {
  TensorType tensor = onnx::getTensorPart(type);
  return isa<onnx::MapType>(type) ||
         (tensor && onnx::getONNXType(tensor.getElementType()));
}

bool isNone(Value value) { return isa<NoneType>(value.getType()); }

} // namespace

/// The attributes that an operation of this kind has when none is given. They
/// are not written: ONNX Runtime refuses attributes that are newer than itself.
DictionaryAttr Exporter::getDefaults(OperationName name) {
  DictionaryAttr &defaults = defaultAttributes[name];
  if (!defaults) {
    Operation *bare = Operation::create(OperationState(module.getLoc(), name));
    defaults = bare->getAttrDictionary();
    bare->destroy();
  }
  return defaults;
}

/// Raises the operator set to the one that has this operation.
void Exporter::requireVersion(Operation *op) {
  StringRef name = op->getName().getStringRef();
  int64_t version = 25;
  for (const NewFeature &feature : kNewFeatures)
    if (name == feature.op && feature.attribute.empty())
      version = std::max(version, feature.version);
  for (const NewTypes &types : kNewFloatTypes)
    if (name == types.op && usesElementType(op, [&](Type type) {
          return type.isF16() || type.isBF16() ||
                 (type.isF64() && name == "onnx.Celu");
        }))
      version = std::max(version, types.version);
  if (usesElementType(op, [](Type type) {
        return isa<Float6E2M3FNType, Float6E3M2FNType>(type);
      }))
    version = 28;
  if (name == "onnx.BitShift" &&
      usesElementType(op, [](Type type) { return type.isSignlessInteger(); }))
    version = 28;
  opsetVersion = std::max(opsetVersion, version);
}

//===----------------------------------------------------------------------===//
// Names and types
//===----------------------------------------------------------------------===//

std::string Exporter::getUniqueName(StringRef base) {
  std::string name = base.str();
  for (unsigned i = 1; !valueNames.insert(name).second; ++i)
    name = (base + "_" + Twine(i)).str();
  return name;
}

std::string Exporter::getName(Value value) {
  if (isNone(value))
    return "";
  std::string &name = names[value];
  if (!name.empty())
    return name;
  std::string base = "value";
  if (auto result = dyn_cast<OpResult>(value)) {
    Operation *op = result.getOwner();
    if (auto layer = op->getAttrOfType<StringAttr>("onnx.name"))
      base = layer.str();
    else
      base = op->getName().stripDialect().str();
    if (!op->getName().getStringRef().ends_with(".Constant"))
      base += "_output_" + std::to_string(result.getResultNumber());
  } else if (auto loc = dyn_cast<NameLoc>(value.getLoc())) {
    base = loc.getName().str();
  }
  return name = getUniqueName(base);
}

LogicalResult Exporter::exportType(Location loc, Type type,
                                   DictionaryAttr attributes,
                                   TypeProto &proto) {
  if (auto sequence = dyn_cast<onnx::SeqType>(type))
    return exportType(loc, sequence.getElementType(), {},
                      *proto.mutable_sequence_type()->mutable_elem_type());
  if (auto optional = dyn_cast<onnx::OptionalType>(type))
    return exportType(loc, optional.getElementType(), {},
                      *proto.mutable_optional_type()->mutable_elem_type());
  if (auto map = dyn_cast<onnx::MapType>(type)) {
    TypeProto::Map &result = *proto.mutable_map_type();
    result.set_key_type(onnx::getONNXType(map.getKeyType()));
    return exportType(loc, map.getValueType(), {},
                      *result.mutable_value_type());
  }
  auto tensor = dyn_cast<TensorType>(type);
  int64_t dataType = tensor ? onnx::getONNXType(tensor.getElementType()) : 0;
  if (!dataType)
    return emitError(loc) << "ONNX has no type for " << type
                          << "; run onnx-infer-shapes before";
  TypeProto::Tensor &result = *proto.mutable_tensor_type();
  result.set_elem_type(dataType);
  if (!tensor.hasRank())
    return success();
  auto dimNames =
      attributes ? attributes.getAs<ArrayAttr>("onnx.dim_names") : ArrayAttr();
  TensorShapeProto &shape = *result.mutable_shape();
  for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
    TensorShapeProto::Dimension &dim = *shape.add_dim();
    if (!ShapedType::isDynamic(size)) {
      dim.set_dim_value(size);
    } else if (dimNames && i < dimNames.size()) {
      auto name = dyn_cast<StringAttr>(dimNames[i]);
      if (name && !name.empty())
        dim.set_dim_param(name.str());
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Constants become initializers of the main graph, which subgraphs see too.
LogicalResult Exporter::exportConstant(Operation *op, GraphProto &graph) {
  auto elements = op->getAttrOfType<ElementsAttr>("value");
  if (!elements)
    return emitError(op->getLoc()) << "'" << op->getName()
                                   << "' needs 'value' to be exported; run "
                                      "onnx-normalize-opset before";
  TensorProto tensor;
  if (elements.getShapedType().getElementType().isIntOrFloat() &&
      getStorageBytes(elements.getShapedType()) > kInlineDataLimit) {
    if (failed(describeTensor(op->getLoc(), elements.getShapedType(), tensor)))
      return failure();
    FailureOr<ConstantData> data =
        ConstantData::get(elements, [&] { return emitError(op->getLoc()); });
    if (failed(data))
      return failure();
    tensor.set_name(getName(op->getResult(0)));
    largeTensors.push_back(
        {std::move(tensor), *data, getStorageBytes(elements.getShapedType())});
    return success();
  }
  if (failed(exportTensor(op->getLoc(), elements, tensor)))
    return failure();
  tensor.set_name(getName(op->getResult(0)));
  *model.mutable_graph()->add_initializer() = std::move(tensor);
  return success();
}

LogicalResult Exporter::exportRegions(Operation *op, NodeProto &node) {
  if (op->getNumRegions() == 0)
    return success();
  std::optional<onnx::OpSignature> signature = getSignature(op->getName());
  SmallVector<StringRef> regions;
  if (signature)
    regions = getRegionNames(*signature);
  if (regions.size() != op->getNumRegions())
    return emitError(op->getLoc())
           << "'" << op->getName() << "' has " << op->getNumRegions()
           << " regions, which ONNX has no names for";
  for (auto [name, region] : llvm::zip(regions, op->getRegions())) {
    if (region.empty())
      continue; // an optional subgraph that is absent
    AttributeProto &attribute = *node.add_attribute();
    attribute.set_name(name.str());
    attribute.set_type(AttributeProto::GRAPH);
    GraphProto &graph = *attribute.mutable_g();
    graph.set_name(node.name() + "_" + name.str());
    for (BlockArgument argument : region.getArguments()) {
      ValueInfoProto &input = *graph.add_input();
      input.set_name(getName(argument));
      if (isTyped(argument.getType()) &&
          failed(exportType(argument.getLoc(), argument.getType(), {},
                            *input.mutable_type())))
        return failure();
    }
    if (failed(exportBlock(region.front(), graph)))
      return failure();
  }
  return success();
}

LogicalResult Exporter::exportOp(Operation *op, GraphProto &graph) {
  StringRef name = op->getName().getStringRef();
  if (name == "onnx.NoValue")
    return success();
  if (name == "onnx.Constant")
    return exportConstant(op, graph);
  if (!name.consume_front("onnx."))
    return emitError(op->getLoc())
           << "'" << op->getName()
           << "' is not an operation of the onnx dialect";
  NodeProto &node = *graph.add_node();
  auto [domain, type] = name.rsplit('.');
  if (type.empty())
    std::swap(domain, type);
  node.set_op_type(type.str());
  if (!domain.empty()) {
    node.set_domain(domain == "microsoft" ? "com.microsoft" : domain.str());
    domains.insert(node.domain());
  }
  requireVersion(op);

  auto layer = op->getAttrOfType<StringAttr>("onnx.name");
  std::string base = layer ? layer.str() : type.str();
  std::string nodeName = base;
  for (unsigned i = 1; !nodeNames.insert(nodeName).second; ++i)
    nodeName = base + "_" + std::to_string(i);
  node.set_name(nodeName);

  for (Value operand : op->getOperands())
    node.add_input(getName(operand));
  for (Value result : op->getResults())
    node.add_output(getName(result));
  auto dropAbsent = [](auto &list) {
    while (!list.empty() && list.Get(list.size() - 1).empty())
      list.RemoveLast();
  };
  dropAbsent(*node.mutable_input());
  dropAbsent(*node.mutable_output());

  DictionaryAttr defaults = getDefaults(op->getName());
  for (NamedAttribute attribute : op->getAttrDictionary()) {
    StringRef attributeName = attribute.getName();
    if (attributeName.contains('.') ||
        attribute.getValue() == defaults.get(attribute.getName()))
      continue;
    if (const NewFeature *feature = findNewAttribute(op, attributeName))
      opsetVersion = std::max(opsetVersion, feature->version);
    if (failed(exportAttribute(op, attribute, node)))
      return failure();
  }
  for (Value result : op->getResults()) {
    bool isUnranked = isa<UnrankedTensorType>(result.getType());
    if (!isTyped(result.getType()) || isUnranked)
      continue;
    ValueInfoProto &info = *graph.add_value_info();
    info.set_name(getName(result));
    if (failed(exportType(op->getLoc(), result.getType(), {},
                          *info.mutable_type())))
      return failure();
  }
  return exportRegions(op, node);
}

/// States the outputs of a graph. A value that no node of the graph makes, or
/// that is an output already, goes through an Identity: ONNX wants a name of
/// its own for each output.
LogicalResult Exporter::exportOutputs(Operation *terminator,
                                      ArrayAttr attributes, GraphProto &graph) {
  llvm::StringSet<> outputs;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    auto info =
        attributes ? cast<DictionaryAttr>(attributes[i]) : DictionaryAttr();
    std::string wanted;
    if (info)
      if (auto name = info.getAs<StringAttr>("onnx.name"))
        wanted = name.str();
    std::string name = getName(value);
    Operation *producer = value.getDefiningOp();
    bool own = producer && producer->getBlock() == terminator->getBlock() &&
               producer->getName().getStringRef() != "onnx.Constant";
    if (!own || outputs.contains(name) || (!wanted.empty() && wanted != name)) {
      NodeProto &node = *graph.add_node();
      node.set_op_type("Identity");
      node.add_input(name);
      name = wanted.empty() || outputs.contains(wanted)
                 ? getUniqueName(name + "_output")
                 : wanted;
      node.add_output(name);
      std::string nodeName = name;
      for (unsigned n = 1; !nodeNames.insert(nodeName).second; ++n)
        nodeName = name + "_" + std::to_string(n);
      node.set_name(nodeName);
    }
    outputs.insert(name);
    ValueInfoProto &output = *graph.add_output();
    output.set_name(name);
    // A subgraph may leave the type to the operator.
    if (!attributes && !isTyped(value.getType()))
      continue;
    if (failed(exportType(terminator->getLoc(), value.getType(), info,
                          *output.mutable_type())))
      return failure();
  }
  // An output's type is stated once.
  auto &infos = *graph.mutable_value_info();
  infos.erase(std::remove_if(infos.begin(), infos.end(),
                             [&](const ValueInfoProto &value) {
                               return outputs.contains(value.name());
                             }),
              infos.end());
  return success();
}

LogicalResult Exporter::exportBlock(Block &block, GraphProto &graph) {
  for (Operation &op : block.without_terminator())
    if (failed(exportOp(&op, graph)))
      return failure();
  ArrayAttr attributes;
  if (auto function = dyn_cast<func::FuncOp>(block.getParentOp()))
    attributes = function.getAllResultAttrs();
  return exportOutputs(block.getTerminator(), attributes, graph);
}

LogicalResult Exporter::exportFunction(func::FuncOp function) {
  if (function.isExternal() || !llvm::hasSingleElement(function.getBody()))
    return emitError(function.getLoc())
           << "only a function of one block can be "
              "exported to ONNX";
  GraphProto &graph = *model.mutable_graph();
  auto graphName = module->getAttrOfType<StringAttr>("onnx.graph_name");
  graph.set_name(graphName ? graphName.str() : function.getName().str());
  // The names of inputs and outputs are part of the model's interface.
  for (unsigned i = 0, e = function.getNumArguments(); i != e; ++i) {
    auto name = function.getArgAttrOfType<StringAttr>(i, "onnx.name");
    names[function.getArgument(i)] =
        getUniqueName(name ? name.str() : "input_" + std::to_string(i));
    ValueInfoProto &input = *graph.add_input();
    input.set_name(names[function.getArgument(i)]);
    if (failed(exportType(function.getLoc(), function.getArgument(i).getType(),
                          function.getArgAttrDict(i), *input.mutable_type())))
      return failure();
  }
  Operation *terminator = function.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    auto name = function.getResultAttrOfType<StringAttr>(i, "onnx.name");
    if (!name || !valueNames.insert(name.getValue()).second)
      continue;
    Operation *producer = value.getDefiningOp();
    if (producer && producer->getName().getStringRef() != "onnx.Constant" &&
        names[value].empty())
      names[value] = name.str();
  }
  return exportBlock(function.getBody().front(), graph);
}

void Exporter::setModelFields() {
  model.set_ir_version(irVersion);
  model.set_producer_name("nibble");
  OperatorSetIdProto &opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(opsetVersion);
  auto versions = module->getAttrOfType<DictionaryAttr>("onnx.opset_domains");
  for (const auto &entry : domains) {
    OperatorSetIdProto &domain = *model.add_opset_import();
    domain.set_domain(entry.getKey().str());
    auto version =
        versions ? versions.getAs<IntegerAttr>(entry.getKey()) : IntegerAttr();
    domain.set_version(version ? version.getInt() : 1);
  }
  if (auto metadata = module->getAttrOfType<DictionaryAttr>("onnx.metadata"))
    for (NamedAttribute entry : metadata) {
      auto text = dyn_cast<StringAttr>(entry.getValue());
      if (!text)
        continue;
      StringStringEntryProto &property = *model.add_metadata_props();
      property.set_key(entry.getName().str());
      property.set_value(text.str());
    }
}

LogicalResult Exporter::run() {
  auto version = module->getAttrOfType<IntegerAttr>("onnx.opset_version");
  if (version && version.getInt() != kMaxOpsetVersion)
    return emitError(module.getLoc())
           << "only operator set " << kMaxOpsetVersion
           << " can be exported, got " << version.getInt()
           << "; run onnx-normalize-opset before";
  auto functions = module.getOps<func::FuncOp>();
  if (!llvm::hasSingleElement(functions))
    return emitError(module.getLoc()) << "expected one function to export, got "
                                      << llvm::range_size(functions);
  if (failed(exportFunction(*functions.begin())))
    return failure();
  setModelFields();
  return success();
}

} // namespace nibble::format
