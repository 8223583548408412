# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python front of Nibble, the quantization compiler.

    import nibble, numpy as np
    nibble.compile("glyphs.onnx", "glyphs.so", nibble.QuantizationConfig("W4A16", group_size=32))
    model = nibble.load("glyphs.so")
    logits = model.run({"images": np.zeros((1, 1, 24, 24), np.float32)})["logits"]

All work is done by compiled models and by the compiler; this package calls them,
converts checkpoints to ONNX, splits text into tokens and chooses tokens.
"""

from .calibration import calibrate
from .compiler import QuantizationConfig, Rule, compile, load
from .errors import CompileError, ContextOverflowError, Diagnostic, NibbleError
from .export import (
    DecoderOptions,
    Gpt2Config,
    LlamaConfig,
    build_gpt2,
    build_llama,
    export_model,
    read_llama2c,
)
from .fetch import fetch
from .generate import Decoder, empty_cache, generate, step
from .language import LanguageModel
from .perplexity import Perplexity, perplexities, perplexity
from .runtime import CacheInfo, CacheState, Context, LayerProfile, Model, TensorInfo
from .sampling import Sampler, Sampling
from .sources import prepare
from .text import load_codec
from .tokenizer import Tokenizer

__all__ = [
    "CacheInfo",
    "CacheState",
    "CompileError",
    "Context",
    "ContextOverflowError",
    "Decoder",
    "DecoderOptions",
    "Diagnostic",
    "Gpt2Config",
    "LanguageModel",
    "LayerProfile",
    "LlamaConfig",
    "Model",
    "NibbleError",
    "Perplexity",
    "QuantizationConfig",
    "Rule",
    "Sampler",
    "Sampling",
    "TensorInfo",
    "Tokenizer",
    "build_gpt2",
    "build_llama",
    "calibrate",
    "compile",
    "empty_cache",
    "export_model",
    "fetch",
    "generate",
    "load",
    "load_codec",
    "perplexities",
    "perplexity",
    "prepare",
    "read_llama2c",
    "step",
]
