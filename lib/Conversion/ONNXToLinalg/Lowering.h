//===- Lowering.h - What every ONNX lowering is written with ----*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lowering is a function from one ONNX operator to values on tensors. It
// sees the operator through `OpLowering`, which reads attributes and operands,
// computes sizes (static where they are known) and builds linalg operations.
// The tables map an operator's name to its function, one family a file.
//
// A lowering that cannot continue calls `fail(reason)`; helpers do the same
// and return something of the right type, so that a lowering need not check
// after every call: the driver looks at the recorded failure.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_CONVERSION_ONNXTOLINALG_LOWERING_H
#define NIBBLE_LIB_CONVERSION_ONNXTOLINALG_LOWERING_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/DialectConversion.h"
#include "nibble/Dialect/Nibble/IR/ConstantData.h"
#include "llvm/ADT/StringMap.h"

namespace nibble::onnx_to_linalg {

using namespace mlir;

//===----------------------------------------------------------------------===//
// Scalars: arithmetic on one element
//===----------------------------------------------------------------------===//

/// Builds scalar arithmetic that is the same for floats and integers; the
/// flag says how integers are to be read.
struct Scalars {
  OpBuilder &b;
  Location loc;
  bool isUnsigned = false;

  /// A float or integer constant; infinities and NaN are allowed for floats.
  Value constant(Type type, double value);
  /// An integer constant of the full 64-bit range.
  Value integer(Type type, int64_t value);
  /// The smallest (largest) value of a type; infinite for floats.
  Value lowest(Type type);
  Value highest(Type type);

  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  /// Float division, or integer division that truncates. Division of an
  /// integer by zero gives zero, as no operator defines it and a trap would
  /// end the process.
  Value div(Value x, Value y);
  /// NaN if either is.
  Value max(Value x, Value y);
  Value min(Value x, Value y);
  Value neg(Value x);
  Value abs(Value x);

  Value eq(Value x, Value y);
  Value lt(Value x, Value y);
  Value le(Value x, Value y);
  Value logicalNot(Value x);
  Value select(Value cond, Value x, Value y);

  Value exp(Value x) { return math::ExpOp::create(b, loc, x); }
  Value log(Value x) { return math::LogOp::create(b, loc, x); }
  Value sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
  Value tanh(Value x) { return math::TanhOp::create(b, loc, x); }
  Value erf(Value x) { return math::ErfOp::create(b, loc, x); }
  Value floor(Value x) { return math::FloorOp::create(b, loc, x); }
  Value ceil(Value x) { return math::CeilOp::create(b, loc, x); }
  Value roundEven(Value x) { return math::RoundEvenOp::create(b, loc, x); }
  Value isNaN(Value x) {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  }
  /// 1 / (1 + exp(-x)).
  Value sigmoid(Value x);
  /// log(1 + exp(x)), without overflow.
  Value softplus(Value x);

  /// Conversion between element types with the semantics of ONNX `Cast`:
  /// a float that does not fit an integer gives what x86 gives (the most
  /// negative value of the wider conversion, truncated).
  Value cast(Value x, Type to, bool fromUnsigned, bool toUnsigned);
  Value toIndex(Value x);
  Value fromIndex(Value x, Type to);
};

/// Whether elements of an ONNX type are codes to compiled code: integers of 2
/// and 4 bits, floats of 4, 6 and 8. A code is the low bits of a byte, `i8`.
bool isCoded(Type elem);
/// What a code stands for: an i8, or an f32.
Value decode(Scalars &s, Value code, Type type);
/// The code of a number of any type, as ONNX's `Cast` makes it: `saturate` and
/// `mode` (`round_mode`) are its attributes, `s.isUnsigned` tells about x.
Value encode(Scalars &s, Value x, Type type, bool saturate = true,
             StringRef mode = "up");

/// Builds the value of one element.
using ScalarFn = llvm::function_ref<Value(Scalars &, ValueRange)>;

//===----------------------------------------------------------------------===//
// OpLowering
//===----------------------------------------------------------------------===//

/// What lowerings of one module share.
struct LoweringState {
  /// `tensor.dim` of a value, created once, right after the value.
  DenseMap<std::pair<Value, int64_t>, Value> dims;
  /// Pairs of sizes that an earlier check in the same block made equal.
  DenseMap<std::pair<Value, Block *>, SmallVector<Value>> equal;
  /// Tensors of indices whose elements were checked in a block: below a bound,
  /// and whether negative ones count from the end.
  DenseSet<std::pair<std::pair<Value, Block *>, std::pair<int64_t, int64_t>>>
      checkedIndices;
  /// Why an operator was not lowered.
  llvm::MapVector<Operation *, std::string> failures;

  void forgetValues() {
    dims.clear();
    equal.clear();
    checkedIndices.clear();
  }
};

class OpLowering {
public:
  OpLowering(Operation *op, ValueRange operands,
             ConversionPatternRewriter &rewriter, const TypeConverter &types,
             LoweringState &state)
      : op(op), b(rewriter), loc(op->getLoc()), operands(operands),
        rewriter(rewriter), types(types), state(state) {}

  Operation *op;
  OpBuilder &b;
  Location loc;
  /// Filled by the lowering, one value for each result.
  SmallVector<Value> results;

  //===--------------------------------------------------------------------===//
  // The operator
  //===--------------------------------------------------------------------===//

  unsigned numInputs() const { return operands.size(); }
  /// Whether an optional input is there.
  bool has(unsigned i) const;
  /// Whether an optional output is wanted.
  bool hasResult(unsigned i) const;
  Value in(unsigned i) const { return operands[i]; }
  ValueRange inputs() const { return operands; }
  RankedTensorType inType(unsigned i) const {
    return cast<RankedTensorType>(operands[i].getType());
  }
  int64_t inRank(unsigned i) const { return inType(i).getRank(); }
  Type inElem(unsigned i) const { return inType(i).getElementType(); }
  /// The converted type of a result.
  RankedTensorType outType(unsigned i = 0) const;
  Type outElem(unsigned i = 0) const { return outType(i).getElementType(); }
  int64_t outRank(unsigned i = 0) const { return outType(i).getRank(); }
  /// Whether the ONNX element type of an operand (a result) is unsigned; bool
  /// counts as unsigned.
  bool inUnsigned(unsigned i) const;
  bool outUnsigned(unsigned i = 0) const;
  /// The element types as ONNX has them, before conversion.
  Type inONNXElem(unsigned i) const;
  Type outONNXElem(unsigned i = 0) const;

  bool hasAttr(StringRef name) const;
  int64_t getInt(StringRef name, int64_t fallback) const;
  double getFloat(StringRef name, double fallback) const;
  StringRef getString(StringRef name, StringRef fallback) const;
  SmallVector<int64_t> getInts(StringRef name,
                               ArrayRef<int64_t> fallback = {}) const;
  /// An attribute that is an axis, made non-negative.
  int64_t getAxis(StringRef name, int64_t fallback, int64_t rank) const;

  /// The elements of operand `i` if it is a constant.
  std::optional<ConstantData> constData(unsigned i) const;
  /// The elements of a constant operand, if it is one.
  std::optional<SmallVector<int64_t>> constInts(unsigned i) const;
  std::optional<SmallVector<double>> constFloats(unsigned i) const;
  /// The attribute behind a constant operand, null if it is not constant.
  Attribute constantOf(unsigned i) const;

  StringRef layerName() const;
  LogicalResult fail(const Twine &reason);
  bool failed() const { return state.failures.contains(op); }
  LogicalResult done(ValueRange values) {
    results.assign(values.begin(), values.end());
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Sizes (index values, as attributes where they are known)
  //===--------------------------------------------------------------------===//

  OpFoldResult index(int64_t value) { return b.getIndexAttr(value); }
  OpFoldResult size(Value tensor, int64_t dim);
  SmallVector<OpFoldResult> sizes(Value tensor);
  /// Whether a size is known to be 1, and so broadcasts.
  bool isOne(Value tensor, int64_t dim) {
    return getConstantIntValue(size(tensor, dim)) == 1;
  }
  OpFoldResult product(ArrayRef<OpFoldResult> factors);
  OpFoldResult add(OpFoldResult x, OpFoldResult y);
  OpFoldResult sub(OpFoldResult x, OpFoldResult y);
  OpFoldResult mul(OpFoldResult x, OpFoldResult y);
  /// Rounds towards minus infinity (plus infinity); y is positive.
  OpFoldResult floorDiv(OpFoldResult x, OpFoldResult y);
  OpFoldResult ceilDiv(OpFoldResult x, OpFoldResult y);
  OpFoldResult max(OpFoldResult x, OpFoldResult y);
  OpFoldResult min(OpFoldResult x, OpFoldResult y);
  Value value(OpFoldResult x);
  Scalars scalars(bool isUnsigned = false) { return {b, loc, isUnsigned}; }

  /// The elements of a tensor of integers as index values. They are the
  /// scalars that made it where the producer shows them, else extracted.
  SmallVector<OpFoldResult> indexElements(Value tensor);
  /// An integer as an index value; arithmetic on sizes is seen through.
  OpFoldResult liftIndex(Value integer, unsigned depth = 0);
  /// A rank-0 or rank-1 tensor of integers made of index values.
  Value fromIndices(ArrayRef<OpFoldResult> values, RankedTensorType type);

  /// The scalars of a small tensor of integers (rank 0 or 1) whose producer
  /// shows them. Shape arithmetic stays scalar this way, and sizes stay
  /// recognizable.
  std::optional<SmallVector<Value>> knownElements(Value tensor);
  Value fromElements(ArrayRef<Value> elements, RankedTensorType type) {
    return tensor::FromElementsOp::create(b, loc, type, elements);
  }

  /// True if two sizes are known to be equal when the program is compiled.
  bool knownEqual(OpFoldResult x, OpFoldResult y, unsigned depth = 0);
  /// Checks at run time that two sizes are equal, unless that is known.
  void requireEqual(OpFoldResult x, OpFoldResult y, const Twine &message);
  /// Checks a condition at run time; the message gets the layer's name.
  void require(Value cond, const Twine &message);

  /// Checks at run time that all elements of a tensor of integers are in
  /// [0, bound), or in [-bound, bound) if negative ones are allowed.
  void requireIndices(Value indices, OpFoldResult bound, bool allowNegative,
                      const Twine &message);

  //===--------------------------------------------------------------------===//
  // Tensors
  //===--------------------------------------------------------------------===//

  Value empty(ArrayRef<OpFoldResult> sizes, Type elem);
  Value filled(ArrayRef<OpFoldResult> sizes, Value scalar);
  /// Changes the static sizes of a type; checked at run time where they say
  /// more than before.
  Value castTo(Value tensor, RankedTensorType type);

  /// A linalg.generic over `sizes`, all parallel. 16-bit floats are widened
  /// to f32 for `fn` and the result is converted to `elem`.
  Value pointwise(ArrayRef<Value> ins, ArrayRef<AffineMap> maps,
                  ArrayRef<OpFoldResult> sizes, Type elem, ScalarFn fn,
                  bool isUnsigned = false);
  /// Elementwise with multidirectional broadcasting.
  Value map(ArrayRef<Value> ins, Type elem, ScalarFn fn,
            bool isUnsigned = false);
  /// Elementwise on one tensor; 16-bit floats are not widened.
  Value convert(Value tensor, Type elem, ScalarFn fn, bool isUnsigned = false);
  /// Each element computed from its position (index values).
  Value generate(ArrayRef<OpFoldResult> sizes, Type elem, ScalarFn fn,
                 bool isUnsigned = false);
  /// The element of a tensor at a position, inside a body.
  static Value at(Scalars &s, Value tensor, ValueRange position) {
    return tensor::ExtractOp::create(s.b, s.loc, tensor, position);
  }

  /// Folds `axes` with `fn(element, accumulator)`, starting at `init`, which
  /// gives the accumulator's type. The axes disappear.
  Value reduce(Value tensor, ArrayRef<int64_t> axes, Value init, ScalarFn fn,
               bool isUnsigned = false);
  /// Elementwise on a tensor and others that lack `axes` (reduced ones).
  Value mapReduced(Value tensor, ArrayRef<Value> reduced,
                   ArrayRef<int64_t> axes, Type elem, ScalarFn fn);
  /// Inserts dimensions of size 1.
  Value unsqueeze(Value tensor, ArrayRef<int64_t> axes);

  Value reshape(Value tensor, ArrayRef<OpFoldResult> sizes);
  Value transpose(Value tensor, ArrayRef<int64_t> perm);
  Value slice(Value tensor, ArrayRef<OpFoldResult> offsets,
              ArrayRef<OpFoldResult> sizes,
              ArrayRef<OpFoldResult> strides = {});
  /// A slice of one dimension.
  Value slice(Value tensor, int64_t dim, OpFoldResult offset,
              OpFoldResult size);
  Value insert(Value tensor, Value into, ArrayRef<OpFoldResult> offsets,
               ArrayRef<OpFoldResult> strides = {});
  Value concat(ArrayRef<Value> parts, int64_t axis);
  /// The positions of a cache and then new ones, as nibble.append_cache.
  Value appendCache(Value past, Value fresh, int64_t axis);
  /// Fills around a tensor with a scalar; negative amounts crop.
  Value pad(Value tensor, ArrayRef<OpFoldResult> low,
            ArrayRef<OpFoldResult> high, Value scalar);
  /// Broadcasts to sizes that the tensor's dimensions, aligned right, either
  /// equal or are 1.
  Value broadcastTo(Value tensor, ArrayRef<OpFoldResult> sizes);
  Value castElements(Value tensor, Type elem, bool fromUnsigned = false,
                     bool toUnsigned = false);
  /// a [batch..., M, K] times b [batch..., K, N] (or [batch..., N, K]); the
  /// batch dimensions are equal and both at most one. Result in `elem`,
  /// accumulated in at least f32.
  Value matmul(Value a, Value b, bool transposeB, Type elem);
  /// One scalar out of a tensor with one element.
  Value scalarOf(Value tensor);

private:
  Value mapElements(ArrayRef<Value> ins, Type elem, ScalarFn fn,
                    bool isUnsigned);
  /// The size that an earlier argument has in a dimension of the same name,
  /// null if there is none.
  OpFoldResult sizeOfFirstNamed(BlockArgument arg, int64_t dim);

  ValueRange operands;
  ConversionPatternRewriter &rewriter;
  const TypeConverter &types;
  LoweringState &state;
};

/// f32 for the 16-bit floats, else the type itself.
Type computeType(Type elem);
/// A row of identity dims without the given ones: what a reduced tensor is
/// indexed with.
AffineMap mapWithoutDims(MLIRContext *ctx, int64_t rank,
                         ArrayRef<int64_t> axes);
/// Axes made non-negative and sorted.
SmallVector<int64_t> normalizeAxes(ArrayRef<int64_t> axes, int64_t rank);

//===----------------------------------------------------------------------===//
// Shared between families
//===----------------------------------------------------------------------===//

/// One spatial dimension of a pooling or convolution: output o sees the
/// inputs o * stride - low + t * dilation, 0 <= t < kernel.
struct SpatialDim {
  OpFoldResult in, out, kernel;
  int64_t stride = 1, dilation = 1;
  /// Padding that the operator asks for.
  OpFoldResult low, high;
  /// Padding at the end so that every window fits (`ceil_mode` may need more
  /// than `high`).
  OpFoldResult highToFit;
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode. The kernel sizes
/// come from an attribute or from a weight.
FailureOr<SmallVector<SpatialDim>>
readSpatialDims(OpLowering &l, Value input, ArrayRef<OpFoldResult> kernel);

/// The input with a scalar around its spatial dimensions.
Value padSpatial(OpLowering &l, Value x, ArrayRef<SpatialDim> dims,
                 Value scalar);

/// NumPy's product: a vector is a row (column) that disappears again, leading
/// dimensions broadcast. They are collapsed to one, so that the product is a
/// linalg.matmul or linalg.batch_matmul.
Value matmulBroadcast(OpLowering &l, Value a, Value b, Type elem);

/// round-half-even(x / scale) + zero, saturated before the conversion; `zero`
/// may be null. `to` is the ONNX type without its sign; fewer than 8 bits give
/// a code.
Value quantizeScalar(Scalars &s, Value x, Value scale, Value zero, Type to,
                     bool isUnsigned);

/// The bytes that a DequantizeLinear with one scale makes an input from, with
/// the scale as f32 and the zero point as i32.
struct DequantizedInput {
  Value codes, scale, zero;
  bool isUnsigned;
};
std::optional<DequantizedInput> getDequantizedInput(OpLowering &l, unsigned i);

/// exp(x - max) over its sum along an axis; nothing overflows.
Value softmax(OpLowering &l, Value x, int64_t axis, Type elem);

/// x - max - log(sum of exp(x - max)) along an axis.
Value logSoftmax(OpLowering &l, Value x, int64_t axis, Type elem);

/// Whether an onnx.Concat adds computed positions to those of an argument of
/// the function, whose number is open, and its result is returned: what
/// exporters write that do not know Attention.
bool isPresent(Operation *concat, int64_t axis);

/// Sequential loops over `sizes` that carry one tensor.
Value loopOver(
    OpLowering &l, ArrayRef<OpFoldResult> sizes, Value init,
    llvm::function_ref<Value(Scalars &, ValueRange position, Value tensor)>
        body);

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

using LowerFn = LogicalResult (*)(OpLowering &);
/// From the operation's name to its lowering.
using LowerTable = llvm::StringMap<LowerFn>;

/// Operators with subgraphs, which need a pattern of their own.
void populateControlFlowPatterns(RewritePatternSet &patterns,
                                 const TypeConverter &types,
                                 LoweringState &state);

void addElementwise(LowerTable &table);
void addActivations(LowerTable &table);
void addShape(LowerTable &table);
void addMovement(LowerTable &table);
void addIndexing(LowerTable &table);
void addCaches(LowerTable &table);
void addReductions(LowerTable &table);
void addNormalization(LowerTable &table);
void addPooling(LowerTable &table);
void addMatMul(LowerTable &table);
void addConvolution(LowerTable &table);
void addResize(LowerTable &table);
void addAttention(LowerTable &table);
void addQuantization(LowerTable &table);
void addCasts(LowerTable &table);
void addRecurrent(LowerTable &table);
void addWindows(LowerTable &table);
void addTraining(LowerTable &table);
void addSorting(LowerTable &table);
void addSignal(LowerTable &table);
void addSampling(LowerTable &table);
void addRandom(LowerTable &table);
void addMixers(LowerTable &table);
void addMachineLearning(LowerTable &table);

} // namespace nibble::onnx_to_linalg

#endif // NIBBLE_LIB_CONVERSION_ONNXTOLINALG_LOWERING_H
