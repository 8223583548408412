//===- NibbleAttributes.td - Schemes and references to data -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTRIBUTES_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTRIBUTES_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "nibble/Dialect/Nibble/IR/NibbleBase.td"

class Nibble_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::nibble";
  let genSpecializedAttr = 0;
}

def Nibble_CodebookKind : Nibble_Enum<"CodebookKind", "what a code stands for", [
  I32EnumAttrCase<"Int", 0, "int">,
  I32EnumAttrCase<"NF4", 1, "nf4">,
  I32EnumAttrCase<"FP4", 2, "fp4">,
  I32EnumAttrCase<"FP8E4M3", 3, "fp8_e4m3">,
  I32EnumAttrCase<"FP8E5M2", 4, "fp8_e5m2">,
  I32EnumAttrCase<"Table", 5, "table">
]>;

def Nibble_ZeroKind : Nibble_Enum<"ZeroKind", "kind of zero point", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Integer", 1, "integer">,
  I32EnumAttrCase<"Float", 2, "float">,
  I32EnumAttrCase<"Minimum", 3, "minimum">
]>;

def Nibble_Packing : Nibble_Enum<"Packing", "order of the codes in memory", [
  I32EnumAttrCase<"Plain", 0, "plain">,
  I32EnumAttrCase<"Rows", 1, "rows">,
  I32EnumAttrCase<"Panel", 2, "panel">
]>;

def Nibble_Activation : Nibble_Enum<"Activation",
    "function applied to the result of a fused operation", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Relu", 1, "relu">,
  I32EnumAttrCase<"Clip6", 2, "relu6">,
  I32EnumAttrCase<"Sigmoid", 3, "sigmoid">,
  I32EnumAttrCase<"Silu", 4, "silu">,
  I32EnumAttrCase<"Gelu", 5, "gelu">,
  I32EnumAttrCase<"GeluTanh", 6, "gelu_tanh">,
  I32EnumAttrCase<"Tanh", 7, "tanh">,
  I32EnumAttrCase<"HardSwish", 8, "hard_swish">
]>;

def Nibble_ActivationAttr : EnumAttr<Nibble_Dialect, Nibble_Activation, "activation"> {
  let assemblyFormat = "`<` $value `>`";
}

class Nibble_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Nibble_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Nibble_SchemeAttr : Nibble_Attr<"Scheme", "scheme"> {
  let summary = "how codes, scales and zero points make a weight";
  let description = [{
    A scheme is composed of independent parts; a new format is a new combination.

    | part | values | meaning |
    |---|---|---|
    | codebook | `int2` to `int8`, `nf4`, `fp4`, `fp8_e4m3`, `fp8_e5m2`, `table<[...]>` | value of a code |
    | `group` | -1 one per row, 0 one per tensor, N >= 1 | run of weights along the contraction that share a scale; the last group of a row may be shorter |
    | `scale` | `f32`, `f16`, `bf16` | type of the scales |
    | `second` | `f32 x 256` | the scales themselves are 8-bit codes, see below |
    | `zero` | `none`, `integer`, `float`, `minimum` | `scale * code`, `scale * (code - zero)` with an integer or float zero, `scale * code + minimum` |
    | `group_index` | present or not | an operand maps each input to its group (activation order) |
    | `outliers` | N >= 0 | input columns kept wide beside the codes |
    | `packing` | `plain`, `rows`, `panel` | order of the codes in memory |

    With `zero = none` the codes of an integer codebook are two's complement, in
    [-2^(b-1), 2^(b-1)-1]; with any other zero they are unsigned, in [0, 2^b-1].

    Packings, for a weight seen as N rows (output channels) of K codes:
    - `plain`: one element per code, in the shape of the weight;
    - `rows`: `tensor<N x ceil(K*b/8) x i8>`, a bit stream per row whose first
      code has the lowest bits;
    - `panel`: what the CPU kernels read: 32 rows side by side, k outermost, the
      last panel padded with rows of zero code. `P` panels have codes
      `tensor<P x 4*b*K x i8>`, all unsigned (codes of `zero = none` are stored
      plus 2^(b-1)). A k of a panel takes 4*b bytes: for 8 bits byte j is code j,
      for 7 bits too (b is then 8); for 4 bits code j and, above it, j+16; for 2
      bits codes j, j+8, j+16 and j+24; for 3 and 5 bits the low two or four
      bits, then 32 bits whose bit i is the highest of code i; for 6 bits the
      low four, then the high two as for 2 bits.

    In `rows` and `panel` packing there is a scale for each row and group, also
    with `group = 0`: `tensor<N x G>`, in panels `tensor<P x G x 32>`.

    `second = [dynamic] T x N [offset]`: scales are 8-bit codes, of which each N
    share a scale of type T (f32, f16 or bf16). Codes are two's complement
    integers or, with `dynamic`, numbers of the 256 values of bitsandbytes'
    signed dynamic map, in order. The operand `second` is a `tensor<R x S x T>`
    with S = ceil(n * G / N), for the N scales from s * N on, row by row:

    `scale[r][g] = second[0][s] * value(code[r][g]) + second[1][s]`, s = (r * G + g) / N

    Its rows are the scale of the scales, their offset (with `offset`, else 0)
    and, for `zero = float` or `minimum`, the scale and offset of the zeros,
    which are codes then, too. Integer zeros stay what they are. In panels, where
    N divides G, the order is that of the scales, `tensor<R x P x G/N x 32 x T>`.

    Example:
    ```mlir
    module attributes {nibble.w4 = #nibble.scheme<int4, group = 32, scale = f16, zero = integer, packing = rows>} {}
    ```
  }];
  let parameters = (ins
    "::nibble::CodebookKind":$codebook,
    "unsigned":$bits,
    OptionalParameter<"::mlir::DenseF32ArrayAttr">:$table,
    "int64_t":$group,
    "::mlir::Type":$scaleType,
    OptionalParameter<"::mlir::Type">:$secondType,
    "int64_t":$secondGroup,
    "bool":$secondDynamic,
    "bool":$secondOffset,
    "::nibble::ZeroKind":$zero,
    "bool":$groupIndex,
    "int64_t":$outliers,
    "::nibble::Packing":$packing
  );
  let builders = [
    AttrBuilder<(ins "unsigned":$bits, "int64_t":$group,
                     "::mlir::Type":$scaleType, "::nibble::ZeroKind":$zero,
                     "::nibble::Packing":$packing), [{
      return $_get($_ctxt, ::nibble::CodebookKind::Int, bits,
                   ::mlir::DenseF32ArrayAttr(), group, scaleType,
                   ::mlir::Type(), 0, false, false, zero, false, 0, packing);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Number of groups in a row of `k` weights (at least 1).
    int64_t getNumGroups(int64_t k) const;
    /// Length of a group in a row of `k` weights.
    int64_t getGroupLength(int64_t k) const;
    /// Bytes of one row of `k` codes in `rows` packing.
    int64_t getRowBytes(int64_t k) const;
    /// Shape of the codes (i8) of a weight of `n` rows of `k`: [n, row bytes] in
    /// rows, [panels, 4 * bits * k] in panels.
    ::llvm::SmallVector<int64_t> getCodesShape(int64_t n, int64_t k) const;
    /// Shape of scales and of zeros: [n, groups], in panels [panels, groups, 32].
    ::llvm::SmallVector<int64_t> getScalesShape(int64_t n, int64_t k) const;
    /// Shape of `second` of a weight of `n` rows of `k`.
    ::llvm::SmallVector<int64_t> getSecondShape(int64_t n, int64_t k) const;
    /// Element types of scales and of zeros: i8 for codes.
    ::mlir::Type getScaleElementType() const;
    ::mlir::Type getZeroElementType() const;
    /// True if there are zeros that are not integers.
    bool hasFloatZeros() const {
      return getZero() == ::nibble::ZeroKind::Float ||
             getZero() == ::nibble::ZeroKind::Minimum;
    }
    /// True if codes are two's complement integers.
    bool isSignedCodes() const {
      return getCodebook() == ::nibble::CodebookKind::Int &&
             getZero() == ::nibble::ZeroKind::None;
    }
    /// True if there is a tensor of zero points.
    bool hasZeros() const { return getZero() != ::nibble::ZeroKind::None; }
    /// The same scheme in another packing.
    SchemeAttr withPacking(::nibble::Packing packing) const;
    /// Bits that one weight of a row of `k` takes, scales and zeros counted.
    double getBitsPerWeight(int64_t k) const;
    /// Name in the notation of users: W4A16, NF4, ...
    std::string getUserName() const;
  }];
}

def Nibble_MappedAttr : Nibble_Attr<"Mapped", "mapped",
    [ElementsAttrInterface, TypedAttrInterface]> {
  let summary = "constant data in a file, by reference";
  let description = [{
    `length` bytes at `offset` of `file` are the elements of a tensor: row-major,
    little-endian, sub-byte elements packed with the first in the low bits. The
    offset need not be aligned. `hash` is the 64-bit XXH3 of the bytes; a missing,
    shorter or changed file is an error when the data is first read.

    Example:
    ```mlir
    module attributes {nibble.w = #nibble.mapped<"model.onnx", 1234, 1728, 0x1f2e3d4c5b6a7988> : tensor<16x3x3x3xf32>} {}
    ```
  }];
  let parameters = (ins
    AttributeSelfTypeParameter<"", "::mlir::ShapedType">:$type,
    StringRefParameter<"path of the file">:$file,
    "uint64_t":$offset,
    "uint64_t":$length,
    "uint64_t":$hash
  );
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    using ContiguousIterableTypesT = std::tuple<>;
    using NonContiguousIterableTypesT = std::tuple<>;
    /// Values are read through `nibble::ConstantData`, never one by one.
    ::llvm::FailureOr<::mlir::detail::ElementsAttrIndexer>
    getValuesImpl(::mlir::TypeID) const { return ::mlir::failure(); }
    bool isSplat() const { return false; }
    ::mlir::ShapedType getShapedType() const { return getType(); }
  }];
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEATTRIBUTES_TD
