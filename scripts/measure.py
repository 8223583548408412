# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures models in float and quantized, for demo.py and results.py.

Every figure comes from running the compiled binary now: nothing is stored.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import evaluation as ev
import nibble
import numpy as np


@dataclass
class Case:
    """A model and how it is judged.

    `quality` gives the figures of one model by column title, `call` the work that
    is timed. Both take anything with the interface of nibble.Model.
    """

    title: str
    path: Callable[[], Path]
    work: str
    quality: Callable[[object], dict[str, float]]
    call: Callable[[object], Callable[[], object]]


@dataclass
class Row:
    """One way of running a model; what does not apply is None. No milliseconds: the
    compiler refuses the model."""

    name: str
    quality: dict[str, float]
    weight_bytes: int | None
    file_bytes: int | None
    milliseconds: float | None
    compile_seconds: float | None


def classifier(title: str, path: Callable[[], Path], data, batch: int) -> Case:
    def quality(model) -> dict[str, float]:
        images, labels = data()
        return {"accuracy": ev.accuracy(ev.classify(model, images, batch), labels)}

    def call(model):
        name, image = next(iter(model.input_shapes)), data()[0][:1]
        return lambda: model.run({name: image})

    return Case(title, path, "one image", quality, call)


def decode_step(model, tokens: list[int]):
    """Work of one more token after `tokens`."""
    _, cache = nibble.step(model, np.asarray([tokens[:-1]]), nibble.empty_cache(model))
    last = np.asarray([tokens[-1:]])
    return lambda: nibble.step(model, last, cache)


def _stories_quality(model) -> dict[str, float]:
    tokens, answers = ev.stories_test()
    logits = ev.stories_logits(model, tokens)
    return {
        "accuracy": ev.answer_accuracy(logits, tokens, answers),
        "nats/token": ev.answer_loss(logits, tokens, answers),
    }


GLYPHS = classifier(
    "glyphs (our classifier, 1000 test images)",
    lambda: ev.MODELS / "glyphs.onnx",
    ev.glyphs_test,
    50,
)
STORIES = Case(
    "stories (our language model, 601 questions about 200 stories)",
    lambda: ev.MODELS / "stories.onnx",
    "one token after 63",
    _stories_quality,
    lambda model: decode_step(model, ev.stories_test()[0][0, :64].tolist()),
)

def take_turns(calls: list[Callable[[], object]], rounds: int = 5) -> list[float]:
    """Milliseconds of one call of each: the median over rounds of a round's median.

    The calls take turns, so that a machine whose speed drifts is as fast or slow
    for all of them. Threads of the one before spin for a while before they sleep:
    each turn waits for that.
    """
    medians: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, found in zip(calls, medians):
            time.sleep(0.25)
            for _ in range(3):
                call()
            times: list[float] = []
            end = time.perf_counter() + 0.15
            while time.perf_counter() < end or len(times) < 3:
                start = time.perf_counter()
                call()
                times.append(time.perf_counter() - start)
            found.append(float(np.median(times)))
    return [float(np.median(found)) * 1e3 for found in medians]


def measure(case: Case, report: Callable[[str], None] = lambda text: None) -> list[Row]:
    """ONNX Runtime in float as a yardstick, then every scheme of evaluation.SCHEMES."""
    path = case.path()
    rows: list[Row] = []
    calls: list[Callable[[], object]] = []
    with contextlib.ExitStack() as models:
        try:
            model = ev.Reference(path)
        except ev.Missing:
            report("onnxruntime is not installed: no yardstick")
        else:
            report("ONNX Runtime, float")
            size = path.stat().st_size
            rows.append(Row("ONNX Runtime float", case.quality(model), None, size, 0.0, None))
            calls.append(case.call(model))
        for name, options in ev.SCHEMES.items():
            report(f"nibble-compile {path.name} {' '.join(options)}")
            start = time.perf_counter()
            try:
                binary = ev.compile_model(path, options, fresh=True)
            except nibble.CompileError as error:
                report(str(error))
                rows.append(Row(f"Nibble {name}", {}, None, None, None, None))
                continue
            seconds = time.perf_counter() - start
            model = models.enter_context(nibble.Model(binary))
            rows.append(
                Row(f"Nibble {name}", case.quality(model), model.weight_bytes,
                    binary.stat().st_size, 0.0, seconds)
            )  # fmt: skip
            calls.append(case.call(model))
        report("speed, all in turn")
        measured = [row for row in rows if row.milliseconds is not None]
        for row, milliseconds in zip(measured, take_turns(calls)):
            row.milliseconds = milliseconds
    return rows


def format_quality(title: str, value: float) -> str:
    if title in ("accuracy", "same tokens"):
        return f"{100 * value:.1f} %"
    if title in ("same characters", "exact of 1000"):
        return f"{value:.0f}"
    return f"{value:.4f}" if title == "cosine" else f"{value:.3f}"


def table(case: Case, rows: list[Row]) -> list[list[str]]:
    """Cells as text, the first row the titles."""
    qualities = list(rows[0].quality)
    cells = [["", *qualities, "weights", "file", f"ms, {case.work}", "compile"]]
    for row in rows:
        if row.milliseconds is None:
            cells.append([row.name, *["not supported"] * (len(cells[0]) - 1)])
            continue
        weights = "" if row.weight_bytes is None else f"{row.weight_bytes / 1000:.0f} kB"
        cells.append([
            row.name,
            *(format_quality(title, row.quality[title]) for title in qualities),
            weights,
            f"{row.file_bytes / 1000:.0f} kB",
            f"{row.milliseconds:.3f}",
            "" if row.compile_seconds is None else f"{row.compile_seconds:.1f} s",
        ])  # fmt: skip
    return cells


def markdown(cells: list[list[str]]) -> str:
    """Cells as a table; the first row are the titles."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on, in words."""
    import os

    name = "unknown CPU"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                name = " ".join(line.split(":", 1)[1].split())
                break
    return f"{name}, {len(os.sched_getaffinity(0))} threads"
