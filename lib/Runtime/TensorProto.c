//===- TensorProto.c - ONNX tensors in files ------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A reader of the one message that test data consists of: a protobuf library
// would be most of a compiled model's size. Source: onnx.proto, TensorProto,
// and protobuf's description of its wire format.
//
//===----------------------------------------------------------------------===//

#include "TensorFile.h"

#include <stdlib.h>
#include <string.h>

typedef struct Reader {
  const unsigned char *next, *end;
} Reader;

enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// Numbers of TensorProto's fields.
enum {
  Dims = 1,
  DataType = 2,
  FloatData = 4,
  Int32Data = 5,
  StringData = 6,
  Int64Data = 7,
  RawData = 9,
  DoubleData = 10,
  UInt64Data = 11,
  ExternalData = 13
};

static bool readVarint(Reader *in, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && in->next != in->end; shift += 7) {
    unsigned char byte = *in->next++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

/// One field: its content for bytes, its value (or its bytes) otherwise.
typedef struct Field {
  uint64_t number, type, value;
  Reader content;
} Field;

static bool readField(Reader *in, Field *field) {
  uint64_t key, length;
  if (!readVarint(in, &key))
    return false;
  field->number = key >> 3;
  field->type = key & 7;
  field->content.next = in->next;
  switch (field->type) {
  case Varint:
    if (!readVarint(in, &field->value))
      return false;
    field->content.end = in->next;
    return true;
  case Fixed64:
    length = 8;
    break;
  case Fixed32:
    length = 4;
    break;
  case Bytes:
    if (!readVarint(in, &length))
      return false;
    field->content.next = in->next;
    break;
  default:
    return false;
  }
  if (length > (uint64_t)(in->end - in->next))
    return false;
  in->next += length;
  field->content.end = in->next;
  return true;
}

typedef struct Tensor {
  NibbleArray *array;
  size_t elementSize;
  uint64_t position; ///< bytes of `array->data` that are filled
  uint64_t expected; ///< bytes that the elements take in the file
  unsigned bits;     ///< of an element in raw data
  bool packed;       ///< elements of fewer than 8 bits share bytes
  bool fits;
} Tensor;

/// Bits of an element in raw data; bool takes a byte.
static unsigned bitsOf(int32_t dtype) {
  switch (dtype) {
  case NIBBLE_UINT2:
  case NIBBLE_INT2:
    return 2;
  case NIBBLE_UINT4:
  case NIBBLE_INT4:
  case NIBBLE_FLOAT4E2M1:
    return 4;
  case NIBBLE_FLOAT6E2M3:
  case NIBBLE_FLOAT6E3M2:
    return 6;
  default:
    return 8 * (unsigned)nibble_dtype_size(dtype);
  }
}

/// One byte for each element, from a bit stream that begins at the low bits.
/// In place: the last elements move first, and never before what they are from.
static void unpack(NibbleArray *array, unsigned bits) {
  unsigned char *bytes = array->data;
  for (uint64_t i = array->bytes; i-- > 0;) {
    uint64_t bit = i * bits;
    unsigned word = bytes[bit / 8] >> bit % 8;
    if (bit % 8 + bits > 8)
      word |= (unsigned)bytes[bit / 8 + 1] << (8 - bit % 8);
    bytes[i] = (unsigned char)(word & ((1u << bits) - 1));
  }
}

static bool addDim(NibbleArray *array, uint64_t value) {
  if (array->rank == NibbleMaxFileRank || value > (uint64_t)INT64_MAX)
    return false;
  array->dims[array->rank++] = (int64_t)value;
  return true;
}

/// First pass: type and shape, which may come behind the data.
static bool readShape(Reader in, NibbleArray *array, bool *external,
                      bool *strings) {
  while (in.next != in.end) {
    Field field;
    if (!readField(&in, &field))
      return false;
    if (field.number == DataType && field.type == Varint)
      array->dtype = field.value < 64 ? (int32_t)field.value : -1;
    *external |= field.number == ExternalData;
    *strings |= field.number == StringData;
    if (field.number != Dims)
      continue;
    if (field.type == Varint) {
      if (!addDim(array, field.value))
        return false;
      continue;
    }
    uint64_t value;
    while (field.content.next != field.content.end)
      if (!readVarint(&field.content, &value) || !addDim(array, value))
        return false;
  }
  return true;
}

static void addElement(Tensor *tensor, const void *bytes, size_t size) {
  // Integers of any width: the low bytes, little-endian.
  if (tensor->position + tensor->elementSize > tensor->expected ||
      size < tensor->elementSize) {
    tensor->fits = false;
    return;
  }
  memcpy((char *)tensor->array->data + tensor->position, bytes,
         tensor->elementSize);
  tensor->position += tensor->elementSize;
}

/// The elements of a typed field, packed or not.
static bool addTyped(Tensor *tensor, Field *field, size_t fixedSize) {
  while (field->content.next != field->content.end) {
    uint64_t value;
    if (fixedSize) {
      if ((size_t)(field->content.end - field->content.next) < fixedSize)
        return false;
      addElement(tensor, field->content.next, fixedSize);
      field->content.next += fixedSize;
    } else {
      if (!readVarint(&field->content, &value))
        return false;
      addElement(tensor, &value, sizeof(value));
    }
  }
  return true;
}

/// Second pass: the elements.
static bool readData(Reader in, Tensor *tensor) {
  int32_t dtype = tensor->array->dtype;
  while (in.next != in.end) {
    Field field;
    if (!readField(&in, &field))
      return false;
    size_t size = (size_t)(field.content.end - field.content.next);
    switch (field.number) {
    case RawData:
      if (field.type != Bytes)
        return false;
      tensor->fits = size == tensor->expected && !tensor->position;
      if (tensor->fits)
        memcpy(tensor->array->data, field.content.next, size);
      tensor->position = size;
      break;
    case FloatData:
      if (dtype != NIBBLE_FLOAT || !addTyped(tensor, &field, 4))
        return false;
      break;
    case DoubleData:
      if (dtype != NIBBLE_DOUBLE || !addTyped(tensor, &field, 8))
        return false;
      break;
    case Int32Data:
      // Here elements of 6 bits have a number each.
      if (tensor->bits == 6) {
        tensor->packed = false;
        tensor->expected = tensor->array->bytes;
      }
      if (dtype == NIBBLE_FLOAT || tensor->elementSize > 4 ||
          !addTyped(tensor, &field, 0))
        return false;
      break;
    case Int64Data:
      if (dtype != NIBBLE_INT64 || !addTyped(tensor, &field, 0))
        return false;
      break;
    case UInt64Data:
      if ((dtype != NIBBLE_UINT64 && dtype != NIBBLE_UINT32) ||
          !addTyped(tensor, &field, 0))
        return false;
      break;
    default:
      break;
    }
  }
  return true;
}

nibble_status nibbleParseTensorProto(const char *name,
                                     const unsigned char *data, size_t size,
                                     NibbleArray *array, NibbleError *error) {
  *array = (NibbleArray){0};
  Reader in = {.next = data, .end = data + size};
  bool external = false, strings = false;
  if (size == 0 || !readShape(in, array, &external, &strings))
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' is not an ONNX tensor, or is cut off", name);
  if (external)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' keeps its elements in another file, which is "
                          "not supported for inputs",
                          name);
  Tensor tensor = {.array = array, .fits = true};
  tensor.elementSize = nibble_dtype_size(array->dtype);
  if (!tensor.elementSize || strings)
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' has elements of ONNX type %d, which no model "
                          "takes",
                          name, array->dtype);
  nibble_status status =
      nibbleSizeArray(name, array, tensor.elementSize, error);
  tensor.bits = bitsOf(array->dtype);
  tensor.packed = tensor.bits < 8;
  tensor.expected = array->bytes;
  if (tensor.packed)
    tensor.expected = array->bytes / 8 * tensor.bits +
                      (array->bytes % 8 * tensor.bits + 7) / 8;
  // What the file packs takes at least one byte of it.
  if (status == NIBBLE_OK && tensor.expected / tensor.elementSize > size)
    status = nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                            "'%s' has %zu bytes, too few for its shape, which "
                            "needs %llu",
                            name, size, (unsigned long long)tensor.expected);
  if (status == NIBBLE_OK)
    status = nibbleAllocateArray(name, array, error);
  if (status != NIBBLE_OK)
    return status;
  if (!readData(in, &tensor)) {
    nibbleFreeArray(array);
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s': the elements do not fit their type", name);
  }
  if (!tensor.fits || tensor.position != tensor.expected) {
    nibbleFreeArray(array);
    return nibbleSetError(error, NIBBLE_INVALID_ARGUMENT,
                          "'%s' has %llu bytes of elements, expected %llu",
                          name, (unsigned long long)tensor.position,
                          (unsigned long long)tensor.expected);
  }
  if (tensor.packed)
    unpack(array, tensor.bits);
  return NIBBLE_OK;
}
