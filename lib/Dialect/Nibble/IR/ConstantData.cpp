//===- ConstantData.cpp - The one way to read constants -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Process.h"
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace nibble;

unsigned nibble::getStorageBits(Type elementType) {
  if (auto integer = dyn_cast<IntegerType>(elementType))
    return integer.getWidth() == 1 ? 8 : integer.getWidth();
  if (auto real = dyn_cast<FloatType>(elementType))
    return real.getWidth();
  if (isa<IndexType>(elementType))
    return 64;
  if (auto complex = dyn_cast<ComplexType>(elementType))
    return 2 * getStorageBits(complex.getElementType());
  return 0;
}

uint64_t nibble::getStorageBytes(ShapedType type) {
  return llvm::divideCeil(static_cast<uint64_t>(type.getNumElements()) *
                              getStorageBits(type.getElementType()),
                          8);
}

/// Lets go of the whole pages of a mapped file in `bytes`. They stay in the
/// system's cache, and are mapped again when they are read again.
static void releasePages(ArrayRef<char> bytes) {
  static const uint64_t pageSize = llvm::sys::Process::getPageSizeEstimate();
  auto begin =
      llvm::alignTo(reinterpret_cast<uintptr_t>(bytes.begin()), pageSize);
  auto end =
      llvm::alignDown(reinterpret_cast<uintptr_t>(bytes.end()), pageSize);
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

/// Memory of its own is none of what this owns: pages of a mapped file that are
/// released when the last reader is done, so that memory holds the constants
/// in use, not the model.
static std::shared_ptr<std::vector<char>> leasePages(ArrayRef<char> bytes) {
  // Little data is not worth the call.
  constexpr size_t smallest = 1 << 16;
  if (bytes.size() < smallest)
    return nullptr;
  return {nullptr, [bytes](std::vector<char> *) { releasePages(bytes); }};
}

namespace {
/// Blobs over temporary files, by address. Others may lie in memory that is
/// lost when its pages are released.
class TemporaryMaps {
public:
  void insert(const void *memory) {
    std::lock_guard<std::mutex> lock(mutex);
    known.insert(memory);
  }
  void erase(const void *memory) {
    std::lock_guard<std::mutex> lock(mutex);
    known.erase(memory);
  }
  bool contains(const void *memory) {
    std::lock_guard<std::mutex> lock(mutex);
    return known.contains(memory);
  }
  static TemporaryMaps &get() {
    // Never destroyed: contexts with blobs may be, later.
    static auto *maps = new TemporaryMaps;
    return *maps;
  }

private:
  std::mutex mutex;
  llvm::DenseSet<const void *> known;
};
} // namespace

FailureOr<ConstantData> ConstantData::get(Attribute attr,
                                          FileMap::ErrorFn emitError) {
  ConstantData data;
  auto elements = dyn_cast_or_null<ElementsAttr>(attr);
  if (!elements)
    return emitError() << "expected constant elements, got "
                       << (attr ? "another attribute" : "nothing");
  data.type = elements.getShapedType();
  data.storageBits = nibble::getStorageBits(data.type.getElementType());

  if (auto mapped = dyn_cast<MappedAttr>(attr)) {
    auto *dialect = attr.getContext()->getOrLoadDialect<NibbleDialect>();
    FailureOr<ArrayRef<char>> bytes = dialect->getFileMap().mapChecked(
        mapped.getFile(), mapped.getOffset(), mapped.getLength(),
        mapped.getHash(), emitError);
    if (failed(bytes))
      return failure();
    data.bytes = *bytes;
    data.mapped = true;
    data.owned = leasePages(data.bytes);
    return data;
  }

  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    uint64_t expected = nibble::getStorageBytes(data.type);
    if (!blob)
      return emitError() << "resource '" << resource.getRawHandle().getKey()
                         << "' has no data: it was elided when printed";
    if (blob->getData().size() != expected)
      return emitError() << "resource '" << resource.getRawHandle().getKey()
                         << "' has " << blob->getData().size()
                         << " bytes, expected " << expected << " for "
                         << data.type;
    data.bytes = blob->getData();
    if (TemporaryMaps::get().contains(data.bytes.data()))
      data.owned = leasePages(data.bytes);
    return data;
  }

  if (auto dense = dyn_cast<DenseIntOrFPElementsAttr>(attr)) {
    data.splat = dense.isSplat();
    data.bytes = dense.getRawData();
    if (data.type.getElementType().isInteger(1)) {
      // Dense booleans are bytes or bits, by version: ask for the values.
      data.owned = std::make_shared<std::vector<char>>();
      if (data.splat)
        data.owned->push_back(dense.getSplatValue<bool>());
      else
        for (bool value : dense.getValues<bool>())
          data.owned->push_back(value);
      data.bytes = *data.owned;
    } else {
      data.storageBits = llvm::alignTo(data.storageBits, 8);
    }
    return data;
  }
  return emitError() << "expected dense, resource or mapped elements of "
                        "integers or floats, got "
                     << data.type;
}

FailureOr<ConstantData> ConstantData::get(Value value) {
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)) || !isa<ElementsAttr>(attr))
    return failure();
  return get(attr, [&]() { return emitError(value.getLoc()); });
}

ConstantData ConstantData::expanded() const {
  ConstantData result = *this;
  if (!splat)
    return result;
  result.owned = std::make_shared<std::vector<char>>();
  result.owned->reserve(bytes.size() * getNumElements());
  for (int64_t i = 0, e = getNumElements(); i < e; ++i)
    result.owned->insert(result.owned->end(), bytes.begin(), bytes.end());
  result.bytes = *result.owned;
  result.splat = false;
  return result;
}

/// The raw bits of element `index`, in the low bits.
static uint64_t readRaw(ArrayRef<char> bytes, int64_t index, unsigned width) {
  if (width >= 8) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + index * (width / 8), width / 8);
    return value;
  }
  uint64_t position = static_cast<uint64_t>(index) * width;
  uint64_t byte = static_cast<uint8_t>(bytes[position / 8]);
  uint64_t value = byte >> (position % 8);
  if (position % 8 + width > 8) {
    byte = static_cast<uint8_t>(bytes[position / 8 + 1]);
    value |= byte << (8 - position % 8);
  }
  return value & llvm::maskTrailingOnes<uint64_t>(width);
}

static int64_t toInteger(uint64_t raw, IntegerType type) {
  unsigned width = type.getWidth();
  if (width == 1)
    return raw & 1;
  if (width == 64)
    return static_cast<int64_t>(raw);
  if (type.isUnsigned())
    return static_cast<int64_t>(raw & llvm::maskTrailingOnes<uint64_t>(width));
  return llvm::SignExtend64(raw, width);
}

LogicalResult ConstantData::readFloats(int64_t begin,
                                       MutableArrayRef<float> out) const {
  Type element = type.getElementType();
  auto at = [&](size_t i) {
    return splat ? 0 : begin + static_cast<int64_t>(i);
  };
  if (element.isF32() && !splat) {
    std::memcpy(out.data(), bytes.data() + begin * 4, out.size() * 4);
    return success();
  }
  if (element.isF32() || element.isBF16()) {
    unsigned shift = element.isF32() ? 0 : 16;
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = llvm::bit_cast<float>(
          static_cast<uint32_t>(readRaw(bytes, at(i), storageBits)) << shift);
    return success();
  }
  if (element.isF64()) {
    for (size_t i = 0; i < out.size(); ++i)
      out[i] =
          static_cast<float>(llvm::bit_cast<double>(readRaw(bytes, at(i), 64)));
    return success();
  }
  if (auto real = dyn_cast<FloatType>(element)) {
    unsigned width = real.getWidth();
    if (width > 16)
      return failure();
    for (size_t i = 0; i < out.size(); ++i) {
      uint64_t raw = readRaw(bytes, at(i), storageBits);
      APFloat value(
          real.getFloatSemantics(),
          APInt(width, raw & llvm::maskTrailingOnes<uint64_t>(width)));
      bool losesInfo;
      value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
      out[i] = value.convertToFloat();
    }
    return success();
  }
  if (auto integer = dyn_cast<IntegerType>(element)) {
    for (size_t i = 0; i < out.size(); ++i) {
      int64_t value = toInteger(readRaw(bytes, at(i), storageBits), integer);
      out[i] = integer.isUnsigned()
                   ? static_cast<float>(static_cast<uint64_t>(value))
                   : static_cast<float>(value);
    }
    return success();
  }
  return failure();
}

LogicalResult ConstantData::readIntegers(int64_t begin,
                                         MutableArrayRef<int64_t> out) const {
  Type element = type.getElementType();
  auto integer = dyn_cast<IntegerType>(element);
  if (isa<IndexType>(element))
    integer = IntegerType::get(element.getContext(), 64);
  if (!integer)
    return failure();
  for (size_t i = 0; i < out.size(); ++i)
    out[i] =
        toInteger(readRaw(bytes, splat ? 0 : begin + static_cast<int64_t>(i),
                          storageBits),
                  integer);
  return success();
}

void ConstantData::readCodes(int64_t begin, MutableArrayRef<char> out) const {
  unsigned width = type.getElementTypeBitWidth();
  assert(width <= 8 && "wider elements are no codes");
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<char>(
        readRaw(bytes, splat ? 0 : begin + static_cast<int64_t>(i),
                storageBits) &
        llvm::maskTrailingOnes<uint64_t>(width));
}

FailureOr<SmallVector<int64_t>> ConstantData::getIntegers() const {
  SmallVector<int64_t> values(getNumElements());
  if (failed(readIntegers(0, values)))
    return failure();
  return values;
}

/// Shared memory of `size` bytes over an unlinked file, so that pages can be
/// written back instead of counting as private memory.
static FailureOr<char *> mapTemporary(Location loc, uint64_t size) {
  SmallString<128> path;
  int fd = -1;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("nibble", "blob", fd, path))
    return emitError(loc) << "can't make a temporary file for a constant of "
                          << size << " bytes: " << error.message();
  llvm::sys::fs::remove(path);
  // Reserve the blocks now: a full disk is an error here, not a signal later.
  int error = posix_fallocate(fd, 0, static_cast<off_t>(size));
  void *memory = MAP_FAILED;
  if (error == 0) {
    memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
      error = errno;
  }
  ::close(fd);
  if (error)
    return emitError(loc) << "can't reserve " << size
                          << " bytes for a constant in the temporary folder: "
                          << std::strerror(error);
  return static_cast<char *>(memory);
}

FailureOr<ElementsAttr>
nibble::createBlobAttr(Location loc, ShapedType type, StringRef nameHint,
                       llvm::function_ref<void(MutableArrayRef<char>)> fill) {
  uint64_t size = getStorageBytes(type);
  Type element = type.getElementType();
  bool wholeBytes =
      element.isIntOrFloat() && element.getIntOrFloatBitWidth() % 8 == 0;
  if (size <= maxDenseBytes && wholeBytes) {
    SmallVector<char, 0> bytes(size, 0);
    fill(bytes);
    return cast<ElementsAttr>(
        Attribute(DenseElementsAttr::getFromRawBuffer(type, bytes)));
  }
  FailureOr<char *> memory = mapTemporary(loc, std::max<uint64_t>(size, 1));
  if (failed(memory))
    return failure();
  ArrayRef<char> bytes(*memory, size);
  fill(MutableArrayRef<char>(*memory, size));
  StringRef name = nameHint.empty() ? "blob" : nameHint;
  // What is made again of the same weight is the same constant.
  auto &manager =
      DenseResourceElementsHandle::getManagerInterface(type.getContext());
  if (auto *entry = manager.getBlobManager().lookup(name);
      entry && entry->getBlob() && entry->getBlob()->getData() == bytes) {
    ::munmap(*memory, size);
    auto handle = DenseResourceElementsHandle(
        entry, cast<BuiltinDialect>(manager.getDialect()));
    return cast<ElementsAttr>(
        Attribute(DenseResourceElementsAttr::get(type, handle)));
  }
  releasePages(bytes);
  TemporaryMaps::get().insert(*memory);
  AsmResourceBlob blob(
      bytes, /*dataAlignment=*/64,
      [](void *data, size_t length, size_t) {
        TemporaryMaps::get().erase(data);
        ::munmap(data, length);
      },
      /*dataIsMutable=*/false);
  return cast<ElementsAttr>(
      Attribute(DenseResourceElementsAttr::get(type, name, std::move(blob))));
}
