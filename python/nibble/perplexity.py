# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well a language model predicts a text, and how far it is from another one.

The text's tokens are cut into windows that follow each other. In each, every
token but the first is predicted from those before it in the window. Perplexity
is exp of the mean negative log-likelihood. Against a reference model come the
mean Kullback-Leibler divergence of the predicted distributions, D(reference ||
model) in nats, and how often both hold the same token for the most likely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from .errors import NibbleError
from .generate import Decoder, Runnable
from .sampling import log_softmax

# Positions whose logits are held at once: a vocabulary may have 100 000 tokens.
_STEP = 256


@dataclass(frozen=True)
class Perplexity:
    """Result of `perplexity`; the last four are None without a reference."""

    perplexity: float
    nll: float
    """Mean negative log-likelihood per token, in nats."""
    error: float
    """Standard error of `nll`, from its spread over the tokens."""
    tokens: int
    """Tokens that were predicted."""
    windows: int
    window: int
    reference_perplexity: float | None = None
    kl_divergence: float | None = None
    """Mean over the tokens, in nats."""
    kl_divergence_99: float | None = None
    """The 99th percentile."""
    same_top: float | None = None
    """Share of the tokens for which both models have the same most likely one."""

    def as_dict(self) -> dict[str, float | int]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def _log_probabilities(decoder: Decoder, tokens: np.ndarray):
    """Log probabilities after each token, [n, vocabulary], some positions at a time."""
    decoder.reset()
    for begin in range(0, len(tokens), _STEP):
        yield log_softmax(decoder.feed(tokens[None, begin : begin + _STEP])[0])


@dataclass
class _Scores:
    """What one model gathers, window by window: an array for each step."""

    nll: list[np.ndarray] = field(default_factory=list)
    divergence: list[np.ndarray] = field(default_factory=list)
    same: list[np.ndarray] = field(default_factory=list)

    def add(self, ours: np.ndarray, wanted: np.ndarray) -> None:
        self.nll.append(-np.take_along_axis(ours, wanted, 1)[:, 0])

    def compare(self, ours: np.ndarray, base: np.ndarray) -> None:
        if base.shape != ours.shape:
            raise NibbleError(
                f"the reference model has {base.shape[1]} tokens, the model {ours.shape[1]}"
            )
        self.divergence.append((np.exp(base) * (base - ours)).sum(1))
        self.same.append(base.argmax(1) == ours.argmax(1))

    def mean(self) -> float:
        return float(np.concatenate(self.nll).mean())

    def result(self, windows: int, window: int, reference: _Scores | None) -> Perplexity:
        scores = np.concatenate(self.nll)
        extra = {}
        if reference is not None:
            divergence = np.concatenate(self.divergence)
            extra = dict(
                reference_perplexity=math.exp(reference.mean()),
                kl_divergence=float(divergence.mean()),
                kl_divergence_99=float(np.percentile(divergence, 99)),
                same_top=float(np.concatenate(self.same).mean()),
            )
        return Perplexity(
            perplexity=math.exp(self.mean()),
            nll=self.mean(),
            error=float(scores.std() / math.sqrt(len(scores))),
            tokens=len(scores),
            windows=windows,
            window=window,
            **extra,
        )


def perplexities(
    models: Mapping[str, Runnable],
    tokens: Sequence[int],
    window: int = 512,
    reference: Runnable | None = None,
    windows: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Perplexity]:
    """Scores several models on one text, the reference model once for all.

    The arguments are those of `perplexity`; `progress` hears of the first model.
    """
    if not models:
        raise NibbleError("there is no model to score")
    if window < 2:
        raise NibbleError(f"window is {window}, expected at least 2 tokens")
    count = len(tokens) // window
    if windows is not None:
        count = min(count, windows)
    if count == 0:
        raise NibbleError(f"the text has {len(tokens)} tokens, fewer than a window of {window}")
    base_scores = _Scores() if reference is not None else None
    found = {name: _Scores() for name in models}
    decoders = {name: Decoder(model, chunk=_STEP) for name, model in models.items()}
    base_decoder = Decoder(reference, chunk=_STEP) if reference is not None else None
    for number in range(count):
        part = np.asarray(tokens[number * window : (number + 1) * window], np.int64)
        # The last token predicts nothing of this window.
        fed, targets = part[:-1], part[1:]
        theirs = _log_probabilities(base_decoder, fed) if base_decoder else None
        runs = {name: _log_probabilities(decoder, fed) for name, decoder in decoders.items()}
        for begin in range(0, len(fed), _STEP):
            wanted = targets[begin : begin + _STEP, None]
            base = None
            if theirs is not None:
                base = next(theirs)
                base_scores.add(base, wanted)
            for name, run in runs.items():
                ours = next(run)
                found[name].add(ours, wanted)
                if base is not None:
                    found[name].compare(ours, base)
        if progress:
            progress(number + 1, count, math.exp(next(iter(found.values())).mean()))
    return {name: scores.result(count, window, base_scores) for name, scores in found.items()}


def perplexity(
    model: Runnable,
    tokens: Sequence[int],
    window: int = 512,
    reference: Runnable | None = None,
    windows: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Perplexity:
    """Scores a model on a text.

    Args:
      model: a compiled model, or anything that runs like one.
      tokens: the text; what does not fill a window is left out.
      window: tokens of a window, at least 2.
      reference: a model to compare with, of the same vocabulary.
      windows: most windows to use.
      progress: called after each window with its number, the number of windows
        and the perplexity so far.

    Raises:
      NibbleError: the text is shorter than a window, or the vocabularies differ.
    """
    scores = perplexities({"": model}, tokens, window, reference, windows, progress)
    return scores[""]
