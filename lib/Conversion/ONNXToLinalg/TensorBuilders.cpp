//===- TensorBuilders.cpp - linalg and tensor operations ------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

static RankedTensorType typeOf(Value v) {
  return cast<RankedTensorType>(v.getType());
}

Value OpLowering::empty(ArrayRef<OpFoldResult> sizes, Type elem) {
  return tensor::EmptyOp::create(b, loc, sizes, elem);
}

Value OpLowering::filled(ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value init = empty(sizes, scalar.getType());
  return linalg::FillOp::create(b, loc, scalar, init).getResult(0);
}

Value OpLowering::castTo(Value tensor, RankedTensorType type) {
  auto from = typeOf(tensor);
  if (from == type)
    return tensor;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (!type.isDynamicDim(d) && from.isDynamicDim(d))
      requireEqual(size(tensor, d), index(type.getDimSize(d)),
                   "dimension " + Twine(d) + " must be " +
                       Twine(type.getDimSize(d)));
  return tensor::CastOp::create(b, loc, type, tensor);
}

Value OpLowering::scalarOf(Value tensor) {
  auto type = typeOf(tensor);
  SmallVector<Value> zeros(type.getRank(), nullptr);
  for (Value &zero : zeros)
    zero = value(index(0));
  return tensor::ExtractOp::create(b, loc, tensor, zeros);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// Widens 16-bit floats, calls `fn`, converts to the wanted type.
static Value callWidened(Scalars &s, ValueRange args, Type elem, ScalarFn fn) {
  SmallVector<Value> wide;
  for (Value arg : args)
    wide.push_back(s.cast(arg, computeType(arg.getType()), false, false));
  Value result = fn(s, wide);
  return isa<FloatType>(elem) ? s.cast(result, elem, false, false) : result;
}

Value OpLowering::pointwise(ArrayRef<Value> ins, ArrayRef<AffineMap> maps,
                            ArrayRef<OpFoldResult> sizes, Type elem,
                            ScalarFn fn, bool isUnsigned) {
  int64_t rank = sizes.size();
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  Value init = empty(sizes, elem);
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), ins, init, allMaps, iterators,
      [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
        Scalars s{nested, nestedLoc, isUnsigned};
        Value result = callWidened(s, args.drop_back(), elem, fn);
        linalg::YieldOp::create(nested, nestedLoc, result);
      });
  return generic.getResult(0);
}

/// Arithmetic on a few integers whose scalars are known stays scalar.
Value OpLowering::mapElements(ArrayRef<Value> ins, Type elem, ScalarFn fn,
                              bool isUnsigned) {
  size_t count = 1;
  int64_t rank = 0;
  SmallVector<SmallVector<Value>> elements;
  for (Value in : ins) {
    auto known = knownElements(in);
    if (!known || (known->size() != 1 && count != 1 && known->size() != count))
      return {};
    if (known->size() != 1)
      count = known->size();
    rank = std::max(rank, typeOf(in).getRank());
    elements.push_back(std::move(*known));
  }
  if (!isa<IntegerType>(elem) || elements.empty())
    return {};
  Scalars s = scalars(isUnsigned);
  SmallVector<Value> results;
  for (size_t i = 0; i < count; ++i) {
    SmallVector<Value> args;
    for (const auto &known : elements)
      args.push_back(known[known.size() == 1 ? 0 : i]);
    results.push_back(fn(s, args));
  }
  SmallVector<int64_t> shape(rank, count);
  return fromElements(results, RankedTensorType::get(shape, elem));
}

Value OpLowering::map(ArrayRef<Value> ins, Type elem, ScalarFn fn,
                      bool isUnsigned) {
  int64_t rank = 0;
  for (Value in : ins)
    rank = std::max(rank, typeOf(in).getRank());

  if (Value scalar = mapElements(ins, elem, fn, isUnsigned))
    return scalar;

  // The size of each result dimension: a known one above 1 decides, then a
  // dynamic one; all that are not known to be 1 have to agree with it.
  SmallVector<OpFoldResult> resultSizes;
  for (int64_t d = 0; d < rank; ++d) {
    OpFoldResult chosen = index(1);
    Value chosenFrom;
    auto consider = [&](bool dynamic) {
      for (Value in : ins) {
        auto type = typeOf(in);
        int64_t dim = d - (rank - type.getRank());
        if (dim < 0)
          continue;
        OpFoldResult candidate = size(in, dim);
        auto known = getConstantIntValue(candidate);
        if (known == 1 || known.has_value() == dynamic)
          continue;
        if (!chosenFrom) {
          chosen = candidate;
          chosenFrom = in;
          continue;
        }
        requireEqual(chosen, candidate,
                     "dimension " + Twine(d - rank) +
                         " of the inputs differs and cannot be broadcast");
      }
    };
    consider(/*dynamic=*/false);
    consider(/*dynamic=*/true);
    resultSizes.push_back(chosen);
  }

  SmallVector<AffineMap> maps;
  for (Value in : ins) {
    auto type = typeOf(in);
    SmallVector<AffineExpr> exprs;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      int64_t d = dim + rank - type.getRank();
      bool stretched =
          type.getDimSize(dim) == 1 && getConstantIntValue(resultSizes[d]) != 1;
      exprs.push_back(stretched ? b.getAffineConstantExpr(0)
                                : b.getAffineDimExpr(d));
    }
    maps.push_back(AffineMap::get(rank, 0, exprs, b.getContext()));
  }
  return pointwise(ins, maps, resultSizes, elem, fn, isUnsigned);
}

Value OpLowering::generate(ArrayRef<OpFoldResult> sizes, Type elem, ScalarFn fn,
                           bool isUnsigned) {
  int64_t rank = sizes.size();
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  Value init = empty(sizes, elem);
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), ValueRange{}, init,
      b.getMultiDimIdentityMap(rank), iterators,
      [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
        SmallVector<Value> position;
        for (int64_t d = 0; d < rank; ++d)
          position.push_back(linalg::IndexOp::create(nested, nestedLoc, d));
        Scalars s{nested, nestedLoc, isUnsigned};
        linalg::YieldOp::create(nested, nestedLoc, fn(s, position));
      });
  return generic.getResult(0);
}

Value OpLowering::castElements(Value tensor, Type elem, bool fromUnsigned,
                               bool toUnsigned) {
  if (typeOf(tensor).getElementType() == elem)
    return tensor;
  if (isa<IntegerType>(elem))
    if (auto known = knownElements(tensor)) {
      Scalars s = scalars();
      for (Value &element : *known)
        element = s.cast(element, elem, fromUnsigned, toUnsigned);
      return fromElements(*known, typeOf(tensor).clone(elem));
    }
  return convert(tensor, elem, [&](Scalars &s, ValueRange v) {
    return s.cast(v[0], elem, fromUnsigned, toUnsigned);
  });
}

Value OpLowering::convert(Value tensor, Type elem, ScalarFn fn,
                          bool isUnsigned) {
  int64_t rank = typeOf(tensor).getRank();
  AffineMap id = b.getMultiDimIdentityMap(rank);
  Value init = empty(sizes(tensor), elem);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), tensor, init, ArrayRef<AffineMap>{id, id},
      iterators, [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
        Scalars s{nested, nestedLoc, isUnsigned};
        linalg::YieldOp::create(nested, nestedLoc, fn(s, args.take_front()));
      });
  return generic.getResult(0);
}

Value OpLowering::broadcastTo(Value tensor, ArrayRef<OpFoldResult> sizes) {
  int64_t rank = typeOf(tensor).getRank(), resultRank = sizes.size();
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < rank; ++dim) {
    int64_t d = dim + resultRank - rank;
    bool stretched = isOne(tensor, dim) && getConstantIntValue(sizes[d]) != 1;
    exprs.push_back(stretched ? b.getAffineConstantExpr(0)
                              : b.getAffineDimExpr(d));
    if (!stretched)
      requireEqual(this->size(tensor, dim), sizes[d],
                   "dimension " + Twine(dim) + " cannot be broadcast");
  }
  AffineMap map = AffineMap::get(resultRank, 0, exprs, b.getContext());
  if (map.isIdentity())
    return tensor;
  SmallVector<AffineMap> maps{map, b.getMultiDimIdentityMap(resultRank)};
  SmallVector<utils::IteratorType> iterators(resultRank,
                                             utils::IteratorType::parallel);
  Value init = empty(sizes, typeOf(tensor).getElementType());
  auto generic = linalg::GenericOp::create(
      b, loc, init.getType(), tensor, init, maps, iterators,
      [](OpBuilder &nested, Location nestedLoc, ValueRange args) {
        linalg::YieldOp::create(nested, nestedLoc, args[0]);
      });
  return generic.getResult(0);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value OpLowering::reduce(Value tensor, ArrayRef<int64_t> axes, Value init,
                         ScalarFn fn, bool isUnsigned) {
  int64_t rank = typeOf(tensor).getRank();
  SmallVector<OpFoldResult> kept;
  SmallVector<utils::IteratorType> iterators;
  for (int64_t d = 0; d < rank; ++d) {
    bool reduced = llvm::is_contained(axes, d);
    iterators.push_back(reduced ? utils::IteratorType::reduction
                                : utils::IteratorType::parallel);
    if (!reduced)
      kept.push_back(size(tensor, d));
  }
  Value out = filled(kept, init);
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank),
                              mapWithoutDims(b.getContext(), rank, axes)};
  auto generic = linalg::GenericOp::create(
      b, loc, out.getType(), tensor, out, maps, iterators,
      [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
        Scalars s{nested, nestedLoc, isUnsigned};
        Value element = args[0];
        if (isa<FloatType>(element.getType()) && isa<FloatType>(init.getType()))
          element = s.cast(element, init.getType(), false, false);
        linalg::YieldOp::create(nested, nestedLoc, fn(s, {element, args[1]}));
      });
  return generic.getResult(0);
}

Value OpLowering::mapReduced(Value tensor, ArrayRef<Value> reduced,
                             ArrayRef<int64_t> axes, Type elem, ScalarFn fn) {
  int64_t rank = typeOf(tensor).getRank();
  SmallVector<Value> ins{tensor};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank)};
  for (Value v : reduced) {
    ins.push_back(v);
    maps.push_back(mapWithoutDims(b.getContext(), rank, axes));
  }
  return pointwise(ins, maps, sizes(tensor), elem, fn);
}

Value OpLowering::unsqueeze(Value tensor, ArrayRef<int64_t> axes) {
  int64_t rank = typeOf(tensor).getRank() + axes.size();
  SmallVector<OpFoldResult> newSizes;
  for (int64_t d = 0, from = 0; d < rank; ++d)
    newSizes.push_back(llvm::is_contained(axes, d) ? index(1)
                                                   : size(tensor, from++));
  return reshape(tensor, newSizes);
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

Value OpLowering::transpose(Value tensor, ArrayRef<int64_t> perm) {
  if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return tensor;
  SmallVector<OpFoldResult> permuted;
  for (int64_t d : perm)
    permuted.push_back(size(tensor, d));
  Value init = empty(permuted, typeOf(tensor).getElementType());
  return linalg::TransposeOp::create(b, loc, tensor, init, perm)->getResult(0);
}

/// Whether sizes are known to hold no element.
static bool isEmpty(ArrayRef<OpFoldResult> sizes) {
  return llvm::any_of(
      sizes, [](OpFoldResult size) { return getConstantIntValue(size) == 0; });
}

Value OpLowering::slice(Value tensor, ArrayRef<OpFoldResult> offsets,
                        ArrayRef<OpFoldResult> sizes,
                        ArrayRef<OpFoldResult> strides) {
  SmallVector<OpFoldResult> ones(offsets.size(), index(1));
  if (auto known = knownElements(tensor); known && offsets.size() == 1) {
    auto from = getConstantIntValue(offsets[0]);
    auto count = getConstantIntValue(sizes[0]);
    auto step = getConstantIntValue(strides.empty() ? ones[0] : strides[0]);
    if (from && count && step) {
      SmallVector<Value> kept;
      for (int64_t i = 0; i < *count; ++i)
        kept.push_back((*known)[*from + i * *step]);
      return fromElements(
          kept, RankedTensorType::get(*count, typeOf(tensor).getElementType()));
    }
  }
  // An empty slice may start at the end, where no element is.
  if (isEmpty(sizes))
    return empty(sizes, typeOf(tensor).getElementType());
  return tensor::ExtractSliceOp::create(b, loc, tensor, offsets, sizes,
                                        strides.empty() ? ones : strides);
}

Value OpLowering::slice(Value tensor, int64_t dim, OpFoldResult offset,
                        OpFoldResult size) {
  SmallVector<OpFoldResult> offsets(typeOf(tensor).getRank(), index(0));
  SmallVector<OpFoldResult> newSizes = sizes(tensor);
  offsets[dim] = offset;
  newSizes[dim] = size;
  return slice(tensor, offsets, newSizes);
}

Value OpLowering::insert(Value tensor, Value into,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> strides) {
  SmallVector<OpFoldResult> ones(offsets.size(), index(1));
  if (isEmpty(sizes(tensor)))
    return into;
  return tensor::InsertSliceOp::create(b, loc, tensor, into, offsets,
                                       sizes(tensor),
                                       strides.empty() ? ones : strides);
}

Value OpLowering::concat(ArrayRef<Value> parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  SmallVector<Value> scalarParts;
  for (Value part : parts) {
    auto known = knownElements(part);
    if (!known) {
      scalarParts.clear();
      break;
    }
    scalarParts.append(*known);
  }
  if (!scalarParts.empty())
    return fromElements(
        scalarParts, RankedTensorType::get(scalarParts.size(),
                                           typeOf(parts[0]).getElementType()));
  // A size that is static in any part is the size of all.
  SmallVector<OpFoldResult> whole = sizes(parts[0]);
  whole[axis] = index(0);
  for (Value part : parts)
    for (int64_t d = 0, e = whole.size(); d < e; ++d) {
      if (d == axis)
        whole[d] = add(whole[d], size(part, d));
      else if (!getConstantIntValue(whole[d]))
        whole[d] =
            getConstantIntValue(size(part, d)) ? size(part, d) : whole[d];
    }
  Value result = empty(whole, typeOf(parts[0]).getElementType());
  SmallVector<OpFoldResult> offsets(whole.size(), index(0));
  for (Value part : parts) {
    for (int64_t d = 0, e = whole.size(); d < e; ++d)
      if (d != axis)
        requireEqual(size(part, d), whole[d],
                     "dimension " + Twine(d) + " of the parts differs");
    result = insert(part, result, offsets);
    offsets[axis] = add(offsets[axis], size(part, axis));
  }
  return result;
}

Value OpLowering::pad(Value tensor, ArrayRef<OpFoldResult> low,
                      ArrayRef<OpFoldResult> high, Value scalar) {
  int64_t rank = typeOf(tensor).getRank();
  auto isZero = [](OpFoldResult x) { return getConstantIntValue(x) == 0; };
  if (llvm::all_of(low, isZero) && llvm::all_of(high, isZero))
    return tensor;
  SmallVector<OpFoldResult> whole, offsets, cropOffsets, cropSizes;
  bool crops = false;
  for (int64_t d = 0; d < rank; ++d) {
    OpFoldResult n = size(tensor, d);
    whole.push_back(add(add(n, low[d]), high[d]));
    offsets.push_back(max(low[d], index(0)));
    cropOffsets.push_back(max(sub(index(0), low[d]), index(0)));
    OpFoldResult cropHigh = max(sub(index(0), high[d]), index(0));
    cropSizes.push_back(sub(sub(n, cropOffsets[d]), cropHigh));
    crops |= !isZero(cropOffsets[d]) || !isZero(cropHigh);
  }
  if (crops)
    tensor = slice(tensor, cropOffsets, cropSizes);
  return insert(tensor, filled(whole, scalar), offsets);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value OpLowering::matmul(Value lhs, Value rhs, bool transposeB, Type elem) {
  int64_t rank = typeOf(lhs).getRank();
  SmallVector<OpFoldResult> resultSizes = sizes(lhs);
  resultSizes[rank - 1] = size(rhs, transposeB ? rank - 2 : rank - 1);
  requireEqual(size(lhs, rank - 1), size(rhs, transposeB ? rank - 1 : rank - 2),
               "the contracted dimensions of the product differ");
  Type acc = computeType(elem);
  Value zero = scalars().constant(acc, 0);
  Value out = filled(resultSizes, zero);
  // The named operations extend their operands themselves.
  Value result;
  if (!transposeB && rank == 2 && isa<FloatType>(elem)) {
    result = linalg::MatmulOp::create(b, loc, out.getType(),
                                      ValueRange{lhs, rhs}, ValueRange{out})
                 .getResult(0);
  } else if (!transposeB && rank == 3 && isa<FloatType>(elem)) {
    result = linalg::BatchMatmulOp::create(
                 b, loc, out.getType(), ValueRange{lhs, rhs}, ValueRange{out})
                 .getResult(0);
  } else {
    MLIRContext *ctx = b.getContext();
    auto d = [&](int64_t i) { return getAffineDimExpr(i, ctx); };
    SmallVector<AffineExpr> left, right, both;
    for (int64_t i = 0; i < rank - 2; ++i) {
      left.push_back(d(i));
      right.push_back(d(i));
      both.push_back(d(i));
    }
    AffineExpr m = d(rank - 2), n = d(rank - 1), k = d(rank);
    left.append({m, k});
    transposeB ? right.append({n, k}) : right.append({k, n});
    both.append({m, n});
    SmallVector<AffineMap> maps{AffineMap::get(rank + 1, 0, left, ctx),
                                AffineMap::get(rank + 1, 0, right, ctx),
                                AffineMap::get(rank + 1, 0, both, ctx)};
    SmallVector<utils::IteratorType> iterators(rank,
                                               utils::IteratorType::parallel);
    iterators.push_back(utils::IteratorType::reduction);
    result =
        linalg::GenericOp::create(
            b, loc, out.getType(), ValueRange{lhs, rhs}, out, maps, iterators,
            [&](OpBuilder &nested, Location nestedLoc, ValueRange args) {
              Scalars s{nested, nestedLoc};
              Value x = s.cast(args[0], acc, false, false);
              Value y = s.cast(args[1], acc, false, false);
              linalg::YieldOp::create(nested, nestedLoc,
                                      s.add(args[2], s.mul(x, y)));
            })
            .getResult(0);
  }
  return castElements(result, elem);
}

} // namespace nibble::onnx_to_linalg
