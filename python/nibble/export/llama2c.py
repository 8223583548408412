# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads checkpoints in llama2.c's first binary format.

Seven little-endian `int32` (dim, hidden_dim, layers, heads, kv_heads,
vocabulary, positions; a negative vocabulary says that the head has a matrix of
its own) are followed by float32 arrays, each stacked over the layers.
"""

from __future__ import annotations

import math
import os

import numpy as np

from ..errors import NibbleError
from .llama import LlamaConfig
from .tensors import Weight, file_size, read_bytes

_HEADER_BYTES = 28


def read_llama2c(path: str | os.PathLike[str]) -> tuple[LlamaConfig, dict[str, Weight]]:
    """Returns the config and the weights, named as `build_llama` wants them.

    Raises NibbleError when the file is missing or its size does not fit its header.
    """
    size = file_size(path)
    if size < _HEADER_BYTES:
        raise NibbleError(f"{path}: not a llama2.c checkpoint: only {size} bytes")
    header = [int(value) for value in np.frombuffer(read_bytes(path, 0, _HEADER_BYTES), "<i4")]
    shared_head = header[5] > 0
    try:
        config = LlamaConfig(*header[:5], abs(header[5]), header[6])
    except NibbleError as error:
        raise NibbleError(f"{path}: not a llama2.c checkpoint: {error}") from error

    layers = config.layers
    stacked: list[tuple[str, tuple[int, ...]]] = [
        ("attention_norm", (config.dim,)),
        ("attention.q", (config.dim, config.dim)),
        ("attention.k", (config.kv_dim, config.dim)),
        ("attention.v", (config.kv_dim, config.dim)),
        ("attention.o", (config.dim, config.dim)),
        ("mlp_norm", (config.dim,)),
        ("mlp.gate", (config.hidden_dim, config.dim)),
        ("mlp.down", (config.dim, config.hidden_dim)),
        ("mlp.up", (config.hidden_dim, config.dim)),
    ]
    plan: list[tuple[str, tuple[int, ...]]] = [("embed", (config.vocabulary, config.dim))]
    plan += [(name, (layers, *shape)) for name, shape in stacked]
    # The two rotation tables are recomputed, not taken: they follow from the sizes.
    plan += [("norm", (config.dim,)), ("", (2, config.positions, config.head_dim // 2))]
    if not shared_head:
        plan.append(("lm_head", (config.vocabulary, config.dim)))

    expected = _HEADER_BYTES + 4 * sum(math.prod(shape) for _, shape in plan)
    if size != expected:
        raise NibbleError(
            f"{path}: has {size} bytes, expected {expected} for a llama2.c "
            f"checkpoint with header {header}"
        )
    weights: dict[str, Weight] = {}
    offset = _HEADER_BYTES
    per_layer = dict(stacked)
    for name, shape in plan:
        if name in per_layer:
            for i in range(layers):
                place = offset + 4 * i * math.prod(shape[1:])
                weights[f"layers.{i}.{name}.weight"] = Weight.in_file(path, place, shape[1:], "F32")
        elif name:
            weights[f"{name}.weight"] = Weight.in_file(path, offset, shape, "F32")
        offset += 4 * math.prod(shape)
    return config, weights
