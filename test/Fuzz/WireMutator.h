//===- WireMutator.h - Mutations that keep protobuf readable ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_TEST_FUZZ_WIREMUTATOR_H
#define NIBBLE_TEST_FUZZ_WIREMUTATOR_H

#include <cstddef>
#include <cstdint>

/// Of libFuzzer, or of the program that replays its finds.
extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace nibble::fuzz {

/// Changes one field of a serialized protobuf message, at any depth, and all
/// lengths around it: most changes of single bytes would only be found to be
/// damage by the scanner. Works without the schema: what reads as a message is
/// taken for one. Now and then, and for bytes that are no message, any bytes
/// change. Returns the new size.
size_t mutateWire(uint8_t *data, size_t size, size_t maxSize, unsigned seed);

/// LLVMFuzzerMutate for inputs of any size.
size_t mutateBytes(uint8_t *data, size_t size, size_t maxSize);

} // namespace nibble::fuzz

#endif // NIBBLE_TEST_FUZZ_WIREMUTATOR_H
