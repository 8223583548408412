# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python front of Nibble, the quantization compiler.

    import nibble, numpy as np
    model = nibble.Model("glyphs.so")
    logits = model.run({"images": np.zeros((1, 1, 24, 24), np.float32)})["logits"]

All work is done by compiled models and by the compiler's command-line tools;
this package calls them, converts checkpoints to ONNX and splits text into tokens.
"""

from .errors import NibbleError
from .export import Gpt2Config, LlamaConfig, build_gpt2, build_llama, read_llama2c
from .generate import empty_cache, generate, step
from .runtime import LayerProfile, Model, TensorInfo
from .tokenizer import Tokenizer

__all__ = [
    "Gpt2Config",
    "LayerProfile",
    "LlamaConfig",
    "Model",
    "NibbleError",
    "TensorInfo",
    "Tokenizer",
    "build_gpt2",
    "build_llama",
    "empty_cache",
    "generate",
    "read_llama2c",
    "step",
]
