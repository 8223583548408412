//===- Link.cpp - Linking with lld ----------------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Link.h"
#include "lld/Common/Driver.h"
#include "nibble/Runtime/ModelDescriptor.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <dlfcn.h>
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace nibble::target;

namespace {
/// The files of the system that a link needs.
class LinkInputs {
public:
  /// `names` are alternatives; the first file found is added.
  LogicalResult add(ArrayRef<StringRef> directories, ArrayRef<StringRef> names,
                    StringRef advice, EmitErrorFn emitError) {
    for (StringRef name : names)
      for (StringRef directory : directories) {
        SmallString<128> path(directory);
        llvm::sys::path::append(path, name);
        if (llvm::sys::fs::exists(path)) {
          paths.emplace_back(path.str());
          return success();
        }
      }
    return emitError() << "linking needs " << names.front()
                       << ", which is in none of "
                       << llvm::join(directories, ", ") << "; " << advice;
  }
  const std::vector<std::string> &get() const { return paths; }

private:
  std::vector<std::string> paths;
};
} // namespace

static ArrayRef<StringRef> systemDirectories() {
  static const StringRef directories[] = {"/lib/x86_64-linux-gnu",
                                          "/usr/lib/x86_64-linux-gnu",
                                          "/lib64",
                                          "/usr/lib64",
                                          "/lib",
                                          "/usr/lib"};
  return directories;
}

/// Directory of the library that this code is in: the runtime lies beside it,
/// in the build tree as in an installation.
static std::string libraryDirectory() {
  Dl_info info;
  SmallString<128> path;
  if (!dladdr(reinterpret_cast<void *>(&libraryDirectory), &info) ||
      llvm::sys::fs::real_path(info.dli_fname, path))
    return {};
  return llvm::sys::path::parent_path(path).str();
}

/// The runtime and the libraries that it and the code call.
static LogicalResult addLibraries(LinkInputs &inputs, EmitErrorFn emitError) {
  std::string own = libraryDirectory();
  if (failed(inputs.add({own}, {"libnibble_runtime.a"},
                        "it belongs beside libNibble.so", emitError)))
    return failure();
  SmallVector<StringRef> openmp = {NIBBLE_LLVM_LIBRARY_DIR};
  llvm::append_range(openmp, systemDirectories());
  if (failed(inputs.add(openmp, {"libomp.so.5", "libomp.so"},
                        "install LLVM's OpenMP (Debian: libomp-22-dev)",
                        emitError)))
    return failure();
  for (StringRef name : {"libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2"})
    if (failed(inputs.add(systemDirectories(), {name},
                          "it is part of the GNU C library", emitError)))
      return failure();
  return success();
}

static LogicalResult runLinker(ArrayRef<std::string> arguments,
                               EmitErrorFn emitError) {
  // lld keeps its state in globals.
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return emitError() << "the linker failed before and can't run again";
  SmallVector<const char *> argv = {"ld.lld", "--no-color-diagnostics"};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::string text;
  llvm::raw_string_ostream os(text);
  lld::Result result =
      lld::lldMain(argv, os, os, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode == 0)
    return success();
  return emitError() << "linking failed: " << StringRef(text).trim();
}

static std::vector<std::string> commonArguments(StringRef output) {
  return {"-o", output.str(), "-m", "elf_x86_64", "--no-undefined",
          "--gc-sections", "--as-needed", "-Bsymbolic", "-z", "relro", "-z",
          "now", "-z", "noexecstack", "--hash-style=gnu", "--build-id=none",
          // Where Debian puts LLVM's OpenMP, after the binary's own directory.
          "--enable-new-dtags", "-rpath", "$ORIGIN:" NIBBLE_LLVM_LIBRARY_DIR};
}

LogicalResult nibble::target::linkSharedObject(
    ArrayRef<std::string> objects, StringRef descriptor, StringRef soname,
    StringRef script, StringRef output, EmitErrorFn emitError) {
  std::error_code ec;
  llvm::raw_fd_ostream os(script, ec);
  os << "{ global: nibble_model_*; nibble_context_*; nibble_run;\n"
        "  nibble_last_error; nibble_version; nibble_status_string;\n"
        "  nibble_dtype_size; nibble_dtype_name;\n  "
     << descriptor << "; " NIBBLE_SHARED_MODEL_SYMBOL ";\n  local: *; };\n";
  os.close();
  if (ec || os.has_error()) {
    os.clear_error();
    return emitError() << "can't write '" << script << "'";
  }
  LinkInputs libraries;
  if (failed(addLibraries(libraries, emitError)))
    return failure();
  std::vector<std::string> arguments = commonArguments(output);
  llvm::append_values(arguments, "-shared", "-soname", soname.str(),
                      "--version-script", script.str());
  llvm::append_range(arguments, objects);
  llvm::append_range(arguments, libraries.get());
  return runLinker(arguments, emitError);
}

LogicalResult nibble::target::linkExecutable(ArrayRef<std::string> objects,
                                             StringRef output,
                                             EmitErrorFn emitError) {
  StringRef advice = "install the C library's development files (Debian: "
                     "libc6-dev), or make a .so and run it with nibble-run";
  LinkInputs start, libraries, end;
  for (StringRef name : {"Scrt1.o", "crti.o"})
    if (failed(start.add(systemDirectories(), {name}, advice, emitError)))
      return failure();
  if (failed(addLibraries(libraries, emitError)) ||
      failed(end.add(systemDirectories(), {"crtn.o"}, advice, emitError)))
    return failure();
  std::vector<std::string> arguments = commonArguments(output);
  // The exported symbol tells nibble-run that it may start the program.
  llvm::append_values(arguments, "-pie", "-dynamic-linker",
                      "/lib64/ld-linux-x86-64.so.2",
                      "--export-dynamic-symbol=" NIBBLE_SHARED_MODEL_SYMBOL);
  llvm::append_range(arguments, start.get());
  llvm::append_range(arguments, objects);
  llvm::append_range(arguments, libraries.get());
  llvm::append_range(arguments, end.get());
  return runLinker(arguments, emitError);
}

LogicalResult nibble::target::linkRelocatable(ArrayRef<std::string> objects,
                                              StringRef output,
                                              EmitErrorFn emitError) {
  std::vector<std::string> arguments = {"-r", "-m", "elf_x86_64", "-o",
                                        output.str()};
  llvm::append_range(arguments, objects);
  return runLinker(arguments, emitError);
}
