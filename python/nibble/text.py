# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Text to tokens and back, stop tokens, and chat templates.

A model's folder has `tokenizer.json` (read by the package `tokenizers`) with
`tokenizer_config.json` and `generation_config.json` or `genai_config.json`, or
`tokenizer.bin` in llama2.c's format.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .errors import NibbleError
from .tokenizer import BOS, Tokenizer

Message = Mapping[str, str]
"""One turn of a conversation: {"role": "user", "content": "..."}."""


class TextCodec(Protocol):
    """What generation needs of a tokenizer."""

    stops: frozenset[int]
    """Tokens that end a text."""
    context: int | None
    """The longest text in tokens, if it is known."""

    def encode(self, text: str, special: bool = True) -> list[int]:
        """Tokens of a text; with `special`, those that start one come first."""
        ...

    def decode(self, tokens: Iterable[int]) -> str: ...

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a conversation, up to where the answer begins."""
        ...


class Llama2cCodec:
    """A tokenizer in llama2.c's format; it has no chat template."""

    def __init__(self, path: str | os.PathLike[str]):
        self._tokenizer = Tokenizer.load(path)
        self._path = path
        self.stops = frozenset([BOS])
        self.context = None

    def encode(self, text: str, special: bool = True) -> list[int]:
        return self._tokenizer.encode(text, bos=special)

    def decode(self, tokens: Iterable[int]) -> str:
        return self._tokenizer.decode(tokens)

    def chat(self, messages: Sequence[Message]) -> list[int]:
        raise NibbleError(f"{self._path}: this model has no chat template; use generate")


class FolderCodec:
    """`tokenizer.json` and what stands beside it."""

    def __init__(self, path: str | os.PathLike[str]):
        try:
            import tokenizers
        except ImportError as error:
            raise NibbleError(
                "tokenizer.json needs the Python package tokenizers: pip install tokenizers"
            ) from error
        self._path = Path(path)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # The package raises plain exceptions.
            raise NibbleError(f"{path}: cannot read tokenizer: {error}") from error
        self._settings = self._json("tokenizer_config.json")
        config, generation = self._json("config.json"), self._json("generation_config.json")
        # What ONNX Runtime GenAI's model builder writes instead.
        genai = self._json("genai_config.json").get("model")
        genai = genai if isinstance(genai, dict) else {}
        lengths = (config.get("max_position_embeddings"), config.get("n_positions"),
                   genai.get("context_length"))  # fmt: skip
        self.context = next(filter(None, lengths), None)
        self.stops = self._stop_tokens(config, generation, genai)

    def _json(self, name: str) -> dict[str, Any]:
        path = self._path.with_name(name)
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NibbleError(f"{path}: cannot read: {error}") from error
        if not isinstance(found, dict):
            raise NibbleError(f"{path}: expected a JSON object")
        return found

    def _special(self, name: str) -> str | None:
        """A special token of tokenizer_config.json, which may be text or an object."""
        value = self._settings.get(name)
        return value.get("content") if isinstance(value, dict) else value

    def _stop_tokens(self, *configs: Mapping[str, Any]) -> frozenset[int]:
        stops: set[int] = set()
        for config in configs:
            ids = config.get("eos_token_id")
            stops.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
        end = self._special("eos_token")
        if end is not None and self._tokenizer.token_to_id(end) is not None:
            stops.add(self._tokenizer.token_to_id(end))
        return frozenset(stops)

    def encode(self, text: str, special: bool = True) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=special).ids

    def decode(self, tokens: Iterable[int]) -> str:
        return self._tokenizer.decode(list(tokens))

    def _template(self) -> str:
        path = self._path.with_name("chat_template.jinja")
        found = self._settings.get("chat_template")
        if path.exists():
            return path.read_text(encoding="utf-8")
        if isinstance(found, list):
            named = {entry.get("name"): entry.get("template") for entry in found}
            found = named.get("default")
        if not found:
            raise NibbleError(f"{self._path.parent}: this model has no chat template; use generate")
        return found

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation as text, by the model's Jinja template."""
        try:
            import jinja2
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise NibbleError(
                "chat templates need the Python package jinja2: pip install jinja2"
            ) from error

        def refuse(message: str) -> None:
            raise jinja2.TemplateError(message)

        # A template comes with a model: it may not reach beyond its variables.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = refuse
        environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
        special = {name: self._special(name) or "" for name in ("bos_token", "eos_token")}
        try:
            template = environment.from_string(self._template())
            return template.render(messages=messages, add_generation_prompt=True, **special)
        except jinja2.TemplateError as error:
            raise NibbleError(f"{self._path.parent}: chat template: {error}") from error

    def chat(self, messages: Sequence[Message]) -> list[int]:
        # The template writes special tokens itself.
        return self.encode(self.render(messages), special=False)


def load_codec(path: str | os.PathLike[str]) -> TextCodec:
    """A tokenizer from its file, or from the folder that it is in.

    Raises NibbleError when there is none, or it cannot be read.
    """
    found = Path(path)
    if found.is_dir():
        names = ("tokenizer.json", "tokenizer.bin")
        present = [found / name for name in names if (found / name).exists()]
        if not present:
            raise NibbleError(f"{found}: no tokenizer: expected {' or '.join(names)} in it")
        found = present[0]
    return FolderCodec(found) if found.suffix == ".json" else Llama2cCodec(found)


class TextStream:
    """Turns tokens into text as they come, and ends at stop strings.

    Text is held back while it could be the beginning of a stop string, or while
    a character lacks bytes.
    """

    def __init__(self, codec: TextCodec, prompt: Sequence[int] = (), stop: Sequence[str] = ()):
        self._codec = codec
        # Some tokens of the prompt, because the first word's blank depends on them.
        self._tokens = list(prompt[-8:])
        self._begin, self._end = 0, len(self._tokens)
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped = False
        """Whether a stop string was found; nothing comes after it."""

    def put(self, token: int) -> str:
        """Adds a token and returns the text that is now certain."""
        self._tokens.append(token)
        before = self._codec.decode(self._tokens[self._begin : self._end])
        text = self._codec.decode(self._tokens[self._begin :])
        if len(text) <= len(before) or text.endswith("\ufffd"):
            return ""
        self._begin, self._end = self._end, len(self._tokens)
        return self._certain(self._held + text[len(before) :])

    def _certain(self, text: str) -> str:
        for stop in self._stop:
            if (at := text.find(stop)) >= 0:
                self.stopped, self._held = True, ""
                return text[:at]
        held = max(
            (
                length
                for stop in self._stop
                for length in range(1, len(stop))
                if text.endswith(stop[:length])
            ),
            default=0,
        )
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What is left when no more tokens come."""
        if self.stopped:
            return ""
        before = self._codec.decode(self._tokens[self._begin : self._end])
        return self._held + self._codec.decode(self._tokens[self._begin :])[len(before) :]
