# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text generation with models that carry their keys and values along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from .errors import ContextOverflowError, NibbleError
from .runtime import CacheState, Context, Model
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
    """Feeds tokens to a model and returns logits and the new cache, all as arrays.

    `Decoder` does the same without copies of the cache.

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
    inputs = {**_inputs(model.input_shapes, tokens, past, mask, last_only), **cache}
    out = model.run(inputs) if copy else model.run(inputs, copy=False)
    present = {name: out[name.replace("past_key_values.", "present.")] for name in cache}
    logits = out["logits"]
    return logits[:, -1:] if last_only else logits, present


def _inputs(
    known: Mapping[str, Sequence[int | None]],
    tokens: np.ndarray,
    past: int,
    mask: np.ndarray | None,
    last_only: bool,
) -> dict[str, np.ndarray]:
    """The inputs of a step, but for the cache: those of nibble/export/decoder.py."""
    batch, count = tokens.shape
    inputs = {"input_ids": np.ascontiguousarray(tokens, np.int64)}
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
    return inputs


class Decoder:
    """Feeds texts to a language model and keeps its keys and values.

    A compiled model keeps them in a context of its own (`nibble.Context`): they
    are neither copied nor passed from step to step. With anything else that runs,
    they travel as arrays.

    Args:
      model: has the inputs that nibble/export/decoder.py describes.
      batch: texts that run side by side.
      limit: most tokens of a text, 0 for as memory allows.
      chunk: most tokens of one run; a longer prompt is fed in pieces, so that the
        memory for intermediate values stays within bounds.

    Raises NibbleError when the model has no keys and values to carry along.

    Example:
      decoder = nibble.Decoder(model)
      logits = decoder.feed([prompt], last_only=True)
      logits = decoder.feed([[logits[0, -1].argmax()]])
    """

    def __init__(self, model: Runnable, batch: int = 1, limit: int = 0, chunk: int = 512):
        if chunk < 1:
            raise NibbleError(f"chunk is {chunk}, expected at least 1 token")
        self.model, self.chunk, self.limit = model, chunk, limit
        self._context: Context | None = None
        if isinstance(model, Model):
            kept = {cache.input for cache in model.caches if cache.grows}
            pasts = {name for name in model.input_shapes if name.startswith("past_key_values.")}
            if kept and pasts <= kept:
                self._context = model.context()
        self.reset(batch)

    def reset(self, batch: int | None = None) -> None:
        """Begins anew, with `batch` texts or as many as before."""
        self.batch = self.batch if batch is None else batch
        self.length = 0
        """Tokens of each text that were fed, with padding."""
        self._mask: np.ndarray | None = None
        if self._context:
            self._context.keep_caches(self.batch, self.limit)
        else:
            self._cache = empty_cache(self.model, self.batch)

    def truncate(self, length: int) -> None:
        """Forgets all tokens from position `length` on."""
        if not 0 <= length <= self.length:
            raise NibbleError(f"length is {length}, expected 0 to {self.length}")
        if length == self.length:
            return
        if self._context:
            self._context.truncate_caches(length)
        else:
            self._cache = {name: x[:, :, :length].copy() for name, x in self._cache.items()}
        if self._mask is not None:
            self._mask = self._mask[:, :length]
        self.length = length

    def feed(
        self,
        tokens: np.ndarray | Sequence[Sequence[int]],
        *,
        mask: np.ndarray | None = None,
        last_only: bool = False,
    ) -> np.ndarray:
        """Feeds tokens and returns float32 logits [batch, n, vocabulary].

        Args:
          tokens: integers [batch, n], n at least 1.
          mask: 1 for tokens and 0 for padding, integers [batch, n]; padding stands
            on the left of a text. Default: no padding.
          last_only: return the logits of the last token alone, [batch, 1, vocabulary];
            the others are not computed, if the model can leave them out.

        Raises:
          ContextOverflowError: the tokens do not fit the limit.
          NibbleError: see `nibble.Model.run`. The chunks before that failed stay.
        """
        tokens = np.asarray(tokens, np.int64)
        if tokens.ndim != 2 or tokens.shape[0] != self.batch or not tokens.shape[1]:
            raise NibbleError(
                f"tokens have shape {list(tokens.shape)}, expected [{self.batch}, at least 1]"
            )
        if tokens.min() < 0:
            raise NibbleError(f"token {tokens.min()} is negative")
        if mask is not None and np.shape(mask) != tokens.shape:
            raise NibbleError(f"mask and tokens differ in shape: {np.shape(mask)}, {tokens.shape}")
        whole = self.length + tokens.shape[1]
        if self.limit and whole > self.limit:
            raise ContextOverflowError(
                f"context overflow: {whole} tokens do not fit the limit of {self.limit}: "
                f"{self.length} were fed, and this adds {tokens.shape[1]}"
            )
        if mask is not None or self._mask is not None:
            before = self._mask
            if before is None:
                before = np.ones((self.batch, self.length), np.int64)
            fresh = np.ones(tokens.shape, np.int64) if mask is None else mask
            mask = np.concatenate([before, fresh], 1, dtype=np.int64)
        found = []
        for begin in range(0, tokens.shape[1], self.chunk):
            part = tokens[:, begin : begin + self.chunk]
            end = self.length + part.shape[1]
            logits = self._step(part, None if mask is None else mask[:, :end], last_only)
            self.length, self._mask = end, None if mask is None else mask[:, :end]
            found = [logits] if last_only else [*found, logits]
        return found[0] if len(found) == 1 else np.concatenate(found, 1)

    def _step(self, tokens: np.ndarray, mask: np.ndarray | None, last_only: bool) -> np.ndarray:
        if self._context is None:
            logits, self._cache = step(
                self.model, tokens, self._cache, mask=mask, last_only=last_only
            )
            return logits
        known = self.model.input_shapes
        # A run that an interrupt ended after the model was done has added positions.
        self._context.truncate_caches(self.length)
        logits = self._context.run(_inputs(known, tokens, self.length, mask, last_only))["logits"]
        return logits[:, -1:] if last_only else logits

    @property
    def cache_state(self) -> CacheState | None:
        """Size and memory of keys and values in the model's context; None for arrays."""
        return self._context.cache_state if self._context else None

    @property
    def context(self) -> Context | None:
        """The context of a compiled model; None for arrays."""
        return self._context

    @property
    def memory(self) -> int:
        """Bytes that the model's context, or else the arrays, hold."""
        if self._context:
            return self._context.memory
        return sum(array.nbytes for array in self._cache.values())


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
    decoder = Decoder(model)
    while True:
        logits = decoder.feed(tokens, last_only=True)
        token = sampler.choose(logits[0, -1], used)
        if token in stops:
            return
        yield token
        if decoder.length >= positions:
            return
        used.append(token)
        tokens = np.asarray([[token]], np.int64)
