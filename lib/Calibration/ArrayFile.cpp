//===- ArrayFile.cpp - Arrays in files, read piece by piece ---------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ArrayFile.h"
extern "C" {
#include "../Runtime/TensorFile.h"
}
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/Errno.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace nibble;
using namespace nibble::calibration;
using llvm::StringRef;

ArrayFile::~ArrayFile() = default;

int64_t ArrayFile::getNumElements() const {
  int64_t count = 1;
  for (int64_t size : dims)
    count *= size;
  return count;
}

namespace {

/// An open file; the last array that reads it closes it.
struct File {
  int descriptor = -1;
  uint64_t size = 0;
  std::string path;

  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }

  static llvm::Expected<std::shared_ptr<File>> open(StringRef path) {
    auto file = std::make_shared<File>();
    file->path = path.str();
    file->descriptor = ::open(file->path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file->descriptor < 0 || ::fstat(file->descriptor, &status) != 0)
      return file->fail(llvm::sys::StrError(errno));
    if (!S_ISREG(status.st_mode))
      return file->fail("it is not a file");
    file->size = status.st_size;
    return file;
  }

  llvm::Error fail(const llvm::Twine &reason) const {
    return llvm::createStringError("can't read '" + path + "': " + reason);
  }

  llvm::Error read(uint64_t offset, llvm::MutableArrayRef<char> out) const {
    while (!out.empty()) {
      ssize_t count = ::pread(descriptor, out.data(), out.size(),
                              static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return fail(count < 0 ? llvm::sys::StrError(errno)
                              : "it has become shorter");
      offset += count;
      out = out.drop_front(count);
    }
    return llvm::Error::success();
  }

  llvm::Error write(uint64_t offset, llvm::ArrayRef<char> data) const {
    while (!data.empty()) {
      ssize_t count = ::pwrite(descriptor, data.data(), data.size(),
                               static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return fail(llvm::sys::StrError(count < 0 ? errno : ENOSPC));
      offset += count;
      data = data.drop_front(count);
    }
    return llvm::Error::success();
  }
};

/// Elements that lie in a file as they are.
struct PlainArray : ArrayFile {
  std::shared_ptr<File> file;
  uint64_t begin = 0;

  llvm::Error read(uint64_t offset,
                   llvm::MutableArrayRef<char> out) const override {
    return file->read(begin + offset, out);
  }
};

/// Elements that had to be decoded.
struct MemoryArray : ArrayFile {
  NibbleArray array = {};

  ~MemoryArray() override { nibbleFreeArray(&array); }

  llvm::Error read(uint64_t offset,
                   llvm::MutableArrayRef<char> out) const override {
    std::memcpy(out.data(), static_cast<const char *>(array.data) + offset,
                out.size());
    return llvm::Error::success();
  }
};

/// A file that is mapped while a function reads it.
struct Mapping {
  char *data = nullptr;
  size_t size = 0;

  Mapping(const File &file, bool writable = false) : size(file.size) {
    void *mapped =
        size ? ::mmap(nullptr, size, PROT_READ | (writable ? PROT_WRITE : 0),
                      MAP_SHARED, file.descriptor, 0)
             : MAP_FAILED;
    data = mapped == MAP_FAILED ? nullptr : static_cast<char *>(mapped);
  }
  ~Mapping() {
    if (data)
      ::munmap(data, size);
  }
  /// Lets whole pages before `end` leave the process.
  void release(size_t end) const {
    size_t pages = end / 65536 * 65536;
    if (pages)
      ::madvise(data, pages, MADV_DONTNEED);
  }
  const unsigned char *bytes() const {
    return reinterpret_cast<const unsigned char *>(data);
  }
};

} // namespace

static llvm::Error makeError(const NibbleError &error) {
  return llvm::createStringError(StringRef(error.text));
}

/// A file without a name that has room for `size` bytes, for elements that
/// can't be read where they are; the rest is for messages.
static llvm::Expected<std::shared_ptr<File>> createUnnamed(uint64_t size,
                                                           StringRef verb,
                                                           StringRef place,
                                                           StringRef remedy) {
  llvm::SmallString<128> folder, path, name;
  llvm::sys::path::system_temp_directory(/*ErasedOnReboot=*/true, folder);
  path = folder;
  llvm::sys::path::append(path, "nibble-data-%%%%%%%%");
  auto file = std::make_shared<File>();
  auto fail = [&](const llvm::Twine &reason) {
    return llvm::createStringError("can't " + verb + " '" + place + "' in '" +
                                   folder + "': " + reason + "; " + remedy +
                                   ", or set TMPDIR to a folder with more "
                                   "room");
  };
  if (std::error_code ec =
          llvm::sys::fs::createUniqueFile(path, file->descriptor, name))
    return fail(ec.message());
  llvm::sys::fs::remove(name);
  file->path = place.str();
  file->size = size;
  if (size == 0)
    return file;
  // A full disk must be found here: a write to a mapping could only crash.
  if (int error =
          ::posix_fallocate(file->descriptor, 0, static_cast<off_t>(size)))
    return fail(llvm::sys::StrError(error));
  return file;
}

//===----------------------------------------------------------------------===//
// Fortran order
//===----------------------------------------------------------------------===//

/// Copies rows `first` to `first + count` of an array whose first index runs
/// fastest to `rows`, where the last one does.
static void gatherRows(const Mapping &source, uint64_t begin,
                       const NibbleArray &array, uint64_t first, uint64_t count,
                       char *rows) {
  uint64_t size = nibble_dtype_size(array.dtype), numRows = array.dims[0];
  uint64_t rowBytes = array.bytes / numRows, perRow = rowBytes / size;
  // Strides of the other dimensions in a row, and where in it we are.
  uint64_t strides[NibbleMaxFileRank], index[NibbleMaxFileRank] = {}, at = 0;
  uint64_t stride = size;
  for (int32_t d = array.rank; --d > 0; stride *= array.dims[d])
    strides[d] = stride;
  constexpr uint64_t releaseStep = 1 << 20;
  uint64_t released = begin;
  for (uint64_t i = 0; i != perRow; ++i) {
    uint64_t offset = begin + (i * numRows + first) * size;
    for (uint64_t row = 0; row != count; ++row)
      std::memcpy(rows + row * rowBytes + at, source.data + offset + row * size,
                  size);
    if (offset - released >= releaseStep) {
      source.release(offset);
      released = offset;
    }
    for (int32_t d = 1; d != array.rank; ++d) {
      at += strides[d];
      if (++index[d] != static_cast<uint64_t>(array.dims[d]))
        break;
      at -= index[d] * strides[d];
      index[d] = 0;
    }
  }
  source.release(source.size);
}

/// Brings the elements of an array in Fortran order, where a sample is not in
/// one piece, into C order in a file without a name. Memory holds some rows.
static llvm::Expected<std::shared_ptr<File>> reorder(const File &file,
                                                     uint64_t begin,
                                                     const NibbleArray &array,
                                                     StringRef place) {
  auto target = createUnnamed(array.bytes, "reorder", place,
                              "save it in C order (numpy.ascontiguousarray)");
  if (!target)
    return target.takeError();
  Mapping source(file);
  if (!source.data)
    return file.fail(llvm::sys::StrError(errno));
  constexpr uint64_t blockBytes = 4 << 20;
  uint64_t numRows = array.dims[0], rowBytes = array.bytes / numRows;
  uint64_t block = std::clamp<uint64_t>(blockBytes / rowBytes, 1, numRows);
  std::vector<char> rows(block * rowBytes);
  for (uint64_t first = 0; first < numRows; first += block) {
    uint64_t count = std::min(block, numRows - first);
    gatherRows(source, begin, array, first, count, rows.data());
    if (llvm::Error error =
            (*target)->write(first * rowBytes,
                             llvm::ArrayRef(rows).take_front(count * rowBytes)))
      return std::move(error);
  }
  return std::move(*target);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// The array that an .npy file, or a part of a file, holds.
static llvm::Expected<std::unique_ptr<ArrayFile>>
openPart(std::shared_ptr<File> file, uint64_t begin, uint64_t size,
         StringRef place, StringRef name) {
  std::vector<char> head(std::min<uint64_t>(size, 1 << 16));
  if (llvm::Error error = file->read(begin, head))
    return std::move(error);
  NibbleArray array;
  NibbleError error;
  size_t elements;
  bool fortran;
  if (nibbleParseNpyHeader(
          place.str().c_str(), reinterpret_cast<unsigned char *>(head.data()),
          head.size(), size, &array, &elements, &fortran, &error) != NIBBLE_OK)
    return makeError(error);
  if (array.dtype == NIBBLE_UNDEFINED)
    return llvm::createStringError(
        "'" + place +
        "' has elements without a type: save them as a type of "
        "NumPy's own");
  begin += elements;
  if (fortran && array.rank > 1 && array.bytes != 0) {
    auto reordered = reorder(*file, begin, array, place);
    if (!reordered)
      return reordered.takeError();
    file = std::move(*reordered);
    begin = 0;
  }
  auto result = std::make_unique<PlainArray>();
  result->file = std::move(file);
  result->begin = begin;
  result->place = place.str();
  result->name = name.str();
  result->dtype = array.dtype;
  result->dims.assign(array.dims, array.dims + array.rank);
  return std::move(result);
}

llvm::Expected<std::unique_ptr<ArrayFile>> ArrayFile::openNpy(StringRef path) {
  auto file = File::open(path);
  if (!file)
    return file.takeError();
  uint64_t size = (*file)->size;
  return openPart(std::move(*file), 0, size, path, llvm::sys::path::stem(path));
}

llvm::Expected<std::unique_ptr<ArrayFile>> ArrayFile::openRaw(StringRef path,
                                                              int32_t dtype) {
  auto file = File::open(path);
  if (!file)
    return file.takeError();
  uint64_t size = nibble_dtype_size(dtype);
  if ((*file)->size % size)
    return llvm::createStringError(
        "'" + path + "' has " + llvm::Twine((*file)->size) +
        " bytes, which are no whole number of elements of type " +
        nibble_dtype_name(dtype));
  auto result = std::make_unique<PlainArray>();
  result->file = std::move(*file);
  result->place = path.str();
  result->name = llvm::sys::path::stem(path).str();
  result->dtype = dtype;
  result->dims = {static_cast<int64_t>(result->file->size / size)};
  return std::move(result);
}

llvm::Expected<std::unique_ptr<ArrayFile>>
ArrayFile::openTensorProto(StringRef path) {
  unsigned char *data = nullptr;
  size_t size = 0;
  NibbleError error;
  auto result = std::make_unique<MemoryArray>();
  std::string text = path.str();
  if (nibbleReadFile(text.c_str(), &data, &size, &error) != NIBBLE_OK)
    return makeError(error);
  nibble_status status =
      nibbleParseTensorProto(text.c_str(), data, size, &result->array, &error);
  std::free(data);
  if (status != NIBBLE_OK)
    return makeError(error);
  result->place = text;
  result->name = llvm::sys::path::stem(path).str();
  result->dtype = result->array.dtype;
  result->dims.assign(result->array.dims,
                      result->array.dims + result->array.rank);
  return std::move(result);
}

//===----------------------------------------------------------------------===//
// Archives
//===----------------------------------------------------------------------===//

/// The checksum of a part of a file, read in pieces.
static llvm::Expected<uint32_t> sumUp(const File &file, uint64_t begin,
                                      uint64_t size) {
  std::vector<char> piece(std::min<uint64_t>(size, 1 << 20));
  uint32_t crc = 0;
  for (uint64_t done = 0; done < size; done += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), size - done));
    if (llvm::Error error = file.read(begin + done, piece))
      return std::move(error);
    crc = llvm::crc32(crc,
                      llvm::ArrayRef(reinterpret_cast<uint8_t *>(piece.data()),
                                     piece.size()));
  }
  return crc;
}

/// Unpacks a member to a file without a name. Pages leave the process as they
/// are done, so that memory does not grow with the data.
static llvm::Expected<std::shared_ptr<File>>
unpack(const Mapping &archive, const NibbleZipMember &member, StringRef place) {
  auto created =
      createUnnamed(member.size, "unpack", place, "save it with numpy.savez");
  if (!created || member.size == 0)
    return created;
  const File &file = **created;
  Mapping target(file, /*writable=*/true);
  if (!target.data)
    return file.fail(llvm::sys::StrError(errno));
  struct Progress {
    const Mapping &archive, &target;
    uint64_t begin;
  } progress = {archive, target, member.begin};
  bool whole = nibbleInflate(
      archive.bytes() + member.begin, member.compressed,
      reinterpret_cast<unsigned char *>(target.data), member.size,
      [](void *user, size_t read, size_t written) {
        auto *p = static_cast<Progress *>(user);
        // Back references reach 32 KB; they read pages back when they must.
        p->target.release(written);
        p->archive.release(p->begin + read);
      },
      &progress);
  if (!whole)
    return llvm::createStringError("'" + place + "' is damaged");
  return created;
}

llvm::Expected<std::vector<std::unique_ptr<ArrayFile>>>
ArrayFile::openNpz(StringRef path) {
  auto opened = File::open(path);
  if (!opened)
    return opened.takeError();
  std::shared_ptr<File> archive = std::move(*opened);
  Mapping mapping(*archive);
  if (!mapping.data)
    return llvm::createStringError("'" + path + "' is empty");
  std::string text = path.str();
  std::vector<std::unique_ptr<ArrayFile>> arrays;
  for (uint64_t i = 0;; ++i) {
    NibbleZipMember member;
    NibbleError error;
    bool found;
    if (nibbleLocateNpzMember(text.c_str(), mapping.bytes(), mapping.size, i,
                              &found, &member, &error) != NIBBLE_OK)
      return makeError(error);
    if (!found)
      break;
    StringRef name(member.name, member.nameLength);
    if (!name.consume_back(".npy"))
      continue;
    std::string place = (path + ":" + name).str();
    std::shared_ptr<File> file = archive;
    uint64_t begin = member.begin;
    if (member.method != 0) {
      auto unpacked = unpack(mapping, member, place);
      if (!unpacked)
        return unpacked.takeError();
      file = std::move(*unpacked);
      begin = 0;
    }
    llvm::Expected<uint32_t> crc = sumUp(*file, begin, member.size);
    if (!crc)
      return crc.takeError();
    if (*crc != member.crc)
      return llvm::createStringError("'" + place + "' is damaged");
    auto array = openPart(std::move(file), begin, member.size, place, name);
    if (!array)
      return array.takeError();
    arrays.push_back(std::move(*array));
  }
  return std::move(arrays);
}
