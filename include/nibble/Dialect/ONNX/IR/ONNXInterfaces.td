//===- ONNXInterfaces.td - Interface of every ONNX op ------*- tablegen -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_TD
#define NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_TD

include "mlir/IR/OpBase.td"

def ONNXOpInterface : OpInterface<"ONNXOpInterface"> {
  let description = [{
    What generic code (importer, exporter, shape inference) needs to know about
    an ONNX operator. The static part is derived from the ODS definition, so a
    new operator brings it along; it can be asked by name, before any operation
    exists:

    ```c++
    OperationName name("onnx.Conv", context);
    if (auto *iface = name.getInterface<onnx::ONNXOpInterface>())
      unsigned required = iface->getSignature().operands.required; // 2
    ```
  }];
  let cppNamespace = "::nibble::onnx";
  let methods = [
    StaticInterfaceMethod<[{
      How many operands, results and subgraphs the operator takes, and which
      element types must agree.
    }], "::nibble::onnx::OpSignature", "getSignature">,
    InterfaceMethod<[{
      Computes the shapes of the results (and element types that the type
      signature does not give) from what `context` knows about the operands.
      What is not known yet stays unknown; a contradiction is reported through
      `context.emitError()` and is a failure.
    }], "::llvm::LogicalResult", "inferShapes",
       (ins "::nibble::onnx::InferContext &":$context)>
  ];
  let verify = [{ return ::nibble::onnx::detail::verifyONNXOp($_op); }];
  let verifyWithRegions = 0;
}

#endif // NIBBLE_DIALECT_ONNX_IR_ONNXINTERFACES_TD
