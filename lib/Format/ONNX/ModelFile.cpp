//===- ModelFile.cpp - Reading ONNX files ---------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Format/ONNX/ModelFile.h"
#include "onnx.pb.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include <array>
#include <sys/mman.h>

using namespace llvm;
using nibble::onnx_schema::TensorProto;

namespace nibble::format {
namespace {

/// Name and stored bits of each TensorProto.DataType.
struct DataTypeInfo {
  const char *name;
  unsigned bits;
};

constexpr std::array<DataTypeInfo, 29> kDataTypes{{
    {"undefined", 0},      {"float", 32},     {"uint8", 8},
    {"int8", 8},           {"uint16", 16},    {"int16", 16},
    {"int32", 32},         {"int64", 64},     {"string", 0},
    {"bool", 8},           {"float16", 16},   {"double", 64},
    {"uint32", 32},        {"uint64", 64},    {"complex64", 64},
    {"complex128", 128},   {"bfloat16", 16},  {"float8e4m3fn", 8},
    {"float8e4m3fnuz", 8}, {"float8e5m2", 8}, {"float8e5m2fnuz", 8},
    {"uint4", 4},          {"int4", 4},       {"float4e2m1", 4},
    {"float8e8m0", 8},     {"uint2", 2},      {"int2", 2},
    {"float6e2m3", 6},     {"float6e3m2", 6},
}};

const DataTypeInfo &getInfo(int32_t dataType) {
  bool known = dataType > 0 && size_t(dataType) < kDataTypes.size();
  return kDataTypes[known ? dataType : 0];
}

std::string describe(const TensorProto &tensor) {
  std::string text = "tensor '" + tensor.name() + "' (" +
                     getDataTypeName(tensor.data_type()).str() + "[";
  text += join(
      map_range(tensor.dims(), [](int64_t dim) { return itostr(dim); }), ",");
  return text + "])";
}

Error tensorError(const TensorProto &tensor, const Twine &what) {
  return createStringError(describe(tensor) + ": " + what);
}

/// Opens a regular file as a mapping (small files may be read instead).
Expected<std::unique_ptr<MemoryBuffer>> mapFile(StringRef path) {
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(path, status))
    return createStringError("can't open the file: " + error.message());
  if (!sys::fs::is_regular_file(status))
    return createStringError("not a regular file");
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(
      path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError("can't read the file: " +
                             buffer.getError().message());
  return std::move(*buffer);
}

} // namespace

unsigned getElementBits(int32_t dataType) { return getInfo(dataType).bits; }

StringRef getDataTypeName(int32_t dataType) { return getInfo(dataType).name; }

Expected<uint64_t> getNumElements(const TensorProto &tensor) {
  uint64_t count = 1;
  bool overflow = false;
  for (int64_t dim : tensor.dims()) {
    if (dim < 0)
      return tensorError(tensor, "negative dimension " + Twine(dim));
    bool here = false;
    count = SaturatingMultiply<uint64_t>(count, dim, &here);
    overflow |= here;
  }
  // A zero dimension makes the product 0 whatever the others are; they must
  // still fit for the shape to mean anything.
  if (overflow || count > uint64_t(INT64_MAX) / 16)
    return tensorError(tensor, "the shape has too many elements for 64 bits");
  return count;
}

Expected<uint64_t> getRawSize(const TensorProto &tensor) {
  Expected<uint64_t> count = getNumElements(tensor);
  if (!count)
    return count.takeError();
  unsigned bits = getElementBits(tensor.data_type());
  if (bits == 0)
    return tensorError(tensor, "data type " + Twine(tensor.data_type()) +
                                   " has no raw form");
  return divideCeil(*count * bits, 8);
}

ModelFile::ModelFile() : model(std::make_unique<onnx_schema::ModelProto>()) {}
ModelFile::~ModelFile() = default;

Error ModelFile::load() {
  if (buffer->getBufferSize() == 0)
    return createStringError("the file is empty");
  Expected<SlimModel> slim =
      scanModel(arrayRefFromStringRef(buffer->getBuffer()));
  if (!slim)
    return slim.takeError();
  if (!model->ParseFromString(slim->bytes))
    return createStringError(
        "a field has the wrong type: the file is damaged or is not an "
        "ONNX model");
  blobs = std::move(slim->blobs);
  if (!model->has_graph())
    return createStringError(
        "there is no graph in it: the file is not an ONNX model");
  return Error::success();
}

Expected<std::unique_ptr<ModelFile>> ModelFile::open(StringRef path) {
  Expected<std::unique_ptr<MemoryBuffer>> buffer = mapFile(path);
  if (!buffer)
    return buffer.takeError();
  std::unique_ptr<ModelFile> file(new ModelFile());
  file->path = path.str();
  file->buffer = std::move(*buffer);
  if (Error error = file->load())
    return std::move(error);
  return std::move(file);
}

Expected<std::unique_ptr<ModelFile>> ModelFile::parse(MemoryBufferRef buffer) {
  std::unique_ptr<ModelFile> file(new ModelFile());
  file->buffer = MemoryBuffer::getMemBuffer(buffer, false);
  if (Error error = file->load())
    return std::move(error);
  return std::move(file);
}

Expected<std::optional<TensorBytes>>
ModelFile::getBytes(const TensorProto &tensor) {
  if (tensor.has_segment())
    return tensorError(tensor, "tensors in segments are not supported; save "
                               "the model again with whole tensors");
  bool external = tensor.data_location() == TensorProto::EXTERNAL;
  if (!external && !tensor.has_nibble_blob() && !tensor.has_raw_data())
    return std::nullopt;
  Expected<uint64_t> size = getRawSize(tensor);
  if (!size)
    return size.takeError();

  auto checkSize = [&](uint64_t got, const Twine &where) -> Error {
    if (got == *size)
      return Error::success();
    return tensorError(tensor, where + " holds " + Twine(got) +
                                   " bytes, expected " + Twine(*size) +
                                   " for this type and shape");
  };
  if (external) {
    if (tensor.has_nibble_blob() || tensor.has_raw_data())
      return tensorError(tensor, "has external data and data in the model");
    return getExternalBytes(tensor, *size);
  }
  TensorBytes result;
  if (!tensor.has_nibble_blob()) {
    result.bytes = arrayRefFromStringRef(tensor.raw_data());
    if (Error error = checkSize(result.bytes.size(), "raw_data"))
      return std::move(error);
    return result;
  }

  if (tensor.has_raw_data() || tensor.float_data_size() ||
      tensor.double_data_size())
    return tensorError(tensor, "holds its data twice or in pieces; save the "
                               "model again with raw_data");
  const WireBlob &blob = blobs[tensor.nibble_blob()];
  int32_t type = tensor.data_type();
  const char *field = "raw_data";
  bool fits = true;
  if (blob.field == WireBlob::Field::FloatData) {
    field = "float_data";
    fits = type == TensorProto::FLOAT || type == TensorProto::COMPLEX64;
  } else if (blob.field == WireBlob::Field::DoubleData) {
    field = "double_data";
    fits = type == TensorProto::DOUBLE || type == TensorProto::COMPLEX128;
  }
  if (!fits)
    return tensorError(tensor, Twine("its data is in ") + field +
                                   ", which is not for this type");
  if (Error error = checkSize(blob.length, field))
    return std::move(error);
  if (path.empty())
    return tensorError(tensor,
                       "weights of more than " + Twine(kInlineDataLimit) +
                           " bytes are referred to by file and offset, so the "
                           "model can't come from standard input; give its "
                           "file name");
  result.bytes = arrayRefFromStringRef(buffer->getBuffer())
                     .slice(blob.offset, blob.length);
  result.file = path;
  result.offset = blob.offset;
  return result;
}

void ModelFile::release(const TensorBytes &data) const {
  // Only mappings: on other memory the call below would lose the contents.
  auto holds = [&](const MemoryBuffer &candidate) {
    return candidate.getBufferKind() == MemoryBuffer::MemoryBuffer_MMap &&
           candidate.getBufferStart() <=
               reinterpret_cast<const char *>(data.bytes.begin()) &&
           candidate.getBufferEnd() >=
               reinterpret_cast<const char *>(data.bytes.end());
  };
  bool mapped = holds(*buffer);
  for (const auto &entry : externalFiles)
    mapped |= holds(*entry.second);
  if (!mapped)
    return;
  uint64_t page = sys::Process::getPageSizeEstimate();
  uint64_t begin =
      alignTo(reinterpret_cast<uintptr_t>(data.bytes.begin()), page);
  uint64_t end = alignDown(reinterpret_cast<uintptr_t>(data.bytes.end()), page);
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

//===----------------------------------------------------------------------===//
// External data
//===----------------------------------------------------------------------===//

/// Opens a file beside the model. A model is foreign input: it must not be able
/// to make us read any other file, so the path may not leave the model's
/// folder, neither by its text nor by links.
Expected<MemoryBuffer *> ModelFile::openExternal(StringRef location) {
  auto it = externalFiles.find(location);
  if (it != externalFiles.end())
    return it->second.get();

  if (location.empty())
    return createStringError("it has no location");
  if (location.contains('\0') || sys::path::is_absolute(location))
    return createStringError(
        "it must be a path relative to the model's folder");
  for (StringRef part : split(location, '/'))
    if (part == "..")
      return createStringError("'..' would leave the model's folder");
  if (path.empty())
    return createStringError("the model comes from standard input and has no "
                             "folder; give its file name");

  SmallString<256> folder(sys::path::parent_path(path));
  if (folder.empty())
    folder = ".";
  SmallString<256> file(folder);
  sys::path::append(file, location);
  SmallString<256> realFolder, realFile;
  if (std::error_code error = sys::fs::real_path(folder, realFolder))
    return createStringError(folder + ": " + error.message());
  if (std::error_code error = sys::fs::real_path(file, realFile))
    return createStringError("can't open " + file + ": " + error.message());
  StringRef rest = realFile;
  bool inside = rest.consume_front(realFolder) &&
                (rest.starts_with("/") || realFolder == "/");
  if (!inside)
    return createStringError("a symbolic link leads out of the model's folder, "
                             "to " +
                             realFile +
                             "; put the file itself beside the model");
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(realFile, status))
    return createStringError("can't open " + file + ": " + error.message());
  if (status.getLinkCount() > 1 && sys::fs::is_regular_file(status))
    return createStringError(
        "it has more than one hard link, so it may be a "
        "file from elsewhere; put a copy beside the model");
  Expected<std::unique_ptr<MemoryBuffer>> mapping = mapFile(realFile);
  if (!mapping)
    return mapping.takeError();
  return (externalFiles[location] = std::move(*mapping)).get();
}

Expected<TensorBytes> ModelFile::getExternalBytes(const TensorProto &tensor,
                                                  uint64_t size) {
  StringRef location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const onnx_schema::StringStringEntryProto &entry :
       tensor.external_data()) {
    StringRef key = entry.key(), value = entry.value();
    uint64_t number = 0;
    if (key == "location") {
      location = value;
    } else if (key == "offset" || key == "length") {
      if (value.getAsInteger(10, number))
        return tensorError(tensor, "external data: " + key + " '" + value +
                                       "' is not a number of bytes");
      if (key == "offset")
        offset = number;
      else
        length = number;
    }
  }
  if (length && *length != size)
    return tensorError(tensor, "external data in '" + location + "' is " +
                                   Twine(*length) + " bytes long, expected " +
                                   Twine(size) + " for this type and shape");
  Expected<MemoryBuffer *> file = openExternal(location);
  if (!file)
    return tensorError(tensor, "external data '" + location +
                                   "': " + toString(file.takeError()));
  uint64_t available = (*file)->getBufferSize();
  if (offset > available || size > available - offset)
    return tensorError(tensor, "external data '" + location + "' has " +
                                   Twine(available) + " bytes, but " +
                                   Twine(size) + " from offset " +
                                   Twine(offset) +
                                   " are needed: the file is cut off or "
                                   "belongs to another model");
  TensorBytes result;
  result.bytes =
      arrayRefFromStringRef((*file)->getBuffer()).slice(offset, size);
  SmallString<256> full(sys::path::parent_path(path));
  sys::path::append(full, location);
  result.file = full.str().str();
  result.offset = offset;
  return result;
}

} // namespace nibble::format
