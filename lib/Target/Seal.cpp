//===- Seal.cpp - Checksums at the end of a binary ------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Seal.h"
#include "nibble/Runtime/Hash.h"
#include "nibble/Runtime/ModelDescriptor.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace nibble::target;

static uint64_t hashOf(std::initializer_list<StringRef> parts) {
  NibbleHash hash;
  nibbleHashBegin(&hash);
  for (StringRef part : parts)
    nibbleHashAdd(&hash, part.data(), part.size());
  return nibbleHashEnd(&hash);
}

/// Makes the seal of a file with these bytes.
static Expected<nibble_file_seal> makeSeal(StringRef bytes,
                                           uint64_t weightsHash) {
  nibble_file_seal seal = {};
  memcpy(seal.magic, NIBBLE_SEAL_MAGIC, sizeof(seal.magic));
  seal.bytes = seal.weights_offset = bytes.size();
  Expected<object::ELF64LEFile> file = object::ELF64LEFile::create(bytes);
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (const object::ELF64LE::Shdr &section : *sections) {
    Expected<StringRef> name = file->getSectionName(section);
    if (!name)
      return name.takeError();
    if (*name != weightsSection)
      continue;
    seal.weights_offset = section.sh_offset;
    seal.weights_bytes = section.sh_size;
  }
  seal.hash =
      hashOf({bytes.take_front(seal.weights_offset),
              bytes.drop_front(seal.weights_offset + seal.weights_bytes)});
  seal.weights_hash = weightsHash;
  return seal;
}

Error nibble::target::sealBinary(StringRef path,
                                 std::optional<uint64_t> weightsHash) {
  Expected<nibble_file_seal> seal = [&]() -> Expected<nibble_file_seal> {
    auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                        /*RequiresNullTerminator=*/false);
    if (!buffer)
      return errorCodeToError(buffer.getError());
    return makeSeal((*buffer)->getBuffer(),
                    weightsHash ? *weightsHash : hashOf({}));
  }();
  if (!seal)
    return seal.takeError();
  std::error_code error;
  raw_fd_ostream os(path, error, sys::fs::CD_OpenExisting, sys::fs::FA_Write,
                    sys::fs::OF_Append);
  if (error)
    return errorCodeToError(error);
  os.write(reinterpret_cast<const char *>(&*seal), sizeof(*seal));
  os.close();
  error = os.error();
  os.clear_error();
  return errorCodeToError(error);
}
