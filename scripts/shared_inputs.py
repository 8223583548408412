# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Inputs for the models of others: pictures, licence plates, files, speech.

All are read in place from the folder that evaluation.shared finds. Reading
pictures needs the package Pillow; without it those raise evaluation.Missing.
"""

from __future__ import annotations

import base64
import functools
import gzip
import io
import json
import tarfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import evaluation as ev
import numpy as np

# Samples of one step of the speech detector, and what it sees of the step before.
SPEECH_STEP = 512
SPEECH_CONTEXT = 64


def _pillow():
    try:
        from PIL import Image
    except ImportError:
        raise ev.Missing("the Python package pillow is not installed") from None
    return Image


def _picture(source, size: tuple[int, int] | None = None) -> np.ndarray:
    """uint8 [3, height, width] in RGB, scaled to size (width, height)."""
    with _pillow().open(source) as file:
        image = file.convert("RGB")
    if size and image.size != size:
        image = image.resize(size, _pillow().Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def coco_files() -> list[Path]:
    return sorted(ev.shared("yolox-nano/representative_dataset").glob("*.jpg"))


def imagenet_like(count: int = 8) -> np.ndarray:
    """Photographs as float32 [count, 3, 224, 224], normalised as ImageNet models want them."""
    mean = np.float32([0.485, 0.456, 0.406])[:, None, None]
    deviation = np.float32([0.229, 0.224, 0.225])[:, None, None]
    pictures = np.stack([_picture(file, (224, 224)) for file in coco_files()[:count]])
    return (pictures.astype(np.float32) / 255 - mean) / deviation


def letterboxed(count: int = 8, size: int = 416) -> np.ndarray:
    """Photographs as float32 [count, 3, size, size]: BGR, 0 to 255, filled up with 114."""
    batch = np.full((count, 3, size, size), 114, np.float32)
    for out, file in zip(batch, coco_files()):
        with _pillow().open(file) as image:
            width, height = image.size
        ratio = min(size / width, size / height)
        width, height = int(width * ratio), int(height * ratio)
        out[:, :height, :width] = _picture(file, (width, height))[::-1]
    return batch


def street_scenes() -> np.ndarray:
    """The pictures shipped with FastestDet as float32 [5, 3, 352, 352]: BGR, 0 to 1."""
    files = [ev.shared(f"fastestdet/{i}.jpg") for i in range(5)]
    pictures = np.stack([_picture(file, (352, 352))[::-1] for file in files])
    return pictures.astype(np.float32) / 255


@functools.cache
def plates() -> tuple[np.ndarray, list[str]]:
    """Licence plates as float32 [1000, 3, 24, 94], BGR about -1 to 1, and their texts."""
    pictures, texts = [], []
    with tarfile.open(ev.shared("lprnet-ocr/test_plates_1000.tar")) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            if member.isfile():
                data = io.BytesIO(archive.extractfile(member).read())
                pictures.append(_picture(data, (94, 24))[::-1])
                texts.append(Path(member.name).stem)
    return (np.stack(pictures).astype(np.float32) - 127.5) / 128, texts


def read_plate(logits: np.ndarray) -> str:
    """Text of logits [68, 18]: the likeliest character at each place, repetitions and
    blanks (the last character) dropped."""
    characters = ev.shared("lprnet-ocr/charset.txt").read_text(encoding="utf-8").split()
    best = logits.argmax(0)
    kept = [c for i, c in enumerate(best) if c != len(logits) - 1 and (i == 0 or c != best[i - 1])]
    return "".join(characters[c] for c in kept)


def _cut(content: bytes, begin: int, end: int, block: int) -> np.ndarray:
    """Magika's features: the first bytes after leading and the last before trailing white
    space of the first and last block; 256 where there is none."""
    features = np.full(begin + end, 256, np.int32)
    head = np.frombuffer(content[:block].lstrip()[:begin], np.uint8)
    tail = np.frombuffer(content[-block:].rstrip()[-end:], np.uint8)
    features[: len(head)] = head
    features[len(features) - len(tail) :] = tail
    return features


def magika_examples() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Features int32 [129, 2048], the labels and scores that the authors' tool gave."""
    name = "magika/standard_v3_3-inference_examples_by_content.json.gz"
    with gzip.open(ev.shared(name)) as file:
        examples = [e for e in json.load(file) if e["prediction"]["dl"] != "undefined"]
    config = json.loads(ev.shared("magika/config.min.json").read_text())
    sizes = config["beg_size"], config["end_size"], config["block_size"]
    features = [_cut(base64.b64decode(e["content_base64"]), *sizes) for e in examples]
    labels = [e["prediction"]["dl"] for e in examples]
    return np.stack(features), labels, np.float32([e["prediction"]["score"] for e in examples])


def magika_labels() -> list[str]:
    return json.loads(ev.shared("magika/config.min.json").read_text())["target_labels_space"]


def magika_v1_examples(count: int = 129) -> np.ndarray:
    """The same files as float32 [count, 1536], cut for the first version of the model
    (beginning and end of 512 bytes; the middle of the file between)."""
    features = magika_examples()[0][:count].astype(np.float32)
    middle = features.shape[1] // 2 - 256
    return np.concatenate(
        [features[:, :512], features[:, middle : middle + 512], features[:, -512:]], 1
    )


def speech(steps: int | None = None) -> np.ndarray:
    """test.wav in overlapping steps as float32 [steps, 576]: 64 old samples, 512 new ones."""
    with wave.open(str(ev.shared("silero-vad/test.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
    samples = np.concatenate([np.zeros(SPEECH_CONTEXT, np.float32), samples / 32768])
    windows = np.lib.stride_tricks.sliding_window_view(samples, SPEECH_CONTEXT + SPEECH_STEP)
    return np.ascontiguousarray(windows[::SPEECH_STEP][:steps])


def detect_speech(model, steps: np.ndarray) -> np.ndarray:
    """Probability of speech for each step; the state goes from step to step."""
    state, found = np.zeros((2, 1, 128), np.float32), []
    rate = np.asarray(16000, np.int64)
    for step in steps:
        out = model.run({"input": step[None], "state": state, "sr": rate})
        state = out["stateN"]
        found.append(float(out["output"][0, 0]))
    return np.asarray(found)


@dataclass(frozen=True)
class Example:
    """A model and some inputs of it, each for one run."""

    path: Callable[[], Path]
    inputs: Callable[[], list[dict[str, np.ndarray]]]


def _example(path: str, name: str, batch: Callable[[], np.ndarray]) -> Example:
    """A model with one input, of which `batch` has several along the first dimension."""
    return Example(
        lambda: ev.shared(path), lambda: [{name: array[None]} for array in batch()]
    )


def _speech_example(name: str) -> Example:
    def inputs():
        state, rate = np.zeros((2, 1, 128), np.float32), np.asarray(16000, np.int64)
        return [{"input": step[None], "state": state, "sr": rate} for step in speech(8)]

    return Example(lambda: ev.shared(f"silero-vad/{name}.onnx"), inputs)


EXAMPLES = {
    "mnist": _example("mnist/mnist.onnx", "Input3", lambda: ev.mnist_test(8)[0]),
    "resnet20": _example(
        "cifar10-resnet/derived/resnet20_cifar10.onnx", "input", lambda: ev.cifar_test()[0][:8]
    ),
    "resnet56": _example(
        "cifar10-resnet/derived/resnet56_cifar10.onnx", "input", lambda: ev.cifar_test()[0][:8]
    ),
    "lprnet": _example(
        "lprnet-ocr/derived/lprnet_sirius.onnx", "input", lambda: plates()[0][:8]
    ),
    "mobilenetv2": _example(
        "mobilenetv2-qat/derived/mobilenetv2_qat_dequant.onnx", "input", imagenet_like
    ),
    "yolox-nano": _example("yolox-nano/yolox_nano.onnx", "images", lambda: letterboxed(4)),
    "fastestdet": _example("fastestdet/FastestDet.onnx", "input.1", street_scenes),
    "magika": _example("magika/model.onnx", "bytes", lambda: magika_examples()[0][:8]),
    "magika-v1": _example(
        "magika/standard_v1/model.onnx", "bytes", lambda: magika_v1_examples(8)
    ),
    "silero-op15": _speech_example("silero_vad_16k_op15"),
    "silero-op18": _speech_example("silero_vad_op18_ifless"),
}
