# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How the models of others are judged, for results.py.

Accuracy where there are labels; else the cosine between the outputs and those of
ONNX Runtime in float, over several inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import evaluation as ev
import nibble
import numpy as np
import shared_inputs as si
from measure import Case, classifier, decode_step


def _call_first(example: si.Example):
    def call(model):
        inputs = example.inputs()[0]
        return lambda: model.run(inputs)

    return call


def _all_outputs(model, inputs: list[dict[str, np.ndarray]]) -> np.ndarray:
    outputs = [array.ravel() for one in inputs for array in model.run(one).values()]
    return np.concatenate(outputs)


def _by_cosine(title: str, name: str) -> Case:
    example = si.EXAMPLES[name]
    wanted: list[np.ndarray] = []

    def quality(model) -> dict[str, float]:
        inputs = example.inputs()
        if not wanted:
            wanted.append(_all_outputs(ev.Reference(example.path()), inputs))
        return {"cosine": ev.cosine(_all_outputs(model, inputs), wanted[0])}

    return Case(title, example.path, "one input", quality, _call_first(example))


def _resnet(name: str) -> Case:
    return classifier(
        f"{name} (CIFAR-10, 368 images)",
        lambda: ev.shared(f"cifar10-resnet/derived/{name}_cifar10.onnx"),
        ev.cifar_test,
        1,
    )


def _lprnet_quality(model) -> dict[str, float]:
    plates, texts = si.plates()
    read = map(si.read_plate, ev.classify(model, plates, 1))
    return {"exact of 1000": sum(map(str.__eq__, read, texts))}


def _magika_quality(model) -> dict[str, float]:
    features, labels, _ = si.magika_examples()
    names = np.asarray(si.magika_labels())[ev.classify(model, features, 1).argmax(-1)]
    return {"accuracy": float((names == np.asarray(labels)).mean())}


def _silero(title: str, name: str) -> Case:
    example = si.EXAMPLES[name]
    wanted: list[np.ndarray] = []

    def quality(model) -> dict[str, float]:
        steps = si.speech()
        if not wanted:
            wanted.append(si.detect_speech(ev.Reference(example.path()), steps))
        found = si.detect_speech(model, steps)
        return {
            "cosine": ev.cosine(found, wanted[0]),
            "largest error": float(np.abs(found - wanted[0]).max()),
        }

    return Case(title, example.path, "one step of 32 ms", quality, _call_first(example))


def _gpt_quality(model) -> dict[str, float]:
    _, tokens, wanted = ev.gpt_nano_sort()
    logits = nibble.step(model, tokens, nibble.empty_cache(model, len(tokens)))[0]
    return {
        "cosine": ev.cosine(logits, wanted),
        "same tokens": float((logits.argmax(-1) == wanted.argmax(-1)).mean()),
    }


def _gpt_call(model) -> Callable[[], object]:
    return decode_step(model, ev.gpt_nano_sort()[1][0].tolist())


def _stories260k_quality(model) -> dict[str, float]:
    _, tokenizer, text = ev.stories260k()
    written = tokenizer.decode([1, *nibble.generate(model, [1], 256)])
    same = next((i for i, (a, b) in enumerate(zip(written, text)) if a != b), len(text))
    return {
        "nats/token": ev.text_loss(model, tokenizer, ev.tinystories(40)),
        "same characters": same,
    }


def _path(name: str) -> Callable[[], Path]:
    return si.EXAMPLES[name].path


CASES = [
    classifier("mnist (first 1000 test images)", _path("mnist"), ev.mnist_test, 1),
    _resnet("resnet20"),
    _resnet("resnet56"),
    Case(
        "lprnet (1000 licence plates)",
        _path("lprnet"),
        "one plate",
        _lprnet_quality,
        _call_first(si.EXAMPLES["lprnet"]),
    ),
    _by_cosine("mobilenetv2 (8 photographs)", "mobilenetv2"),
    _by_cosine("yolox-nano (4 photographs)", "yolox-nano"),
    _by_cosine("fastestdet (5 photographs)", "fastestdet"),
    Case(
        "magika (129 files)",
        _path("magika"),
        "one file",
        _magika_quality,
        _call_first(si.EXAMPLES["magika"]),
    ),
    _by_cosine("magika standard_v1 (8 files)", "magika-v1"),
    _silero("silero-vad, opset 15 (a minute of speech)", "silero-op15"),
    _silero("silero-vad, opset 18 (a minute of speech)", "silero-op18"),
    Case(
        "gpt-nano-sort (3 sequences)",
        lambda: ev.gpt_nano_sort()[0],
        "one token after 10",
        _gpt_quality,
        _gpt_call,
    ),
    Case(
        "stories260K (40 stories; greedy text of 565 characters)",
        lambda: ev.stories260k()[0],
        "one token after 63",
        _stories260k_quality,
        lambda model: decode_step(model, ev.stories260k()[1].encode(ev.stories260k()[2])[:64]),
    ),
]
