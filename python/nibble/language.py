# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A language model with its tokenizer: text in, text out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import NibbleError
from .generate import Decoder
from .runtime import Model
from .sampling import Sampler, Sampling
from .text import Message, TextCodec, TextStream, load_codec


@dataclass
class Statistics:
    """Times and counts of what a `LanguageModel` generated; add up over calls."""

    prompt_tokens: int = 0
    """Those that were read: not what a text has in common with the one before."""
    prompt_seconds: float = 0.0
    new_tokens: int = 0
    new_seconds: float = 0.0

    def __str__(self) -> str:
        def rate(tokens: int, seconds: float) -> str:
            return f"{tokens} tokens, {tokens / seconds if seconds else 0:.1f} tokens/s"

        prompt = rate(self.prompt_tokens, self.prompt_seconds)
        return f"{rate(self.new_tokens, self.new_seconds)} (prompt: {prompt})"


class LanguageModel:
    """A compiled model that continues one text, and its tokenizer.

    Keys and values of what was fed are kept, so that a conversation is not read
    again at each turn. Not for use by several threads at once.

    Args:
      model: a compiled language model, or the path of one (.so).
      tokenizer: a tokenizer's file or folder; default: where the model is.
      threads: threads of a step, 0 for all.

    Raises:
      NibbleError: the model or its tokenizer cannot be read, or it is no
        language model.

    Example:
      lm = nibble.LanguageModel("smollm2.so")
      print("".join(lm.generate("The capital of France is", tokens=8)))
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        tokenizer: TextCodec | str | os.PathLike[str] | None = None,
        threads: int = 0,
    ):
        if not isinstance(model, Model):
            tokenizer = Path(model).resolve().parent if tokenizer is None else tokenizer
            model = Model(model, threads=threads)
        if tokenizer is None:
            raise NibbleError("a language model needs a tokenizer")
        if isinstance(tokenizer, (str, os.PathLike)):
            tokenizer = load_codec(tokenizer)
        self.model, self.codec = model, tokenizer
        self.statistics = Statistics()
        self._fed: list[int] = []
        self._fresh = 0
        self._decoder = Decoder(model, limit=tokenizer.context or 0)

    def _feed(self, tokens: Sequence[int]) -> np.ndarray:
        """Brings the cache to `tokens` and returns the last position's logits."""
        same = 0
        # The last token is always fed: its logits are wanted.
        while same < min(len(self._fed), len(tokens) - 1) and self._fed[same] == tokens[same]:
            same += 1
        context = self.codec.context
        if context and len(tokens) > context:
            raise NibbleError(
                f"the text has {len(tokens)} tokens, more than the model's {context}: "
                "shorten it, or start again"
            )
        self._fresh = len(tokens) - same
        self._decoder.truncate(same)
        try:
            logits = self._decoder.feed([tokens[same:]], last_only=True)
        finally:
            # After a failure, what was fed before it.
            self._fed = list(tokens[: self._decoder.length])
        return logits[0, -1]

    def generate(
        self,
        prompt: str | Sequence[int],
        tokens: int = 256,
        sampling: Sampling = Sampling(),
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Yields pieces of text that continue `prompt`, as they are certain.

        Ends after `tokens` new tokens, at a stop token of the model, before one of
        the strings `stop`, or when the model's context is full.
        """
        if isinstance(prompt, str):
            prompt = self.codec.encode(prompt)
        text = list(prompt)
        if not text:
            raise NibbleError("generation needs a prompt of at least one token")
        sampler, stream = Sampler(sampling), TextStream(self.codec, text, stop)
        context = self.codec.context or np.inf
        start = time.perf_counter()
        logits = self._feed(text)
        self.statistics.prompt_tokens += self._fresh
        self.statistics.prompt_seconds += time.perf_counter() - start
        for number in range(tokens):
            start = time.perf_counter()
            if number:
                logits = self._feed(text)
            token = sampler.choose(logits, text)
            self.statistics.new_seconds += time.perf_counter() - start
            if token in self.codec.stops:
                break
            self.statistics.new_tokens += 1
            text.append(token)
            if piece := stream.put(token):
                yield piece
            if stream.stopped or len(text) >= context:
                break
        if piece := stream.finish():
            yield piece

    def chat(
        self,
        messages: Sequence[Message],
        tokens: int = 512,
        sampling: Sampling = Sampling(),
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Yields the answer to a conversation, by the model's chat template."""
        return self.generate(self.codec.chat(messages), tokens, sampling, stop)

    def memory(self) -> dict[str, int]:
        """Bytes of the weights, of the model's working memory, which holds keys and values,
        and the most that this process has had in memory."""
        import resource

        return {
            "weights": self.model.weight_bytes,
            "working": self._decoder.memory,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
