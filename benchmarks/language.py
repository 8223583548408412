#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a language model in Nibble and in llama.cpp, side by side.

    .venv/bin/python benchmarks/language.py --llama-cpp=DIR [--model smollm2]
        [--prompt 512] [--new 64] [--rounds 3] [--threads T]

DIR holds llama-bench and llama-quantize (a build of llama.cpp, which the source
package of llama-cpp-python contains). Nibble compiles the model with each scheme of
SCHEMES; llama.cpp quantizes the same GGUF file. All take turns, so that a machine
whose speed drifts is fair to all; a figure is the median over rounds. Prompt: tokens
per second of reading PROMPT tokens at once; new: of writing one token after another,
from an empty context. MB is the size of the weights, peak what the process had in
memory at most.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
import nibble  # noqa: E402
from nibble.fetch import PUBLISHED  # noqa: E402

SCHEMES = {
    "float": None,
    "W8A16": nibble.QuantizationConfig("W8A16", group_size=32, head="W8A16"),
    "W4A16 g32": nibble.QuantizationConfig("W4A16", group_size=32, head="W8A16"),
}
LLAMA_TYPES = ("F32", "Q8_0", "Q4_0")


@dataclass
class Runner:
    """One way of running the model."""

    name: str
    megabytes: float
    once: Callable[[], tuple[float, float, float]]
    """Runs once: seconds for the prompt, seconds for the new tokens, peak in bytes."""
    found: list[tuple[float, float, float]] = field(default_factory=list)


def nibble_once(path: Path, args: argparse.Namespace) -> tuple[float, float, float]:
    """In a process of its own, as llama-bench is."""
    command = [sys.executable, __file__, "--child", path, "--prompt", args.prompt]
    command += ["--new", args.new, "--threads", args.threads]
    run = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return tuple(json.loads(run.stdout))


def child(args: argparse.Namespace) -> None:
    model = nibble.Model(args.child, threads=args.threads)
    tokens = np.random.default_rng(1).integers(1000, 2000, args.prompt).tolist()

    def prompt() -> float:
        start = time.perf_counter()
        next(nibble.generate(model, tokens, len(tokens), stops=()))
        return time.perf_counter() - start

    def new() -> float:
        steps = nibble.generate(model, tokens[:1], args.new + 1, stops=())
        next(steps)
        start = time.perf_counter()
        for _ in range(args.new):
            next(steps)
        return time.perf_counter() - start

    prompt()  # Once to warm up, as llama-bench does.
    found = prompt(), new(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


def llama_once(path: Path, args: argparse.Namespace) -> tuple[float, float, float]:
    command = [args.llama_cpp / "llama-bench", "-m", path, "-p", args.prompt, "-n", args.new]
    command += ["-t", args.threads, "-r", 1, "-o", "json"]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise nibble.NibbleError(f"llama-bench failed with status {status}")
    rates = {row["n_prompt"]: row["avg_ts"] for row in json.loads(text)}
    return args.prompt / rates[args.prompt], args.new / rates[0], usage.ru_maxrss * 1024


def runners(source: Path, place: Path, args: argparse.Namespace) -> list[Runner]:
    exported = nibble.export_model(source, place / "onnx")
    found = []
    for name, config in SCHEMES.items():
        print(f"compiling {name}", file=sys.stderr)
        path = nibble.compile(exported, place / f"{len(found)}.so", config, weights="embedded")
        size = nibble.Model(path).weight_bytes / 1e6
        found.append(Runner(f"Nibble {name}", size, lambda path=path: nibble_once(path, args)))
    for kind in LLAMA_TYPES if args.llama_cpp else ():
        print(f"llama-quantize {kind}", file=sys.stderr)
        path = place / f"{kind}.gguf"
        command = [args.llama_cpp / "llama-quantize", "--allow-requantize", source, path, kind]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        size = path.stat().st_size / 1e6
        found.append(Runner(f"llama.cpp {kind}", size, lambda path=path: llama_once(path, args)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2", help="a GGUF file, or a name")
    parser.add_argument("--llama-cpp", type=Path, metavar="DIR")
    parser.add_argument("--prompt", type=int, default=512, help="tokens (default: 512)")
    parser.add_argument("--new", type=int, default=64, help="tokens (default: 64)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return 0
    source = nibble.fetch(args.model) if args.model in PUBLISHED else Path(args.model)
    with tempfile.TemporaryDirectory() as place:
        rows = runners(source, Path(place), args)
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
            for row in rows:
                row.found.append(row.once())
    print(f"{'':18}{'MB':>8}{'prompt':>10}{'new':>8}{'peak MB':>9}   tokens/s, {args.threads} threads")
    for row in rows:
        prompt, new, peak = (statistics.median(column) for column in zip(*row.found))
        print(
            f"{row.name:18}{row.megabytes:8.1f}{args.prompt / prompt:10.1f}"
            f"{args.new / new:8.1f}{peak / 1e6:9.0f}"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (nibble.NibbleError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
