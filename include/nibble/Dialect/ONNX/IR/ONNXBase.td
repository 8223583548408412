//===- ONNXBase.td - Dialect, types and base class ---------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXBASE_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "nibble/Dialect/ONNX/IR/ONNXInterfaces.td"

//===----------------------------------------------------------------------===//
// Dialect
//===----------------------------------------------------------------------===//

def ONNX_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::nibble::onnx";
  let summary = "Operators of the Open Neural Network Exchange format";
  let description = [{
    One op per ONNX operator, with the operator's newest definition (opset 28)
    as the model. Operands are positional; an absent optional operand is a
    value of type `none` made by `onnx.NoValue`, an absent optional result has
    type `none`. Attributes keep their ONNX names: INT is `i64`, FLOAT `f32`,
    STRING a string, INTS `array<i64>`, FLOATS `array<f32>`, TENSOR an elements
    attribute and GRAPH a region.

    Attributes that only older opsets have are accepted as discardable ones, and
    operands that were attributes then may be absent; the pass
    `onnx-normalize-opset` rewrites both.

    Discardable attributes: `onnx.name` (the layer name, on every imported op;
    on function arguments and results the tensor's name), `onnx.dim_names`
    (names of symbolic dimensions), and on the module `onnx.opset_version`,
    `onnx.ir_version` and `onnx.producer`.
  }];
  let hasConstantMaterializer = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    /// The opset whose operator definitions the ops follow.
    static constexpr int64_t kOpsetVersion = 28;
    /// The oldest opset that `onnx-normalize-opset` accepts.
    static constexpr int64_t kOldestOpsetVersion = 7;

    /// Layer name of an operation or function argument (StrAttr).
    static constexpr ::llvm::StringLiteral kNameAttr = "onnx.name";
    /// Names of symbolic dimensions of a function argument or result.
    static constexpr ::llvm::StringLiteral kDimNamesAttr = "onnx.dim_names";
    /// Opset of the default domain, on the module (i64).
    static constexpr ::llvm::StringLiteral kOpsetAttr = "onnx.opset_version";

  private:
    // One translation unit each: registering an op instantiates most of its
    // code.
    void registerControlFlowOps();
    void registerMLOps();
    void registerMathOps();
    void registerMicrosoftOps();
    void registerMixerOps();
    void registerNNOps();
    void registerQuantOps();
    void registerReductionOps();
    void registerSequenceOps();
    void registerSignalOps();
    void registerTensorOps();
    void registerTrainingOps();
    void registerTransformerOps();
    void registerVisionOps();
    void registerTypes();
    void registerFolding();

  public:
  }];
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class ONNX_Type<string name, string typeMnemonic>
    : TypeDef<ONNX_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def ONNX_StringType : ONNX_Type<"String", "string"> {
  let summary = "element type of a tensor of UTF-8 strings";
  let description = [{
    ```mlir
    func.func @f(%labels: tensor<4x!onnx.string>)
    ```
  }];
}

def ONNX_UnknownType : ONNX_Type<"Unknown", "unknown"> {
  let summary = "element type that is not inferred yet";
  let description = [{
    Appears between import and `onnx-infer-shapes`, which replaces it or
    reports an error.

    ```mlir
    %0 = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<*x!onnx.unknown>
    ```
  }];
}

def ONNX_SeqType : ONNX_Type<"Seq", "seq"> {
  let summary = "sequence of tensors of one element type and rank";
  let description = [{
    ONNX also allows ranks that differ, which Nibble keeps but does not compile.
    The parameter is the type that all elements have: a size that differs is
    dynamic.

    ```mlir
    func.func @f(%words: !onnx.seq<tensor<?xf32>>)
    ```
  }];
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

def ONNX_OptionalType : ONNX_Type<"Optional", "optional"> {
  let summary = "tensor or sequence that may be absent";
  let description = [{
    ```mlir
    func.func @f(%mask: !onnx.optional<tensor<4xi1>>)
    ```
  }];
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

def ONNX_MapType : ONNX_Type<"Map", "map"> {
  let summary = "map from integers or strings to values";
  let description = [{
    Kept when a model is imported and exported; nothing computes with it.

    ```mlir
    func.func @f(%scores: !onnx.map<i64, tensor<f32>>)
    ```
  }];
  let parameters = (ins "::mlir::Type":$keyType, "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $keyType `,` $valueType `>`";
}

// An element type that is not known yet satisfies every constraint.
class ONNX_TensorOf<list<Type> types> : TensorOf<types # [ONNX_UnknownType]>;

def ONNX_Any : TensorOf<[AnyType]>;
def ONNX_Bool : ONNX_TensorOf<[I1]>;
def ONNX_I32 : ONNX_TensorOf<[I32]>;
def ONNX_I64 : ONNX_TensorOf<[I64]>;
def ONNX_F32 : ONNX_TensorOf<[F32]>;
def ONNX_U8 : ONNX_TensorOf<[UI8]>;
def ONNX_Byte : ONNX_TensorOf<[I8, UI8]>;
def ONNX_Index : ONNX_TensorOf<[I32, I64]>;
def ONNX_Float : ONNX_TensorOf<[F16, BF16, F32, F64]>;
def ONNX_Int : ONNX_TensorOf<[I8, I16, I32, I64, UI8, UI16, UI32, UI64]>;
def ONNX_Num : ONNX_TensorOf<[F16, BF16, F32, F64, I8, I16, I32, I64, UI8,
                              UI16, UI32, UI64]>;
// Everything that tensors of quantized values are made of.
def ONNX_Quant : ONNX_TensorOf<[AnySignlessInteger, AnyUnsignedInteger,
                                AnyFloat]>;

def ONNX_StringTensor : ONNX_TensorOf<[ONNX_StringType]>;

// A value about which nothing is known yet is a tensor of the unknown type.
class ONNX_IsA<string type, string description>
    : Type<CPred<"::llvm::isa<::nibble::onnx::" # type # ">($_self)">,
           description>;
def ONNX_Seq
    : AnyTypeOf<[ONNX_IsA<"SeqType", "sequence">, ONNX_TensorOf<[]>]>;
/// Any value of a graph: a tensor, a sequence, an optional, a map.
def ONNX_Value
    : AnyTypeOf<[ONNX_Any, ONNX_IsA<"SeqType", "sequence">,
                 ONNX_IsA<"OptionalType", "optional">,
                 ONNX_IsA<"MapType", "map">]>;

/// An operand or result that may be absent, which is the type `none`.
class ONNX_Opt<Type type> : AnyTypeOf<[type, NoneType]>;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

def ONNX_I64Attr
    : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute"> {
  let convertFromStorage = "$_self.getInt()";
}
def ONNX_F32Attr : FloatAttrBase<F32, "32-bit float attribute"> {
  let returnType = "float";
  let convertFromStorage = "$_self.getValue().convertToFloat()";
}

class ONNX_Int<int value>
    : DefaultValuedAttr<ONNX_I64Attr, !cast<string>(value)>;
class ONNX_Real<string value> : DefaultValuedAttr<ONNX_F32Attr, value>;
class ONNX_Str<string value>
    : DefaultValuedStrAttr<StrAttr, value>;
def ONNX_OptInt : OptionalAttr<ONNX_I64Attr>;
def ONNX_OptReal : OptionalAttr<ONNX_F32Attr>;
def ONNX_OptStr : OptionalAttr<StrAttr>;
def ONNX_OptInts : OptionalAttr<DenseI64ArrayAttr>;
def ONNX_OptReals : OptionalAttr<DenseF32ArrayAttr>;
def ONNX_OptStrs : OptionalAttr<StrArrayAttr>;

//===----------------------------------------------------------------------===//
// Base classes of the ops
//===----------------------------------------------------------------------===//

/// `types` says which element types agree: one letter per operand, a colon, one
/// letter per result. Equal capital letters are equal element types (the first
/// operand that has the letter decides); small letters are fixed (b: i1,
/// i: i32, l: i64, f: f32, u: ui8); `.` is not checked here, and a variadic
/// value repeats the last letter. A result with a letter gets its element type
/// from it.
///
/// `inferWith` names a function `nibble::onnx::detail::infer<inferWith>` shared by
/// several ops; left empty, the op defines `inferShapes` itself.
class ONNX_OpBase<string mnemonic, string types, string inferWith,
                  list<Trait> traits>
    : Op<ONNX_Dialect, mnemonic, !listconcat([ONNXOpInterface], traits)> {
  int requiredOperands = !foldl(
      0, !range(!size(arguments)), acc, i,
      !if(!and(!initialized(!getdagarg<TypeConstraint>(arguments, i)),
               !not(!initialized(!getdagarg<ONNX_Opt>(arguments, i))),
               !not(!initialized(!getdagarg<Variadic>(arguments, i)))),
          !add(i, 1), acc));
  int declaredOperands = !foldl(
      0, !range(!size(arguments)), acc, i,
      !if(!initialized(!getdagarg<TypeConstraint>(arguments, i)), !add(i, 1),
          acc));
  bit variadicOperands = !foldl(
      0, !range(!size(arguments)), acc, i,
      !or(acc, !initialized(!getdagarg<Variadic>(arguments, i))));
  int requiredResults = !foldl(
      0, !range(!size(results)), acc, i,
      !if(!and(!not(!initialized(!getdagarg<ONNX_Opt>(results, i))),
               !not(!initialized(!getdagarg<Variadic>(results, i)))),
          !add(i, 1), acc));
  int declaredResults = !size(results);
  bit variadicResults = !foldl(
      0, !range(!size(results)), acc, i,
      !or(acc, !initialized(!getdagarg<Variadic>(results, i))));

  string regionNames = !foldl(
      "", !range(!size(regions)), acc, i,
      acc # !if(!empty(acc), "", ",") # !getdagname(regions, i));

  code moreDeclarations = "";
  let extraClassDeclaration = [{
    /// Arity and agreement of element types, derived from the definition.
    static ::nibble::onnx::OpSignature getSignature() {
      return {{}] # requiredOperands # ", " # declaredOperands # ", " #
                         variadicOperands # "}, {" # requiredResults # ", " #
                         declaredResults # ", " # variadicResults # "}, \"" #
                         types # "\", \"" # regionNames # "\"};\n    }\n" #
      [{
    ::llvm::LogicalResult inferShapes(::nibble::onnx::InferContext &context)}] #
      !if(!empty(inferWith), ";\n",
          " {\n      return ::nibble::onnx::detail::infer" # inferWith #
          "(context);\n    }\n") #
      moreDeclarations;
}

/// An operator without subgraphs: a pure function of its operands.
class ONNX_Op<string mnemonic, string types, string inferWith = "",
              list<Trait> traits = []>
    : ONNX_OpBase<mnemonic, types, inferWith, !listconcat([Pure], traits)> {
  let assemblyFormat = [{
    `(` operands `)` attr-dict `:` functional-type(operands, results)
  }];
}

/// An operator of ONNX Runtime's domain com.microsoft.
class ONNX_MicrosoftOp<string name, string types, string inferWith = "",
                       list<Trait> traits = []>
    : ONNX_Op<"microsoft." # name, types, inferWith, traits>;

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXBASE_TD
