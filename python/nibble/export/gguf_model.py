# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From the metadata and tensor names of GGUF files to the architectures here."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from ..errors import NibbleError
from .bert import BertConfig
from .gguf_file import GgufFile, read_gguf
from .gguf_tokenizer import tokenizer_files
from .gpt2 import Gpt2Config
from .huggingface import (
    GPT2_NAMES,
    LLAMA_NAMES,
    Checkpoint,
    Config,
    adapt,
    rename,
    split_qkv,
)
from .llama import LlamaConfig
from .rope import Rope
from .tensors import Weight

_NAMES = (
    (r"rope_freqs\.weight", ""),
    (r"token_embd\.weight", "embed.weight"),
    (r"token_embd_norm\.(weight|bias)", r"embed_norm.\1"),
    (r"token_types\.weight", "token_types.weight"),
    (r"position_embd\.weight", "positions.weight"),
    (r"output_norm\.(weight|bias)", r"norm.\1"),
    (r"output\.weight", "lm_head.weight"),
    (r"blk\.(\d+)\.attn_norm\.(weight|bias)", r"layers.\1.attention_norm.\2"),
    (r"blk\.(\d+)\.ffn_norm\.(weight|bias)", r"layers.\1.mlp_norm.\2"),
    (r"blk\.(\d+)\.attn_([qkv]|[qk]_norm|qkv)\.(weight|bias)", r"layers.\1.attention.\2.\3"),
    (r"blk\.(\d+)\.attn_output\.(weight|bias)", r"layers.\1.attention.o.\2"),
    (r"blk\.(\d+)\.ffn_(gate|up|down)\.(weight|bias)", r"layers.\1.mlp.\2.\3"),
    # BERT normalises after its blocks.
    (r"blk\.(\d+)\.attn_output_norm\.(weight|bias)", r"layers.\1.attention_norm.\2"),
    (r"blk\.(\d+)\.layer_output_norm\.(weight|bias)", r"layers.\1.mlp_norm.\2"),
)
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "bert")


class _Metadata:
    """The keys of one architecture, with messages that name file and key."""

    def __init__(self, file: GgufFile, architecture: str):
        self._file, self._prefix = file, architecture + "."

    def get(self, key: str, default: Any = None) -> Any:
        return self._file.metadata.get(self._prefix + key, default)

    def number(self, key: str, default: Any = None) -> Any:
        value = self.get(key, default)
        if isinstance(value, list) and value and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NibbleError(
                f"{self._file.path}: {self._prefix}{key} is {value!r}, expected a number"
            )
        return value


def _rope(file: GgufFile, m: _Metadata, head_dim: int) -> Rope:
    theta = float(m.number("rope.freq_base", 10000.0))
    if "rope_freqs.weight" in file.tensors:
        # Llama 3.1's scaling, as a divisor for each pair.
        factors = file.tensors["rope_freqs.weight"].array()
        if factors.shape != (head_dim // 2,):
            raise NibbleError(
                f"{file.path}: rope_freqs.weight has shape {list(factors.shape)}, expected "
                f"[{head_dim // 2}]"
            )
        return Rope(theta, "factors", {"factors": factors})
    kind = m.get("rope.scaling.type", "none")
    if kind == "none":
        return Rope(theta)
    parameters = {"factor": m.number("rope.scaling.factor")}
    if m.get("rope.scaling.original_context_length"):
        parameters["original_max_position_embeddings"] = m.number(
            "rope.scaling.original_context_length"
        )
    if m.get("rope.scaling.attn_factor"):
        parameters["attention_factor"] = m.number("rope.scaling.attn_factor")
    try:
        return Rope(theta, kind, parameters)
    except NibbleError as error:
        raise NibbleError(f"{file.path}: {error}") from error


def _llama_config(file: GgufFile, m: _Metadata, vocabulary: int) -> LlamaConfig:
    heads, dim = m.number("attention.head_count"), m.number("embedding_length")
    head_dim = m.number("attention.key_length", dim // heads)
    layers = m.number("block_count")
    rotated = m.number("rope.dimension_count", head_dim)
    if rotated != head_dim or m.number("attention.value_length", head_dim) != head_dim:
        raise NibbleError(f"{file.path}: heads of which only a part is rotated are not supported")
    window = m.number("attention.sliding_window", 0)
    return LlamaConfig(
        dim=dim,
        hidden_dim=m.number("feed_forward_length"),
        layers=layers,
        heads=heads,
        kv_heads=m.number("attention.head_count_kv", heads),
        vocabulary=vocabulary,
        positions=m.number("context_length"),
        eps=m.number("attention.layer_norm_rms_epsilon"),
        rope=_rope(file, m, head_dim),
        interleaved=False,
        head_size=head_dim,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        o_bias="blk.0.attn_output.bias" in file.tensors,
        mlp_bias="blk.0.ffn_gate.bias" in file.tensors,
        qk_norm="blk.0.attn_q_norm.weight" in file.tensors,
        windows=(window,) * layers if window else (),
    )


def _config(file: GgufFile, architecture: str) -> Config:
    m = _Metadata(file, architecture)
    if "token_embd.weight" not in file.tensors:
        raise NibbleError(f"{file.path}: the tensor token_embd.weight is missing")
    vocabulary = file.tensors["token_embd.weight"].shape[0]
    if architecture in ("llama", "qwen2", "qwen3"):
        return _llama_config(file, m, vocabulary)
    sizes = {
        "dim": m.number("embedding_length"),
        "hidden_dim": m.number("feed_forward_length"),
        "layers": m.number("block_count"),
        "heads": m.number("attention.head_count"),
        "vocabulary": vocabulary,
        "positions": m.number("context_length"),
        "eps": m.number("attention.layer_norm_epsilon"),
    }
    if architecture == "gpt2":
        return Gpt2Config(**sizes)
    types = file.tensors.get("token_types.weight")
    return BertConfig(**sizes, token_types=types.shape[0] if types else 2)


def _interleaved_rows(heads: int, head_dim: int) -> np.ndarray:
    """Where each row of a query or key matrix stands in a file of llama.cpp, which puts
    the two halves of a head side by side: half s, pair j is its row 2 j + s."""
    head, half, pair = np.ogrid[:heads, :2, : head_dim // 2]
    return (head * head_dim + 2 * pair + half).reshape(-1)


def _unpermute(config: LlamaConfig, weights: dict[str, Weight]) -> None:
    for name, weight in weights.items():
        if name.endswith((".attention.q.weight", ".attention.q.bias")):
            heads = config.heads
        elif name.endswith((".attention.k.weight", ".attention.k.bias")):
            heads = config.kv_heads
        else:
            continue
        # A wrong shape is reported, with all others, when the graph is built.
        if weight.shape[0] == heads * config.head_dim:
            weights[name] = weight.reordered(_interleaved_rows(heads, config.head_dim))


def read_gguf_model(
    path: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    merge_adapter: bool = False,
) -> Checkpoint:
    """Reads a GGUF file with its tokenizer, and a LoRA adapter for it.

    Raises NibbleError for an architecture or tensors that are not known, for
    missing ones, and for damaged files.
    """
    file = read_gguf(path)
    architecture = file.metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise NibbleError(
            f"{path}: architecture '{architecture}' is not supported; known are "
            f"{', '.join(ARCHITECTURES)}"
        )
    config = _config(file, architecture)
    weights = rename(path, file.tensors, _NAMES)
    if isinstance(config, LlamaConfig) and architecture == "llama":
        _unpermute(config, weights)
    if adapter:
        # Adapters name weights as Hugging Face does, whatever the base comes in.
        names = {"gpt2": GPT2_NAMES}.get(architecture, LLAMA_NAMES)
        adapt(path, weights, adapter, names, merge_adapter)
    weights = split_qkv(weights, config.dim)
    files: dict[str, Any] = dict(tokenizer_files(file))
    described = {
        "model_type": architecture,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.positions,
    }
    files["config.json"] = json.dumps(described, indent=1).encode()
    return Checkpoint(config, weights, files)
