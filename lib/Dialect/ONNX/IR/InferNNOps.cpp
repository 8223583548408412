//===- InferNNOps.cpp - Shapes of convolutions, layers and quantization ---===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Dialect/ONNX/IR/ONNXOps.h"
#include "nibble/Dialect/ONNX/IR/ShapeInference.h"
#include "nibble/Dialect/ONNX/IR/Window.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

std::optional<ArrayRef<int64_t>> WindowAttrs::getInts(Operation *op,
                                                      StringRef name) {
  if (auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name))
    return attr.asArrayRef();
  return std::nullopt;
}

FailureOr<WindowAttrs>
WindowAttrs::get(Operation *op, ArrayRef<int64_t> kernel,
                 function_ref<InFlightDiagnostic()> emit) {
  size_t rank = kernel.size();
  WindowAttrs result;
  auto read = [&](StringRef name, size_t count, int64_t missing,
                  SmallVectorImpl<int64_t> &out) -> LogicalResult {
    std::optional<ArrayRef<int64_t>> values = getInts(op, name);
    if (!values || values->empty()) {
      out.assign(count, missing);
      return success();
    }
    if (values->size() != count)
      return emit() << name << " has " << values->size()
                    << " elements, expected " << count << " for " << rank
                    << " spatial dimensions";
    // Products of two of them are computed.
    for (int64_t value : *values)
      if (value > INT32_MAX || value < -INT32_MAX)
        return emit() << name << " has the element " << value
                      << ", expected at most " << INT32_MAX;
    out.assign(values->begin(), values->end());
    return success();
  };
  for (int64_t size : kernel)
    if (size > INT32_MAX)
      return emit() << "the kernel has size " << size << ", expected at most "
                    << INT32_MAX;
  result.kernel.assign(kernel.begin(), kernel.end());
  if (failed(read("strides", rank, 1, result.strides)) ||
      failed(read("dilations", rank, 1, result.dilations)) ||
      failed(read("pads", 2 * rank, 0, result.pads)))
    return failure();
  if (auto pad = op->getAttrOfType<StringAttr>("auto_pad"))
    result.autoPad = pad.getValue();
  if (result.autoPad == "VALID")
    result.pads.assign(2 * rank, 0);
  if (auto mode = op->getAttrOfType<IntegerAttr>("ceil_mode"))
    result.ceilMode = mode.getInt() != 0;
  return result;
}

void WindowAttrs::resolveSamePadding(unsigned d, int64_t size) {
  int64_t extent = (kernel[d] - 1) * dilations[d] + 1;
  int64_t windows = llvm::divideCeil(size, strides[d]);
  int64_t total =
      std::max<int64_t>(0, (windows - 1) * strides[d] + extent - size);
  int64_t low = autoPad == "SAME_LOWER" ? (total + 1) / 2 : total / 2;
  pads[d] = low;
  pads[d + kernel.size()] = total - low;
}

Dim WindowAttrs::getWindowCount(unsigned d, const Dim &size) const {
  if (!size.isConstant()) {
    if (isSame() && strides[d] == 1)
      return size;
    // A padded convolution with stride 1 that keeps the size.
    int64_t extent = (kernel[d] - 1) * dilations[d] + 1;
    if (!isSame() && strides[d] == 1 && autoPad != "VALID" &&
        pads[d] + pads[d + kernel.size()] == extent - 1)
      return size;
    return Dim();
  }
  int64_t in = size.getConstant();
  if (isSame())
    return Dim(static_cast<int64_t>(llvm::divideCeil(in, strides[d])));
  bool valid = autoPad == "VALID";
  int64_t low = valid ? 0 : pads[d], high = valid ? 0 : pads[d + kernel.size()];
  int64_t extent = (kernel[d] - 1) * dilations[d] + 1;
  int64_t room = in + low + high - extent;
  if (room < 0)
    return Dim(0);
  if (!ceilMode)
    return Dim(room / strides[d] + 1);
  int64_t count = llvm::divideCeil(room, strides[d]) + 1;
  // The last window must start inside the operand or its lower padding.
  if ((count - 1) * strides[d] >= in + low)
    --count;
  return Dim(count);
}

/// Sizes of the spatial dimensions of a kernel: the attribute, checked against
/// the weight's shape. Nothing if they are not known yet.
static FailureOr<std::optional<SmallVector<int64_t>>>
getKernel(InferContext &context, const std::optional<Shape> &weight) {
  std::optional<ArrayRef<int64_t>> declared =
      WindowAttrs::getInts(context.getOperation(), "kernel_shape");
  SmallVector<int64_t> kernel;
  if (weight) {
    for (const Dim &dim : ArrayRef<Dim>(*weight).drop_front(2)) {
      if (!dim.isConstant())
        return std::optional<SmallVector<int64_t>>();
      kernel.push_back(dim.getConstant());
    }
    if (declared && *declared != ArrayRef<int64_t>(kernel))
      return context.emitError() << "kernel_shape is [" << *declared
                                 << "], but W has shape " << toString(*weight);
    return std::optional(kernel);
  }
  if (!declared)
    return std::optional<SmallVector<int64_t>>();
  kernel.assign(declared->begin(), declared->end());
  return std::optional(kernel);
}

LogicalResult onnx::detail::inferConvOf(InferContext &context, unsigned input,
                                        unsigned weight, int64_t group) {
  std::optional<Shape> x = context.getShape(input),
                       w = context.getShape(weight);
  if (!x || !w) {
    if (x || w)
      context.setRank(0, x ? x->size() : w->size());
    return success();
  }
  if (failed(context.checkRank("X", *x, 3, INT_MAX)) ||
      failed(context.checkRank("W", *w, x->size(), x->size())))
    return failure();
  if ((*x)[1].isConstant() && (*w)[1].isConstant() &&
      (*x)[1].getConstant() != (*w)[1].getConstant() * group)
    return context.emitError()
           << "X has shape " << toString(*x) << ", but W of shape "
           << toString(*w) << " with group " << group << " needs "
           << (*w)[1].getConstant() * group << " channels";
  if ((*w)[0].isConstant() && (*w)[0].getConstant() % group != 0)
    return context.emitError() << "W of shape " << toString(*w)
                               << " has output channels that do not divide "
                                  "into "
                               << group << " groups";
  auto kernel = getKernel(context, w);
  if (failed(kernel))
    return failure();
  Shape result(x->size(), Dim());
  result[0] = (*x)[0];
  result[1] = (*w)[0];
  if (*kernel) {
    auto window = WindowAttrs::get(context.getOperation(), **kernel,
                                   [&] { return context.emitError(); });
    if (failed(window))
      return failure();
    for (size_t d = 0; d + 2 < x->size(); ++d) {
      result[d + 2] = window->getWindowCount(d, (*x)[d + 2]);
      if (result[d + 2].isConstant(0) && !(*x)[d + 2].isConstant(0))
        return context.emitError()
               << "X of shape " << toString(*x)
               << " is smaller than the kernel in spatial dimension " << d;
    }
  }
  context.setShape(0, result);
  return success();
}

LogicalResult ConvOp::inferShapes(InferContext &context) {
  if (failed(detail::inferConvOf(context, 0, 1, getGroup())))
    return failure();
  std::optional<Shape> bias = context.getShape(2), w = context.getShape(1);
  if (bias && w && bias->size() == 1 && (*bias)[0].isConstant() &&
      (*w)[0].isConstant() && (*bias)[0] != (*w)[0])
    return context.emitError() << "B has shape " << toString(*bias)
                               << ", but W has shape " << toString(*w);
  return success();
}

LogicalResult ConvIntegerOp::inferShapes(InferContext &context) {
  return detail::inferConvOf(context, 0, 1, getGroup());
}

LogicalResult QLinearConvOp::inferShapes(InferContext &context) {
  return detail::inferConvOf(context, 0, 3, getGroup());
}

LogicalResult ConvTransposeOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0), w = context.getShape(1);
  if (!x || !w) {
    if (x || w)
      context.setRank(0, x ? x->size() : w->size());
    return success();
  }
  if (failed(context.checkRank("X", *x, 3, INT_MAX)) ||
      failed(context.checkRank("W", *w, x->size(), x->size())))
    return failure();
  if ((*x)[1].isConstant() && (*w)[0].isConstant() && (*x)[1] != (*w)[0])
    return context.emitError()
           << "X has shape " << toString(*x) << ", but W has shape "
           << toString(*w) << ": expected the same number of channels";
  auto kernel = getKernel(context, w);
  if (failed(kernel))
    return failure();
  Shape result(x->size(), Dim());
  result[0] = (*x)[0];
  result[1] = (*w)[1] * Dim(getGroup());
  if (*kernel) {
    auto window =
        WindowAttrs::get(*this, **kernel, [&] { return context.emitError(); });
    if (failed(window))
      return failure();
    size_t rank = (*kernel)->size();
    auto sizes = getOutputShape(), extra = getOutputPadding();
    if ((sizes && sizes->size() != rank) || (extra && extra->size() != rank))
      return context.emitError()
             << "output_shape and output_padding need " << rank << " elements";
    for (size_t d = 0; d < rank; ++d) {
      const Dim &in = (*x)[d + 2];
      Dim &out = result[d + 2];
      if (sizes)
        out = Dim((*sizes)[d]);
      else if (window->isSame())
        out = in * Dim(window->strides[d]);
      else if (in.isConstant())
        out = Dim(window->strides[d]) * (in - Dim(1)) +
              Dim(extra ? (*extra)[d] : 0) +
              Dim((window->kernel[d] - 1) * window->dilations[d] + 1 -
                  window->pads[d] - window->pads[d + rank]);
    }
  }
  context.setShape(0, result);
  return success();
}

LogicalResult onnx::detail::inferPool(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  ArrayRef<int64_t> kernel =
      *WindowAttrs::getInts(context.getOperation(), "kernel_shape");
  if (kernel.size() + 2 != x->size())
    return context.emitError() << "kernel_shape has " << kernel.size()
                               << " elements, but X has shape " << toString(*x);
  auto window = WindowAttrs::get(context.getOperation(), kernel,
                                 [&] { return context.emitError(); });
  if (failed(window))
    return failure();
  for (size_t d = 0; d < kernel.size(); ++d) {
    Dim &dim = (*x)[d + 2];
    Dim count = window->getWindowCount(d, dim);
    if (count.isConstant(0) && !dim.isConstant(0))
      return context.emitError()
             << "X of shape " << toString(*x)
             << " is smaller than the window in spatial dimension " << d;
    dim = count;
  }
  context.setShape(0, *x);
  context.setShape(1, *x);
  return success();
}

LogicalResult MaxPoolOp::inferShapes(InferContext &context) {
  return detail::inferPool(context);
}
LogicalResult AveragePoolOp::inferShapes(InferContext &context) {
  return detail::inferPool(context);
}
LogicalResult LpPoolOp::inferShapes(InferContext &context) {
  return detail::inferPool(context);
}

LogicalResult onnx::detail::inferGlobalPool(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  if (failed(context.checkRank("X", *x, 2, INT_MAX)))
    return failure();
  for (Dim &dim : MutableArrayRef<Dim>(*x).drop_front(2))
    dim = Dim(1);
  context.setShape(0, *x);
  return success();
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

LogicalResult BatchNormalizationOp::inferShapes(InferContext &context) {
  std::optional<Shape> x = context.getShape(0);
  for (unsigned i = 1; i <= 4; ++i) {
    std::optional<Shape> parameter = context.getShape(i);
    if (!parameter)
      continue;
    if (failed(context.checkRank("a parameter", *parameter, 1, 1)))
      return failure();
    if (x && x->size() > 1 && (*x)[1].isConstant() &&
        (*parameter)[0].isConstant() && (*x)[1] != (*parameter)[0])
      return context.emitError()
             << "X has shape " << toString(*x) << ", but operand #" << i
             << " has shape " << toString(*parameter);
  }
  if (x)
    context.setShape(0, *x);
  for (unsigned i = 1; i <= 2; ++i) {
    if (std::optional<Shape> mean = context.getShape(i + 2))
      context.setShape(i, *mean);
    context.setElementType(i, context.getElementType(i + 2));
  }
  return success();
}

LogicalResult LayerNormalizationOp::inferShapes(InferContext &context) {
  for (unsigned i : {1, 2})
    context.setElementType(i, getElementType(getContext(), getStashType()));
  std::optional<Shape> x = context.getShape(0);
  if (!x)
    return success();
  std::optional<int64_t> axis = context.normalizeAxis(getAxis(), x->size());
  if (!axis)
    return failure();
  context.setShape(0, *x);
  for (Dim &dim : MutableArrayRef<Dim>(*x).drop_front(*axis))
    dim = Dim(1);
  context.setShape(1, *x);
  context.setShape(2, *x);
  return success();
}

LogicalResult AttentionOp::inferShapes(InferContext &context) {
  std::optional<Shape> q = context.getShape(0), k = context.getShape(1),
                       v = context.getShape(2);
  if (!q || !k || !v) {
    if (q)
      context.setRank(0, q->size());
    for (unsigned i : {1, 2, 3})
      context.setRank(i, 4);
    return success();
  }
  if (failed(context.checkRank("Q", *q, 3, 4)) ||
      failed(context.checkRank("K", *k, q->size(), q->size())) ||
      failed(context.checkRank("V", *v, q->size(), q->size())))
    return failure();
  bool isFlat = q->size() == 3;
  if (isFlat && (!getQNumHeads() || !getKvNumHeads()))
    return context.emitError() << "Q has shape " << toString(*q)
                               << ": rank 3 needs q_num_heads and kv_num_heads";
  // To (batch, heads, length, size).
  auto unflatten = [&](const Shape &shape, int64_t heads) -> Shape {
    return {shape[0], Dim(heads), shape[1], shape[2].exactDiv(Dim(heads))};
  };
  Shape q4 = isFlat ? unflatten(*q, *getQNumHeads()) : *q;
  Shape k4 = isFlat ? unflatten(*k, *getKvNumHeads()) : *k;
  Shape v4 = isFlat ? unflatten(*v, *getKvNumHeads()) : *v;
  if (q4[3].isConstant() && k4[3].isConstant() && q4[3] != k4[3])
    return context.emitError()
           << "Q of shape " << toString(*q) << " and K of shape "
           << toString(*k) << " have different head sizes";
  if (q4[1].isConstant() && k4[1].isConstant() &&
      (k4[1].isConstant(0) || q4[1].getConstant() % k4[1].getConstant() != 0))
    return context.emitError() << "Q has " << q4[1].getConstant()
                               << " heads, expected a multiple of the "
                               << k4[1].getConstant() << " heads of K";
  if (isFlat)
    context.setShape(0, {q4[0], q4[2], q4[1] * v4[3]});
  else
    context.setShape(0, {q4[0], q4[1], q4[2], v4[3]});
  Dim past(0);
  if (context.hasOperand(4)) {
    std::optional<Shape> shape = context.getShape(4);
    if (shape && failed(context.checkRank("past_key", *shape, 4, 4)))
      return failure();
    past = shape ? (*shape)[2] : Dim();
  }
  Dim length = past + k4[2];
  // One symbol for the length, so that present_key and present_value agree.
  if (!length.isKnown())
    length = context.getState().makeSymbol();
  k4[2] = v4[2] = length;
  context.setShape(1, k4);
  context.setShape(2, v4);
  context.setShape(3, {q4[0], q4[1], q4[2], length});
  return success();
}

LogicalResult onnx::detail::inferRecurrent(InferContext &context) {
  Operation *op = context.getOperation();
  std::optional<Shape> x = context.getShape(0), r = context.getShape(2);
  bool batchFirst = op->getAttrOfType<IntegerAttr>("layout").getInt() != 0;
  auto direction = op->getAttrOfType<StringAttr>("direction").getValue();
  Dim directions(direction == "bidirectional" ? 2 : 1);
  Dim hidden;
  if (auto size = op->getAttrOfType<IntegerAttr>("hidden_size"))
    hidden = Dim(size.getInt());
  if (x && failed(context.checkRank("X", *x, 3, 3)))
    return failure();
  if (r) {
    if (failed(context.checkRank("R", *r, 3, 3)))
      return failure();
    if (hidden.isConstant() && (*r)[2].isConstant() && (*r)[2] != hidden)
      return context.emitError() << "hidden_size is " << hidden.getConstant()
                                 << ", but R has shape " << toString(*r);
    if (!hidden.isConstant())
      hidden = (*r)[2];
    if ((*r)[0].isConstant() && (*r)[0] != directions)
      return context.emitError()
             << "R has shape " << toString(*r) << ", expected "
             << directions.getConstant() << " directions for direction '"
             << direction << "'";
  }
  if (std::optional<Shape> w = context.getShape(1)) {
    if (failed(context.checkRank("W", *w, 3, 3)))
      return failure();
    if (x && (*w)[2].isConstant() && (*x)[2].isConstant() && (*w)[2] != (*x)[2])
      return context.emitError() << "W has shape " << toString(*w)
                                 << ", but X has shape " << toString(*x);
  }
  Dim length = x ? (*x)[batchFirst ? 1 : 0] : Dim();
  Dim batch = x ? (*x)[batchFirst ? 0 : 1] : Dim();
  if (batchFirst) {
    context.setShape(0, {batch, length, directions, hidden});
    for (unsigned i : {1, 2})
      context.setShape(i, {batch, directions, hidden});
  } else {
    context.setShape(0, {length, directions, batch, hidden});
    for (unsigned i : {1, 2})
      context.setShape(i, {directions, batch, hidden});
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Quantization
//===----------------------------------------------------------------------===//

LogicalResult QuantizeLinearOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  if (Type type = context.getElementType(2))
    context.setElementType(0, type);
  else if (!context.hasOperand(2))
    context.setElementType(
        0, getOutputDtype()
               ? getElementType(getContext(), getOutputDtype())
               : IntegerType::get(getContext(), 8, IntegerType::Unsigned));
  return success();
}

LogicalResult DequantizeLinearOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  context.setElementType(0, getOutputDtype()
                                ? getElementType(getContext(), getOutputDtype())
                                : context.getElementType(1));
  return success();
}

LogicalResult DynamicQuantizeLinearOp::inferShapes(InferContext &context) {
  if (std::optional<Shape> shape = context.getShape(0))
    context.setShape(0, *shape);
  context.setShape(1, {});
  context.setShape(2, {});
  return success();
}
