//===- JitModule.cpp - Runs generated code in a test ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JitModule.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Conversion/NibbleToLinalg/NibbleToLinalg.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/BufferizableOpInterfaceImpl.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace mlir;

namespace nibble::test {

static jmp_buf failureExit;
static std::string failureMessage;

static void *alignedAlloc(uint64_t alignment, uint64_t bytes) {
  return aligned_alloc(alignment, llvm::alignTo(bytes, alignment));
}

static void noteValue(int64_t) {}

static bool tilesAllowed = true;
/// As nibble_rt_has_tiles: Linux grants tiles on request only.
static int32_t hasTiles() {
  return tilesAllowed && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}
void allowTiles(bool allowed) { tilesAllowed = allowed; }

static void fail(const char *message) {
  failureMessage = message;
  longjmp(failureExit, 1);
}

MemRef::MemRef(void *data, std::vector<int64_t> shape) {
  words = {reinterpret_cast<int64_t>(data), reinterpret_cast<int64_t>(data), 0};
  words.insert(words.end(), shape.begin(), shape.end());
  std::vector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  words.insert(words.end(), strides.begin(), strides.end());
}

/// Weights become constants of the code: nothing is mapped in a test.
static void embedConstants(ModuleOp module) {
  module.walk([](ConstantOp op) {
    FailureOr<ConstantData> data = ConstantData::get(op.getResult());
    ASSERT_TRUE(succeeded(data));
    ConstantData elements = data->expanded();
    OpBuilder b(op);
    auto value = DenseElementsAttr::getFromRawBuffer(data->getType(),
                                                     elements.getBytes());
    op.replaceAllUsesWith(
        arith::ConstantOp::create(b, op.getLoc(), value).getResult());
    op.erase();
  });
}

std::unique_ptr<JitModule> JitModule::create(const std::string &text,
                                             codegen::CpuTarget target,
                                             bool tensors) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  registry.insert<NibbleDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);

  auto result = std::make_unique<JitModule>();
  result->context = std::make_unique<MLIRContext>(registry);
  auto module = parseSourceString<ModuleOp>(text, result->context.get());
  if (!module) {
    ADD_FAILURE() << "the text can't be read:\n" << text;
    return nullptr;
  }
  PassManager pm(result->context.get());
  if (tensors) {
    PassManager first(result->context.get());
    first.addNestedPass<func::FuncOp>(createNibbleQuantizeActivationsPass());
    first.addNestedPass<func::FuncOp>(createNibblePackWeightsPass());
    first.addNestedPass<func::FuncOp>(createConvertNibbleToLinalgPass());
    if (failed(first.run(*module))) {
      ADD_FAILURE() << "the pipeline on tensors failed";
      return nullptr;
    }
    embedConstants(*module);
    codegen::populateBufferizationPipeline(pm);
  }
  codegen::populateKernelPipeline(pm, target);
  codegen::populateVectorToLLVMPipeline(pm);
  if (failed(pm.run(*module))) {
    ADD_FAILURE() << "the pipeline failed";
    return nullptr;
  }

  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!target.avx512 && builder) {
    builder->setCPU(target.fma ? "x86-64-v3" : "x86-64");
    builder->getFeatures() =
        llvm::SubtargetFeatures(target.vnni ? "+avxvnni" : "");
  }
  auto machine = builder->createTargetMachine();
  if (!machine) {
    ADD_FAILURE() << toString(machine.takeError());
    return nullptr;
  }
  ExecutionEngineOptions options;
  auto optimize = makeOptimizingTransformer(3, 0, machine->get());
  options.transformer = optimize;
  auto engine = ExecutionEngine::create(*module, options, std::move(*machine));
  if (!engine) {
    ADD_FAILURE() << toString(engine.takeError());
    return nullptr;
  }
  result->engine = std::move(*engine);
  result->engine->registerSymbols([](llvm::orc::MangleAndInterner interner) {
    llvm::orc::SymbolMap symbols;
    auto add = [&](const char *name, auto *function) {
      symbols[interner(name)] = {llvm::orc::ExecutorAddr::fromPtr(function),
                                 llvm::JITSymbolFlags::Exported};
    };
    add("_mlir_memref_to_llvm_aligned_alloc", &alignedAlloc);
    add("_mlir_memref_to_llvm_free", &free);
    add("nibble_rt_fail", &fail);
    add("nibble_rt_note_value", &noteValue);
    add("nibble_rt_has_tiles", &hasTiles);
    return symbols;
  });
  return result;
}

bool JitModule::call(const std::string &name, std::vector<MemRef> arguments) {
  std::vector<void *> descriptors, pointers;
  for (MemRef &argument : arguments)
    descriptors.push_back(argument.descriptor());
  for (void *&descriptor : descriptors)
    pointers.push_back(&descriptor);
  if (setjmp(failureExit)) {
    failure = failureMessage;
    return false;
  }
  if (llvm::Error error =
          engine->invokePacked("_mlir_ciface_" + name, pointers)) {
    ADD_FAILURE() << toString(std::move(error));
    return false;
  }
  return true;
}

std::vector<codegen::CpuTarget> targetsOfThisMachine(bool integers) {
  std::vector<codegen::CpuTarget> targets = {{/*avx512=*/false, /*fma=*/false}};
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(names,
                        [&](const char *n) { return features.lookup(n); });
  };
  if (has({"avx2", "fma", "f16c"}))
    targets.push_back({/*avx512=*/false, /*fma=*/true});
  if (has({"avx512f", "avx512bw", "avx512dq", "avx512vl"}))
    targets.push_back({/*avx512=*/true, /*fma=*/true});
  if (integers && has({"avx2", "fma", "f16c", "avxvnni"}))
    targets.push_back({/*avx512=*/false, /*fma=*/true, /*vnni=*/true});
  if (integers &&
      has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"}))
    targets.push_back({/*avx512=*/true, /*fma=*/true, /*vnni=*/true});
  return targets;
}

std::vector<float> randomFloats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> distribution(-1.0f, 1.0f);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(random);
  return values;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

QuantizedWeight::QuantizedWeight(int64_t n, int64_t k, unsigned bits,
                                 int64_t group, bool zeros, unsigned seed)
    : n(n), k(k), bits(bits), group(group > 0 ? group : k),
      numGroups((k + this->group - 1) / this->group), hasZeros(zeros) {
  std::mt19937 random(seed);
  for (int64_t i = 0; i < n * k; ++i)
    codes.push_back(random() % (1u << bits));
  for (int64_t i = 0; i < n * numGroups; ++i) {
    scales.push_back(float(1 + random() % 127) / 1024.0f);
    this->zeros.push_back(zeros ? random() % (1u << bits) : 1u << (bits - 1));
  }
}

std::vector<float> QuantizedWeight::values() const {
  std::vector<float> result;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i) {
      int64_t g = row * numGroups + i / group;
      result.push_back(scales[g] * (float(codes[row * k + i]) - zeros[g]));
    }
  return result;
}

std::vector<uint8_t> QuantizedWeight::panels() const {
  int64_t count = (n + 31) / 32;
  int64_t step = bits > 6 ? 32 : 4 * bits;
  std::vector<uint8_t> result(count * k * step);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i) {
      unsigned code = codes[row * k + i], c = row % 32;
      uint8_t *at = &result[((row / 32) * k + i) * step];
      if (bits > 6)
        at[c] = code;
      else if (bits >= 4)
        at[c % 16] |= (code & 15) << (c / 16 * 4);
      else
        at[c % 8] |= (code & 3) << (c / 8 * 2);
      if (bits == 3)
        at[8 + c / 8] |= (code >> 2) << (c % 8);
      if (bits == 5)
        at[16 + c / 8] |= (code >> 4) << (c % 8);
      if (bits == 6)
        at[16 + c % 8] |= (code >> 4) << (c / 8 * 2);
    }
  return result;
}

std::vector<float> QuantizedWeight::panelScales() const {
  int64_t count = (n + 31) / 32;
  std::vector<float> result(count * numGroups * 32);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t g = 0; g < numGroups; ++g)
      result[((row / 32) * numGroups + g) * 32 + row % 32] =
          scales[row * numGroups + g];
  return result;
}

std::vector<uint8_t> QuantizedWeight::panelZeros() const {
  int64_t count = (n + 31) / 32;
  std::vector<uint8_t> result(count * numGroups * 32);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t g = 0; g < numGroups; ++g)
      result[((row / 32) * numGroups + g) * 32 + row % 32] =
          zeros[row * numGroups + g];
  return result;
}

std::vector<uint8_t> QuantizedWeight::rows() const {
  int64_t rowBytes = (k * bits + 7) / 8;
  std::vector<uint8_t> result(n * rowBytes);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i) {
      unsigned code = codes[row * k + i];
      if (!hasZeros)
        code ^= 1u << (bits - 1);
      for (unsigned bit = 0; bit < bits; ++bit)
        if (code >> bit & 1)
          result[row * rowBytes + (i * bits + bit) / 8] |=
              1u << (i * bits + bit) % 8;
    }
  return result;
}

std::vector<float> packFloats(const std::vector<float> &weight, int64_t n,
                              int64_t k) {
  std::vector<float> result((n + 31) / 32 * k * 32);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i)
      result[((row / 32) * k + i) * 32 + row % 32] = weight[row * k + i];
  return result;
}

std::vector<uint8_t> convertScales(const std::vector<float> &scales,
                                   const std::string &name) {
  std::vector<uint8_t> result;
  const llvm::fltSemantics &semantics =
      name == "f16"    ? llvm::APFloat::IEEEhalf()
      : name == "bf16" ? llvm::APFloat::BFloat()
                       : llvm::APFloat::IEEEsingle();
  for (float scale : scales) {
    llvm::APFloat value(scale);
    bool lost;
    value.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &lost);
    EXPECT_FALSE(lost);
    llvm::APInt bits = value.bitcastToAPInt();
    for (unsigned byte = 0; byte < bits.getBitWidth() / 8; ++byte)
      result.push_back(bits.extractBitsAsZExtValue(8, 8 * byte));
  }
  return result;
}

double applyActivation(const std::string &name, double x) {
  if (name == "relu")
    return x < 0 ? 0 : x;
  if (name == "relu6")
    return x < 0 ? 0 : x > 6 ? 6 : x;
  if (name == "sigmoid")
    return 1 / (1 + std::exp(-x));
  if (name == "silu")
    return x / (1 + std::exp(-x));
  if (name == "gelu")
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  if (name == "gelu_tanh")
    return 0.5 * x *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  if (name == "tanh")
    return std::tanh(x);
  if (name == "hard_swish")
    return x * std::min(1.0, std::max(0.0, x / 6 + 0.5));
  return x;
}

FusedOpText::FusedOpText(const std::string &input, const std::string &weight,
                         const std::string &scales, const std::string &zeros,
                         const std::string &bias, const std::string &residual,
                         const std::string &output, const std::string &second) {
  arguments = "%x: " + input + ", %w: " + weight;
  types = input + ", " + weight;
  operands = "%x weight(%w";
  auto add = [&](const std::string &name, const std::string &type,
                 const std::string &text) {
    if (type.empty())
      return;
    arguments += ", %" + name + ": " + type;
    types += ", " + type;
    operands += text;
  };
  add("s", scales, ", %s");
  add("z", zeros, " zeros %z");
  add("t", second, " second %t");
  operands += ")";
  add("b", bias, " bias(%b)");
  add("r", residual, " residual(%r)");
  add("y", output, " outs(%y)");
}

} // namespace nibble::test
