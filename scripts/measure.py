# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures models in float and quantized, for demo.py and results.py.

Every figure comes from running the compiled binary now: nothing is stored.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import tempfile
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


# Runs a command and writes its status, seconds and largest memory in bytes to a file. A
# process starts with the memory of the one that it comes from: this one is small.
_LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), time.perf_counter() - start,
               usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], file)
"""


@dataclass
class Run:
    """A process that has ended."""

    status: int
    seconds: float
    processor: float
    """Seconds of all threads, in user code and in the system."""
    peak: int
    """Bytes, pages of mapped files included."""
    messages: str


def run_measured(command: list[object]) -> Run:
    """Runs a program, given by its path, to its end."""
    with tempfile.NamedTemporaryFile("r") as figures:
        launcher = [sys.executable, "-S", "-c", _LAUNCHER, figures.name, *map(str, command)]
        run = subprocess.run(
            launcher, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
        if run.returncode:
            raise nibble.NibbleError(f"{command[0]}: cannot run: {run.stderr.strip()}")
        return Run(*json.load(figures), run.stderr.strip())


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


@dataclass
class Point:
    label: str
    series: str
    x: float
    y: float


@dataclass
class Panel:
    """One plot; the axis of sizes is logarithmic, that of quality if it is said."""

    title: str
    x_title: str
    y_title: str
    points: list[Point]
    logarithmic: bool = False
    baseline: float | None = None
    """A quality to compare with, as a line."""


_COLOURS = ("steelblue", "darkorange", "seagreen", "mediumvioletred", "gray", "sienna", "goldenrod")
_WIDTH, _HEIGHT, _MARGIN = 640, 400, 60


def _place(values: list[float], value: float, low: float, high: float) -> float:
    first, last = min(values), max(values)
    share = (value - first) / (last - first) if last > first else 0.5
    return low + share * (high - low)


def _labels(points: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Places for texts right of their points that do not lie on each other."""
    taken: list[tuple[float, float, float]] = []
    found = []
    for x, y, text in sorted(points, key=lambda point: point[1]):
        left, right, line = x + 7, x + 7 + 6.2 * len(text), y + 4
        while any(l < right and left < r and abs(line - at) < 12 for l, r, at in taken):
            line += 3
        taken.append((left, right, line))
        found.append((left, line, text))
    return found


def _ticks(first: float, last: float) -> list[float]:
    """Up to eight round numbers from `first` to `last`, which are positive."""
    if first <= 0 or last <= first:
        return [first]
    step = 10.0 ** math.floor(math.log10(last - first))
    step = next(s for s in (step / 5, step / 2, step, 2 * step, 5 * step) if last - first <= 8 * s)
    number = math.ceil(first / step)
    return [i * step for i in range(number, math.floor(last / step) + 1)]


def _panel(panel: Panel, colours: dict[str, str]) -> list[str]:
    def scaled(quality: float) -> float:
        return math.log(quality) if panel.logarithmic else quality

    xs = [math.log(point.x) for point in panel.points]
    ys = [scaled(point.y) for point in panel.points]
    base = [] if panel.baseline is None else [scaled(panel.baseline)]
    middle = _HEIGHT // 2
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<path d="M{_MARGIN} 20V{_HEIGHT - 40}H{_WIDTH - 20}" fill="none" stroke="gray"/>',
        f'<text x="{_WIDTH // 2}" y="{_HEIGHT - 10}" text-anchor="middle">{panel.x_title}</text>',
        f'<text transform="rotate(-90) translate({-middle} 15)" text-anchor="middle">'
        f"{panel.y_title}</text>",
        f'<text x="{_WIDTH // 2}" y="14" text-anchor="middle" font-weight="bold">'
        f"{panel.title}</text>",
    ]
    for value in _ticks(min(p.x for p in panel.points), max(p.x for p in panel.points)):
        x = _place(xs, math.log(value), _MARGIN + 20, _WIDTH - 180)
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 26}" text-anchor="middle">{value:g}</text>')
    qualities = [p.y for p in panel.points] + [panel.baseline] * len(base)
    for value in _ticks(min(qualities), max(qualities)):
        y = _place(ys + base, scaled(value), _HEIGHT - 60, 40)
        parts.append(
            f'<text x="{_MARGIN - 4}" y="{y + 4:.0f}" text-anchor="end">{value:g}</text>'
        )
    for value in base:
        y = _place(ys + base, value, _HEIGHT - 60, 40)
        parts.append(
            f'<path d="M{_MARGIN} {y:.0f}H{_WIDTH - 20}" stroke="gray" stroke-dasharray="4"/>'
        )
    texts = []
    for point, x, y in zip(panel.points, xs, ys):
        x = _place(xs, x, _MARGIN + 20, _WIDTH - 180)
        y = _place(ys + base, y, _HEIGHT - 60, 40)
        colour = colours[point.series]
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>')
        if point.label:
            texts.append((x, y, point.label))
    for x, y, text in _labels(texts):
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}">{text}</text>')
    return parts


def scatter(panels: list[Panel]) -> str:
    """Plots of quality over size as one SVG, two beside each other; a colour for each series."""
    series = list(dict.fromkeys(point.series for panel in panels for point in panel.points))
    colours = dict(zip(series, _COLOURS))
    columns = max(1, min(2, len(panels)))
    legend = 24 if len(series) > 1 else 0
    width = _WIDTH * columns
    height = _HEIGHT * math.ceil(len(panels) / columns) + legend
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, name in enumerate(series if legend else []):
        x = _MARGIN + min(140, (width - _MARGIN) // len(series)) * i
        parts.append(f'<circle cx="{x}" cy="12" r="4" fill="{colours[name]}"/>')
        parts.append(f'<text x="{x + 8}" y="16">{name}</text>')
    for i, panel in enumerate(panels):
        x, y = _WIDTH * (i % columns), legend + _HEIGHT * (i // columns)
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel, colours), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


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
