//===- ModelConstants.cpp - Descriptor and entry of a binary --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The structures of nibble/Runtime/ModelDescriptor.h as LLVM constants.
//
//===----------------------------------------------------------------------===//

#include "ModelConstants.h"
#include "nibble/Runtime/ModelDescriptor.h"
#include "llvm/IR/IRBuilder.h"

using namespace llvm;
using namespace nibble::target;

namespace {
/// Builds constants of one module; all its globals are private to the object.
class ConstantBuilder {
public:
  explicit ConstantBuilder(Module &module)
      : module(module), context(module.getContext()),
        pointerType(PointerType::get(context, 0)) {}

  Constant *int32(uint32_t value) {
    return ConstantInt::get(Type::getInt32Ty(context), value);
  }
  Constant *int64(uint64_t value) {
    return ConstantInt::get(Type::getInt64Ty(context), value);
  }
  Constant *null() { return ConstantPointerNull::get(pointerType); }
  Constant *string(StringRef text) {
    return global(ConstantDataArray::getString(context, text));
  }
  /// A structure laid out as C does.
  Constant *record(ArrayRef<Constant *> fields) {
    return ConstantStruct::getAnon(context, fields);
  }
  /// A pointer to the elements, all of one type; null if there are none.
  Constant *array(ArrayRef<Constant *> elements) {
    if (elements.empty())
      return null();
    auto *type = ArrayType::get(elements.front()->getType(), elements.size());
    return global(ConstantArray::get(type, elements));
  }

  Constant *tensors(const std::vector<TensorInfo> &infos) {
    SmallVector<Constant *> records;
    for (const TensorInfo &info : infos) {
      SmallVector<Constant *> dims, names;
      for (int64_t dim : info.dims)
        dims.push_back(int64(dim));
      for (const std::string &name : info.dimNames)
        names.push_back(string(name));
      // nibble_tensor_info
      records.push_back(
          record({string(info.name), int32(info.dtype), int32(info.dims.size()),
                  array(dims), array(names)}));
    }
    return array(records);
  }

  Constant *layers(const std::vector<LayerInfo> &infos) {
    SmallVector<Constant *> records;
    for (const LayerInfo &info : infos)
      records.push_back(record({string(info.name), int64(info.bytes)}));
    return array(records);
  }

  Constant *caches(const std::vector<CacheInfo> &infos) {
    SmallVector<Constant *> records;
    for (const CacheInfo &info : infos) // nibble_cache_info
      records.push_back(record({int32(info.input), int32(info.output),
                                int32(info.axis), int32(info.grows)}));
    return array(records);
  }

  /// nibble_device_code, or null.
  Constant *device(const DeviceCode &code) {
    if (code.empty())
      return null();
    SmallVector<Constant *> images, kernels;
    for (const DeviceImage &image : code.images) // nibble_device_image
      images.push_back(
          record({string(image.chip->name), int32(image.chip->number),
                  int32(image.isPTX ? NIBBLE_IMAGE_PTX : NIBBLE_IMAGE_CUBIN),
                  int32(image.chip->exact), int32(image.driver),
                  bytes(image.data), int64(image.data.size())}));
    for (const DeviceKernel &kernel : code.kernels) // nibble_device_kernel
      kernels.push_back(record({string(kernel.name), string(kernel.parameters),
                                int64(kernel.sharedBytes)}));
    // Only models with kernels take the runtime's code for them.
    auto *functions = new GlobalVariable(
        module, Type::getInt8Ty(context), /*isConstant=*/true,
        GlobalValue::ExternalLinkage, nullptr, "nibble_rt_cuda");
    functions->setVisibility(GlobalValue::HiddenVisibility);
    return global(
        record({functions, array(images), array(kernels), int64(images.size()),
                int64(kernels.size()), int64(code.weightBytes)}));
  }

  Constant *strings(ArrayRef<std::string> texts) {
    SmallVector<Constant *> pointers;
    for (const std::string &text : texts)
      pointers.push_back(string(text));
    return array(pointers);
  }

private:
  /// Data that a driver reads: aligned like memory.
  Constant *bytes(StringRef data) {
    Constant *result =
        global(ConstantDataArray::getString(context, data, /*AddNull=*/false));
    cast<GlobalVariable>(result)->setAlignment(Align(64));
    return result;
  }
  Constant *global(Constant *value) {
    auto *variable =
        new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                           GlobalValue::PrivateLinkage, value, "nibble.const");
    variable->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
    return variable;
  }

  Module &module;
  LLVMContext &context;
  PointerType *pointerType;
};
} // namespace

/// void invoke(void **args): args are the weights, the inputs and last the
/// results, which the interface of MLIR takes first, and only if there are any.
static Function *addInvoke(Module &module, const ModelInfo &info) {
  LLVMContext &context = module.getContext();
  Type *voidType = Type::getVoidTy(context);
  Type *pointerType = PointerType::get(context, 0);
  auto *function = Function::Create(
      FunctionType::get(voidType, {pointerType}, /*isVarArg=*/false),
      GlobalValue::InternalLinkage, "nibble_invoke", module);
  IRBuilder<> builder(BasicBlock::Create(context, "entry", function));
  size_t count = info.inputs.size() + 1;
  auto load = [&](size_t index) -> Value * {
    Value *slot = builder.CreateConstInBoundsGEP1_64(
        pointerType, function->getArg(0), index);
    return builder.CreateLoad(pointerType, slot);
  };
  SmallVector<Value *> arguments;
  if (info.outputs.size() != info.caches.size())
    arguments.push_back(load(count));
  for (size_t i = 0; i != count; ++i)
    arguments.push_back(load(i));
  SmallVector<Type *> types(arguments.size(), pointerType);
  FunctionCallee callee = module.getOrInsertFunction(
      "_mlir_ciface_" + info.entry, FunctionType::get(voidType, types, false));
  builder.CreateCall(callee, arguments);
  builder.CreateRetVoid();
  return function;
}

GlobalVariable *nibble::target::addDescriptor(Module &module, StringRef symbol,
                                              const ModelInfo &info,
                                              const CpuTarget &target,
                                              const DescriptorText &text) {
  ConstantBuilder b(module);
  Constant *weights = b.null();
  if (!text.weightsSymbol.empty()) {
    auto *variable = new GlobalVariable(
        module, Type::getInt8Ty(module.getContext()), /*isConstant=*/true,
        GlobalValue::ExternalLinkage, nullptr, text.weightsSymbol);
    variable->setVisibility(GlobalValue::HiddenVisibility);
    weights = variable;
  }
  Constant *value = b.record({
      b.int32(NIBBLE_DESCRIPTOR_MAGIC),
      b.int32(NIBBLE_DESCRIPTOR_ABI),
      b.string(text.name),
      b.string(text.producer),
      b.string(text.options),
      b.string(target.getName()),
      b.strings(target.getFeatures()),
      b.tensors(info.inputs),
      b.tensors(info.outputs),
      b.layers(info.layers),
      b.caches(info.caches),
      b.int64(target.getFeatures().size()),
      b.int64(info.inputs.size()),
      b.int64(info.outputs.size()),
      b.int64(info.layers.size()),
      b.int64(info.caches.size()),
      b.int64(text.defaultThreads),
      addInvoke(module, info),
      weights,
      b.int64(text.weightBytes),
      text.sidecar.empty() ? b.null() : b.string(text.sidecar),
      b.int64(text.sidecarHash),
      b.device(text.device),
  });
  return new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                            GlobalValue::ExternalLinkage, value, symbol);
}

void nibble::target::addSharedModelEntry(Module &module,
                                         GlobalVariable *descriptor) {
  ConstantBuilder b(module);
  auto *functions = new GlobalVariable(
      module, Type::getInt8Ty(module.getContext()), /*isConstant=*/true,
      GlobalValue::ExternalLinkage, nullptr, "nibble_rt_functions");
  functions->setVisibility(GlobalValue::HiddenVisibility);
  Constant *value =
      b.record({b.int32(NIBBLE_DESCRIPTOR_MAGIC),
                b.int32(NIBBLE_DESCRIPTOR_ABI), descriptor, functions});
  new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                     GlobalValue::ExternalLinkage, value,
                     NIBBLE_SHARED_MODEL_SYMBOL);
}
