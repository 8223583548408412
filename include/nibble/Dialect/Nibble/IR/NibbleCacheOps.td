//===- NibbleCacheOps.td - Keys and values that are kept -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A language model takes the keys and values of the tokens before ("past") and
// returns them with those of the new tokens ("present"). The first two
// operations say so on tensors. `nibble-share-caches` finds the pairs whose
// past and present may be one buffer, which the context of a run keeps and
// `nibble.extend_cache` asks for.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLECACHEOPS_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLECACHEOPS_TD

include "nibble/Dialect/Nibble/IR/NibbleOpBase.td"

class Nibble_CacheOp<string mnemonic, list<Trait> traits = []>
    : Nibble_Op<mnemonic, traits # [Pure,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let hasVerifier = 1;
}

def Nibble_AppendCacheOp : Nibble_CacheOp<"append_cache"> {
  let summary = "the positions of a cache and then new ones";
  let description = [{
    `past` of P and `fresh` of S positions along `axis` give P + S positions;
    their other sizes are equal. `cache`, which `nibble-share-caches` sets, is
    the number of the buffer that past and present share; without it the result
    is a buffer of its own that both are copied to.

    Folds to the operand that is left when the other one is empty by its type.

    Example:
    ```mlir
    func.func @keys(%past: tensor<?x3x?x64xf32>, %k: tensor<?x3x?x64xf32>) -> tensor<?x3x?x64xf32> {
      %present = nibble.append_cache %past, %k {axis = 2 : i64}
        : (tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>) -> tensor<?x3x?x64xf32>
      return %present : tensor<?x3x?x64xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$past, AnyRankedTensor:$fresh,
    I64Attr:$axis, OptionalAttr<I64Attr>:$cache);
  let results = (outs AnyRankedTensor:$present);
  let assemblyFormat = [{
    $past `,` $fresh attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Nibble_UpdateCacheOp : Nibble_CacheOp<"update_cache"> {
  let summary = "a cache of fixed size with new positions written into it";
  let description = [{
    `present` is `past` where, in each batch n (dimension 0), position
    `starts[n] + i` along `axis` is position i of `update`. `starts` counts from
    0, and is 0 where it is absent. With `circular` the positions count modulo
    the size of the cache; without it the caller has checked that they fit.
    `cache` is as in `nibble.append_cache`. (ONNX: TensorScatter.)

    Example:
    ```mlir
    func.func @keys(%past: tensor<2x3x128x64xf32>, %k: tensor<2x3x?x64xf32>, %at: tensor<2xi64>) -> tensor<2x3x128x64xf32> {
      %present = nibble.update_cache %past, %k at %at {axis = 2 : i64}
        : (tensor<2x3x128x64xf32>, tensor<2x3x?x64xf32>, tensor<2xi64>) -> tensor<2x3x128x64xf32>
      return %present : tensor<2x3x128x64xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$past, AnyRankedTensor:$update,
    Optional<AnyRankedTensor>:$starts, I64Attr:$axis, UnitAttr:$circular,
    OptionalAttr<I64Attr>:$cache);
  let results = (outs AnyRankedTensor:$present);
  let assemblyFormat = [{
    $past `,` $update (`at` $starts^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def Nibble_ExtendCacheOp : Nibble_Op<"extend_cache", [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "the buffer of a cache, with room for more positions";
  let description = [{
    The buffer that the run's context holds for cache number `cache` of the
    model, with `length` positions along `axis`. The first of them are those of
    the past; the others hold anything, and are to be written. There may be room
    between the positions of one head and of the next, so that strides are only
    known from `axis` on. It becomes a call of `nibble_rt_extend_cache`, which
    fails the run when the cache may not grow to `length`.

    Example:
    ```mlir
    func.func @room(%length: index) -> memref<?x3x?x64xf32, strided<[?, ?, 64, 1]>> {
      %room = nibble.extend_cache %length {axis = 2 : i64, cache = 0 : i64}
        : memref<?x3x?x64xf32, strided<[?, ?, 64, 1]>>
      return %room : memref<?x3x?x64xf32, strided<[?, ?, 64, 1]>>
    }
    ```
  }];
  let arguments = (ins Index:$length, I64Attr:$axis, I64Attr:$cache);
  let results = (outs AnyMemRef:$room);
  let assemblyFormat = "$length attr-dict `:` type($room)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The memref of a cache with this shape: strides are those of a dense
    /// tensor from `axis` on, and unknown before it.
    static ::mlir::MemRefType getRoomType(::mlir::RankedTensorType type,
                                          int64_t axis);
  }];
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLECACHEOPS_TD
