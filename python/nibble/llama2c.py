# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads checkpoints in llama2.c's first binary format.

Seven little-endian `int32` (dim, hidden_dim, layers, heads, kv_heads,
vocabulary, positions; a negative vocabulary says that the head has a matrix of
its own) are followed by float32 arrays, each stacked over the layers.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .errors import NibbleError
from .llama import LlamaConfig

_HEADER_BYTES = 28


def read_llama2c(path: str | os.PathLike[str]) -> tuple[LlamaConfig, dict[str, np.ndarray]]:
    """Returns the config and the weights, named as `build_llama` wants them.

    Raises NibbleError when the file is missing or its size does not fit its header.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise NibbleError(f"{path}: cannot read checkpoint: {error.strerror}") from error
    if len(data) < _HEADER_BYTES:
        raise NibbleError(f"{path}: not a llama2.c checkpoint: only {len(data)} bytes")
    header = [int(value) for value in np.frombuffer(data, "<i4", 7)]
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

    expected = _HEADER_BYTES + 4 * sum(int(np.prod(shape)) for _, shape in plan)
    if len(data) != expected:
        raise NibbleError(
            f"{path}: has {len(data)} bytes, expected {expected} for a llama2.c "
            f"checkpoint with header {header}"
        )
    weights: dict[str, np.ndarray] = {}
    offset = _HEADER_BYTES
    per_layer = dict(stacked)
    for name, shape in plan:
        count = int(np.prod(shape))
        array = np.frombuffer(data, "<f4", count, offset).reshape(shape)
        offset += 4 * count
        if name in per_layer:
            for i in range(layers):
                weights[f"layers.{i}.{name}.weight"] = array[i]
        elif name:
            weights[f"{name}.weight"] = array
    return config, weights
