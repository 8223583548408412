//===- ModelInfo.cpp - What a binary says about its model -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Target/ModelInfo.h"
#include "mlir/IR/Builders.h"
#include "nibble/Dialect/Nibble/IR/Caches.h"
#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>

using namespace mlir;
using namespace nibble;
using namespace nibble::target;

static constexpr llvm::StringLiteral infoName = "nibble.model_info";
static constexpr llvm::StringLiteral layersName = "nibble.layers";

/// The ONNX number of an element type; 0 if there is none at run time.
static int32_t dtypeOf(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return NIBBLE_BOOL;
    case 8:
      return isUnsigned ? NIBBLE_UINT8 : NIBBLE_INT8;
    case 16:
      return isUnsigned ? NIBBLE_UINT16 : NIBBLE_INT16;
    case 32:
      return isUnsigned ? NIBBLE_UINT32 : NIBBLE_INT32;
    case 64:
      return isUnsigned ? NIBBLE_UINT64 : NIBBLE_INT64;
    default:
      return NIBBLE_UNDEFINED;
    }
  }
  return llvm::TypeSwitch<Type, int32_t>(type)
      .Case<Float32Type>([](Type) { return NIBBLE_FLOAT; })
      .Case<Float64Type>([](Type) { return NIBBLE_DOUBLE; })
      .Case<Float16Type>([](Type) { return NIBBLE_FLOAT16; })
      .Case<BFloat16Type>([](Type) { return NIBBLE_BFLOAT16; })
      .Case<Float8E4M3FNType>([](Type) { return NIBBLE_FLOAT8E4M3FN; })
      .Case<Float8E4M3FNUZType>([](Type) { return NIBBLE_FLOAT8E4M3FNUZ; })
      .Case<Float8E5M2Type>([](Type) { return NIBBLE_FLOAT8E5M2; })
      .Case<Float8E5M2FNUZType>([](Type) { return NIBBLE_FLOAT8E5M2FNUZ; })
      .Default([](Type) { return NIBBLE_UNDEFINED; });
}

/// Describe an argument or result; `fallback` names it if no attribute does.
static LogicalResult describe(func::FuncOp entry, Type type,
                              DictionaryAttr attrs, const Twine &fallback,
                              TensorInfo &info) {
  auto string = [&](StringRef name) {
    return attrs ? attrs.getAs<StringAttr>(name) : StringAttr();
  };
  StringAttr name = string("onnx.name");
  info.name = name ? name.str() : fallback.str();
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped || !shaped.hasRank())
    return entry.emitError() << "'" << info.name << "' has type " << type
                             << ", expected a tensor of known rank";
  info.dtype = dtypeOf(shaped.getElementType());
  if (auto dtype = attrs ? attrs.getAs<IntegerAttr>("onnx.elem_type") : nullptr)
    info.dtype = static_cast<int32_t>(dtype.getInt());
  if (!nibble_dtype_size(info.dtype))
    return entry.emitError()
           << "'" << info.name << "' has elements of type "
           << shaped.getElementType()
           << ", which no input or output of a binary can have";
  auto dimNames =
      attrs ? attrs.getAs<ArrayAttr>("onnx.dim_names") : ArrayAttr();
  for (auto [i, size] : llvm::enumerate(shaped.getShape())) {
    info.dims.push_back(ShapedType::isDynamic(size) ? -1 : size);
    StringAttr dimName;
    if (dimNames && i < dimNames.size())
      dimName = dyn_cast<StringAttr>(dimNames[i]);
    // The name of a dimension of known size constrains nothing any more.
    info.dimNames.push_back(
        dimName && ShapedType::isDynamic(size) ? dimName.str() : "");
  }
  return success();
}

/// A cache and the output that it stands for, by their numbers.
static LogicalResult describeCache(func::FuncOp entry, Attribute attr,
                                   int32_t input,
                                   std::map<int64_t, CacheInfo> &caches,
                                   std::map<int64_t, TensorInfo> &outputs) {
  auto kept = dyn_cast<DictionaryAttr>(attr);
  auto integer = [&](StringRef name) {
    return kept ? kept.getAs<IntegerAttr>(name) : IntegerAttr();
  };
  IntegerAttr cache = integer("cache"), axis = integer("axis"),
              output = integer("output");
  auto grows = kept ? kept.getAs<BoolAttr>("grows") : BoolAttr();
  auto type = kept ? kept.getAs<TypeAttr>("type") : TypeAttr();
  if (!cache || !axis || !output || !grows || !type)
    return entry.emitError() << "'" << keptCacheAttrName << "' of argument "
                             << input << " is malformed: " << attr;
  bool isNew =
      caches
          .insert({cache.getInt(),
                   {input, static_cast<int32_t>(output.getInt()),
                    static_cast<int32_t>(axis.getInt()), grows.getValue()}})
          .second;
  if (!isNew || outputs.count(output.getInt()))
    return entry.emitError()
           << "two arguments have '" << keptCacheAttrName << "' of cache "
           << cache.getInt() << " or of output " << output.getInt();
  return describe(entry, type.getValue(), kept.getAs<DictionaryAttr>("attrs"),
                  "output" + Twine(output.getInt()), outputs[output.getInt()]);
}

FailureOr<ModelInfo> ModelInfo::get(func::FuncOp entry) {
  ModelInfo info;
  std::map<int64_t, CacheInfo> caches;
  std::map<int64_t, TensorInfo> kept;
  info.entry = entry.getName().str();
  for (auto [i, type] : llvm::enumerate(entry.getArgumentTypes())) {
    if (entry.getArgAttr(i, "nibble.weights"))
      continue;
    if (Attribute cache = entry.getArgAttr(i, keptCacheAttrName))
      if (failed(describeCache(entry, cache, info.inputs.size(), caches, kept)))
        return failure();
    if (failed(describe(entry, type, entry.getArgAttrDict(i),
                        "input" + Twine(i), info.inputs.emplace_back())))
      return failure();
  }
  int64_t count = entry.getNumResults() + kept.size();
  unsigned result = 0;
  for (int64_t i = 0; i != count; ++i) {
    TensorInfo &output = info.outputs.emplace_back();
    if (auto found = kept.find(i); found != kept.end()) {
      output = found->second;
      continue;
    }
    if (result == entry.getNumResults())
      return entry.emitError() << "output " << i << " of " << count
                               << " is no result and no cache";
    Type type = entry.getResultTypes()[result];
    if (failed(describe(entry, type, entry.getResultAttrDict(result),
                        "output" + Twine(i), output)))
      return failure();
    ++result;
  }
  for (auto [number, cache] : caches) {
    if (number != static_cast<int64_t>(info.caches.size()))
      return entry.emitError()
             << "cache " << info.caches.size() << " has no argument";
    info.caches.push_back(cache);
  }
  return info;
}

//===----------------------------------------------------------------------===//
// As an attribute
//===----------------------------------------------------------------------===//

static Attribute toAttr(Builder &builder, const std::vector<TensorInfo> &list) {
  SmallVector<Attribute> result;
  for (const TensorInfo &info : list) {
    SmallVector<StringRef> dimNames(info.dimNames.begin(), info.dimNames.end());
    result.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("name", builder.getStringAttr(info.name)),
         builder.getNamedAttr("dtype", builder.getI32IntegerAttr(info.dtype)),
         builder.getNamedAttr("dims", builder.getDenseI64ArrayAttr(info.dims)),
         builder.getNamedAttr("dim_names",
                              builder.getStrArrayAttr(dimNames))}));
  }
  return builder.getArrayAttr(result);
}

static bool fromAttr(Attribute attr, std::vector<TensorInfo> &list) {
  auto array = dyn_cast_if_present<ArrayAttr>(attr);
  if (!array)
    return false;
  for (Attribute element : array) {
    auto dict = dyn_cast<DictionaryAttr>(element);
    if (!dict)
      return false;
    auto name = dict.getAs<StringAttr>("name");
    auto dtype = dict.getAs<IntegerAttr>("dtype");
    auto dims = dict.getAs<DenseI64ArrayAttr>("dims");
    auto dimNames = dict.getAs<ArrayAttr>("dim_names");
    if (!name || !dtype || !nibble_dtype_size(dtype.getInt()) || !dims ||
        !dimNames || static_cast<int64_t>(dimNames.size()) != dims.size())
      return false;
    TensorInfo &info = list.emplace_back();
    info.name = name.str();
    info.dtype = static_cast<int32_t>(dtype.getInt());
    info.dims = dims.asArrayRef().vec();
    for (Attribute dimName : dimNames) {
      auto string = dyn_cast<StringAttr>(dimName);
      if (!string)
        return false;
      info.dimNames.push_back(string.str());
    }
  }
  return true;
}

static Attribute toAttr(Builder &builder, const std::vector<CacheInfo> &list) {
  SmallVector<Attribute> result;
  for (const CacheInfo &info : list)
    result.push_back(builder.getDenseI32ArrayAttr(
        {info.input, info.output, info.axis, info.grows}));
  return builder.getArrayAttr(result);
}

/// Indices must be those of inputs, outputs and a dimension of both: the
/// runtime relies on them.
static bool fromAttr(Attribute attr, ModelInfo &info) {
  auto array = dyn_cast_if_present<ArrayAttr>(attr);
  for (Attribute element : array ? array.getValue() : ArrayRef<Attribute>()) {
    auto numbers = dyn_cast<DenseI32ArrayAttr>(element);
    if (!numbers || numbers.size() != 4)
      return false;
    CacheInfo cache{numbers[0], numbers[1], numbers[2], numbers[3] != 0};
    auto inside = [](int32_t index, size_t size) {
      return index >= 0 && static_cast<size_t>(index) < size;
    };
    if (!inside(cache.input, info.inputs.size()) ||
        !inside(cache.output, info.outputs.size()) ||
        !inside(cache.axis, info.inputs[cache.input].dims.size()) ||
        !inside(cache.axis, info.outputs[cache.output].dims.size()))
      return false;
    info.caches.push_back(cache);
  }
  return true;
}

void ModelInfo::attachTo(ModuleOp module) const {
  Builder builder(module.getContext());
  module->setAttr(
      infoName,
      builder.getDictionaryAttr(
          {builder.getNamedAttr("caches", toAttr(builder, caches)),
           builder.getNamedAttr("entry", builder.getStringAttr(entry)),
           builder.getNamedAttr("inputs", toAttr(builder, inputs)),
           builder.getNamedAttr("outputs", toAttr(builder, outputs))}));
}

FailureOr<ModelInfo> ModelInfo::fromModule(ModuleOp module) {
  ModelInfo info;
  auto dict = module->getAttrOfType<DictionaryAttr>(infoName);
  auto entry = dict ? dict.getAs<StringAttr>("entry") : StringAttr();
  if (!entry || !fromAttr(dict.get("inputs"), info.inputs) ||
      !fromAttr(dict.get("outputs"), info.outputs) ||
      !fromAttr(dict.get("caches"), info))
    return module.emitError() << "expected the attribute '" << infoName
                              << "' = {caches, entry, inputs, outputs} that a "
                                 "compile of the whole model "
                                 "adds, got "
                              << (dict ? "one that is malformed" : "none");
  info.entry = entry.str();
  if (auto layers = module->getAttrOfType<ArrayAttr>(layersName))
    for (Attribute element : layers) {
      auto layer = dyn_cast<DictionaryAttr>(element);
      auto name = layer ? layer.getAs<StringAttr>("name") : StringAttr();
      auto bytes = layer ? layer.getAs<IntegerAttr>("bytes") : IntegerAttr();
      if (!name || !bytes)
        return module.emitError()
               << "'" << layersName << "' expects elements {name, bytes}, got "
               << element;
      info.layers.push_back(
          {name.str(), static_cast<uint64_t>(bytes.getInt())});
    }
  return info;
}

int32_t nibble::target::addProfiledLayer(ModuleOp module, StringRef name,
                                         uint64_t bytes) {
  Builder builder(module.getContext());
  SmallVector<Attribute> layers;
  if (auto old = module->getAttrOfType<ArrayAttr>(layersName))
    layers.assign(old.begin(), old.end());
  for (auto [i, layer] : llvm::enumerate(layers))
    if (cast<DictionaryAttr>(layer).getAs<StringAttr>("name") == name)
      return static_cast<int32_t>(i);
  layers.push_back(builder.getDictionaryAttr(
      {builder.getNamedAttr("name", builder.getStringAttr(name)),
       builder.getNamedAttr("bytes", builder.getI64IntegerAttr(bytes))}));
  module->setAttr(layersName, builder.getArrayAttr(layers));
  return static_cast<int32_t>(layers.size() - 1);
}
