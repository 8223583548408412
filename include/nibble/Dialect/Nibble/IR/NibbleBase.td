//===- NibbleBase.td - The nibble dialect -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEBASE_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Nibble_Dialect : Dialect {
  let name = "nibble";
  let cppNamespace = "::nibble";
  let summary = "Quantized tensors as ordinary SSA values";
  let description = [{
    A quantized weight is three tensors (codes, scales, zero points) that are
    ordinary operands, and one attribute, `#nibble.scheme`, that says how they
    are to be read. Nothing that grows with the size of a weight is stored in a
    type, so that IR stays small and fast to print.

    Large constants are never copied into IR: `#nibble.mapped` refers to a range
    of bytes in a file.
  }];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Name of the discardable attribute that holds an operation's layer name.
    static constexpr llvm::StringLiteral getLayerNameAttr() {
      return "onnx.name";
    }
    /// Name of the discardable attribute with the ONNX operator type, where it
    /// is not the usual one of an operation.
    static constexpr llvm::StringLiteral getOperatorTypeAttr() {
      return "onnx.op_type";
    }
    /// Name of the discardable attribute of a product whose input is to be
    /// quantized at run time.
    static constexpr llvm::StringLiteral getDynamicActivationsAttr() {
      return "nibble.dynamic_activations";
    }
    /// Files that `#nibble.mapped` attributes of this context refer to.
    ::nibble::FileMap &getFileMap() { return *fileMap; }

  private:
    std::shared_ptr<::nibble::FileMap> fileMap;
    void registerAttributes();

  public:
  }];
  let hasConstantMaterializer = 1;
}

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEBASE_TD
