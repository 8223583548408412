# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text generation with models that carry their keys and values along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from .errors import NibbleError
from .sampling import Sampler, Sampling
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
    model: Runnable,
    tokens: np.ndarray,
    cache: Mapping[str, np.ndarray],
    *,
    mask: np.ndarray | None = None,
    last_only: bool = False,
    copy: bool = True,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Feeds tokens to a model and returns logits and the new cache.

    Args:
      model: has the inputs that nibble/export/decoder.py describes.
      tokens: integers [batch, n].
      cache: past keys and values, as `empty_cache` or an earlier step returned them.
      mask: 1 for tokens and 0 for padding, integers [batch, past + n]; padding
        stands on the left. Default: no padding.
      last_only: compute the logits of the last position only, if the model can.
      copy: False for a cache in the model's own memory, valid until the next step
        (for a `nibble.Model`; see its `run`).

    Returns:
      float32 logits [batch, n, vocabulary] (or [batch, 1, vocabulary]), cache.
    """
    past = next(iter(cache.values())).shape[2]
    batch, count = tokens.shape
    known = model.input_shapes
    inputs = {"input_ids": np.ascontiguousarray(tokens, np.int64), **cache}
    if mask is not None and "attention_mask" not in known:
        raise NibbleError(
            "this model takes no attention_mask, so it cannot run texts of different "
            "lengths in one batch; export it without --no-padding"
        )
    if mask is None:
        mask = np.ones((batch, past + count), np.int64)
    mask = np.ascontiguousarray(mask, np.int64)
    if "position_ids" in known:
        positions = np.maximum(np.cumsum(mask, 1) - 1, 0)[:, past:]
        inputs["position_ids"] = np.ascontiguousarray(positions)
    if "attention_mask" in known:
        inputs["attention_mask"] = mask
    if "logit_positions" in known:
        wanted = [-1] if last_only else range(count)
        inputs["logit_positions"] = np.asarray(wanted, np.int64)
    out = model.run(inputs) if copy else model.run(inputs, copy=False)
    present = {name: out[name.replace("past_key_values.", "present.")] for name in cache}
    logits = out["logits"]
    return logits[:, -1:] if last_only else logits, present


def generate(
    model: Runnable,
    prompt: Sequence[int],
    positions: int = 256,
    sampling: Sampling = Sampling(),
    stops: Sequence[int] | frozenset[int] = (BOS,),
) -> Iterator[int]:
    """Yields a continuation of `prompt`, token by token.

    Stops after `positions` tokens have been fed, or when the model produces one of
    the tokens `stops`, which is not yielded. By default the most likely token is
    taken, and on equal logits the lowest token number.
    """
    if not prompt:
        raise NibbleError("generation needs a prompt of at least one token")
    sampler, used = Sampler(sampling), list(prompt)
    tokens = np.asarray([used], np.int64)
    cache = empty_cache(model)
    fed = 0
    while True:
        logits, cache = step(model, tokens, cache, last_only=True)
        fed += tokens.shape[1]
        token = sampler.choose(logits[0, -1], used)
        if token in stops:
            return
        yield token
        if fed >= positions:
            return
        used.append(token)
        tokens = np.asarray([[token]], np.int64)
