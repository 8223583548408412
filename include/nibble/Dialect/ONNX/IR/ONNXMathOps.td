//===- ONNXMathOps.td - Elementwise operators --------------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXMATHOPS_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXMATHOPS_TD

include "nibble/Dialect/ONNX/IR/ONNXBase.td"

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

/// y = f(x) for every element; shape and element type are those of the operand.
class ONNX_UnaryOp<string mnemonic, Type type, string title, string formula>
    : ONNX_Op<mnemonic, "T:T", "SameShape"> {
  let summary = title;
  let description = "For every element: `" # formula # "`." # [{

    ```mlir
    %y = onnx.}] # mnemonic # [{(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins type:$X);
  let results = (outs type:$Y);
}

/// As above with the attributes of `parameters`, which `formula` names.
class ONNX_UnaryParamOp<string mnemonic, Type type, string title,
                        string formula, dag parameters>
    : ONNX_UnaryOp<mnemonic, type, title, formula> {
  let arguments = !con((ins type:$X), parameters);
}

/// As above with a result of truth values.
class ONNX_PredicateOp<string mnemonic, string title, string formula,
                       dag parameters>
    : ONNX_Op<mnemonic, ".:b", "SameShape"> {
  let summary = title;
  let description = "For every element: `" # formula # "`." # [{

    ```mlir
    %y = onnx.}] # mnemonic # [{(%x) : (tensor<2x3xf32>) -> tensor<2x3xi1>
    ```
  }];
  let arguments = !con((ins ONNX_Quant:$X), parameters);
  let results = (outs ONNX_Bool:$Y);
}

def ONNX_AbsOp : ONNX_UnaryOp<"Abs", ONNX_Num, "absolute value",
                               "y = |x|">;
def ONNX_AcosOp : ONNX_UnaryOp<"Acos", ONNX_Float, "inverse cosine",
                               "y = acos(x), in radians">;
def ONNX_AcoshOp : ONNX_UnaryOp<"Acosh", ONNX_Float, "inverse hyperbolic cosine",
                               "y = acosh(x)">;
def ONNX_AsinOp : ONNX_UnaryOp<"Asin", ONNX_Float, "inverse sine",
                               "y = asin(x), in radians">;
def ONNX_AsinhOp : ONNX_UnaryOp<"Asinh", ONNX_Float, "inverse hyperbolic sine",
                               "y = asinh(x)">;
def ONNX_AtanOp : ONNX_UnaryOp<"Atan", ONNX_Float, "inverse tangent",
                               "y = atan(x), in radians">;
def ONNX_AtanhOp : ONNX_UnaryOp<"Atanh", ONNX_Float, "inverse hyperbolic tangent",
                               "y = atanh(x)">;
def ONNX_BitwiseNotOp : ONNX_UnaryOp<"BitwiseNot", ONNX_Int, "complement of all bits",
                               "y = ~x">;
def ONNX_CeilOp : ONNX_UnaryOp<"Ceil", ONNX_Float, "round up",
                               "y = the smallest integer >= x">;
def ONNX_CosOp : ONNX_UnaryOp<"Cos", ONNX_Float, "cosine",
                               "y = cos(x), x in radians">;
def ONNX_CoshOp : ONNX_UnaryOp<"Cosh", ONNX_Float, "hyperbolic cosine",
                               "y = (e^x + e^-x) / 2">;
def ONNX_ErfOp : ONNX_UnaryOp<"Erf", ONNX_Num, "error function",
                               "y = 2/sqrt(pi) * integral of e^(-t^2) for t from 0 to x">;
def ONNX_ExpOp : ONNX_UnaryOp<"Exp", ONNX_Float, "exponential",
                               "y = e^x">;
def ONNX_FloorOp : ONNX_UnaryOp<"Floor", ONNX_Float, "round down",
                               "y = the largest integer <= x">;
def ONNX_LogOp : ONNX_UnaryOp<"Log", ONNX_Float, "natural logarithm",
                               "y = ln(x)">;
def ONNX_NegOp : ONNX_UnaryOp<"Neg", ONNX_Num, "negation",
                               "y = -x">;
def ONNX_NotOp : ONNX_UnaryOp<"Not", ONNX_Bool, "logical negation",
                               "y = not x">;
def ONNX_ReciprocalOp : ONNX_UnaryOp<"Reciprocal", ONNX_Float, "reciprocal",
                               "y = 1 / x">;
def ONNX_RoundOp : ONNX_UnaryOp<"Round", ONNX_Float, "round to nearest",
                               "y = the integer nearest to x, the even one of two">;
def ONNX_SignOp : ONNX_UnaryOp<"Sign", ONNX_Num, "sign",
                               "y = -1, 0 or 1 as x is negative, zero or positive">;
def ONNX_SinOp : ONNX_UnaryOp<"Sin", ONNX_Float, "sine",
                               "y = sin(x), x in radians">;
def ONNX_SinhOp : ONNX_UnaryOp<"Sinh", ONNX_Float, "hyperbolic sine",
                               "y = (e^x - e^-x) / 2">;
def ONNX_SqrtOp : ONNX_UnaryOp<"Sqrt", ONNX_Float, "square root",
                               "y = sqrt(x)">;
def ONNX_TanOp : ONNX_UnaryOp<"Tan", ONNX_Float, "tangent",
                               "y = tan(x), x in radians">;
def ONNX_TanhOp : ONNX_UnaryOp<"Tanh", ONNX_Float, "hyperbolic tangent",
                               "y = (e^x - e^-x) / (e^x + e^-x)">;
def ONNX_IsNaNOp : ONNX_PredicateOp<"IsNaN", "test for NaN",
                                    "y = x is not a number", (ins)>;
def ONNX_IsInfOp
    : ONNX_PredicateOp<"IsInf", "test for infinity",
          "y = (x = +inf and detect_positive) or (x = -inf and detect_negative)",
          (ins ONNX_Int<1>:$detect_negative, ONNX_Int<1>:$detect_positive)>;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

def ONNX_CeluOp
    : ONNX_UnaryParamOp<"Celu", ONNX_Float, "continuously differentiable exponential unit",
          "y = max(0, x) + min(0, alpha * (e^(x/alpha) - 1))",
          (ins ONNX_Real<"1.0f">:$alpha)>;
def ONNX_EluOp
    : ONNX_UnaryParamOp<"Elu", ONNX_Float, "exponential linear unit",
          "y = x if x > 0, else alpha * (e^x - 1)",
          (ins ONNX_Real<"1.0f">:$alpha)>;
def ONNX_HardSigmoidOp
    : ONNX_UnaryParamOp<"HardSigmoid", ONNX_Float, "piecewise linear sigmoid",
          "y = max(0, min(1, alpha * x + beta))",
          (ins ONNX_Real<"0.2f">:$alpha, ONNX_Real<"0.5f">:$beta)>;
def ONNX_HardSwishOp : ONNX_UnaryOp<"HardSwish", ONNX_Float, "piecewise linear swish",
                               "y = x * max(0, min(1, x/6 + 1/2))">;
def ONNX_LeakyReluOp
    : ONNX_UnaryParamOp<"LeakyRelu", ONNX_Float, "rectifier with a slope below zero",
          "y = x if x >= 0, else alpha * x",
          (ins ONNX_Real<"0.01f">:$alpha)>;
def ONNX_MishOp : ONNX_UnaryOp<"Mish", ONNX_Float, "self-regularized activation",
                               "y = x * tanh(ln(1 + e^x))">;
def ONNX_ReluOp : ONNX_UnaryOp<"Relu", ONNX_Num, "rectified linear unit",
                               "y = max(0, x)">;
def ONNX_SeluOp
    : ONNX_UnaryParamOp<"Selu", ONNX_Float, "scaled exponential linear unit",
          "y = gamma * x if x > 0, else gamma * alpha * (e^x - 1)",
          (ins ONNX_Real<"1.67326319217681884765625f">:$alpha, ONNX_Real<"1.05070102214813232421875f">:$gamma)>;
def ONNX_ShrinkOp
    : ONNX_UnaryParamOp<"Shrink", ONNX_Num, "shrink towards zero",
          "y = x + bias if x < -lambd, x - bias if x > lambd, else 0",
          (ins ONNX_Real<"0.0f">:$bias, ONNX_Real<"0.5f">:$lambd)>;
def ONNX_SigmoidOp : ONNX_UnaryOp<"Sigmoid", ONNX_Float, "logistic function",
                               "y = 1 / (1 + e^-x)">;
def ONNX_SoftplusOp : ONNX_UnaryOp<"Softplus", ONNX_Float, "smooth rectifier",
                               "y = ln(1 + e^x)">;
def ONNX_SoftsignOp : ONNX_UnaryOp<"Softsign", ONNX_Float, "rational sigmoid",
                               "y = x / (1 + |x|)">;
def ONNX_SwishOp
    : ONNX_UnaryParamOp<"Swish", ONNX_Float, "sigmoid-weighted linear unit",
          "y = x / (1 + e^(-alpha * x))",
          (ins ONNX_Real<"1.0f">:$alpha)>;
def ONNX_ThresholdedReluOp
    : ONNX_UnaryParamOp<"ThresholdedRelu", ONNX_Float, "rectifier with a threshold",
          "y = x if x > alpha, else 0",
          (ins ONNX_Real<"1.0f">:$alpha)>;
def ONNX_GeluOp
    : ONNX_UnaryParamOp<"Gelu", ONNX_Float, "Gaussian error linear unit",
          "y = x/2 * (1 + erf(x / sqrt(2))), or with approximate = tanh "
          "y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))",
          (ins ONNX_Str<"none">:$approximate)> {
  let hasVerifier = 1;
}

def ONNX_ClipOp : ONNX_Op<"Clip", "TTT:T", "SameShape"> {
  let summary = "limit values to a range";
  let description = [{
    For every element: `y = min(max(x, lo), hi)`. The bounds are scalars; an
    absent one does not limit. If `lo > hi` every element becomes `hi`.

    ```mlir
    %y = onnx.Clip(%x, %lo, %none) : (tensor<4xf32>, tensor<f32>, none) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$input, ONNX_Opt<ONNX_Num>:$min,
                   ONNX_Opt<ONNX_Num>:$max);
  let results = (outs ONNX_Num:$output);
}

def ONNX_PReluOp : ONNX_Op<"PRelu", "TT:T", "PRelu"> {
  let summary = "rectifier with learned slopes";
  let description = [{
    For every element: `y = x if x >= 0, else slope * x`. `slope` broadcasts to
    the shape of `X`, in that direction only.

    ```mlir
    %y = onnx.PRelu(%x, %slope) : (tensor<1x8x4xf32>, tensor<8x1xf32>) -> tensor<1x8x4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Num:$slope);
  let results = (outs ONNX_Num:$Y);
}

//===----------------------------------------------------------------------===//
// Two operands, broadcast
//===----------------------------------------------------------------------===//

/// c = f(a, b) with NumPy's rules of broadcasting: shapes are aligned at the
/// right, and a dimension of size one repeats.
class ONNX_BinaryOp<string mnemonic, Type type, string title, string formula>
    : ONNX_Op<mnemonic, "TT:T", "Broadcast"> {
  let summary = title;
  let description = "For every pair of elements: `" # formula # [{`. Shapes
    broadcast as in NumPy: aligned at the right, a size of one repeats.

    ```mlir
    %c = onnx.}] # mnemonic # [{(%a, %b) : (tensor<4x1x}] # !if(!eq(type, ONNX_Bool), "i1",
                  !if(!eq(type, ONNX_Int), "i32", "f32")) # [{>, tensor<3x}] #
             !if(!eq(type, ONNX_Bool), "i1", !if(!eq(type, ONNX_Int), "i32", "f32")) #
             [{>) -> tensor<4x3x}] #
             !if(!eq(type, ONNX_Bool), "i1", !if(!eq(type, ONNX_Int), "i32", "f32")) # [{>
    ```
  }];
  let arguments = (ins type:$A, type:$B);
  let results = (outs type:$C);
}

/// A comparison: the result holds truth values.
class ONNX_CompareOp<string mnemonic, Type type, string title, string formula>
    : ONNX_Op<mnemonic, "TT:b", "Broadcast"> {
  let summary = title;
  let description = "For every pair of elements: `" # formula # [{`. Shapes
    broadcast as in NumPy.

    ```mlir
    %c = onnx.}] # mnemonic # [{(%a, %b) : (tensor<4x1xf32>, tensor<3xf32>) -> tensor<4x3xi1>
    ```
  }];
  let arguments = (ins type:$A, type:$B);
  let results = (outs ONNX_Bool:$C);
}

def ONNX_AddOp : ONNX_BinaryOp<"Add", ONNX_Num, "sum", "c = a + b"> {
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def ONNX_SubOp : ONNX_BinaryOp<"Sub", ONNX_Num, "difference", "c = a - b"> {
  let hasFolder = 1;
}
def ONNX_MulOp : ONNX_BinaryOp<"Mul", ONNX_Num, "product", "c = a * b"> {
  let hasFolder = 1;
}
def ONNX_DivOp
    : ONNX_BinaryOp<"Div", ONNX_Num, "quotient",
                    "c = a / b (integers: rounded towards zero)"> {
  let hasFolder = 1;
}
def ONNX_BitwiseAndOp
    : ONNX_BinaryOp<"BitwiseAnd", ONNX_Int, "and of all bits", "c = a & b">;
def ONNX_BitwiseOrOp
    : ONNX_BinaryOp<"BitwiseOr", ONNX_Int, "or of all bits", "c = a | b">;
def ONNX_BitwiseXorOp
    : ONNX_BinaryOp<"BitwiseXor", ONNX_Int, "exclusive or of all bits",
                    "c = a ^ b">;
def ONNX_AndOp
    : ONNX_BinaryOp<"And", ONNX_Bool, "logical and", "c = a and b">;
def ONNX_OrOp : ONNX_BinaryOp<"Or", ONNX_Bool, "logical or", "c = a or b">;
def ONNX_XorOp
    : ONNX_BinaryOp<"Xor", ONNX_Bool, "logical exclusive or", "c = a != b">;

def ONNX_EqualOp : ONNX_CompareOp<"Equal", ONNX_Any, "equality", "c = (a = b)">;
def ONNX_LessOp : ONNX_CompareOp<"Less", ONNX_Num, "less", "c = (a < b)">;
def ONNX_GreaterOp
    : ONNX_CompareOp<"Greater", ONNX_Num, "greater", "c = (a > b)">;
def ONNX_LessOrEqualOp
    : ONNX_CompareOp<"LessOrEqual", ONNX_Num, "less or equal", "c = (a <= b)">;
def ONNX_GreaterOrEqualOp
    : ONNX_CompareOp<"GreaterOrEqual", ONNX_Num, "greater or equal",
                     "c = (a >= b)">;

def ONNX_PowOp : ONNX_Op<"Pow", "T.:T", "Broadcast"> {
  let summary = "power";
  let description = [{
    For every pair of elements: `z = x^y`, computed and returned in the type of
    `X`; the exponent may have another type. Shapes broadcast as in NumPy.

    ```mlir
    %z = onnx.Pow(%x, %y) : (tensor<2x3xf32>, tensor<i64>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$X, ONNX_Num:$Y);
  let results = (outs ONNX_Num:$Z);
}

def ONNX_ModOp : ONNX_Op<"Mod", "TT:T", "Broadcast"> {
  let summary = "remainder";
  let description = [{
    For every pair of elements the remainder of `a / b`: with the sign of `b`
    when `fmod` is 0 (integers, as Python's `%`), with the sign of `a` when it
    is 1 (as C's `fmod`). Shapes broadcast as in NumPy.

    ```mlir
    %c = onnx.Mod(%a, %b) {fmod = 1 : i64} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins ONNX_Num:$A, ONNX_Num:$B, ONNX_Int<0>:$fmod);
  let results = (outs ONNX_Num:$C);
}

def ONNX_BitShiftOp : ONNX_Op<"BitShift", "TT:T", "Broadcast"> {
  let summary = "shift of bits";
  let description = [{
    For every pair of elements: `z = x << y` with direction `LEFT`, `z = x >> y`
    with direction `RIGHT`. Shapes broadcast as in NumPy.

    ```mlir
    %z = onnx.BitShift(%x, %y) {direction = "LEFT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
    ```
  }];
  let arguments = (ins ONNX_Int:$X, ONNX_Int:$Y, StrAttr:$direction);
  let results = (outs ONNX_Int:$Z);
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// More operands, broadcast
//===----------------------------------------------------------------------===//

class ONNX_VariadicOp<string mnemonic, Type type, string title, string formula>
    : ONNX_Op<mnemonic, "T:T", "Broadcast"> {
  let summary = title;
  let description = "For every tuple of elements: `" # formula # [{`. One
    operand or more; shapes broadcast as in NumPy.

    ```mlir
    %y = onnx.}] # mnemonic # [{(%a, %b, %c) : (tensor<2x3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Variadic<type>:$data_0);
  let results = (outs type:$Y);
  let hasVerifier = 1;
  let hasFolder = 1;
}
def ONNX_MaxOp
    : ONNX_VariadicOp<"Max", ONNX_Num, "maximum", "y = max(a, b, ...)">;
def ONNX_MinOp
    : ONNX_VariadicOp<"Min", ONNX_Num, "minimum", "y = min(a, b, ...)">;
def ONNX_SumOp : ONNX_VariadicOp<"Sum", ONNX_Float, "sum", "y = a + b + ...">;
def ONNX_MeanOp
    : ONNX_VariadicOp<"Mean", ONNX_Float, "mean", "y = (a + b + ...) / n">;

def ONNX_WhereOp : ONNX_Op<"Where", ".TT:T", "Broadcast"> {
  let summary = "choose between two tensors";
  let description = [{
    For every element: `z = x if condition, else y`. Shapes broadcast as in
    NumPy.

    ```mlir
    %z = onnx.Where(%c, %x, %y) : (tensor<2x3xi1>, tensor<3xf32>, tensor<f32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins ONNX_Bool:$condition, ONNX_Any:$X, ONNX_Any:$Y);
  let results = (outs ONNX_Any:$output);
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

def ONNX_DetOp : ONNX_Op<"Det", "T:T"> {
  let summary = "determinant";
  let description = [{
    The determinants of the square matrices of the last two dimensions.

    ```mlir
    %y = onnx.Det(%x) : (tensor<5x3x3xf32>) -> tensor<5xf32>
    ```
  }];
  let arguments = (ins ONNX_Float:$X);
  let results = (outs ONNX_Float:$Y);
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXMATHOPS_TD
