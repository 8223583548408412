#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares methods of quantization: true bits per weight, quality, time and memory.

    python3 scripts/methods_table.py [--models smollm2 mnist] [--methods W4A16* NF4]
        [--tools nibble gptqmodel] [--text FILE:24 OTHER:8] [--resume]
        [--peer-python /path/to/python] [-o docs/methods-results.md]

Rows are measured in the order of --methods, for Nibble and for other projects' tools with
the same kind of weights. Their packages (scripts/requirements-methods.txt) are looked for
in the environment of --peer-python (this one by default), llama.cpp's program by
--llama-quantize; where one is missing, the page says so.

A run may take hours. Each result goes at once to a JSON file beside the page, by the model's
hash, the method's options and the samples. With --resume, what that file has is not measured
again, whatever became of the tools since (but with --again), and all of it is shown: a page can be
completed over several runs.

Seconds and memory are those of one process that reads the float model and writes the
quantized one, for Nibble the compilation to machine code included. A method that
this build does not have is left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import evaluation as ev
import measure
import methods_models
import nibble
import numpy as np
from methods_list import METHODS, Method
from methods_models import CALIBRATION_WINDOW, Settings, Subject
from methods_results import TOOLS, Figures, Record, Store, key_of, write_page
from nibble.fetch import sha256_of


class Absent(Exception):
    """This build has no such method."""


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it failed"


class Calibration:
    """Samples of one model, and its statistics, made once for each set of options."""

    def __init__(self, subject: Subject, place: Path):
        self._subject, self._place = subject, place
        self._runs: dict[tuple[str, ...], tuple[Path, measure.Run]] = {}

    def data(self) -> list[str]:
        """Options that give the samples to a tool."""
        subject = self._subject
        if subject.calibration:
            path, make = self._place / "data.npz", lambda p: np.savez(p, **subject.calibration())
        elif subject.tokens:
            path, make = self._place / "tokens.npy", lambda p: np.save(p, subject.tokens())
        else:
            raise Absent("there is no calibration data for this model")
        if not path.exists():
            make(path)
        options = [f"--data={path}"]
        if subject.tokens:
            options += [f"--window={CALIBRATION_WINDOW}", f"--samples={subject.samples}"]
        return options

    def statistics(self, options: tuple[str, ...]) -> tuple[Path, measure.Run]:
        """The file, and the run that made it."""
        if options not in self._runs:
            out = self._place / f"stats{len(self._runs)}.yaml"
            command = [ev.tool("nibble-calibrate"), self._subject.path(), "-o", out, *options]
            self._runs[options] = out, measure.run_measured([*command, *self.data()])
        return self._runs[options]


def nibble_figures(
    method: Method, subject: Subject, place: Path, calibration: Calibration
) -> Figures:
    binary, report = place / "model.so", place / "report.json"
    command = [ev.tool("nibble-compile"), subject.path(), "-o", binary, "--weights=embedded"]
    # Details would count as time to compile.
    command += [*method.options, f"--report={report}", "--report-details=false"]
    seconds, processor, peak = 0.0, 0.0, 0
    if method.samples:
        command += calibration.data()
    if method.statistics is not None:
        path, made = calibration.statistics(method.statistics)
        if made.status:
            return Figures(note=last_line(made.messages))
        seconds, processor, peak = made.seconds, made.processor, made.peak
        command.append(f"--calibration={path}")
    run = measure.run_measured(command)
    if run.status == 2:
        raise Absent(run.messages)
    if run.status:
        return Figures(note=last_line(run.messages))
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
    return Figures(
        bits, quality, seconds + run.seconds, processor + run.processor, max(peak, run.peak)
    )


def peer_figures(
    peer: str, recipe: dict, subject: Subject, settings: Settings, python: str
) -> Figures:
    request = {
        "peer": peer, "recipe": recipe, "subject": subject.name, "settings": settings.as_dict()
    }  # fmt: skip
    script = Path(__file__).with_name("methods_peers.py")
    command = [python, str(script), json.dumps(request)]
    try:
        # Some packages write logs where they are.
        run = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=settings.work
        )
    except OSError as error:
        raise nibble.NibbleError(f"{python}: cannot run: {error.strerror}") from error
    if run.returncode:
        return Figures(note=f"failed: {last_line(run.stderr)}")
    answer = json.loads(run.stdout.strip().splitlines()[-1])
    if "absent" in answer:
        return Figures(note=answer["absent"])
    return Figures(**answer)


def model_hash(path: Path) -> str:
    """Of the file, and of the weights that lie beside it."""
    beside = path.with_name(path.name + ".data")
    return "".join(sha256_of(file) for file in (path, beside) if file.exists())


class Measurement:
    """Of one model: which rows there are already, and those that are missing."""

    def __init__(
        self, subject: Subject, store: Store, args: argparse.Namespace, settings: Settings
    ):
        self._subject, self._store, self._args, self._settings = subject, store, args, settings
        folder = Path(settings.work, "statistics", subject.name)
        folder.mkdir(parents=True)
        self._calibration = Calibration(subject, folder)
        self._hash = model_hash(subject.path())
        self._titles = subject.titles()
        if subject.remark:
            store.remarks[subject.title] = subject.remark

    def _take(self, method: Method, tool: str, recipe: object, make: Callable[[], Figures]) -> None:
        subject, args = self._subject, self._args
        key = key_of(model=self._hash, tool=tool, recipe=recipe, samples=subject.samples)
        figures = None if args.again else self._store.find(key, self._titles)
        print(f"{subject.name}: {method.name}, {TOOLS[tool]}", file=sys.stderr)
        if figures:
            print("  known", file=sys.stderr)
        else:
            try:
                figures = make()
            except Absent as reason:
                print(f"  left out: {reason}", file=sys.stderr)
                return
            print(f"  {figures.note or figures}", file=sys.stderr)
        self._store.put(Record(key, subject.title, method.name, tool, figures))

    def row(self, method: Method) -> None:
        subject, args = self._subject, self._args

        def ours() -> Figures:
            with tempfile.TemporaryDirectory() as place:
                return nibble_figures(method, subject, Path(place), self._calibration)

        if "nibble" in args.tools and method.options is not None:
            self._take(method, "nibble", [method.options, method.statistics], ours)
        for peer, recipe in method.peers.items():
            if peer in args.tools:

                def theirs(peer=peer, recipe=recipe) -> Figures:
                    return peer_figures(peer, recipe, subject, self._settings, args.peer_python)

                self._take(method, peer, recipe, theirs)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=methods_models.MODELS,
                        default=methods_models.CHOSEN)  # fmt: skip
    parser.add_argument("--methods", nargs="+", metavar="GLOB", default=["*"],
                        help=f"rows: {', '.join(m.name for m in METHODS)}")  # fmt: skip
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--resume", action="store_true",
                        help="keep and show what an earlier run has measured")  # fmt: skip
    parser.add_argument("--again", action="store_true",
                        help="with --resume: measure the chosen rows anew")  # fmt: skip
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON",
                        help="of an environment with what requirements-methods.txt lists")  # fmt: skip
    parser.add_argument("--llama-quantize", default="llama-quantize", metavar="PROGRAM",
                        help="llama.cpp's")  # fmt: skip
    parser.add_argument("--text", nargs="+", metavar="FILE[:WINDOWS]",
                        help="what language models predict; the first one counts")  # fmt: skip
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--samples", type=int, default=128,
                        help=f"windows of {CALIBRATION_WINDOW} tokens to calibrate on")  # fmt: skip
    parser.add_argument("--rope-theta", type=float, help="of the export of language models")
    parser.add_argument("-o", "--output", type=Path, default=ev.ROOT / "docs/methods-results.md")
    args = parser.parse_args()
    if not args.output.parent.is_dir():
        parser.error(f"{args.output.parent}: no such folder")
    # Peers run in another folder.
    for name in ("peer_python", "llama_quantize"):
        if os.sep in (path := getattr(args, name)):
            setattr(args, name, os.path.abspath(path))
    chosen = [m for glob in args.methods for m in METHODS if fnmatch.fnmatchcase(m.name, glob)]
    if not chosen:
        parser.error("--methods: no row has such a name")
    args.methods = list({m.name: m for m in chosen}.values())
    args.texts = [_text(word, args.windows) for word in args.text or []] or [(None, args.windows)]
    for text, windows in args.texts:
        if text and not Path(text).is_file():
            parser.error(f"--text: {text}: no such file")
        if windows < 1:
            parser.error("--windows: expected at least 1")
    return args


def _text(word: str, windows: int) -> tuple[str, int]:
    file, colon, number = word.rpartition(":")
    if not (colon and number.isdigit()):
        file, number = word, windows
    return os.path.abspath(file), int(number)


def command_line() -> str:
    """What the page says it was made by, without the places of this machine."""
    words, previous = ["python scripts/methods_table.py"], ""
    for word in sys.argv[1:]:
        programs = {"--peer-python": "PYTHON", "--llama-quantize": "PROGRAM"}
        shown = programs.get(previous) or (Path(word).name if word.startswith("/") else word)
        words.append(shlex.quote(shown))
        previous = word
    return " ".join(words)


def main() -> int:
    args = parse()
    store = Store(args.output.with_suffix(".json"), args.resume)
    store.add_run(command_line())
    samples = f"{args.samples} windows of {CALIBRATION_WINDOW} tokens"
    with tempfile.TemporaryDirectory() as work:
        settings = Settings(
            work, args.texts, args.window, args.samples, args.rope_theta, args.llama_quantize
        )
        for name in args.models:
            try:
                subject = methods_models.find(name, settings)
                measurement = Measurement(subject, store, args, settings)
                for method in args.methods:
                    if method.language in (None, subject.language):
                        measurement.row(method)
                        # What there is can be read, and kept.
                        write_page(store, args.output, samples)
            except ev.Missing as reason:
                print(f"{name}: not measured: {reason}", file=sys.stderr)
    if not any(record.figures.quality for record in store.records.values()):
        raise nibble.NibbleError("nothing could be measured")
    print(args.output)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except nibble.NibbleError as error:
        sys.exit(f"error: {error}")
