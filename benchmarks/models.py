#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times one run of every shared model in Nibble and in ONNX Runtime, side by side.

    .venv/bin/python benchmarks/models.py [NAME ...] [--threads T] [--rounds R] [--profile]

Batch 1, float, all from Python. The two take turns, so that a machine whose speed
drifts is fair to both; a figure is the median over rounds of the median of a round.
`ratio` is Nibble's time by ONNX Runtime's: below 1 Nibble is faster. `difference`
is the largest one between outputs, relative to the largest output.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import evaluation as ev  # noqa: E402
import measure  # noqa: E402
import nibble  # noqa: E402
from shared_inputs import EXAMPLES, Example  # noqa: E402


def difference(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> float:
    return max(
        float(np.abs(got[name] - array).max() / max(np.abs(array).max(), 1e-30))
        for name, array in want.items()
    )


def compare(name: str, example: Example, args: argparse.Namespace) -> None:
    path, inputs = example.path(), example.inputs()
    start = time.perf_counter()
    binary = ev.compile_model(path, args.option, fresh=True)
    seconds = time.perf_counter() - start
    reference = ev.Reference(path, threads=args.threads)
    with nibble.Model(binary, threads=args.threads) as model:
        worst = max(difference(model.run(x), reference.run(x)) for x in inputs)
        ours, theirs = measure.take_turns(
            [lambda: model.run(inputs[0]), lambda: reference.run(inputs[0])], args.rounds
        )
    print(
        f"{name:14}{ours:10.3f}{theirs:14.3f}{ours / theirs:8.2f}{worst:12.1e}{seconds:10.1f} s",
        flush=True,
    )
    if args.profile:
        with nibble.Model(binary, threads=args.threads, profile=True) as model:
            for _ in range(20):
                model.run(inputs[0])
            layers = sorted(model.profile(), key=lambda layer: -layer.seconds)
        for layer in layers[: args.profile]:
            print(f"    {layer.seconds / layer.calls * 1e6:9.1f} us  {layer.name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXAMPLES)}; default: all")
    parser.add_argument("--threads", type=int, default=0, help="of each side; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--profile", type=int, default=0, metavar="N", help="print the N slowest layers"
    )
    parser.add_argument(
        "--option", action="append", default=[], help="for nibble-compile: --march=x86-64-v3"
    )
    args = parser.parse_args()
    if unknown := set(args.names) - set(EXAMPLES):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    print(f"{measure.machine()}; batch 1, {args.threads or 'all'} threads")
    print(
        f"{'':14}{'Nibble ms':>10}{'ONNX Runtime':>14}{'ratio':>8}{'difference':>12}{'compile':>12}"
    )
    failures = 0
    for name in args.names or EXAMPLES:
        try:
            compare(name, EXAMPLES[name], args)
        except ev.Missing as reason:
            print(f"{name:14}not measured: {reason}")
        except nibble.NibbleError as error:
            print(f"{name:14}{error}")
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
