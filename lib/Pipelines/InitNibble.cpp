//===- InitNibble.cpp - Registration of everything -*- C++ -*-===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Pipelines/InitNibble.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "nibble/Codegen/CPU/Passes.h"
#include "nibble/Codegen/CUDA/Passes.h"
#include "nibble/Conversion/NibbleToLinalg/NibbleToLinalg.h"
#include "nibble/Conversion/ONNXToLinalg/ONNXToLinalg.h"
#include "nibble/Conversion/ONNXToNibble/ONNXToNibble.h"
#include "nibble/Dialect/Nibble/IR/NibbleDialect.h"
#include "nibble/Dialect/Nibble/Transforms/BufferizableOpInterfaceImpl.h"
#include "nibble/Dialect/Nibble/Transforms/Passes.h"
#include "nibble/Dialect/ONNX/IR/ONNXDialect.h"
#include "nibble/Dialect/ONNX/Transforms/Passes.h"
#include "nibble/Pipelines/Pipelines.h"
#include "nibble/Target/Passes.h"

void nibble::registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  registry.insert<NibbleDialect, onnx::ONNXDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);
}

void nibble::registerAllPasses() {
  mlir::registerAllPasses();
  registerPipelines();
  codegen::registerCodegenCPU();
  codegen::cuda::registerCodegenCUDA();
  onnx::registerONNXTransformsPasses();
  target::registerTargetPasses();
  registerNibbleToLinalgPasses();
  registerONNXToLinalgPasses();
  registerONNXToNibblePasses();
  registerNibbleTransformsPasses();
}
