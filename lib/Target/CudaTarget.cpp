//===- CudaTarget.cpp - The GPUs to compile for -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Target/CudaTarget.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace nibble::target;
namespace fs = llvm::sys::fs;

/// Kernels use what PTX 8.0 has, so that nothing needs an older ptxas.
static constexpr CudaChip chips[] = {
    {"sm_80", 80, false, 80, 12000},   {"sm_86", 86, false, 80, 12000},
    {"sm_87", 87, false, 80, 12000},   {"sm_89", 89, false, 80, 12000},
    {"sm_90", 90, false, 80, 12000},   {"sm_90a", 90, true, 80, 12000},
    {"sm_100", 100, false, 86, 12080}, {"sm_100a", 100, true, 86, 12080},
    {"sm_103", 103, false, 88, 12090}, {"sm_103a", 103, true, 88, 12090},
    {"sm_110", 110, false, 90, 13000}, {"sm_110a", 110, true, 90, 13000},
    {"sm_120", 120, false, 87, 12080}, {"sm_120a", 120, true, 87, 12080},
    {"sm_121", 121, false, 88, 12090}, {"sm_121a", 121, true, 88, 12090},
};

/// "13.0" for 13000.
static std::string versionText(unsigned version) {
  return llvm::formatv("{0}.{1}", version / 1000, version % 1000 / 10).str();
}

llvm::Expected<std::vector<const CudaChip *>>
nibble::target::parseCudaChips(StringRef list) {
  std::vector<const CudaChip *> result;
  SmallVector<StringRef> names;
  list.split(names, ',');
  for (StringRef name : names) {
    name = name.trim();
    const auto *chip = llvm::find_if(
        chips, [&](const CudaChip &known) { return known.name == name; });
    unsigned number;
    if (chip == std::end(chips)) {
      StringRef digits = name;
      if (digits.consume_front("sm_") && !digits.getAsInteger(10, number) &&
          number < chips[0].number)
        return llvm::createStringError("--chip=" + name +
                                       " is too old: kernels need " +
                                       chips[0].name + " (Ampere) or newer");
      std::string choices = llvm::join(
          llvm::map_range(chips, [](const CudaChip &c) { return c.name; }),
          ", ");
      return llvm::createStringError("unknown value '" + name +
                                     "' of --chip: expected one of " + choices);
    }
    if (llvm::is_contained(result, chip))
      return llvm::createStringError("--chip=" + list + " has " + name +
                                     " twice");
    result.push_back(chip);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Toolkit
//===----------------------------------------------------------------------===//

namespace {
/// A file that ends with its object.
class TemporaryFile {
public:
  explicit TemporaryFile(StringRef suffix) {
    error = fs::createTemporaryFile("nibble", suffix, path);
  }
  ~TemporaryFile() {
    if (!path.empty())
      fs::remove(path);
  }
  std::error_code error;
  SmallString<128> path;
};
} // namespace

/// Run a program. Returns its exit status; what it prints in `output`.
static int run(StringRef program, ArrayRef<StringRef> arguments,
               std::string &output) {
  TemporaryFile text("txt");
  if (text.error) {
    output = "no temporary file: " + text.error.message();
    return -1;
  }
  SmallVector<StringRef> command = {program};
  llvm::append_range(command, arguments);
  std::optional<StringRef> redirects[] = {StringRef(""), text.path.str(),
                                          text.path.str()};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(program, command, std::nullopt,
                                         redirects, 0, 0, &message);
  if (auto buffer = llvm::MemoryBuffer::getFile(text.path))
    output = (*buffer)->getBuffer().str();
  if (!message.empty())
    output += message;
  return status;
}

/// Where ptxas may be, and whether the user said so.
static std::string findPtxas(std::string &asked) {
  SmallString<128> path;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"}) {
    std::optional<std::string> root = llvm::sys::Process::GetEnv(variable);
    if (!root || root->empty())
      continue;
    path = *root;
    llvm::sys::path::append(path, "bin", "ptxas");
    asked = (llvm::Twine(variable) + "=" + *root).str();
    return fs::can_execute(path) ? path.str().str() : "";
  }
  StringRef configured = NIBBLE_PTXAS;
  if (!configured.empty() && fs::can_execute(configured))
    return configured.str();
  for (StringRef folder : {"", "/usr/local/cuda/bin"})
    if (auto found = folder.empty()
                         ? llvm::sys::findProgramByName("ptxas")
                         : llvm::sys::findProgramByName("ptxas", {folder}))
      return *found;
  return "";
}

FailureOr<CudaToolkit>
CudaToolkit::find(ArrayRef<const CudaChip *> chips,
                  function_ref<InFlightDiagnostic()> emitError) {
  const CudaChip *newest =
      *llvm::max_element(chips, [](const CudaChip *a, const CudaChip *b) {
        return a->toolkit < b->toolkit;
      });
  CudaToolkit result;
  std::string asked;
  result.ptxas = findPtxas(asked);
  if (result.ptxas.empty()) {
    InFlightDiagnostic error = emitError()
                               << "--target=cuda needs ptxas of CUDA "
                               << versionText(newest->toolkit)
                               << " or newer, and there is none";
    if (asked.empty())
      return error << " in PATH or /usr/local/cuda/bin: install the CUDA "
                      "toolkit, or set CUDA_HOME to it";
    return error << " in bin of " << asked;
  }
  StringRef bin = llvm::sys::path::parent_path(result.ptxas);
  result.root = llvm::sys::path::parent_path(bin).str();
  std::string output;
  int status = run(result.ptxas, {"--version"}, output);
  StringRef text = StringRef(output).split("release ").second;
  unsigned major = 0, minor = 0;
  if (status != 0 || text.consumeInteger(10, major) ||
      !text.consume_front(".") || text.consumeInteger(10, minor))
    return emitError() << "can't tell the version of '" << result.ptxas
                       << "': it says '" << StringRef(output).trim() << "'";
  result.version = major * 1000 + minor * 10;
  for (const CudaChip *chip : chips)
    if (result.version < chip->toolkit)
      return emitError() << "'" << result.ptxas << "' is of CUDA "
                         << versionText(result.version) << ", which is too "
                         << "old for --chip=" << chip->name << ": it needs "
                         << versionText(chip->toolkit) << " or newer";
  return result;
}

FailureOr<std::string>
CudaToolkit::assemble(StringRef ptx, const CudaChip &chip,
                      std::string &resources,
                      function_ref<InFlightDiagnostic()> emitError) const {
  TemporaryFile source("ptx"), object("cubin");
  std::error_code error = source.error ? source.error : object.error;
  if (!error) {
    llvm::raw_fd_ostream os(source.path, error);
    os << ptx;
    os.close();
    if (os.has_error())
      error = os.error();
    os.clear_error();
  }
  if (error)
    return emitError() << "can't write a temporary file for ptxas: "
                       << error.message();
  std::string architecture = ("-arch=" + chip.name).str();
  if (run(ptxas, {architecture, "-O3", "-v", source.path, "-o", object.path},
          resources) != 0)
    return emitError() << "'" << ptxas << "' fails for " << chip.name << ": "
                       << StringRef(resources).trim();
  auto buffer = llvm::MemoryBuffer::getFile(object.path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer || (*buffer)->getBufferSize() == 0)
    return emitError() << "'" << ptxas << "' made no code for " << chip.name;
  return (*buffer)->getBuffer().str();
}

//===----------------------------------------------------------------------===//
// Code of a module
//===----------------------------------------------------------------------===//

FailureOr<DeviceCode> DeviceCode::fromModule(ModuleOp module) {
  DeviceCode code;
  auto binary =
      module.lookupSymbol<gpu::BinaryOp>(codegen::cuda::kernelModuleName);
  if (!binary)
    return code;
  auto number = [](DictionaryAttr dict, StringRef name) {
    auto value = dict ? dict.getAs<IntegerAttr>(name) : IntegerAttr();
    return value ? value.getInt() : 0;
  };
  for (Attribute attr : binary.getObjects()) {
    auto object = cast<gpu::ObjectAttr>(attr);
    auto properties = object.getProperties();
    auto name =
        properties ? properties.getAs<StringAttr>("chip") : StringAttr();
    const auto *chip = llvm::find_if(chips, [&](const CudaChip &known) {
      return name && known.name == name;
    });
    bool isPTX = object.getFormat() == gpu::CompilationTarget::Assembly;
    if (chip == std::end(chips) ||
        (!isPTX && object.getFormat() != gpu::CompilationTarget::Binary))
      return binary.emitOpError("expected objects of nibble-serialize-kernels");
    code.images.push_back({chip, isPTX,
                           static_cast<unsigned>(number(properties, "driver")),
                           object.getObject().getValue().str()});
  }
  auto table = module->getAttrOfType<ArrayAttr>(codegen::cuda::kernelsAttrName);
  for (Attribute attr : table ? table.getValue() : ArrayRef<Attribute>()) {
    auto dict = dyn_cast<DictionaryAttr>(attr);
    auto name = dict ? dict.getAs<StringAttr>("name") : StringAttr();
    auto parameters =
        dict ? dict.getAs<StringAttr>("parameters") : StringAttr();
    if (!name || !parameters)
      return module.emitError() << "'" << codegen::cuda::kernelsAttrName
                                << "' expects {name, parameters, shared_bytes}";
    code.kernels.push_back(
        {name.str(), parameters.str(),
         static_cast<uint64_t>(number(dict, "shared_bytes"))});
  }
  auto bytes = module->getAttrOfType<IntegerAttr>("nibble.device_weight_bytes");
  code.weightBytes = bytes ? bytes.getInt() : 0;
  return code;
}
