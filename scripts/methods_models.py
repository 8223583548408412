# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that methods_table.py compares methods on, and how they are judged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import evaluation as ev
import nibble
import numpy as np
import shared_inputs as si
from measure import GLYPHS
from nibble.fetch import PUBLISHED
from static_table import SPLITS, Split, labelled, run


@dataclass(frozen=True)
class Settings:
    """What the user chose; the same for Nibble and for its peers."""

    work: str
    """Folder for exported models."""
    text: str | None = None
    """UTF-8 text that language models predict; default: the shared WikiText-2 test."""
    windows: int = 4
    window: int = 1024
    samples: int = 128
    """Windows of 512 tokens that language models are calibrated on."""
    rope_theta: float | None = None

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)


@dataclass
class Subject:
    """A model. `quality` is as in measure.Case: the first figure is the one that counts."""

    name: str
    title: str
    path: Callable[[], Path]
    quality: Callable[[object], dict[str, float]]
    language: bool = False
    kept_float: list[str] = dataclasses.field(default_factory=list)
    """Nodes that stay float: a language model's head."""
    calibration: Callable[[], dict[str, np.ndarray]] | None = None
    """Inputs that are never scored, whose first dimension counts samples."""
    text: Callable[[], Path] | None = None
    """The same for a language model: a text, of which `samples` windows are read."""
    samples: int = 0


def _text(settings: Settings) -> Path:
    return Path(settings.text) if settings.text else ev.shared("text/wikitext2-raw-test.txt")


def _perplexity(path: Callable[[], Path], settings: Settings):
    @functools.cache
    def tokens() -> list[int]:
        text = _text(settings).read_text(encoding="utf-8")
        # Enough for the windows, without reading all of a long text.
        text = text[: 16 * settings.window * settings.windows]
        return nibble.load_codec(path().parent).encode(text, special=False)

    def quality(model) -> dict[str, float]:
        score = nibble.perplexity(model, tokens(), settings.window, windows=settings.windows)
        return {"perplexity": score.perplexity}

    return quality


def _exported(source: Callable[[], Path], folder: str, settings: Settings) -> Path:
    out = Path(settings.work, folder)
    if not (out / "model.onnx").exists():
        # Opset 23: ONNX Runtime runs it too.
        options = nibble.DecoderOptions(opset=23)
        nibble.export_model(source(), out, options, rope_theta=settings.rope_theta)
    return out / "model.onnx"


def _published(name: str, settings: Settings) -> Subject:
    path = functools.partial(_exported, lambda: nibble.fetch(name), name, settings)
    title = f"{name} ({settings.windows} windows of {settings.window} tokens)"
    return Subject(
        name, title, path, _perplexity(path, settings), True, ["lm_head"],
        text=lambda: ev.shared("text/wikitext2-raw-valid.txt"), samples=settings.samples,
    )  # fmt: skip


def _stories(settings: Settings) -> Subject:
    def path() -> Path:
        source, tokenizer = (ev.shared(f"stories260K/{n}") for n in ("stories260K.bin", "tok512.bin"))
        out = Path(settings.work, "stories260k")
        if not (out / "model.onnx").exists():
            nibble.export_model(source, out, nibble.DecoderOptions(opset=23), tokenizer)
        return out / "model.onnx"

    def quality(model) -> dict[str, float]:
        tokenizer = nibble.Tokenizer.load(ev.shared("stories260K/tok512.bin"))
        return {"nats/token": ev.text_loss(model, tokenizer, ev.tinystories(20))}

    return Subject("stories260k", "stories260K (20 stories)", path, quality, True, ["lm_head"])


def _split_model(
    name: str, path: Callable[[], Path], tensor: Callable[[], str], make: Callable[[], Split]
) -> Subject:
    """A model with one input, judged on samples that do not calibrate it: by its right
    answers, or by the cosine with ONNX Runtime's outputs in float."""
    split = functools.cache(make)

    @functools.cache
    def wanted() -> np.ndarray:
        return run(ev.Reference(path()), split().scored)

    def quality(model) -> dict[str, float]:
        rows = run(model, split().scored)
        if split().count_right:
            return {"accuracy": split().count_right(rows) / len(rows)}
        return {"cosine": ev.cosine(rows, wanted())}

    title = f"{name} ({len(split().scored)} samples)"
    return Subject(
        name, title, path, quality, calibration=lambda: {tensor(): split().calibration}
    )


def _vision(name: str) -> Subject:
    if name == "glyphs":
        images = functools.partial(labelled, *ev.glyphs_test(), 100)
        return _split_model(name, GLYPHS.path, lambda: "images", images)
    example = si.EXAMPLES[name]
    return _split_model(
        name, example.path, lambda: next(iter(example.inputs()[0])), SPLITS[name]
    )


VISION = ("glyphs", *SPLITS)
LANGUAGE = ("smollm2", "stories260k")
MODELS = (*LANGUAGE, *VISION)
#: Without the small ones, which are for short runs.
CHOSEN = tuple(name for name in MODELS if name not in ("stories260k", "glyphs"))


def find(name: str, settings: Settings) -> Subject:
    """The model of that name; ev.Missing where its files are not there."""
    if name in PUBLISHED:
        return _published(name, settings)
    if name == "stories260k":
        return _stories(settings)
    return _vision(name)
