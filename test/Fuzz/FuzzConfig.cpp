//===- FuzzConfig.cpp - Any bytes as a configuration ----------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FuzzSupport.h"
#include "nibble/Support/QuantizationConfig.h"
#include "llvm/Support/raw_ostream.h"

using namespace nibble;

static std::string write(const QuantizationConfig &config) {
  std::string text;
  llvm::raw_string_ostream os(text);
  config.write(os);
  return text;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  llvm::Expected<QuantizationConfig> config =
      QuantizationConfig::parse(text, "rules.yaml");
  if (!config) {
    std::string message = llvm::toString(config.takeError());
    if (!llvm::StringRef(message).starts_with("rules.yaml:"))
      fuzz::fail("an error without a line: " + message);
    return 0;
  }
  for (llvm::StringRef layer : {"", "a", "model.layers.0.mlp", "/conv/Conv_0"})
    config->resolve(LayerChoice(), {layer, "w"}, "Conv");
  config->getUnmatchedRules();

  // What is written is read as the same.
  std::string written = write(*config);
  llvm::Expected<QuantizationConfig> again =
      QuantizationConfig::parse(written, "rules.yaml");
  if (!again)
    fuzz::fail("written but not read: " + llvm::toString(again.takeError()) +
               "\n" + written);
  if (write(*again) != written)
    fuzz::fail("read otherwise than written:\n" + written);
  return 0;
}
