//===- Recurrent.cpp - RNN, GRU and LSTM ----------------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products of all inputs with W are one matrix product before the loop over
// the steps; what remains in the loop is the product of the state with R and
// the arithmetic of the gates. Constant weights make both a `nibble.matmul`,
// so that they are quantized like other layers: "<layer>.input" and
// "<layer>.recurrent", with ".reverse" appended for the other direction.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"

using namespace mlir;

namespace nibble::onnx_to_linalg {

namespace {

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// One entry of the attribute `activations` with its coefficients.
struct Gate {
  std::string name;
  double alpha = 0, beta = 0;

  Value apply(Scalars &s, Value x) const;
};

Value Gate::apply(Scalars &s, Value x) const {
  Type type = x.getType();
  Value zero = s.constant(type, 0), one = s.constant(type, 1);
  auto scaled = [&] { return s.mul(s.constant(type, alpha), x); };
  if (name == "sigmoid")
    return s.sigmoid(x);
  if (name == "tanh")
    return s.tanh(x);
  if (name == "relu")
    return s.max(x, zero);
  if (name == "affine")
    return s.add(scaled(), s.constant(type, beta));
  if (name == "leakyrelu")
    return s.select(s.lt(x, zero), scaled(), x);
  if (name == "thresholdedrelu")
    return s.select(s.lt(s.constant(type, alpha), x), x, zero);
  if (name == "scaledtanh")
    return s.mul(s.constant(type, alpha),
                 s.tanh(s.mul(s.constant(type, beta), x)));
  if (name == "hardsigmoid")
    return s.max(zero, s.min(one, s.add(scaled(), s.constant(type, beta))));
  if (name == "elu") {
    Value below = math::ExpM1Op::create(s.b, s.loc, x);
    return s.select(s.lt(x, zero), s.mul(s.constant(type, alpha), below), x);
  }
  if (name == "softsign")
    return s.div(x, s.add(one, s.abs(x)));
  return s.softplus(x);
}

/// Reads `activations`; each takes its coefficients from the two lists in
/// turn, or has defaults.
FailureOr<SmallVector<Gate>>
readGates(OpLowering &l, ArrayRef<StringRef> defaults, int64_t directions) {
  struct Known {
    StringRef name;
    bool takesAlpha, takesBeta;
    double alpha, beta;
  };
  static const Known table[] = {{"sigmoid", false, false, 0, 0},
                                {"tanh", false, false, 0, 0},
                                {"relu", false, false, 0, 0},
                                {"affine", true, true, 1, 0},
                                {"leakyrelu", true, false, .01, 0},
                                {"thresholdedrelu", true, false, 1, 0},
                                {"scaledtanh", true, true, 1, 1},
                                {"hardsigmoid", true, true, .2, .5},
                                {"elu", true, false, 1, 0},
                                {"softsign", false, false, 0, 0},
                                {"softplus", false, false, 0, 0}};
  SmallVector<StringRef> names;
  for (int64_t d = 0; d < directions; ++d)
    llvm::append_range(names, defaults);
  if (auto given = l.op->getAttrOfType<ArrayAttr>("activations"))
    for (auto [name, attr] : llvm::zip(names, given.getAsRange<StringAttr>()))
      name = attr.getValue();
  auto list = [&](StringRef name) -> ArrayRef<float> {
    if (auto attr = l.op->getAttrOfType<DenseF32ArrayAttr>(name))
      return attr.asArrayRef();
    return {};
  };
  ArrayRef<float> alphas = list("activation_alpha");
  ArrayRef<float> betas = list("activation_beta");
  SmallVector<Gate> gates;
  for (StringRef name : names) {
    Gate gate{name.lower()};
    const Known *known = llvm::find_if(
        table, [&](const Known &entry) { return entry.name == gate.name; });
    if (known == std::end(table))
      return l.fail("activation '" + name + "' is unknown");
    auto take = [](bool wanted, ArrayRef<float> &from, double fallback) {
      if (!wanted || from.empty())
        return fallback;
      double value = from.front();
      from = from.drop_front();
      return value;
    };
    gate.alpha = take(known->takesAlpha, alphas, known->alpha);
    gate.beta = take(known->takesBeta, betas, known->beta);
    gates.push_back(gate);
  }
  return gates;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// y = x W' + bias, W of shape [N, K].
struct Product {
  Value weight, bias;
  /// The weight is a constant [N, K], else a value [K, N].
  bool isConstant = false;
  int64_t n = 0, k = 0;
  std::string layer;

  Value apply(OpLowering &l, Value x) const {
    RankedTensorType type = typeOf(x);
    if (isConstant) {
      SmallVector<int64_t> shape(type.getShape());
      shape.back() = n;
      auto product = nibble::MatMulOp::create(
          l.b, l.loc, type.clone(shape), x, weight, /*scales=*/Value(),
          /*zeros=*/Value(), /*group_index=*/Value(), /*second=*/Value(), bias,
          /*residual=*/Value(), /*outs=*/Value(), l.b.getI64IntegerAttr(n),
          l.b.getI64IntegerAttr(k), l.b.getUnitAttr(),
          /*packed_float=*/UnitAttr(), SchemeAttr(), ActivationAttr(),
          l.b.getStrArrayAttr({layer}));
      product->setAttr(NibbleDialect::getOperatorTypeAttr(),
                       l.b.getStringAttr(l.op->getName().stripDialect()));
      return product.getResult();
    }
    Value product = matmulBroadcast(l, x, weight, type.getElementType());
    if (!bias)
      return product;
    return l.map({product, bias}, type.getElementType(),
                 [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
  }
};

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

/// One direction of a layer. States are [1, batch, hidden].
class Cell {
public:
  Cell(OpLowering &l, int64_t direction, bool reverse, ArrayRef<Gate> gates)
      : reverse(reverse), l(l), direction(direction), gates(gates),
        elem(computeType(l.inElem(0))), hidden(l.size(l.in(2), 2)) {}

  /// Products of all steps [length, batch, gates * hidden].
  LogicalResult prepare(Value x);
  /// The next states from the old ones (hidden, and for LSTM cell).
  SmallVector<Value> step(Value at, ValueRange states);

  /// Row `direction` of a tensor [directions, ...], in the type of computing.
  Value ofDirection(Value tensor) {
    return l.castElements(l.slice(tensor, 0, l.index(direction), l.index(1)),
                          elem);
  }

  const bool reverse;

protected:
  std::string layer(StringRef part) const {
    return (l.layerName() + part + (reverse ? ".reverse" : "")).str();
  }
  FailureOr<Product> makeProduct(unsigned operand, int64_t firstGate,
                                 int64_t numGates, Value bias, StringRef part);
  /// Elements [first, first + count) * hidden of the bias [1, 2 gates hidden].
  Value biasPart(int64_t first, int64_t count);
  Value sum(Value a, Value b) {
    return l.map({a, b}, elem,
                 [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
  }
  /// One gate of [1, batch, gates * hidden].
  Value gate(Value all, int64_t i) {
    return l.slice(all, 2, l.mul(l.index(i), hidden), hidden);
  }
  Value activate(Scalars &s, int64_t i, Value x) {
    if (double limit = l.getFloat("clip", 0); limit > 0)
      x = s.max(s.constant(x.getType(), -limit),
                s.min(s.constant(x.getType(), limit), x));
    return gates[i].apply(s, x);
  }
  SmallVector<Value> stepRNN(Value products, Value h);
  SmallVector<Value> stepGRU(Value products, Value h);
  SmallVector<Value> stepLSTM(Value products, Value h, Value c);

  OpLowering &l;
  int64_t direction;
  ArrayRef<Gate> gates;
  Type elem;
  OpFoldResult hidden;
  Value inputs, peepholes;
  /// GRU without linear_before_reset has a second product, of the hidden gate.
  Product recurrent, recurrentHidden;
};

int64_t gatesOf(Operation *op) {
  StringRef name = op->getName().stripDialect();
  return name == "LSTM" ? 4 : name == "GRU" ? 3 : 1;
}

FailureOr<Product> Cell::makeProduct(unsigned operand, int64_t firstGate,
                                     int64_t numGates, Value bias,
                                     StringRef part) {
  Product product;
  product.layer = layer(part);
  RankedTensorType type = l.inType(operand);
  std::optional<ConstantData> data = l.constData(operand);
  product.isConstant = data && elem.isF32();
  product.bias = bias;
  if (!product.isConstant) {
    Value weight = ofDirection(l.in(operand));
    weight = l.slice(weight, 1, l.mul(l.index(firstGate), hidden),
                     l.mul(l.index(numGates), hidden));
    weight = l.reshape(weight, {l.size(weight, 1), l.size(weight, 2)});
    product.weight = l.transpose(weight, {1, 0});
    return product;
  }
  int64_t size = type.getDimSize(1) / gatesOf(l.op);
  product.n = numGates * size;
  product.k = type.getDimSize(2);
  int64_t first =
      (direction * type.getDimSize(1) + firstGate * size) * product.k;
  std::vector<float> rows(product.n * product.k);
  if (failed(data->readFloats(first, rows)))
    return l.fail("cannot read the weights as floats");
  FailureOr<ElementsAttr> value =
      createBlobAttr(l.loc, RankedTensorType::get({product.n, product.k}, elem),
                     product.layer, [&](MutableArrayRef<char> out) {
                       std::memcpy(out.data(), rows.data(), out.size());
                     });
  if (failed(value))
    return failure();
  product.weight = nibble::ConstantOp::create(l.b, l.loc, *value);
  if (bias)
    product.bias = l.reshape(bias, l.index(product.n));
  return product;
}

Value Cell::biasPart(int64_t first, int64_t count) {
  Value bias = ofDirection(l.in(3));
  return l.slice(bias, 1, l.mul(l.index(first), hidden),
                 l.mul(l.index(count), hidden));
}

LogicalResult Cell::prepare(Value x) {
  int64_t count = gatesOf(l.op);
  bool isGRU = count == 3;
  bool linear = l.getInt("linear_before_reset", 0) != 0;
  Value inputBias, recurrentBias;
  if (l.has(3)) {
    // Both biases are added to the inputs, where they can be.
    if (isGRU && linear) {
      Value both = sum(biasPart(0, 2), biasPart(3, 2));
      inputBias = l.concat({both, biasPart(2, 1)}, 1);
      SmallVector<OpFoldResult> sizes = l.sizes(both);
      Value zeros = l.filled(sizes, l.scalars().constant(elem, 0));
      recurrentBias = l.concat({zeros, biasPart(5, 1)}, 1);
    } else {
      inputBias = sum(biasPart(0, count), biasPart(count, count));
    }
  }
  FailureOr<Product> input = makeProduct(1, 0, count, inputBias, ".input");
  bool split = isGRU && !linear;
  FailureOr<Product> state =
      makeProduct(2, 0, split ? 2 : count, recurrentBias, ".recurrent");
  if (failed(input) || failed(state))
    return failure();
  recurrent = *state;
  if (split) {
    FailureOr<Product> last =
        makeProduct(2, 2, 1, Value(), ".recurrent_hidden");
    if (failed(last))
      return failure();
    recurrentHidden = *last;
  }
  inputs = input->apply(l, x);
  if (count == 4 && l.has(7))
    peepholes = l.unsqueeze(ofDirection(l.in(7)), 1);
  return success();
}

SmallVector<Value> Cell::step(Value at, ValueRange states) {
  Value products = l.slice(inputs, 0, at, l.index(1));
  SmallVector<Value> next;
  switch (gatesOf(l.op)) {
  case 1:
    next = stepRNN(products, states[0]);
    break;
  case 3:
    next = stepGRU(products, states[0]);
    break;
  default:
    next = stepLSTM(products, states[0], states[1]);
  }
  if (!l.has(4))
    return next;
  // A sequence that has ended, or in reverse not begun, keeps its states.
  SmallVector<AffineMap> maps(2, l.b.getMultiDimIdentityMap(3));
  maps.push_back(
      AffineMap::get(3, 0, l.b.getAffineDimExpr(1), l.b.getContext()));
  for (auto [state, old] : llvm::zip_equal(next, states))
    state = l.pointwise({state, old, l.in(4)}, maps, l.sizes(old), elem,
                        [&](Scalars &s, ValueRange v) {
                          Value now = s.fromIndex(at, v[2].getType());
                          return s.select(s.lt(now, v[2]), v[0], v[1]);
                        });
  return next;
}

SmallVector<Value> Cell::stepRNN(Value products, Value h) {
  return {l.map({products, recurrent.apply(l, h)}, elem,
                [&](Scalars &s, ValueRange v) {
                  return activate(s, 0, s.add(v[0], v[1]));
                })};
}

SmallVector<Value> Cell::stepGRU(Value products, Value h) {
  Value states = recurrent.apply(l, h);
  // The gates are z, r, h.
  auto activated = [&](int64_t i) {
    return l.map({gate(products, i), gate(states, i)}, elem,
                 [&](Scalars &s, ValueRange v) {
                   return activate(s, 0, s.add(v[0], v[1]));
                 });
  };
  Value r = activated(1), candidate;
  if (recurrentHidden.weight) {
    Value kept = l.map({r, h}, elem, [](Scalars &s, ValueRange v) {
      return s.mul(v[0], v[1]);
    });
    candidate = recurrentHidden.apply(l, kept);
  } else {
    candidate = l.map({r, gate(states, 2)}, elem, [](Scalars &s, ValueRange v) {
      return s.mul(v[0], v[1]);
    });
  }
  return {l.map(
      {gate(products, 0), gate(states, 0), gate(products, 2), candidate, h},
      elem, [&](Scalars &s, ValueRange v) {
        Value z = activate(s, 0, s.add(v[0], v[1]));
        Value fresh = activate(s, 1, s.add(v[2], v[3]));
        Value one = s.constant(elem, 1);
        return s.add(s.mul(s.sub(one, z), fresh), s.mul(z, v[4]));
      })};
}

SmallVector<Value> Cell::stepLSTM(Value products, Value h, Value c) {
  Value states = recurrent.apply(l, h);
  bool coupled = l.getInt("input_forget", 0) != 0;
  // The gates are i, o, f, c; the peepholes i, o, f.
  SmallVector<Value> ins{c};
  for (int64_t i : {0, 2, 3})
    ins.append({gate(products, i), gate(states, i)});
  if (peepholes)
    ins.append({gate(peepholes, 0), gate(peepholes, 2)});
  Value cell = l.map(ins, elem, [&](Scalars &s, ValueRange v) {
    Value i = s.add(v[1], v[2]), f = s.add(v[3], v[4]);
    if (peepholes) {
      i = s.add(i, s.mul(v[7], v[0]));
      f = s.add(f, s.mul(v[8], v[0]));
    }
    i = activate(s, 0, i);
    f = coupled ? s.sub(s.constant(elem, 1), i) : activate(s, 0, f);
    Value fresh = activate(s, 1, s.add(v[5], v[6]));
    return s.add(s.mul(f, v[0]), s.mul(i, fresh));
  });
  ins = {cell, gate(products, 1), gate(states, 1)};
  if (peepholes)
    ins.push_back(gate(peepholes, 1));
  Value out = l.map(ins, elem, [&](Scalars &s, ValueRange v) {
    Value o = s.add(v[1], v[2]);
    if (peepholes)
      o = s.add(o, s.mul(v[3], v[0]));
    // ONNX Runtime does not clip the cell state.
    return s.mul(activate(s, 0, o), gates[2].apply(s, v[0]));
  });
  return {out, cell};
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

/// Runs one direction over all steps. `stacked` ([length, directions, batch,
/// hidden]; null if not wanted) gets the hidden states; the last states are
/// returned.
SmallVector<Value> runCell(OpLowering &l, Cell &cell, int64_t direction,
                           SmallVector<Value> states, OpFoldResult length,
                           Value &stacked) {
  SmallVector<Value> init(states);
  if (stacked)
    init.push_back(stacked);
  Value count = l.value(length), one = l.value(l.index(1));
  auto loop =
      scf::ForOp::create(l.b, l.loc, l.value(l.index(0)), count, one, init);
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  if (cell.reverse)
    at = l.value(l.sub(l.sub(count, one), at));
  auto old = loop.getRegionIterArgs().take_front(states.size());
  SmallVector<Value> next = cell.step(at, ValueRange(old));
  for (auto [state, before] : llvm::zip_equal(next, old))
    state = l.castTo(state, typeOf(before));
  if (stacked) {
    Value all = loop.getRegionIterArgs().back(), shown = next[0];
    if (l.has(4)) {
      AffineMap id = l.b.getMultiDimIdentityMap(3);
      AffineMap batch =
          AffineMap::get(3, 0, l.b.getAffineDimExpr(1), l.b.getContext());
      Type elem = typeOf(shown).getElementType();
      shown = l.pointwise({shown, l.in(4)}, {id, batch}, l.sizes(shown), elem,
                          [&](Scalars &s, ValueRange v) {
                            Value now = s.fromIndex(at, v[1].getType());
                            return s.select(s.lt(now, v[1]), v[0],
                                            s.constant(elem, 0));
                          });
    }
    SmallVector<OpFoldResult> offsets{at, l.index(direction), l.index(0),
                                      l.index(0)};
    SmallVector<OpFoldResult> sizes{l.index(1), l.index(1), l.size(all, 2),
                                    l.size(all, 3)};
    SmallVector<OpFoldResult> strides(4, l.index(1));
    next.push_back(tensor::InsertSliceOp::create(l.b, l.loc, shown, all,
                                                 offsets, sizes, strides));
  }
  scf::YieldOp::create(l.b, l.loc, next);
  SmallVector<Value> results(loop.getResults());
  if (stacked)
    stacked = results.pop_back_val();
  return results;
}

LogicalResult lowerRecurrent(OpLowering &l, ArrayRef<StringRef> activations) {
  bool isLSTM = gatesOf(l.op) == 4;
  StringRef direction = l.getString("direction", "forward");
  int64_t directions = direction == "bidirectional" ? 2 : 1;
  bool batchFirst = l.getInt("layout", 0) != 0;
  FailureOr<SmallVector<Gate>> gates = readGates(l, activations, directions);
  if (failed(gates))
    return failure();
  Type elem = computeType(l.inElem(0));
  Value x = l.in(0);
  if (batchFirst)
    x = l.transpose(x, {1, 0, 2});
  x = l.castElements(x, elem);
  OpFoldResult length = l.size(x, 0), batch = l.size(x, 1);
  OpFoldResult hidden = l.size(l.in(2), 2);
  OpFoldResult rows = l.mul(l.index(gatesOf(l.op)), hidden);
  l.requireEqual(l.size(l.in(1), 1), rows, "the rows of W do not fit R");
  l.requireEqual(l.size(l.in(2), 1), rows,
                 "the rows of R do not fit its columns");
  l.requireEqual(l.size(l.in(1), 2), l.size(x, 2),
                 "the columns of W are not the size of the input");
  if (l.has(4))
    l.requireEqual(l.size(l.in(4), 0), batch,
                   "sequence_lens has not one length for each sequence");
  if (l.has(3))
    l.requireEqual(l.size(l.in(3), 1), l.mul(l.index(2), rows),
                   "the bias does not fit W and R");
  if (l.failed())
    return failure();

  Value stacked;
  if (l.hasResult(0)) {
    SmallVector<OpFoldResult> sizes{length, l.index(directions), batch, hidden};
    stacked = l.empty(sizes, elem);
  }
  Value zeros;
  SmallVector<SmallVector<Value>> last(isLSTM ? 2 : 1);
  for (int64_t d = 0; d < directions; ++d) {
    Cell cell(
        l, d, d == 1 || direction == "reverse",
        ArrayRef(*gates).slice(d * activations.size(), activations.size()));
    SmallVector<Value> states;
    for (unsigned i = 0; i < last.size(); ++i) {
      if (!l.has(5 + i)) {
        if (!zeros)
          zeros = l.filled({l.index(1), batch, hidden},
                           l.scalars().constant(elem, 0));
        states.push_back(zeros);
        continue;
      }
      Value initial = l.in(5 + i);
      if (batchFirst)
        initial = l.transpose(initial, {1, 0, 2});
      initial = cell.ofDirection(initial);
      l.requireEqual(l.size(initial, 1), batch,
                     "an initial state has another batch size");
      l.requireEqual(l.size(initial, 2), hidden,
                     "an initial state has another hidden size");
      states.push_back(initial);
    }
    if (l.failed() || failed(cell.prepare(x)))
      return failure();
    states = runCell(l, cell, d, states, length, stacked);
    for (auto [list, state] : llvm::zip_equal(last, states))
      list.push_back(state);
  }

  SmallVector<Value> results(l.op->getNumResults());
  if (stacked) {
    if (batchFirst)
      stacked = l.transpose(stacked, {2, 0, 1, 3});
    results[0] = l.castElements(stacked, l.inElem(0));
  }
  for (unsigned i = 0; i < last.size(); ++i) {
    if (!l.hasResult(i + 1))
      continue;
    Value states = l.concat(last[i], 0);
    if (batchFirst)
      states = l.transpose(states, {1, 0, 2});
    results[i + 1] = l.castElements(states, l.inElem(0));
  }
  return l.done(results);
}

LogicalResult lowerRNN(OpLowering &l) { return lowerRecurrent(l, {"Tanh"}); }
LogicalResult lowerGRU(OpLowering &l) {
  return lowerRecurrent(l, {"Sigmoid", "Tanh"});
}
LogicalResult lowerLSTM(OpLowering &l) {
  return lowerRecurrent(l, {"Sigmoid", "Tanh", "Tanh"});
}

} // namespace

void addRecurrent(LowerTable &table) {
  table["onnx.RNN"] = lowerRNN;
  table["onnx.GRU"] = lowerGRU;
  table["onnx.LSTM"] = lowerLSTM;
}

} // namespace nibble::onnx_to_linalg
