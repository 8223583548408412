# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chooses the next token from a model's logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import NibbleError


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities along the last axis, in double precision."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. The defaults take the most likely one.

    The steps are, in this order: repetition penalty, temperature, top-k, top-p,
    min-p, and a draw among what is left.
    """

    temperature: float = 0.0
    """What logits are divided by; 0 takes the most likely token, whatever the rest says."""
    top_k: int = 0
    """Keep so many of the most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the most likely tokens that together reach this probability."""
    min_p: float = 0.0
    """Keep tokens that reach this share of the most likely one's probability."""
    repetition_penalty: float = 1.0
    """Divides positive logits of tokens that were used and multiplies negative ones
    (Keskar et al., arXiv:1909.05858)."""
    seed: int | None = None
    """Of the random numbers; None for other ones each time."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", 0, np.inf),
            ("top_k", 0, np.inf),
            ("top_p", 0, 1),
            ("min_p", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise NibbleError(f"sampling: {name} is {value}, expected {low} to {high}")
        if not self.repetition_penalty > 0:
            raise NibbleError(
                f"sampling: repetition_penalty is {self.repetition_penalty}, expected more than 0"
            )


class Sampler:
    """Draws tokens as a `Sampling` says; has the random numbers' state."""

    def __init__(self, sampling: Sampling = Sampling()):
        self.sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: np.ndarray, used: Sequence[int] = ()) -> int:
        """The next token for float logits [vocabulary], after the tokens `used`.

        On equal logits the lowest token number wins.
        """
        s = self.sampling
        if s.repetition_penalty != 1 and len(used):
            logits = logits.copy()
            seen = np.unique(np.asarray(used))
            values = logits[seen]
            penalty = np.where(values > 0, 1 / s.repetition_penalty, s.repetition_penalty)
            logits[seen] = values * penalty
        if s.temperature == 0:
            return int(logits.argmax())
        order = np.argsort(-logits, kind="stable")
        if s.top_k:
            order = order[: s.top_k]
        chances = np.exp(log_softmax(logits[order] / s.temperature))
        keep = np.cumsum(chances) - chances < s.top_p
        keep &= chances >= s.min_p * chances[0]
        keep[0] = True
        order, chances = order[keep], chances[keep]
        return int(self._random.choice(order, p=chances / chances.sum()))
