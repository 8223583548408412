//===- FuzzWeights.cpp - Any bytes as tensors and weights -----------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The first byte chooses the kind of file, as its name does for nibble-run.
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "WireMutator.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

extern "C" {
#include "../../lib/Runtime/RunExec.h"
#include "../../lib/Runtime/TensorFile.h"
}

using namespace nibble;

namespace {

/// A model without code whose weights lie in a sidecar beside this program.
/// scripts/fuzz.py writes seeds with this size and hash.
std::string sidecarName;
nibble_model_descriptor descriptor;

void readArray(uint8_t kind, const uint8_t *data, size_t size) {
  NibbleArray array = {};
  NibbleError error = {};
  nibble_status status = NIBBLE_OK;
  bool found = true;
  switch (kind) {
  case 'y':
    status = nibbleParseNpy("f.npy", data, size, &array, &error);
    break;
  case 'z':
    status =
        nibbleReadNpzMember("f.npz", data, size, "x", &found, &array, &error);
    if (status != NIBBLE_OK || found)
      break;
    status = nibbleReadNpzMember("f.npz", data, size, nullptr, &found, &array,
                                 &error);
    break;
  default:
    status = nibbleParseTensorProto("f.pb", data, size, &array, &error);
  }
  if (status != NIBBLE_OK && !error.text[0])
    fuzz::fail("an error without a text");
  // Every byte that is promised is there.
  volatile uint8_t sum = 0;
  if (status == NIBBLE_OK && found)
    for (uint64_t i = 0; i != array.bytes; ++i)
      sum = sum + static_cast<uint8_t *>(array.data)[i];
  nibbleFreeArray(&array);
}

void openSidecar(llvm::StringRef bytes) {
  llvm::SmallString<128> link(fuzz::getScratchFolder());
  fuzz::writeScratchFile("sidecar", bytes);
  nibble_model *model = nullptr;
  if (nibble_model_open(&descriptor, &model) != NIBBLE_OK) {
    if (!nibble_last_error(nullptr)[0])
      fuzz::fail("an error without a text");
    return;
  }
  nibble_model_free(model);
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  // The runtime looks beside the program, where a link leads to our file.
  char program[4096];
  ssize_t length = ::readlink("/proc/self/exe", program, sizeof(program));
  llvm::StringRef path(program, length > 0 ? length : 0);
  sidecarName = "fuzz-" + std::to_string(::getpid()) + ".weights";
  static llvm::SmallString<128> link(llvm::sys::path::parent_path(path));
  llvm::sys::path::append(link, sidecarName);
  ::unlink(link.c_str());
  if (::symlink((fuzz::getScratchFolder() + "/sidecar").c_str(),
                link.c_str()) != 0)
    fuzz::fail("can't write " + link);
  std::atexit([] { ::unlink(link.c_str()); });
  descriptor.magic = NIBBLE_DESCRIPTOR_MAGIC;
  descriptor.abi = NIBBLE_DESCRIPTOR_ABI;
  descriptor.name = "fuzz";
  descriptor.target = "x86-64";
  descriptor.weight_bytes = 64;
  descriptor.sidecar = sidecarName.c_str();
  descriptor.sidecar_hash = 0x0123456789abcdef;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  llvm::StringRef rest(reinterpret_cast<const char *>(data) + 1, size - 1);
  // A copy of its own, so that a read behind the end is seen.
  std::unique_ptr<uint8_t[]> bytes(new uint8_t[rest.size()]);
  std::memcpy(bytes.get(), rest.data(), rest.size());
  switch (data[0]) {
  case 's':
    openSidecar(rest);
    break;
  case 'e':
    nibbleIsModelProgram(fuzz::writeScratchFile("program", rest).c_str());
    break;
  default:
    readArray(data[0], bytes.get(), rest.size());
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t maxSize, unsigned seed) {
  if (size < 2 || maxSize < 2 || data[0] != 'p')
    return fuzz::mutateBytes(data, size, maxSize);
  return 1 + fuzz::mutateWire(data + 1, size - 1, maxSize - 1, seed);
}
