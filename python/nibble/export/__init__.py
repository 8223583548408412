# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checkpoints of language models to ONNX in standard operators, without PyTorch.

Readers give `Weight` objects, architectures (Llama, GPT-2, BERT) build a graph of them,
and a graph's weights are written as they are read.
"""

from .bert import BertConfig, build_bert
from .decoder import DecoderOptions
from .gpt2 import Gpt2Config, build_gpt2
from .graph import DataFile
from .llama import LlamaConfig, build_llama
from .llama2c import read_llama2c
from .model import export_model, read_checkpoint
from .rope import Rope
from .tensors import Weight

__all__ = [
    "BertConfig",
    "DataFile",
    "DecoderOptions",
    "Gpt2Config",
    "LlamaConfig",
    "Rope",
    "Weight",
    "build_bert",
    "build_gpt2",
    "build_llama",
    "export_model",
    "read_checkpoint",
    "read_llama2c",
]
