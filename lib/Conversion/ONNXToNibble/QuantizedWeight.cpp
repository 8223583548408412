//===- QuantizedWeight.cpp - Codes that a model brings along --------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizedWeight.h"
#include "ConstantWeight.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Quantizer/Packing.h"

using namespace mlir;

namespace nibble {

std::vector<uint8_t> unpackCodes(const ConstantData &data, int64_t rows,
                                 int64_t columns, unsigned bits) {
  int64_t padded = data.getNumElements() / rows * 8 / bits;
  std::vector<uint8_t> all(rows * padded), codes(rows * columns);
  ConstantData expanded = data.expanded();
  ArrayRef<char> bytes = expanded.getBytes();
  quantizer::unpackRows(
      {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()}, rows,
      padded, bits, /*twosComplement=*/false, all);
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(all.begin() + row * padded, columns,
                codes.begin() + row * columns);
  return codes;
}

FailureOr<QuantizedWeight> createQuantizedWeight(OpBuilder &builder,
                                                 Location loc,
                                                 const QuantizedRows &weight) {
  MLIRContext *context = builder.getContext();
  StringRef hint = weight.name ? weight.name.getValue() : StringRef("weight");
  auto create =
      [&](ArrayRef<int64_t> shape, Type element, StringRef suffix,
          function_ref<void(MutableArrayRef<char>)> fill) -> FailureOr<Value> {
    auto type = RankedTensorType::get(shape, element);
    std::string name = (hint + suffix).str();
    FailureOr<ElementsAttr> value = createBlobAttr(loc, type, name, fill);
    if (failed(value))
      return failure();
    return createConstant(builder, loc, *value, builder.getStringAttr(name));
  };
  auto copyTo = [](const auto &from) {
    return [&from](MutableArrayRef<char> out) {
      std::memcpy(out.data(), from.data(), out.size());
    };
  };

  uint8_t middle = 1u << (weight.bits - 1);
  ZeroKind zero = ZeroKind::Integer;
  if (!weight.floatZeros.empty())
    zero = ZeroKind::Float;
  else if (llvm::all_of(weight.zeros, [&](uint8_t z) { return z == middle; }))
    zero = ZeroKind::None;
  auto scheme = SchemeAttr::get(
      context, weight.codebook, weight.bits, DenseF32ArrayAttr(),
      weight.group, weight.scaleType, Type(), 0, false, false, zero,
      !weight.groupIndex.empty(), /*outliers=*/0, Packing::Rows);

  FailureOr<Value> codes =
      create(scheme.getCodesShape(weight.rows, weight.columns),
             builder.getI8Type(), ".codes", [&](MutableArrayRef<char> out) {
               quantizer::packRows(
                   weight.codes, weight.rows, weight.columns, weight.bits,
                   scheme.isSignedCodes(),
                   {reinterpret_cast<uint8_t *>(out.data()), out.size()});
             });
  SmallVector<int64_t> shape =
      scheme.getScalesShape(weight.rows, weight.columns);
  FailureOr<Value> scales =
      create(shape, weight.scaleType, ".scales", copyTo(weight.scales));
  FailureOr<Value> zeros = Value(), groupIndex = Value();
  if (zero == ZeroKind::Integer)
    zeros = create(shape, builder.getI8Type(), ".zeros", copyTo(weight.zeros));
  else if (zero == ZeroKind::Float)
    zeros =
        create(shape, weight.scaleType, ".zeros", copyTo(weight.floatZeros));
  if (!weight.groupIndex.empty())
    groupIndex = create({weight.columns}, builder.getI32Type(), ".group_index",
                        copyTo(weight.groupIndex));
  if (failed(codes) || failed(scales) || failed(zeros) || failed(groupIndex))
    return failure();
  return QuantizedWeight{*codes, *scales, *zeros, *groupIndex, scheme};
}

//===----------------------------------------------------------------------===//
// DequantizeLinear
//===----------------------------------------------------------------------===//

namespace {

/// Where the elements of a tensor are in the view of rows and columns.
struct RowView {
  int64_t rows, columns;
  bool rowsLast;

  std::pair<int64_t, int64_t> at(int64_t element) const {
    if (rowsLast)
      return {element % rows, element / rows};
    return {element / columns, element % columns};
  }
};

/// All integers of a constant, read in pieces.
LogicalResult
forEachInteger(const ConstantData &data,
               function_ref<void(int64_t index, int64_t value)> visit) {
  constexpr int64_t chunk = 4096;
  std::vector<int64_t> buffer(chunk);
  ConstantData elements = data.expanded();
  for (int64_t i = 0, e = data.getNumElements(); i < e; i += chunk) {
    MutableArrayRef<int64_t> part(buffer.data(), std::min(chunk, e - i));
    if (failed(elements.readIntegers(i, part)))
      return failure();
    for (auto [offset, value] : llvm::enumerate(part))
      visit(i + offset, value);
  }
  return success();
}

FailureOr<QuantizedRows> getRows(onnx::DequantizeLinearOp op, bool rowsLast) {
  FailureOr<ConstantData> codes = ConstantData::get(op.getX());
  FailureOr<ConstantData> scales = ConstantData::get(op.getXScale());
  bool hasZero = !isa<NoneType>(op.getXZeroPoint().getType());
  FailureOr<ConstantData> zeros = failure();
  if (hasZero)
    zeros = ConstantData::get(op.getXZeroPoint());
  if (failed(codes) || failed(scales) || (hasZero && failed(zeros)))
    return failure();
  auto type = cast<RankedTensorType>(codes->getType());
  auto element = dyn_cast<IntegerType>(type.getElementType());
  Type scaleType = scales->getType().getElementType();
  auto result = cast<RankedTensorType>(op.getY().getType());
  if (!element || element.getWidth() < 2 || element.getWidth() > 8 ||
      type.getRank() < 2 || type.getNumElements() == 0 || !scaleType.isF32() ||
      !result.getElementType().isF32())
    return failure();

  int64_t rank = type.getRank();
  int64_t rowDim = rowsLast ? rank - 1 : 0;
  RowView view{type.getDimSize(rowDim),
               type.getNumElements() / type.getDimSize(rowDim), rowsLast};
  QuantizedRows weight;
  weight.rows = view.rows;
  weight.columns = view.columns;
  weight.bits = element.getWidth();
  weight.scaleType = scaleType;

  // Where the scales run.
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  ArrayRef<int64_t> scaleShape = scales->getType().getShape();
  bool isOne = scales->getNumElements() == 1;
  RowView scaleView{view.rows, 1, rowsLast};
  if (op.getBlockSize() > 0) {
    if (rank != 2 || axis == rowDim || scaleShape.size() != 2 ||
        scaleShape[rowDim] != view.rows)
      return failure();
    weight.group = op.getBlockSize();
    scaleView.columns = scaleShape[1 - rowDim];
    if (scaleView.columns != weight.getNumGroups())
      return failure();
    isOne = false;
  } else if (!isOne && axis != rowDim) {
    return failure();
  }

  int64_t offset = element.isUnsigned() ? 0 : int64_t(1) << (weight.bits - 1);
  weight.codes.resize(weight.rows * weight.columns);
  if (failed(forEachInteger(*codes, [&](int64_t i, int64_t value) {
        auto [row, column] = view.at(i);
        weight.codes[row * weight.columns + column] = value + offset;
      })))
    return failure();

  int64_t groups = weight.getNumGroups(), count = weight.rows * groups;
  weight.scales.resize(count * sizeof(float));
  weight.zeros.assign(count, offset);
  std::vector<float> values(scales->getNumElements());
  if (failed(scales->expanded().readFloats(0, values)))
    return failure();
  for (int64_t i = 0; i < count; ++i) {
    auto [row, group] = scaleView.at(i);
    float scale = values[isOne ? 0 : i];
    std::memcpy(&weight.scales[(row * groups + group) * sizeof(float)], &scale,
                sizeof(float));
  }
  if (!hasZero)
    return weight;
  if (zeros->getNumElements() == 1 && !isOne)
    return failure();
  if (failed(forEachInteger(*zeros, [&](int64_t i, int64_t value) {
        if (zeros->getNumElements() == 1) {
          weight.zeros.assign(count, value + offset);
          return;
        }
        auto [row, group] = scaleView.at(i);
        weight.zeros[row * groups + group] = value + offset;
      })))
    return failure();
  return weight;
}

} // namespace

FailureOr<QuantizedRows> getQuantizedRows(Value value, bool rowsLast) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return failure();
  if (auto identity = dyn_cast<onnx::IdentityOp>(op))
    return getQuantizedRows(identity.getInput(), rowsLast);
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    std::optional<ArrayRef<int64_t>> perm = transpose.getPerm();
    if (!type || type.getRank() != 2 || (perm && (*perm)[0] != 1))
      return failure();
    return getQuantizedRows(transpose.getData(), !rowsLast);
  }
  auto dequantize = dyn_cast<onnx::DequantizeLinearOp>(op);
  if (!dequantize || !isa<RankedTensorType>(dequantize.getX().getType()))
    return failure();
  FailureOr<QuantizedRows> weight = getRows(dequantize, rowsLast);
  if (succeeded(weight))
    if (Operation *codes = dequantize.getX().getDefiningOp())
      weight->name =
          codes->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
  return weight;
}

} // namespace nibble
