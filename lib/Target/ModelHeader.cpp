//===- ModelHeader.cpp - The header of an object file ---------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelHeader.h"
#include "nibble/Runtime/nibble.h"
#include "llvm/ADT/StringExtras.h"

using namespace nibble::target;

/// Names come from the model: nothing in them may end the comment.
static std::string quoted(llvm::StringRef text) {
  std::string result = "\"";
  for (char c : text)
    result.push_back(c == '*' || c == '/' || !llvm::isPrint(c) ? '_' : c);
  return result + "\"";
}

static void writeTensors(llvm::raw_ostream &os, llvm::StringRef title,
                         const std::vector<TensorInfo> &infos) {
  os << " * " << title << ":\n";
  for (size_t i = 0; i != infos.size(); ++i) {
    const TensorInfo &info = infos[i];
    os << " *   " << i << ": " << quoted(info.name) << ", "
       << nibble_dtype_name(info.dtype) << " [";
    for (size_t d = 0; d != info.dims.size(); ++d) {
      os << (d ? ", " : "");
      if (info.dims[d] >= 0)
        os << info.dims[d];
      else
        os << (info.dimNames[d].empty() ? "?" : quoted(info.dimNames[d]));
    }
    os << "]\n";
  }
}

void nibble::target::writeModelHeader(llvm::raw_ostream &os,
                                      const ModelInfo &info,
                                      const DescriptorText &text,
                                      llvm::StringRef identifier,
                                      llvm::StringRef objectName) {
  std::string guard = "NIBBLE_MODEL_" + llvm::StringRef(identifier).upper();
  os << "/* The model " << quoted(text.name) << ", compiled by Nibble.\n *\n";
  writeTensors(os, "Inputs", info.inputs);
  writeTensors(os, "Outputs", info.outputs);
  for (const CacheInfo &cache : info.caches)
    os << " * Cache: " << quoted(info.inputs[cache.input].name) << " and "
       << quoted(info.outputs[cache.output].name)
       << ", see nibble_context_keep_caches\n";
  os << " *\n"
     << " *   nibble_model *model;\n"
     << " *   nibble_model_open(&nibble_model_" << identifier << ", &model);\n"
     << " *\n"
     << " * Link with: cc main.c " << objectName
     << " -lnibble_runtime -lomp -lm\n";
  if (!text.sidecar.empty())
    os << " * The weights file " << quoted(text.sidecar)
       << " must lie beside the program.\n";
  os << " */\n"
     << "#ifndef " << guard << "_H\n"
     << "#define " << guard << "_H\n\n"
     << "#include \"nibble/Runtime/nibble.h\"\n\n"
     << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
     << "#define " << guard << "_INPUTS " << info.inputs.size() << "\n"
     << "#define " << guard << "_OUTPUTS " << info.outputs.size() << "\n\n"
     << "/* The argument of nibble_model_open. */\n"
     << "extern const nibble_model_descriptor nibble_model_" << identifier
     << ";\n\n"
     << "#ifdef __cplusplus\n}\n#endif\n\n"
     << "#endif /* " << guard << "_H */\n";
}
