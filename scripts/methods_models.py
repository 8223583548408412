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
    texts: list[tuple[str | None, int]] = dataclasses.field(default_factory=lambda: [(None, 4)])
    """UTF-8 texts that language models predict, and of how many windows; the first counts
    most. None: the shared WikiText-2 test."""
    window: int = 1024
    samples: int = 128
    """Windows of CALIBRATION_WINDOW tokens that language models are calibrated on."""
    rope_theta: float | None = None
    llama_quantize: str = "llama-quantize"
    """llama.cpp's program."""

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)


#: Tokens of a sample of calibration.
CALIBRATION_WINDOW = 512


@dataclass
class Subject:
    """A model. `quality` is as in measure.Case: the first figure is the one that counts."""

    name: str
    title: str
    path: Callable[[], Path]
    quality: Callable[[object], dict[str, float]]
    titles: Callable[[], list[str]]
    """The keys of what `quality` gives."""
    language: bool = False
    kept_float: list[str] = dataclasses.field(default_factory=list)
    """Nodes that stay float: a language model's head."""
    calibration: Callable[[], dict[str, np.ndarray]] | None = None
    """Inputs that are never scored, whose first dimension counts samples."""
    tokens: Callable[[], np.ndarray] | None = None
    """The same for a language model: `samples` windows of a text, in one dimension."""
    samples: int = 0
    remark: str = ""
    """What a reader of its figures has to know."""


@dataclass
class _Texts:
    """Perplexities of a model at `path`, whose tokenizer lies beside it."""

    path: Callable[[], Path]
    settings: Settings

    @functools.cached_property
    def tokens(self) -> dict[str, list[int]]:
        """Whole windows of each text, by title."""
        codec, window = nibble.load_codec(self.path().parent), self.settings.window
        found = {}
        for text, windows in self.settings.texts:
            file = Path(text) if text else ev.shared("text/wikitext2-raw-test.txt")
            # Enough for the windows, without reading all of a long text.
            words = file.read_text(encoding="utf-8")[: 16 * window * windows]
            ids = codec.encode(words, special=False)
            count = min(windows, len(ids) // window)
            if not count:
                raise nibble.NibbleError(f"{file}: {len(ids)} tokens, fewer than one window")
            found[f"perplexity, {file.stem} ({count} x {window})"] = ids[: count * window]
        return found

    def titles(self) -> list[str]:
        return list(self.tokens)

    def quality(self, model) -> dict[str, float]:
        return {
            title: nibble.perplexity(model, ids, self.settings.window).perplexity
            for title, ids in self.tokens.items()
        }


def _calibration_tokens(encode: Callable[[str], list[int]], text: str, samples: int) -> np.ndarray:
    count = samples * CALIBRATION_WINDOW
    # Enough for the samples, without reading all of a long text.
    found = encode(text[: 16 * count])[:count]
    if len(found) < count:
        raise nibble.NibbleError(
            f"the text to calibrate on has {len(found)} tokens, expected {count} for {samples} "
            "samples: fewer --samples"
        )
    return np.asarray(found, np.int32)


def _exported(source: Callable[[], Path], folder: str, settings: Settings) -> Path:
    out = Path(settings.work, folder)
    if not (out / "model.onnx").exists():
        # Opset 23: ONNX Runtime runs it too.
        options = nibble.DecoderOptions(opset=23)
        nibble.export_model(source(), out, options, rope_theta=settings.rope_theta)
    return out / "model.onnx"


_REMARKS = {
    "smollm2": "Its publisher has rounded the weights to Q4_1, and they are de-quantized here: "
    "Q4_1, and types that hold its values, lose nothing, which says nothing about them. Rows "
    "of 576 weights are not whole super-blocks of 256: most layers of a K type have another, "
    "larger type, as in llama.cpp."
}


def _published(name: str, settings: Settings) -> Subject:
    path = functools.partial(_exported, lambda: nibble.fetch(name), name, settings)

    def tokens() -> np.ndarray:
        codec = nibble.load_codec(path().parent)
        text = ev.shared("text/wikitext2-raw-valid.txt").read_text(encoding="utf-8")
        return _calibration_tokens(
            functools.partial(codec.encode, special=False), text, settings.samples
        )

    texts = _Texts(path, settings)
    return Subject(
        name, name, path, texts.quality, texts.titles, True, ["lm_head"],
        tokens=tokens, samples=settings.samples, remark=_REMARKS.get(name, ""),
    )  # fmt: skip


def _stories(settings: Settings) -> Subject:
    def path() -> Path:
        names = "stories260K.bin", "tok512.bin"
        source, tokenizer = (ev.shared(f"stories260K/{name}") for name in names)
        out = Path(settings.work, "stories260k")
        if not (out / "model.onnx").exists():
            nibble.export_model(source, out, nibble.DecoderOptions(opset=23), tokenizer)
        return out / "model.onnx"

    def tokenizer() -> nibble.Tokenizer:
        return nibble.Tokenizer.load(ev.shared("stories260K/tok512.bin"))

    def quality(model) -> dict[str, float]:
        return {"nats/token": ev.text_loss(model, tokenizer(), ev.tinystories(20))}

    def tokens() -> np.ndarray:
        rest = "\n".join(ev.tinystories(2000)[20:])
        return _calibration_tokens(tokenizer().encode, rest, settings.samples)

    return Subject(
        "stories260k", "stories260K (20 stories)", path, quality, lambda: ["nats/token"], True,
        ["lm_head"],
        tokens=tokens, samples=settings.samples,
    )  # fmt: skip


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

    def titles() -> list[str]:
        return ["accuracy" if split().count_right else "cosine"]

    title = f"{name} ({len(split().scored)} samples)"
    return Subject(
        name, title, path, quality, titles, calibration=lambda: {tensor(): split().calibration}
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
