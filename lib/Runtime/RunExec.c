//===- RunExec.c - Running a model that is a program ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RunExec.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool readAt(int file, void *to, size_t size, uint64_t offset) {
  return pread(file, to, size, (off_t)offset) == (ssize_t)size;
}

/// Whether the names in a section hold our symbol.
static bool namesModel(int file, const Elf64_Shdr *section) {
  enum { MaxNames = 1 << 24 };
  static const char symbol[] = "\0" NIBBLE_SHARED_MODEL_SYMBOL;
  if (section->sh_size > MaxNames)
    return false;
  char *names = malloc(section->sh_size + 1);
  bool found = names &&
               readAt(file, names, section->sh_size, section->sh_offset) &&
               memmem(names, section->sh_size, symbol, sizeof(symbol));
  free(names);
  return found;
}

bool nibbleIsModelProgram(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return false;
  Elf64_Ehdr header;
  bool program = false, ours = false;
  if (readAt(file, &header, sizeof(header), 0) &&
      memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
      header.e_ident[EI_CLASS] == ELFCLASS64) {
    // A program names its loader; a library does not.
    for (unsigned i = 0; i != header.e_phnum; ++i) {
      Elf64_Phdr segment;
      if (!readAt(file, &segment, sizeof(segment),
                  header.e_phoff + i * sizeof(segment)))
        break;
      program |= segment.p_type == PT_INTERP;
    }
    for (unsigned i = 0; program && !ours && i != header.e_shnum; ++i) {
      Elf64_Shdr section;
      if (!readAt(file, &section, sizeof(section),
                  header.e_shoff + i * sizeof(section)))
        break;
      ours = section.sh_type == SHT_STRTAB && section.sh_flags & SHF_ALLOC &&
             namesModel(file, &section);
    }
  }
  close(file);
  return ours;
}
