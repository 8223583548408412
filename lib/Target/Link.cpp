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
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <dlfcn.h>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>

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

/// What the linker adds to the objects: the runtime, tables, padding.
static constexpr uint64_t linkerBytes = 1u << 20;

/// The linker writes through a mapping of a file with holes, so a disk without
/// space would end the process. Asks for the space before it starts. (LLVM 22's
/// option to write without a mapping does not work.)
static LogicalResult checkSpace(ArrayRef<std::string> objects, StringRef output,
                                StringRef shown, EmitErrorFn emitError) {
  uint64_t total = linkerBytes;
  for (const std::string &object : objects) {
    uint64_t size = 0;
    if (!llvm::sys::fs::file_size(object, size))
      total += size;
  }
  int file;
  std::error_code error = llvm::sys::fs::openFileForWrite(output, file);
  if (!error) {
    // Where the file system can't reserve, there is nothing to be known.
    if (::fallocate(file, 0, 0, total) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS)
      error = std::error_code(errno, std::generic_category());
    ::close(file);
    (void)llvm::sys::fs::remove(output);
  }
  if (error)
    return emitError() << "can't write '" << shown << "': " << error.message();
  return success();
}

static LogicalResult runLinker(ArrayRef<std::string> arguments,
                               StringRef output, StringRef shown,
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
  // The linker has options of its own with names that tools use too, and
  // resets the values of all that are registered.
  llvm::cl::ResetCommandLineParser();
  lld::Result result =
      lld::lldMain(argv, os, os, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode == 0)
    return success();
  for (size_t at = 0; (at = text.find(output.str(), at)) != text.npos;
       at += shown.size())
    text.replace(at, output.size(), shown.str());
  return emitError() << "linking failed: " << StringRef(text).trim();
}

static std::vector<std::string> commonArguments(StringRef output) {
  return {"-o", output.str(), "-m", "elf_x86_64", "--no-undefined",
          "--gc-sections", "--as-needed", "-Bsymbolic", "-z", "relro", "-z",
          "now", "-z", "noexecstack", "--hash-style=gnu", "--build-id=none",
          // Where Debian puts LLVM's OpenMP, after the binary's own directory.
          "--enable-new-dtags", "-rpath", ("$ORIGIN:" NIBBLE_LLVM_LIBRARY_DIR)};
}

LogicalResult
nibble::target::linkSharedObject(ArrayRef<std::string> objects,
                                 StringRef descriptor, StringRef soname,
                                 StringRef script, StringRef output,
                                 StringRef shown, EmitErrorFn emitError) {
  std::error_code ec;
  llvm::raw_fd_ostream os(script, ec);
  os << "{ global: nibble_model_*; nibble_context_*; nibble_run;\n"
        "  nibble_last_error; nibble_version; nibble_status_string;\n"
        "  nibble_dtype_size; nibble_dtype_name;\n  "
     << descriptor << "; " NIBBLE_SHARED_MODEL_SYMBOL ";\n  local: *; };\n";
  os.close();
  if (std::error_code reason = ec ? ec : os.error()) {
    os.clear_error();
    return emitError() << "can't write '" << shown << "': " << reason.message();
  }
  LinkInputs libraries;
  if (failed(addLibraries(libraries, emitError)))
    return failure();
  std::vector<std::string> arguments = commonArguments(output);
  if (failed(checkSpace(objects, output, shown, emitError)))
    return failure();
  llvm::append_values(arguments, "-shared", "-soname", soname.str(),
                      "--version-script", script.str());
  llvm::append_range(arguments, objects);
  llvm::append_range(arguments, libraries.get());
  return runLinker(arguments, output, shown, emitError);
}

LogicalResult nibble::target::linkExecutable(ArrayRef<std::string> objects,
                                             StringRef output, StringRef shown,
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
  if (failed(checkSpace(objects, output, shown, emitError)))
    return failure();
  // The exported symbol tells nibble-run that it may start the program.
  llvm::append_values(arguments, "-pie", "-dynamic-linker",
                      "/lib64/ld-linux-x86-64.so.2",
                      "--export-dynamic-symbol=" NIBBLE_SHARED_MODEL_SYMBOL);
  llvm::append_range(arguments, start.get());
  llvm::append_range(arguments, objects);
  llvm::append_range(arguments, libraries.get());
  llvm::append_range(arguments, end.get());
  return runLinker(arguments, output, shown, emitError);
}

LogicalResult nibble::target::linkRelocatable(ArrayRef<std::string> objects,
                                              StringRef output, StringRef shown,
                                              EmitErrorFn emitError) {
  std::vector<std::string> arguments = {"-r", "-m", "elf_x86_64", "-o",
                                        output.str()};
  llvm::append_range(arguments, objects);
  if (failed(checkSpace(objects, output, shown, emitError)))
    return failure();
  return runLinker(arguments, output, shown, emitError);
}
