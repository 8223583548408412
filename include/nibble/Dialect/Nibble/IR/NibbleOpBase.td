//===- NibbleOpBase.td - What definitions of operations share -*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPBASE_TD
#define NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPBASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "nibble/Dialect/Nibble/IR/NibbleAttributes.td"
include "nibble/Dialect/Nibble/IR/NibbleBase.td"

class Nibble_Op<string mnemonic, list<Trait> traits = []>
    : Op<Nibble_Dialect, mnemonic, traits>;

def Nibble_TensorOrMemRef : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

#endif // NIBBLE_DIALECT_NIBBLE_IR_NIBBLEOPBASE_TD
