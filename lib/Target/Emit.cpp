//===- Emit.cpp - From the llvm dialect to a binary -----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Target/Emit.h"
#include "Link.h"
#include "ModelConstants.h"
#include "ModelHeader.h"
#include "Seal.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace nibble::target;
namespace fs = llvm::sys::fs;

void nibble::target::registerLLVMTranslations(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerOpenMPDialectTranslation(registry);
}

std::string nibble::target::toIdentifier(StringRef name) {
  std::string result;
  for (char c : name)
    result.push_back(llvm::isAlnum(c) ? c : '_');
  if (result.empty() || llvm::isDigit(result.front()))
    result.insert(result.begin(), '_');
  return result;
}

namespace {
/// Files beside the output, so that the last step is a rename within one file
/// system. Those that are left are removed at the end, or by a signal.
class ScratchFiles {
public:
  LogicalResult create(StringRef output, EmitErrorFn emitError) {
    // Not createUniqueFile: it takes a '%' of the user's for one of its own.
    std::error_code ec;
    for (unsigned attempt = 0; attempt != 100; ++attempt) {
      prefix = output;
      prefix +=
          llvm::formatv(".tmp-{0:x-8}", llvm::sys::Process::GetRandomNumber())
              .str();
      int file;
      ec = fs::openFileForWrite(prefix, file, fs::CD_CreateNew);
      if (!ec)
        llvm::sys::Process::SafelyCloseFileDescriptor(file);
      if (ec != std::errc::file_exists)
        break;
    }
    if (ec)
      return emitError() << "can't write '" << output << "': " << ec.message();
    track(prefix.str().str());
    return success();
  }
  ~ScratchFiles() {
    for (const std::string &file : files) {
      fs::remove(file);
      llvm::sys::DontRemoveFileOnSignal(file);
    }
  }
  std::string file(StringRef name) {
    return track((prefix + "-" + name).str());
  }

private:
  std::string track(std::string file) {
    llvm::sys::RemoveFileOnSignal(file);
    files.push_back(file);
    return file;
  }

  SmallString<128> prefix;
  std::vector<std::string> files;
};

/// One emission: the steps share the options and the scratch files.
class Emitter {
public:
  Emitter(ModuleOp module, const ModelInfo &info, const WeightLayout &layout,
          const CpuTarget &target, const EmitOptions &options)
      : module(module), info(info), layout(layout), target(target),
        options(options) {}

  LogicalResult run();

private:
  InFlightDiagnostic error() { return module.emitError(); }
  TimingScope time(StringRef step) {
    return options.timing ? options.timing->nest(step) : TimingScope();
  }
  LogicalResult placeWeights();
  LogicalResult reserveWeights();
  LogicalResult buildCode();
  LogicalResult writeCode(llvm::CodeGenFileType type, StringRef path);
  LogicalResult moveToOutput(StringRef from, StringRef to);
  LogicalResult cantWrite(std::error_code reason);
  LogicalResult close(llvm::raw_fd_ostream &os);
  LogicalResult writeText(StringRef path,
                          llvm::function_ref<void(raw_ostream &)> write);

  ModuleOp module;
  const ModelInfo &info;
  const WeightLayout &layout;
  const CpuTarget &target;
  const EmitOptions &options;

  ScratchFiles scratch;
  DescriptorText text;
  std::string identifier;
  std::vector<std::string> objects;
  std::string sidecarFile, sidecarOutput;
  /// Weights follow when the code is linked.
  bool reserved = false;
  std::optional<uint64_t> weightsHash;
  std::unique_ptr<llvm::TargetMachine> machine;
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> code;
};
} // namespace

/// Write the weights where they go and note it for the descriptor.
LogicalResult Emitter::placeWeights() {
  TimingScope timing = time("write weights");
  text.weightBytes = layout.size;
  bool sidecar = options.weights == WeightPlacement::Sidecar ||
                 (options.weights == WeightPlacement::Auto &&
                  layout.size > embeddedWeightLimit);
  bool isText = options.kind == ArtifactKind::LLVMIR ||
                options.kind == ArtifactKind::Assembly;
  if (layout.size == 0)
    return success();
  if (!sidecar) {
    text.weightsSymbol = "nibble_weights_" + identifier;
    if (isText)
      return success();
    if (options.kind != ArtifactKind::Object)
      return reserveWeights();
    objects.push_back(scratch.file("weights.o"));
    return writeWeightsObject(layout, text.weightsSymbol, objects.back(),
                              options.output, layout.size > embeddedWeightLimit,
                              [&] { return error(); });
  }
  sidecarOutput = options.output + ".weights";
  text.sidecar = llvm::sys::path::filename(sidecarOutput).str();
  if (isText)
    return success();
  sidecarFile = scratch.file("weights");
  FailureOr<uint64_t> hash = writeWeightsSidecar(
      layout, sidecarFile, sidecarOutput, [&] { return error(); });
  if (failed(hash))
    return failure();
  text.sidecarHash = *hash;
  return success();
}

LogicalResult Emitter::reserveWeights() {
  reserved = true;
  objects.push_back(scratch.file("weights.o"));
  if (failed(writeWeightsPlace(layout, text.weightsSymbol, objects.back(),
                               options.output, [&] { return error(); })))
    return failure();
  objects.push_back(scratch.file("weights.ld"));
  return writeText(objects.back(),
                   [](raw_ostream &os) { os << weightsPlacement; });
}

/// Take off the arguments' and results' attributes that say what the model
/// calls them: LLVM does not know them, and ModelInfo has read them.
static void dropForeignAttributes(FunctionOpInterface function) {
  auto getForeign = [](DictionaryAttr attrs) {
    SmallVector<StringAttr> names;
    for (NamedAttribute attr :
         attrs ? attrs.getValue() : ArrayRef<NamedAttribute>())
      if (!attr.getName().getValue().starts_with("llvm."))
        names.push_back(attr.getName());
    return names;
  };
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    for (StringAttr name : getForeign(function.getArgAttrDict(i)))
      function.removeArgAttr(i, name);
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    for (StringAttr name : getForeign(function.getResultAttrDict(i)))
      function.removeResultAttr(i, name);
}

/// Translate, add the descriptor and optimize.
LogicalResult Emitter::buildCode() {
  TimingScope timing = time("translate to LLVM IR");
  FailureOr<DeviceCode> device = DeviceCode::fromModule(module);
  if (failed(device))
    return failure();
  text.device = std::move(*device);
  // The descriptor holds it from here on.
  if (!text.device.empty())
    module.lookupSymbol<gpu::BinaryOp>(nibble::codegen::cuda::kernelModuleName)
        .erase();
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    dropForeignAttributes(function);
  module->setAttr(LLVM::LLVMDialect::getTargetTripleAttrName(),
                  StringAttr::get(module.getContext(), target.getTriple()));
  code = translateModuleToLLVMIR(module, llvmContext, identifier);
  if (!code)
    return failure(); // The translation has reported why.
  if (!code->getFunction("_mlir_ciface_" + info.entry))
    return error() << "the entry function '" << info.entry
                   << "' has no C interface: expected a function with "
                      "llvm.emit_c_interface";
  machine = target.createMachine(options.optLevel);
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  // Only the descriptor is seen from outside, so two models can be linked into
  // one program, and the optimizer may do as it likes with the rest.
  for (llvm::GlobalValue &value : code->global_values())
    if (!value.isDeclaration())
      value.setLinkage(llvm::GlobalValue::InternalLinkage);
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.getCpu());
    std::string features = target.getFeatureString();
    if (function.hasFnAttribute("target-features"))
      features +=
          (features.empty() ? "" : ",") +
          function.getFnAttribute("target-features").getValueAsString().str();
    if (!features.empty())
      function.addFnAttr("target-features", features);
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  llvm::GlobalVariable *descriptor =
      addDescriptor(*code, "nibble_model_" + identifier, info, target, text);
  if (options.kind == ArtifactKind::SharedObject ||
      options.kind == ArtifactKind::Executable)
    addSharedModelEntry(*code, descriptor);

  timing = time("optimize");
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine.get());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  auto level = options.optLevel >= 3   ? llvm::OptimizationLevel::O3
               : options.optLevel == 2 ? llvm::OptimizationLevel::O2
               : options.optLevel == 1 ? llvm::OptimizationLevel::O1
                                       : llvm::OptimizationLevel::O0;
  llvm::ModulePassManager passes =
      options.optLevel ? builder.buildPerModuleDefaultPipeline(level)
                       : builder.buildO0DefaultPipeline(level);
  passes.run(*code, modules);
  return success();
}

LogicalResult Emitter::writeCode(llvm::CodeGenFileType type, StringRef path) {
  TimingScope timing = time("generate code");
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (ec)
    return cantWrite(ec);
  {
    // Its printer flushes when it ends, which must be before the file does.
    llvm::legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, os, nullptr, type))
      return error() << "the code generator of " << target.getTriple()
                     << " can't write this kind of file";
    passes.run(*code);
  }
  return close(os);
}

LogicalResult
Emitter::writeText(StringRef path,
                   llvm::function_ref<void(raw_ostream &)> write) {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (ec)
    return cantWrite(ec);
  write(os);
  return close(os);
}

/// Messages name the output: the name that is written to is of no use to a
/// user.
LogicalResult Emitter::cantWrite(std::error_code reason) {
  return error() << "can't write '" << options.output
                 << "': " << reason.message();
}

LogicalResult Emitter::close(llvm::raw_fd_ostream &os) {
  os.close();
  std::error_code reason = os.error();
  os.clear_error();
  return reason ? cantWrite(reason) : success();
}

LogicalResult Emitter::moveToOutput(StringRef from, StringRef to) {
  if (std::error_code ec = fs::rename(from, to))
    return error() << "can't write '" << to << "': " << ec.message();
  return success();
}

LogicalResult Emitter::run() {
  StringRef stem = llvm::sys::path::stem(options.output);
  text.name = options.modelName.empty() ? stem.str() : options.modelName;
  text.producer = options.producer;
  text.options = options.options;
  text.defaultThreads = options.threads;
  identifier = toIdentifier(stem);
  if (fs::is_directory(options.output))
    return error() << "can't write '" << options.output
                   << "': it is a directory";
  if (failed(scratch.create(options.output, [&] { return error(); })) ||
      failed(placeWeights()) || failed(buildCode()))
    return failure();

  std::string result = scratch.file("result");
  auto reportError = [&] { return error(); };
  switch (options.kind) {
  case ArtifactKind::LLVMIR:
    if (failed(writeText(result, [&](raw_ostream &os) { os << *code; })))
      return failure();
    return moveToOutput(result, options.output);
  case ArtifactKind::Assembly:
    if (failed(writeCode(llvm::CodeGenFileType::AssemblyFile, result)))
      return failure();
    return moveToOutput(result, options.output);
  default:
    break;
  }

  objects.insert(objects.begin(), scratch.file("code.o"));
  if (failed(writeCode(llvm::CodeGenFileType::ObjectFile, objects.front())))
    return failure();
  code.reset(); // The linker needs the memory more.

  TimingScope timing = time("link");
  std::string header;
  LogicalResult linked = success();
  if (options.kind == ArtifactKind::SharedObject) {
    linked = linkSharedObject(objects, "nibble_model_" + identifier,
                              llvm::sys::path::filename(options.output),
                              scratch.file("exports.map"), result,
                              options.output, reportError);
  } else if (options.kind == ArtifactKind::Executable) {
    linked = linkExecutable(objects, result, options.output, reportError);
  } else {
    linked = linkRelocatable(objects, result, options.output, reportError);
    header = scratch.file("header");
    if (succeeded(linked))
      linked = writeText(header, [&](raw_ostream &os) {
        writeModelHeader(os, info, text, identifier,
                         llvm::sys::path::filename(options.output));
      });
  }
  if (failed(linked))
    return failure();
  timing = time("append weights");
  if (reserved) {
    FailureOr<uint64_t> hash =
        appendWeights(layout, result, options.output, reportError);
    if (failed(hash))
      return failure();
    weightsHash = *hash;
  }
  if (options.kind != ArtifactKind::Object)
    if (llvm::Error failed = sealBinary(result, weightsHash))
      return error() << "can't write '" << options.output
                     << "': " << llvm::toString(std::move(failed));
  // The sidecar first: a binary without it would be of no use.
  if (!sidecarFile.empty() && failed(moveToOutput(sidecarFile, sidecarOutput)))
    return failure();
  if (!header.empty()) {
    SmallString<128> headerOutput(options.output);
    llvm::sys::path::replace_extension(headerOutput, "h");
    if (failed(moveToOutput(header, headerOutput)))
      return failure();
  }
  return moveToOutput(result, options.output);
}

LogicalResult nibble::target::emitArtifact(ModuleOp module,
                                           const ModelInfo &info,
                                           const WeightLayout &layout,
                                           const CpuTarget &target,
                                           const EmitOptions &options) {
  return Emitter(module, info, layout, target, options).run();
}
