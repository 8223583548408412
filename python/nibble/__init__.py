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
from .generate import empty_cache, generate, step
from .llama import LlamaConfig, build_llama
from .llama2c import read_llama2c
from .runtime import LayerProfile, Model, TensorInfo
from .tokenizer import Tokenizer

__all__ = [
    "LayerProfile",
    "LlamaConfig",
    "Model",
    "NibbleError",
    "TensorInfo",
    "Tokenizer",
    "build_llama",
    "empty_cache",
    "generate",
    "read_llama2c",
    "step",
]
