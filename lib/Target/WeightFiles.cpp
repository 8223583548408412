//===- WeightFiles.cpp - Weights as an ELF object or a sidecar ------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Weights bypass LLVM: half a gigabyte in a constant of LLVM IR takes seconds
// and several copies, and an object file is a header, the bytes and a table.
//
//===----------------------------------------------------------------------===//

#include "Seal.h"
#include "nibble/Runtime/Hash.h"
#include "nibble/Runtime/ModelDescriptor.h"
#include "nibble/Target/WeightLayout.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace nibble::target;
namespace ELF = llvm::ELF;

static constexpr uint64_t pageSize = 4096;

LogicalResult
WeightLayout::produce(ByteSink sink,
                      function_ref<InFlightDiagnostic()> emitError) const {
  uint64_t position = 0;
  auto fillTo = [&](uint64_t end) {
    static const char zeros[pageSize] = {};
    while (position < end) {
      uint64_t count = std::min<uint64_t>(end - position, pageSize);
      sink(ArrayRef<char>(zeros, count));
      position += count;
    }
  };
  for (const WeightBlob &blob : blobs) {
    if (blob.offset < position)
      return emitError() << "weights overlap: one of " << blob.size
                         << " bytes starts at " << blob.offset << ", expected "
                         << position << " or more";
    fillTo(blob.offset);
    uint64_t produced = 0;
    if (failed(blob.produce([&](ArrayRef<char> bytes) {
          produced += bytes.size();
          sink(bytes);
        })))
      return failure();
    if (produced != blob.size)
      return emitError() << "a weight at offset " << blob.offset << " has "
                         << produced << " bytes, expected " << blob.size;
    position += produced;
  }
  if (position > size)
    return emitError() << "weights end at " << position << ", expected "
                       << size;
  fillTo(size);
  return success();
}

/// Flush and report what the file system had to say.
static LogicalResult finish(llvm::raw_fd_ostream &os, StringRef output,
                            function_ref<InFlightDiagnostic()> emitError) {
  os.close();
  if (!os.has_error())
    return success();
  std::string reason = os.error().message();
  os.clear_error();
  return emitError() << "can't write '" << output << "': " << reason;
}

/// A string table: its text, with the offset of every name.
static uint32_t addString(std::string &table, StringRef text) {
  uint32_t offset = table.size();
  table.append(text.begin(), text.end());
  table.push_back('\0');
  return offset;
}

template <typename T>
static void writePod(raw_ostream &os, const T &value) {
  os.write(reinterpret_cast<const char *>(&value), sizeof(T));
}

/// Writes the weights and returns their hash. Closes the stream on an error.
static FailureOr<uint64_t>
writeHashed(const WeightLayout &layout, llvm::raw_fd_ostream &os,
            function_ref<InFlightDiagnostic()> emitError) {
  NibbleHash hash;
  nibbleHashBegin(&hash);
  LogicalResult produced = layout.produce(
      [&](ArrayRef<char> bytes) {
        os.write(bytes.data(), bytes.size());
        nibbleHashAdd(&hash, bytes.data(), bytes.size());
      },
      emitError);
  if (succeeded(produced))
    return nibbleHashEnd(&hash);
  os.close();
  os.clear_error();
  return failure();
}

/// What the section of the weights is.
enum class WeightsSection { Data, LargeData, Reserved };

static LogicalResult writeObject(const WeightLayout &layout,
                                 WeightsSection kind, StringRef symbol,
                                 StringRef path, StringRef output,
                                 function_ref<InFlightDiagnostic()> emitError) {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (ec)
    return emitError() << "can't write '" << output << "': " << ec.message();

  enum {
    Null,
    Weights,
    Zeros,
    NoExecStack,
    SymbolTable,
    Strings,
    Names,
    Count
  };
  bool large = kind == WeightsSection::LargeData;
  bool reserved = kind == WeightsSection::Reserved;
  uint64_t stored = reserved ? 0 : layout.size;
  std::string names(1, '\0'), strings(1, '\0');
  ELF::Elf64_Shdr sections[Count] = {};
  ELF::Elf64_Sym symbols[2] = {};

  auto &weights = sections[Weights];
  weights.sh_name =
      addString(names, large ? largeWeightsSection : weightsSection);
  weights.sh_type = reserved ? ELF::SHT_NOBITS : ELF::SHT_PROGBITS;
  weights.sh_flags = ELF::SHF_ALLOC | (large ? ELF::SHF_X86_64_LARGE : 0);
  weights.sh_offset = pageSize;
  weights.sh_size = layout.size;
  weights.sh_addralign = pageSize;

  // The placement refers to this section; a program may have no other.
  auto &zeros = sections[Zeros];
  zeros.sh_name = addString(names, ".bss");
  zeros.sh_type = ELF::SHT_NOBITS;
  zeros.sh_flags =
      ELF::SHF_ALLOC | ELF::SHF_WRITE | (reserved ? ELF::SHF_GNU_RETAIN : 0);
  zeros.sh_offset = pageSize;
  zeros.sh_size = reserved;
  zeros.sh_addralign = 1;

  auto &noExec = sections[NoExecStack];
  noExec.sh_name = addString(names, ".note.GNU-stack");
  noExec.sh_type = ELF::SHT_PROGBITS;
  noExec.sh_offset = pageSize;
  noExec.sh_addralign = 1;

  symbols[1].st_name = addString(strings, symbol);
  symbols[1].setBindingAndType(ELF::STB_GLOBAL, ELF::STT_OBJECT);
  symbols[1].st_other = ELF::STV_HIDDEN;
  symbols[1].st_shndx = Weights;
  symbols[1].st_size = layout.size;

  auto &table = sections[SymbolTable];
  table.sh_name = addString(names, ".symtab");
  table.sh_type = ELF::SHT_SYMTAB;
  table.sh_offset = llvm::alignTo(weights.sh_offset + stored, 8);
  table.sh_size = sizeof(symbols);
  table.sh_link = Strings;
  table.sh_info = 1; // The first symbol that is not local.
  table.sh_addralign = 8;
  table.sh_entsize = sizeof(ELF::Elf64_Sym);

  auto addTable = [&](ELF::Elf64_Shdr &section, StringRef name,
                      uint64_t offset) {
    section.sh_name = addString(names, name);
    section.sh_type = ELF::SHT_STRTAB;
    section.sh_offset = offset;
    section.sh_addralign = 1;
  };
  addTable(sections[Strings], ".strtab", table.sh_offset + table.sh_size);
  sections[Strings].sh_size = strings.size();
  addTable(sections[Names], ".shstrtab",
           sections[Strings].sh_offset + strings.size());
  sections[Names].sh_size = names.size();

  ELF::Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELF::ElfMagic, 4);
  header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = ELF::EM_X86_64;
  header.e_version = ELF::EV_CURRENT;
  header.e_ehsize = sizeof(header);
  header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  header.e_shnum = Count;
  header.e_shstrndx = Names;
  header.e_shoff =
      llvm::alignTo(sections[Names].sh_offset + sections[Names].sh_size, 8);

  writePod(os, header);
  os.write_zeros(pageSize - sizeof(header));
  if (!reserved &&
      failed(layout.produce(
          [&](ArrayRef<char> bytes) { os.write(bytes.data(), bytes.size()); },
          emitError))) {
    os.close();
    os.clear_error();
    return failure();
  }
  os.write_zeros(table.sh_offset - (weights.sh_offset + stored));
  os.write(reinterpret_cast<const char *>(symbols), sizeof(symbols));
  os << strings << names;
  os.write_zeros(header.e_shoff -
                 (sections[Names].sh_offset + sections[Names].sh_size));
  os.write(reinterpret_cast<const char *>(sections), sizeof(sections));
  return finish(os, output, emitError);
}

LogicalResult nibble::target::writeWeightsObject(
    const WeightLayout &layout, StringRef symbol, StringRef path,
    StringRef output, bool large,
    function_ref<InFlightDiagnostic()> emitError) {
  return writeObject(layout,
                     large ? WeightsSection::LargeData : WeightsSection::Data,
                     symbol, path, output, emitError);
}

LogicalResult nibble::target::writeWeightsPlace(
    const WeightLayout &layout, StringRef symbol, StringRef path,
    StringRef output, function_ref<InFlightDiagnostic()> emitError) {
  return writeObject(layout, WeightsSection::Reserved, symbol, path, output,
                     emitError);
}

// What is read-only behind the data that is written has a segment of its own,
// the last of the program and of the file.
const llvm::StringLiteral nibble::target::weightsPlacement =
    "SECTIONS { .nibble_weights : ALIGN(4096) { *(.nibble_weights) } } "
    "INSERT AFTER .bss;\n";

FailureOr<uint64_t>
nibble::target::appendWeights(const WeightLayout &layout, StringRef path,
                              StringRef output,
                              function_ref<InFlightDiagnostic()> emitError) {
  auto cantWrite = [&](const Twine &reason) {
    return emitError() << "can't write '" << output << "': " << reason;
  };
  std::vector<char> linked;
  {
    // A copy: the file is written anew.
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!buffer)
      return cantWrite(buffer.getError().message());
    linked.assign((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  }
  char *file = linked.data();
  uint64_t offset = llvm::alignTo(linked.size(), pageSize);

  auto *header = reinterpret_cast<ELF::Elf64_Ehdr *>(file);
  MutableArrayRef<ELF::Elf64_Shdr> sections(
      reinterpret_cast<ELF::Elf64_Shdr *>(file + header->e_shoff),
      header->e_shnum);
  const char *names = file + sections[header->e_shstrndx].sh_offset;
  auto section = llvm::find_if(sections, [&](const ELF::Elf64_Shdr &section) {
    return names + section.sh_name == StringRef(weightsSection);
  });
  MutableArrayRef<ELF::Elf64_Phdr> segments(
      reinterpret_cast<ELF::Elf64_Phdr *>(file + header->e_phoff),
      header->e_phnum);
  auto segment = llvm::find_if(segments, [&](const ELF::Elf64_Phdr &segment) {
    return segment.p_type == ELF::PT_LOAD && segment.p_filesz == 0 &&
           section != sections.end() && segment.p_vaddr == section->sh_addr;
  });
  if (segment == segments.end() || segment->p_memsz != layout.size)
    return cantWrite("the linker made no segment of the weights");
  section->sh_type = ELF::SHT_PROGBITS;
  section->sh_offset = segment->p_offset = offset;
  segment->p_filesz = layout.size;

  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (ec)
    return cantWrite(ec.message());
  os.write(file, linked.size());
  os.write_zeros(offset - linked.size());
  FailureOr<uint64_t> hash = writeHashed(layout, os, emitError);
  if (failed(hash) || failed(finish(os, output, emitError)))
    return failure();
  return hash;
}

FailureOr<uint64_t> nibble::target::writeWeightsSidecar(
    const WeightLayout &layout, StringRef path, StringRef output,
    function_ref<InFlightDiagnostic()> emitError) {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (ec)
    return emitError() << "can't write '" << output << "': " << ec.message();
  nibble_sidecar_header header = {};
  memcpy(header.magic, NIBBLE_SIDECAR_MAGIC, sizeof(header.magic));
  header.version = NIBBLE_SIDECAR_VERSION;
  header.bytes = layout.size;
  os.write_zeros(NIBBLE_SIDECAR_OFFSET);

  FailureOr<uint64_t> hash = writeHashed(layout, os, emitError);
  if (failed(hash))
    return failure();
  header.hash = *hash;
  os.seek(0);
  writePod(os, header);
  if (failed(finish(os, output, emitError)))
    return failure();
  return header.hash;
}
