//===- NibbleInterfaces.td - What a quantization pass sees -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTERFACES_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTERFACES_TD

include "mlir/IR/OpBase.td"

def QuantizableOpInterface : OpInterface<"QuantizableOpInterface"> {
  let cppNamespace = "::nibble";
  let description = [{
    An operation with a weight that can be quantized. The weight is seen as N
    rows (output channels) of K elements (the contraction), whatever its shape
    and order in memory, so that a quantization pass need not know operations.
  }];
  let methods = [
    InterfaceMethod<"The operand that holds the weight.",
      "::mlir::OpOperand &", "getWeightOperand">,
    InterfaceMethod<[{
        The weight as rows: counts and strides, in elements. Only called while
        the weight is a float tensor of static shape.
      }], "::nibble::WeightView", "getWeightView">,
    InterfaceMethod<"The operand that is multiplied with the weight; null for a table of rows.",
      "::mlir::Value", "getActivationInput">,
    InterfaceMethod<"The ONNX operator type that rules name: MatMul, Conv, Gather.",
      "::llvm::StringRef", "getOperatorType">,
    InterfaceMethod<"Names of all layers fused into this operation, the own first.",
      "::mlir::ArrayAttr", "getLayers">,
    InterfaceMethod<"How the weight is quantized; null for a float weight.",
      "::nibble::SchemeAttr", "getQuantizationScheme", (ins), [{}], [{
        return $_op.getSchemeAttr();
      }]>,
    InterfaceMethod<[{
        Replaces the weight by codes and the values that belong to them. Those
        that the scheme does not have are null.
      }], "void", "setQuantizedWeight",
      (ins "const ::nibble::QuantizedWeightValues &":$values,
           "::nibble::SchemeAttr":$scheme)>,
    InterfaceMethod<"What `setQuantizedWeight` sets; codes are the weight.",
      "::nibble::QuantizedWeightValues", "getQuantizedWeight">
  ];
  let extraClassDeclaration = [{
    /// The first layer name, or an empty string.
    ::llvm::StringRef getLayerName();
  }];
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEINTERFACES_TD
