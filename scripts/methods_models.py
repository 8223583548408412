# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that methods_table.py compares methods on, and how they are judged."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import evaluation as ev
import nibble
import numpy as np
import shared_inputs as si
from measure import GLYPHS, Case
from nibble.fetch import PUBLISHED
from shared_cases import CASES


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

    def feeds(self) -> Iterable[dict[str, np.ndarray]]:
        """The calibration data one by one, as runs of the model take them."""
        arrays = self.calibration()
        for i in range(len(next(iter(arrays.values())))):
            yield {name: array[i : i + 1] for name, array in arrays.items()}


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


# What calibrates a model is not scored. Where one set of examples serves both, the
# first of them calibrate, and accuracy is that of the others.


def _glyphs(settings: Settings) -> Subject:
    images, labels = ev.glyphs_test()
    return _classifier(GLYPHS.path, "glyphs", images, labels, 100, "images")


def _mnist(settings: Settings) -> Subject:
    def calibration() -> dict[str, np.ndarray]:
        return {"Input3": ev.mnist_test(10000)[0][-128:]}

    case = _case("mnist")
    return Subject("mnist", case.title, case.path, case.quality, calibration=calibration)


def _resnet(settings: Settings, name: str) -> Subject:
    return _classifier(_case(name).path, name, *ev.cifar_test(), 64, "input")


def _classifier(path, name: str, images, labels, first: int, tensor: str) -> Subject:
    """The first images calibrate, the others are scored, one at a time."""

    def quality(model) -> dict[str, float]:
        return {"accuracy": ev.accuracy(ev.classify(model, images[first:], 1), labels[first:])}

    title = f"{name} ({len(images) - first} images)"
    return Subject(name, title, path, quality, calibration=lambda: {tensor: images[:first]})


def _lprnet(settings: Settings) -> Subject:
    first, (plates, texts) = 100, si.plates()

    def quality(model) -> dict[str, float]:
        read = map(si.read_plate, ev.classify(model, plates[first:], 1))
        right = sum(map(str.__eq__, read, texts[first:]))
        return {"accuracy": right / (len(texts) - first)}

    title = f"lprnet ({len(texts) - first} licence plates)"
    return Subject(
        "lprnet", title, _case("lprnet").path, quality,
        calibration=lambda: {"input": plates[:first]},
    )  # fmt: skip


def _magika(settings: Settings) -> Subject:
    features, labels, _ = si.magika_examples()
    names = np.asarray(si.magika_labels())
    numbers = np.asarray([int(np.flatnonzero(names == label)[0]) for label in labels])
    return _classifier(_case("magika").path, "magika", features, numbers, 29, "bytes")


def _photographs(settings: Settings, name: str) -> Subject:
    """Judged on some photographs, calibrated on others."""
    scored = {"mobilenetv2": 8, "yolox-nano": 4, "fastestdet": 0}[name]
    tensor = next(iter(si.EXAMPLES[name].inputs()[0]))

    def calibration() -> dict[str, np.ndarray]:
        count = len(si.coco_files())
        if name == "mobilenetv2":
            pictures = si.imagenet_like(count)
        elif name == "yolox-nano":
            pictures = si.letterboxed(count)
        else:
            pictures = si.letterboxed(count, 352) / 255
        return {tensor: pictures[scored:]}

    case = _case(name)
    return Subject(name, case.title, case.path, case.quality, calibration=calibration)


def _case(name: str) -> Case:
    return next(case for case in CASES if case.title.split()[0] == name)


VISION = {
    "glyphs": _glyphs,
    "mnist": _mnist,
    "resnet20": functools.partial(_resnet, name="resnet20"),
    "resnet56": functools.partial(_resnet, name="resnet56"),
    "lprnet": _lprnet,
    "mobilenetv2": functools.partial(_photographs, name="mobilenetv2"),
    "yolox-nano": functools.partial(_photographs, name="yolox-nano"),
    "fastestdet": functools.partial(_photographs, name="fastestdet"),
    "magika": _magika,
}
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
    return VISION[name](settings)
