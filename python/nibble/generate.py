# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Greedy text generation with a model that carries its keys and values along."""

from __future__ import annotations

from typing import Iterator, Mapping, Protocol, Sequence

import numpy as np

from .errors import NibbleError
from .tokenizer import BOS


class Runnable(Protocol):
    """Anything that maps named arrays to named arrays, such as `nibble.Model`."""

    @property
    def input_shapes(self) -> Mapping[str, Sequence[int | None]]: ...

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]: ...


def empty_cache(model: Runnable, batch: int = 1) -> dict[str, np.ndarray]:
    """Past keys and values of length zero, float32 [batch, kv_heads, 0, head_dim].

    Raises NibbleError when the model has no `past_key_values.*` inputs.
    """
    cache = {}
    for name, shape in model.input_shapes.items():
        if name.startswith("past_key_values."):
            cache[name] = np.zeros((batch, shape[1], 0, shape[3]), np.float32)
    if not cache:
        raise NibbleError(
            "this model has no past_key_values inputs, so it cannot generate text; "
            "export it with python -m nibble export"
        )
    return cache


def step(
    model: Runnable, tokens: np.ndarray, cache: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Feeds int tokens [batch, n]; returns logits [batch, n, vocabulary] and the new cache."""
    past = next(iter(cache.values())).shape[2]
    batch, count = tokens.shape
    positions = np.broadcast_to(np.arange(past, past + count, dtype=np.int64), (batch, count))
    out = model.run(
        {
            "input_ids": np.ascontiguousarray(tokens, np.int64),
            "position_ids": np.ascontiguousarray(positions),
            **cache,
        }
    )
    present = {name: out[name.replace("past_key_values.", "present.")] for name in cache}
    return out["logits"], present


def generate(model: Runnable, prompt: Sequence[int], positions: int = 256) -> Iterator[int]:
    """Yields the most likely continuation of `prompt`, token by token.

    Stops after `positions` tokens have been fed or when the model produces the
    start token. On equal logits the lowest token number wins.
    """
    if not prompt:
        raise NibbleError("generation needs a prompt of at least one token")
    tokens = np.asarray([list(prompt)], np.int64)
    cache = empty_cache(model)
    fed = 0
    while True:
        logits, cache = step(model, tokens, cache)
        fed += tokens.shape[1]
        token = int(np.argmax(logits[0, -1]))
        if token == BOS:
            return
        yield token
        if fed >= positions:
            return
        tokens = np.asarray([[token]], np.int64)
