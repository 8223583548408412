//===- CompiledModel.cpp - Run what was just compiled ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Execution/CompiledModel.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace nibble;
namespace fs = llvm::sys::fs;

mlir::FailureOr<std::unique_ptr<CompiledModel>>
CompiledModel::compile(mlir::ModuleOp module, const target::ModelInfo &info,
                       const target::WeightLayout &layout,
                       const target::CpuTarget &target, int32_t threads) {
  llvm::SmallString<128> directory;
  if (std::error_code ec = fs::createUniqueDirectory("nibble", directory))
    return module.emitError()
           << "can't make a temporary directory: " << ec.message();
  target::EmitOptions options;
  llvm::SmallString<128> path(directory);
  llvm::sys::path::append(path, "model.so");
  options.output = path.str().str();
  // The mapping outlives the file, but a sidecar would be looked for later.
  options.weights = target::WeightPlacement::Embedded;
  mlir::LogicalResult emitted =
      target::emitArtifact(module, info, layout, target, options);
  std::unique_ptr<CompiledModel> result;
  if (succeeded(emitted)) {
    llvm::Expected<std::unique_ptr<CompiledModel>> loaded = load(path, threads);
    if (loaded)
      result = std::move(*loaded);
    else
      module.emitError() << llvm::toString(loaded.takeError());
  }
  fs::remove_directories(directory);
  if (!result)
    return mlir::failure();
  return result;
}

llvm::Expected<std::unique_ptr<CompiledModel>>
CompiledModel::load(llvm::StringRef path, int32_t threads) {
  std::unique_ptr<CompiledModel> result(new CompiledModel());
  nibble_context_options options = {};
  options.size = sizeof(options);
  options.threads = threads;
  if (nibble_model_load(path.str().c_str(), &result->model) != NIBBLE_OK ||
      nibble_context_create(result->model, &options, &result->context) !=
          NIBBLE_OK)
    return llvm::createStringError(nibble_last_error(nullptr));
  result->outputs.resize(nibble_model_output_count(result->model));
  return result;
}

CompiledModel::~CompiledModel() {
  nibble_context_free(context);
  nibble_model_free(model);
}

llvm::Expected<llvm::ArrayRef<nibble_tensor>>
CompiledModel::run(llvm::ArrayRef<nibble_tensor> inputs) {
  for (nibble_tensor &output : outputs)
    output = {};
  if (nibble_run(context, inputs.data(), inputs.size(), outputs.data(),
                 outputs.size()) != NIBBLE_OK)
    return llvm::createStringError(nibble_last_error(context));
  return llvm::ArrayRef<nibble_tensor>(outputs);
}
