//===- NibbleAttentionOps.td - Attention -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTENTIONOPS_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTENTIONOPS_TD

include "nibble/Dialect/Nibble/IR/NibbleOpBase.td"

def Nibble_AttentionOp : Nibble_Op<"attention", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "attention of queries to keys and values, without scores in memory";
  let description = [{
    `y[b, h, i] = sum_j softmax_j(cap(scale * q[b, h, i] . k[b, g, j]) + mask[b, h, i, j]) * v[b, g, j]`

    where `g = h / (Hq / Hkv)`: heads of queries that follow each other share a
    head of keys. `scale` is `1 / sqrt(D)` where it is absent, `cap(x)` is
    `softcap * tanh(x / softcap)`, or x where `softcap` is 0. The softmax runs
    over the keys that a query sees; a query that sees none gives zeros.

    | operand | shape | |
    |---|---|---|
    | `query` | `[B, Hq, S, D]` | f16, bf16, f32 or f64 |
    | `key` | `[B, Hkv, T, D]` | all keys, those of the past first; the type of the queries |
    | `value` | `[B, Hkv, T, Dv]` | any float |
    | `mask` | `[B, Hq, S, M]`, each also 1 | `i1`: true is seen; a float is added. Keys from M on are hidden, unless M is 1 in the type |
    | `lengths` | `[B]` | integers: keys from `lengths[b]` on are hidden |
    | `past` | index | keys before the first query |
    | result | `[B, Hq, S, Dv]` | the type of the queries |

    Query i stands at position `p = i + past`, or `i + lengths[b] - S` with
    `lengths`. It sees key j if all of these hold that are asked for: `j <= p`
    (`causal`), `j >= p - left_window`, `j <= p + right_window` (-1: no bound).

    With `query_by_token`, `key_by_token`, `value_by_token` and
    `result_by_token` the operand has tokens before heads, `[B, S, Hq, D]` and so
    on, as a projection writes it: no transposition is needed.

    The operation exists on tensors, with a result, and on memrefs, with `outs`.
    Memrefs may have any strides but the innermost one, which is 1: heads of a
    cache may lie apart. Memory beside the operands does not grow with S or T:
    keys are visited in blocks, with a running maximum and sum (Milakov and
    Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al.,
    "FlashAttention", 2022).

    Example:
    ```mlir
    func.func @decode(%q: tensor<1x1x9x64xf32>, %k: tensor<1x3x?x64xf32>, %v: tensor<1x3x?x64xf32>,
                      %past: index) -> tensor<1x1x9x64xf32> {
      %y = nibble.attention %q, %k, %v past(%past)
        {causal, query_by_token, result_by_token, layers = ["attn"]}
        : (tensor<1x1x9x64xf32>, tensor<1x3x?x64xf32>, tensor<1x3x?x64xf32>, index) -> tensor<1x1x9x64xf32>
      return %y : tensor<1x1x9x64xf32>
    }
    ```
  }];
  let arguments = (ins Nibble_TensorOrMemRef:$query, Nibble_TensorOrMemRef:$key,
    Nibble_TensorOrMemRef:$value, Optional<Nibble_TensorOrMemRef>:$mask,
    Optional<Nibble_TensorOrMemRef>:$lengths, Optional<Index>:$past,
    Optional<AnyMemRef>:$outs,
    OptionalAttr<F64Attr>:$scale, DefaultValuedAttr<F64Attr, "0.0">:$softcap,
    UnitAttr:$causal, DefaultValuedAttr<I64Attr, "-1">:$left_window,
    DefaultValuedAttr<I64Attr, "-1">:$right_window,
    UnitAttr:$query_by_token, UnitAttr:$key_by_token, UnitAttr:$value_by_token,
    UnitAttr:$result_by_token, DefaultValuedAttr<StrArrayAttr, "{}">:$layers);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` `(` $mask^ `)`)? (`lengths` `(` $lengths^ `)`)?
    (`past` `(` $past^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// Dimensions of heads and of tokens in an operand or result.
    static int64_t getHeadDim(bool byToken) { return byToken ? 2 : 1; }
    static int64_t getTokenDim(bool byToken) { return byToken ? 1 : 2; }
    /// How far a query sees beyond its position, -1 for all keys.
    int64_t getReach() { return getCausal() ? 0 : getRightWindow(); }
    /// The result, or the buffer that takes its place.
    ::mlir::Value getOutput();
  }];
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTENTIONOPS_TD
