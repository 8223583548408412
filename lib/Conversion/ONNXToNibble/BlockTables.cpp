//===- BlockTables.cpp - Embeddings quantized in blocks -------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "QuantizedWeight.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;

namespace nibble {
namespace {

using Table = onnx::MicrosoftGatherBlockQuantizedOp;

/// How the codes of a table are stored.
struct CodeFormat {
  unsigned bits = 0;
  /// Codes in an element of the tensor: bytes may hold several.
  int64_t perElement = 1;
  /// The code that is zero where the table has no zero points.
  uint8_t zero = 0;
  /// What is added to an element to make it an unsigned code.
  int64_t offset = 0;

  /// Nothing if the elements are no codes of at most 8 bits.
  static std::optional<CodeFormat> get(Table op, Type elementType) {
    auto element = dyn_cast<IntegerType>(elementType);
    if (!element || element.getWidth() > 8)
      return std::nullopt;
    if (element.isUnsignedInteger(8)) {
      unsigned bits = op.getBits();
      if (bits != 2 && bits != 4 && bits != 8)
        return std::nullopt;
      return CodeFormat{bits, 8 / bits, uint8_t(1 << (bits - 1)), 0};
    }
    unsigned bits = element.getWidth();
    uint8_t middle = 1 << (bits - 1);
    bool isUnsigned = element.isUnsigned();
    return CodeFormat{bits, 1, isUnsigned ? uint8_t(0) : middle,
                      isUnsigned ? 0 : middle};
  }

  /// The codes of `rows` rows of `columns`, one a byte.
  FailureOr<std::vector<uint8_t>> read(const ConstantData &data, int64_t rows,
                                       int64_t columns) const {
    if (perElement > 1 || offset == 0)
      if (data.getType().getElementTypeBitWidth() == 8)
        return unpackCodes(data, rows, columns, bits);
    std::vector<int64_t> values(data.getNumElements());
    if (failed(data.expanded().readIntegers(0, values)))
      return failure();
    std::vector<uint8_t> codes;
    for (int64_t value : values)
      codes.push_back(value + offset);
    return codes;
  }
};

/// The table as rows of codes, along the axis that is gathered, or in `reason`
/// what it lacks.
FailureOr<QuantizedRows> getRows(Table op, std::string &reason) {
  auto fail = [&](const Twine &why) {
    reason = why.str();
    return failure();
  };
  FailureOr<ConstantData> data = ConstantData::get(op.getData());
  FailureOr<ConstantData> scales = ConstantData::get(op.getScales());
  if (failed(data) || failed(scales))
    return fail("its codes and scales are not constant");
  ShapedType type = data->getType();
  int64_t rank = type.getRank(), axis = op.getQuantizeAxis();
  auto format = CodeFormat::get(op, type.getElementType());
  if (!format || (format->bits != 2 && format->bits != 4 && format->bits != 8))
    return fail("its codes are not integers of 2, 4 or 8 bits");
  if (rank < 2 || (op.getGatherAxis() != 0 && op.getGatherAxis() != -rank))
    return fail("gather_axis is " + Twine(op.getGatherAxis()) +
                ", expected the first of at least two");
  if (axis != rank - 1 && axis != -1)
    return fail("quantize_axis is " + Twine(axis) + ", expected the last");
  int64_t last = type.getShape().back() * format->perElement;
  int64_t block = op.getBlockSize();
  if (rank > 2 && last % block != 0)
    return fail("blocks of " + Twine(block) + " do not divide rows of " +
                Twine(last));
  if (type.getNumElements() == 0)
    return fail("it is empty");

  QuantizedRows table;
  table.rows = type.getDimSize(0);
  table.columns = type.getNumElements() / table.rows * format->perElement;
  table.bits = format->bits;
  table.group = block;
  table.scaleType = scales->getType().getElementType();
  int64_t count = table.rows * table.getNumGroups();
  if (scales->getNumElements() != count)
    return fail("it has " + Twine(scales->getNumElements()) +
                " scales, expected " + Twine(count));
  FailureOr<std::vector<uint8_t>> codes =
      format->read(*data, table.rows, table.columns);
  if (failed(codes))
    return fail("its codes cannot be read");
  table.codes = std::move(*codes);
  ConstantData all = scales->expanded();
  table.scales.assign(all.getBytes().begin(), all.getBytes().end());
  table.zeros.assign(count, format->zero);
  if (!isa<NoneType>(op.getZeroPoints().getType())) {
    FailureOr<ConstantData> zeros = ConstantData::get(op.getZeroPoints());
    if (failed(zeros))
      return fail("its zero points are not constant");
    // Every run of the last axis has its own whole bytes.
    int64_t runs = type.getNumElements() / type.getShape().back();
    auto read = format->read(*zeros, runs, count / runs);
    if (failed(read) || int64_t(read->size()) != count)
      return fail("its zero points do not match the scales");
    table.zeros = std::move(*read);
  }
  if (Operation *constant = op.getData().getDefiningOp())
    table.name =
        constant->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
  return table;
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

/// A table whose rows are gathered stays packed.
struct ConvertBlockTable : OpRewritePattern<Table> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(Table op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getOutput().getType());
    auto indices = dyn_cast<RankedTensorType>(op.getIndices().getType());
    std::string reason = "a rank is not known";
    if (!type || !indices)
      return rewriter.notifyMatchFailure(op, reason);
    FailureOr<QuantizedRows> table = getRows(op, reason);
    if (failed(table))
      return rewriter.notifyMatchFailure(op, reason);
    Location loc = op.getLoc();
    FailureOr<QuantizedWeight> packed =
        createQuantizedWeight(rewriter, loc, *table);
    if (failed(packed))
      return failure();
    SmallVector<int64_t> shape(indices.getShape());
    shape.push_back(table->columns);
    auto rows = GatherOp::create(
        rewriter, loc, RankedTensorType::get(shape, rewriter.getF32Type()),
        op.getIndices(), packed->codes, packed->scales, packed->zeros,
        packed->groupIndex, /*second=*/Value(), /*outs=*/Value(),
        rewriter.getI64IntegerAttr(table->rows),
        rewriter.getI64IntegerAttr(table->columns), packed->scheme,
        getLayers(op));
    Value result = rows->getResult(0);
    if (type.getRank() != indices.getRank() + 1)
      result = splitRows(op, rewriter, result, type, indices.getRank());
    if (result.getType() != type)
      result = onnx::CastOp::create(
          rewriter, loc, type, result,
          rewriter.getI64IntegerAttr(onnx::getONNXType(type.getElementType())));
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// Rows as the dimensions that they had.
  static Value splitRows(Table op, PatternRewriter &rewriter, Value rows,
                         RankedTensorType type, int64_t prefix) {
    // 0 copies a size of the indices.
    SmallVector<int64_t> shape(prefix, 0);
    llvm::append_range(shape, type.getShape().drop_front(prefix));
    auto vector =
        RankedTensorType::get({int64_t(shape.size())}, rewriter.getI64Type());
    Value target = onnx::ConstantOp::create(
        rewriter, op.getLoc(),
        DenseElementsAttr::get(vector, ArrayRef<int64_t>(shape)));
    return onnx::ReshapeOp::create(rewriter, op.getLoc(),
                                   type.clone(rewriter.getF32Type()), rows,
                                   target, /*allowzero=*/0);
  }
};

/// Other tables are dequantized before rows are taken from them, but for those
/// whose bytes hold several codes.
struct DequantizeBlockTable : OpRewritePattern<Table> {
  DequantizeBlockTable(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/0) {}

  LogicalResult matchAndRewrite(Table op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    auto scales = dyn_cast<RankedTensorType>(op.getScales().getType());
    std::string reason;
    if (!type || !scales || succeeded(getRows(op, reason)))
      return rewriter.notifyMatchFailure(op, "a rank is not known");
    auto format = CodeFormat::get(op, type.getElementType());
    Location loc = op.getLoc();
    Value zeros = op.getZeroPoints();
    if (format && format->perElement > 1)
      return rewriter.notifyMatchFailure(op, reason);
    if (isa<NoneType>(zeros.getType()) &&
        type.getElementType().isUnsignedInteger(8)) {
      if (!scales.hasStaticShape())
        return rewriter.notifyMatchFailure(op, "sizes are not known");
      auto points = scales.clone(type.getElementType());
      zeros = onnx::ConstantOp::create(
          rewriter, loc,
          DenseElementsAttr::get(points, APInt(8, format->zero)));
    }
    explain(op, reason);
    auto axis = rewriter.getI64IntegerAttr(op.getQuantizeAxis());
    Value floats = onnx::DequantizeLinearOp::create(
        rewriter, loc, type.clone(scales.getElementType()), op.getData(),
        op.getScales(), zeros, axis,
        rewriter.getI64IntegerAttr(op.getBlockSize()),
        /*output_dtype=*/rewriter.getI64IntegerAttr(0));
    auto gather = onnx::GatherOp::create(
        rewriter, loc, op.getOutput().getType(), floats, op.getIndices(),
        rewriter.getI64IntegerAttr(op.getGatherAxis()));
    gather->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.replaceOp(op, gather);
    return success();
  }

private:
  static void explain(Table op, StringRef reason) {
    auto name =
        op->getAttrOfType<StringAttr>(NibbleDialect::getLayerNameAttr());
    StringRef layer = name ? name.getValue() : StringRef("");
    emitRemark(op->getLoc(), "layer \"")
        << layer << "\" dequantizes its table: " << reason;
    remark::missed(
        op->getLoc(),
        remark::RemarkOpts::name("DequantizedTable").category("nibble"))
        << remark::add("layer {0}", layer) << remark::reason("{0}", reason);
  }
};

} // namespace

LogicalResult refuseBlockTables(Operation *root) {
  auto result = root->walk([](Table op) {
    std::string reason;
    if (succeeded(getRows(op, reason)))
      return WalkResult::advance();
    op.emitOpError() << "cannot be compiled: " << reason;
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

void populateBlockTablePatterns(RewritePatternSet &patterns) {
  patterns.add<ConvertBlockTable, DequantizeBlockTable>(patterns.getContext());
}

} // namespace nibble
