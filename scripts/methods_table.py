#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares methods of quantization: true bits per weight, quality, time and memory.

    python3 scripts/methods_table.py [--models smollm2 mnist] [--methods W4A16* NF4]
        [--windows 4] [--peer-python /path/to/python] [-o docs/methods-results.md]

Beside Nibble's columns stand those of ONNX Runtime's and bitsandbytes' tools for the
same kind of weights, measured in the same run. The packages of
scripts/requirements-methods.txt are looked for in the environment of --peer-python
(this one by default); where they are missing, the column says so.

Seconds and memory are those of one process that reads the float model and writes the
quantized one, for Nibble the compilation to machine code included. A method that
this build does not have is left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import evaluation as ev
import measure
import methods_models
import nibble
import numpy as np
from methods_models import Settings, Subject


@dataclass(frozen=True)
class Method:
    """A row. Peers are given what methods_peers.py takes as a recipe; None: no such thing."""

    name: str
    options: tuple[str, ...]
    onnxruntime: dict | None = None
    bitsandbytes: dict | None = None
    calibrate: tuple[str, ...] | None = None
    """Options of nibble-calibrate, for methods that need its statistics."""
    language: bool | None = None
    """For language models only, or for others only; None: for all."""


def nbits(bits: int, block: int, symmetric: bool) -> dict:
    return {"kind": "nbits", "bits": bits, "block": block, "symmetric": symmetric}


def four_bit(kind: str, double: bool = False) -> dict:
    return {"kind": kind, "block": 64, "double": double}


FLOAT = {"kind": "float"}
GPTQ = ("--quantize=W4A16", "--group-size=64", "--method=gptq")

METHODS = [
    Method("float", ("--quantize=none",), FLOAT, FLOAT),
    Method("W8A16 per channel", ("--quantize=W8A16", "--group-size=-1")),
    Method("W8A16 g128", ("--quantize=W8A16",), nbits(8, 128, True)),
    Method("W4A16 g64", ("--quantize=W4A16", "--group-size=64"), nbits(4, 64, True)),
    Method(
        "W4A16 g64 asymmetric",
        ("--quantize=W4A16", "--group-size=64", "--asymmetric"),
        nbits(4, 64, False),
    ),
    Method("W4A16 g128", ("--quantize=W4A16",), nbits(4, 128, True)),
    Method("W4A16 g128 asymmetric", ("--quantize=W4A16", "--asymmetric"), nbits(4, 128, False)),
    Method("W3A16 g64 asymmetric", ("--quantize=W3A16", "--group-size=64", "--asymmetric")),
    Method("W4A16 g64, HQQ", ("--quantize=W4A16", "--group-size=64", "--asymmetric", "--method=hqq")),
    Method("W4A16 g64, GPTQ", GPTQ, calibrate=("--hessian",)),
    Method(
        "W4A16 g64 asymmetric, GPTQ with activation order",
        (*GPTQ, "--asymmetric", "--activation-order"),
        calibrate=("--hessian",),
    ),
    Method("W3A16 g64, GPTQ", (*GPTQ, "--quantize=W3A16"), calibrate=("--hessian",)),
    *(Method(name, (f"--quantize={name}",)) for name in ("Q4_0", "Q4_1", "Q4_K", "Q5_K", "Q6_K")),
    Method("Q4_K with importance", ("--quantize=Q4_K", "--method=imatrix"), calibrate=()),
    Method(
        "W8A8, min-max",
        ("--quantize=W8A8",),
        {"kind": "static", "calibrate": "minmax"},
        calibrate=("--method=minmax",),
        language=False,
    ),
    Method(
        "W8A8, percentile",
        ("--quantize=W8A8",),
        {"kind": "static", "calibrate": "percentile"},
        calibrate=("--method=percentile",),
        language=False,
    ),
    Method("W8A8-dynamic", ("--quantize=W8A8-dynamic",), {"kind": "dynamic"}),
    Method(
        "LLM.int8", ("--quantize=LLM.int8",), None, {"kind": "int8", "threshold": 6.0}
    ),
    Method("NF4", ("--quantize=NF4", "--group-size=64"), None, four_bit("nf4")),
    Method(
        "NF4, double quantization",
        ("--quantize=NF4", "--group-size=64", "--double-quant"),
        None,
        four_bit("nf4", True),
    ),
    Method("FP4", ("--quantize=FP4", "--group-size=64"), None, four_bit("fp4")),
]

PEERS = {"onnxruntime": "ONNX Runtime", "bitsandbytes": "bitsandbytes"}


@dataclass
class Figures:
    """What one tool makes of one model; `note` says why there is nothing, or ''."""

    bits: float | None = None
    quality: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    peak: int | None = None
    note: str = ""


class Absent(Exception):
    """This build has no such method."""


class Statistics:
    """Statistics of one model, made once for each set of options."""

    def __init__(self, subject: Subject, place: Path):
        self._subject, self._place = subject, place
        self._runs: dict[tuple[str, ...], tuple[Path, measure.Run]] = {}

    def _data(self) -> Path:
        path = self._place / "data.npz"
        if self._subject.calibration:
            if not path.exists():
                np.savez(path, **self._subject.calibration())
            return path
        if not self._subject.text:
            raise Absent("there is no calibration data for this model")
        path = self._place / "tokens.npy"
        if not path.exists():
            # Enough for the samples, without reading all of a long text.
            text = self._subject.text().read_text(encoding="utf-8")
            text = text[: 16 * 512 * self._subject.samples]
            codec = nibble.load_codec(self._subject.path().parent)
            np.save(path, np.asarray(codec.encode(text, special=False), np.int32))
        return path

    def get(self, options: tuple[str, ...]) -> tuple[Path, measure.Run]:
        """The file, and the run that made it."""
        if options not in self._runs:
            out = self._place / f"stats{len(self._runs)}.yaml"
            command = [ev.tool("nibble-calibrate"), self._subject.path(), "-o", out, *options]
            command += [f"--data={self._data()}"]
            if self._subject.samples:
                command += ["--window=512", f"--samples={self._subject.samples}"]
            self._runs[options] = out, measure.run_measured(command)
        return self._runs[options]


def last_line(run: measure.Run) -> str:
    return run.messages.splitlines()[-1] if run.messages else "it failed"


def nibble_figures(
    method: Method, subject: Subject, place: Path, statistics: Statistics
) -> Figures:
    binary, report = place / "model.so", place / "report.json"
    command = [ev.tool("nibble-compile"), subject.path(), "-o", binary, "--weights=embedded"]
    # Details would count as time to compile.
    command += [*method.options, f"--report={report}", "--report-details=false"]
    seconds, peak = 0.0, 0
    if method.calibrate is not None:
        path, made = statistics.get(method.calibrate)
        if made.status:
            return Figures(note=last_line(made))
        seconds, peak = made.seconds, made.peak
        command.append(f"--calibration={path}")
    run = measure.run_measured(command)
    if run.status == 2:
        raise Absent(run.messages)
    if run.status:
        return Figures(note=last_line(run))
    layers = json.loads(report.read_text())["layers"]
    counted = [
        layer for layer in layers if layer["scheme"] != "none" and "shared_with" not in layer
    ]
    weights = sum(layer["weights"] for layer in counted)
    if not weights and method.name != "float":
        return Figures(note="no layer takes it")
    bits = 8 * sum(layer["bytes"] for layer in counted) / weights if weights else 32.0
    with nibble.Model(binary) as model:
        quality = subject.quality(model)
    if method.name == "float":
        return Figures(bits, quality)
    return Figures(bits, quality, seconds + run.seconds, max(peak, run.peak))


def peer_figures(peer: str, recipe: dict, subject: Subject, settings: Settings, python: str):
    request = {
        "peer": peer, "recipe": recipe, "subject": subject.name, "settings": settings.as_dict()
    }  # fmt: skip
    script = Path(__file__).with_name("methods_peers.py")
    command = [python, str(script), json.dumps(request)]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise nibble.NibbleError(f"{python}: cannot run: {error.strerror}") from error
    if run.returncode:
        lines = run.stderr.strip().splitlines()
        return Figures(note=f"failed: {lines[-1] if lines else run.returncode}")
    answer = json.loads(run.stdout.strip().splitlines()[-1])
    if "absent" in answer:
        return Figures(note=answer["absent"])
    return Figures(**answer)


@dataclass
class Line:
    """A row of one model: figures by tool, the first of them Nibble."""

    name: str
    figures: dict[str, Figures | None]


def measure_subject(
    subject: Subject, lines: list[Line], args: argparse.Namespace, settings: Settings
) -> Iterator[None]:
    """Adds rows to `lines`, and yields after each."""
    folder = Path(settings.work, "statistics", subject.name)
    folder.mkdir(parents=True)
    statistics = Statistics(subject, folder)
    for method in args.methods:
        if method.language not in (None, subject.language):
            continue
        print(f"{subject.name}: {method.name}", file=sys.stderr)
        found: dict[str, Figures | None] = {}
        try:
            with tempfile.TemporaryDirectory() as place:
                found["nibble"] = nibble_figures(method, subject, Path(place), statistics)
        except Absent as reason:
            print(f"  left out: {reason}", file=sys.stderr)
            continue
        for peer in args.peers:
            recipe = getattr(method, peer)
            found[peer] = (
                peer_figures(peer, recipe, subject, settings, args.peer_python) if recipe else None
            )
        for tool, figures in found.items():
            if figures:
                print(f"  {tool}: {figures.note or figures}", file=sys.stderr)
        lines.append(Line(method.name, found))
        yield


def cells(figures: Figures | None, title: str) -> list[str]:
    if figures is None or figures.note:
        return ["", "", "", ""]
    return [
        f"{figures.bits:.3f}",
        measure.format_quality(title, figures.quality[title]),
        "" if figures.seconds is None else f"{figures.seconds:.1f}",
        "" if figures.peak is None else f"{figures.peak / 1e6:.0f}",
    ]


def section(subject: Subject, lines: list[Line], peers: list[str]) -> str:
    title = next(
        next(iter(f.quality)) for line in lines for f in line.figures.values() if f and f.quality
    )
    head = ["method", "bits", title, "seconds", "peak MB"]
    shown = [
        peer
        for peer in peers
        if any(line.figures[peer] and not line.figures[peer].note for line in lines)
    ]
    for peer in shown:
        head += [f"{PEERS[peer]}: bits", title, "seconds", "peak MB"]
    rows = [head]
    for line in lines:
        row = [line.name, *cells(line.figures["nibble"], title)]
        for peer in shown:
            row += cells(line.figures[peer], title)
        rows.append(row)
    notes: dict[str, list[str]] = {}
    for line in lines:
        for tool, figures in line.figures.items():
            if figures and figures.note:
                text = f"{PEERS.get(tool, 'Nibble')}: {figures.note}"
                notes.setdefault(text, []).append(line.name)
    remarks = [f"- {text} ({', '.join(names)})" for text, names in notes.items()]
    parts = [f"## {subject.title}", measure.markdown(rows)]
    return "\n\n".join([*parts, "\n".join(remarks)] if remarks else parts) + "\n"


PAGE = """# Methods of quantization, measured

Made by `{command}`; do not edit. Measured in that run on: {machine}.

Embedding and head of a language model stay float. `bits` are those of a quantized weight in truth,
scales, zero points and tables counted; layers that a method leaves float are not among them.
`seconds` and `peak MB` are from the float ONNX model to the result, calibration included: for Nibble
that is a native binary, for ONNX Runtime an ONNX file, for bitsandbytes its tensors in a Python
process, whose libraries count too. bitsandbytes' weights are multiplied in float32 (NF4, FP4) or by its
own layer (LLM.int8) inside of our own torch model. Where a tool has no such method the cells are
empty.

{sections}
![Quality over bits per weight]({plot})
"""


def plot(results: list[tuple[Subject, list[Line]]]) -> str:
    panels = []
    for subject, lines in results:
        points = []
        for line in lines:
            for tool, figures in line.figures.items():
                if figures and not figures.note:
                    title, value = next(iter(figures.quality.items()))
                    points.append(measure.Point(line.name, PEERS.get(tool, "Nibble"),
                                                figures.bits, value))  # fmt: skip
        if points:
            logarithmic = title == "perplexity"
            panels.append(measure.Panel(subject.name, "bits per weight", title, points, logarithmic))
    return measure.scatter(panels)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=methods_models.MODELS,
                        default=methods_models.CHOSEN)  # fmt: skip
    parser.add_argument("--methods", nargs="+", metavar="GLOB", default=["*"],
                        help=f"rows: {', '.join(m.name for m in METHODS)}")  # fmt: skip
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON",
                        help="of an environment with the packages of requirements-methods.txt")  # fmt: skip
    parser.add_argument("--text", help="what language models predict (UTF-8)")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--samples", type=int, default=128,
                        help="windows of 512 tokens to calibrate on")  # fmt: skip
    parser.add_argument("--rope-theta", type=float, help="of the export of language models")
    parser.add_argument("-o", "--output", type=Path, default=ev.ROOT / "docs/methods-results.md")
    args = parser.parse_args()
    # What the page says it was made by, without the places of this machine.
    places = {str(args.output): args.output.name, args.peer_python: "PYTHON"}
    args.words = [places.get(word, word) for word in sys.argv[1:]]
    if not args.output.parent.is_dir():
        parser.error(f"{args.output.parent}: no such folder")
    chosen = [m for m in METHODS if any(fnmatch.fnmatchcase(m.name, g) for g in args.methods)]
    if not chosen:
        parser.error("--methods: no row has such a name")
    args.methods = chosen
    return args


def write_page(results: list[tuple[Subject, list[Line]]], args: argparse.Namespace) -> None:
    image = args.output.with_suffix(".svg")
    image.write_text(plot(results), encoding="utf-8")
    args.output.write_text(
        PAGE.format(
            command=" ".join(["python scripts/methods_table.py", *map(shlex.quote, args.words)]),
            machine=measure.machine(),
            sections="\n".join(section(s, lines, args.peers) for s, lines in results),
            plot=image.name,
        ),
        encoding="utf-8",
    )


def main() -> int:
    args = parse()
    results: list[tuple[Subject, list[Line]]] = []
    with tempfile.TemporaryDirectory() as work:
        settings = Settings(
            work, args.text, args.windows, args.window, args.samples, args.rope_theta
        )
        for name in args.models:
            lines: list[Line] = []
            try:
                subject = methods_models.find(name, settings)
                for _ in measure_subject(subject, lines, args, settings):
                    # A run may take hours: what there is can be read, and kept.
                    shown = [*results, (subject, lines)]
                    if any(f and f.quality for line in lines for f in line.figures.values()):
                        write_page(shown, args)
            except ev.Missing as reason:
                print(f"{name}: not measured: {reason}", file=sys.stderr)
                continue
            if lines:
                results.append((subject, lines))
    if not results:
        raise nibble.NibbleError("nothing could be measured")
    print(args.output)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except nibble.NibbleError as error:
        sys.exit(f"error: {error}")
