//===- ONNXMixerOps.cpp - Operators that mix positions of a sequence ------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyUtils.h"
#include "nibble/Dialect/ONNX/IR/ONNXOps.h"

using namespace mlir;
using namespace nibble;
using namespace nibble::onnx;

#define GET_OP_CLASSES
#include "nibble/Dialect/ONNX/IR/ONNXMixerOps.cpp.inc"

void ONNXDialect::registerMixerOps() {
  addOperations<
#define GET_OP_LIST
#include "nibble/Dialect/ONNX/IR/ONNXMixerOps.cpp.inc"
      >();
}

LogicalResult CausalConvWithStateOp::verify() {
  return verifyChoice(*this, "activation", getActivation(),
                      {"none", "silu", "swish"});
}

LogicalResult LinearAttentionOp::verify() {
  if (failed(verifyChoice(*this, "update_rule", getUpdateRule(),
                          {"linear", "gated", "delta", "gated_delta"})) ||
      failed(verifyAtLeast(*this, "kv_num_heads", getKvNumHeads(), 1)) ||
      failed(verifyAtLeast(*this, "q_num_heads", getQNumHeads(), 1)))
    return failure();
  if (getQNumHeads() % getKvNumHeads() != 0)
    return emitOpError() << "q_num_heads is " << getQNumHeads()
                         << ", expected a multiple of kv_num_heads, "
                         << getKvNumHeads();
  bool gated = getUpdateRule().starts_with("gated");
  bool delta = getUpdateRule().ends_with("delta");
  if (gated && isa<NoneType>(getDecay().getType()))
    return emitOpError() << "update_rule '" << getUpdateRule()
                         << "' needs the operand decay";
  if (delta && isa<NoneType>(getBeta().getType()))
    return emitOpError() << "update_rule '" << getUpdateRule()
                         << "' needs the operand beta";
  return success();
}
