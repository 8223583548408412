#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes docs/results.md from real runs of every model that is there.

    .venv/bin/python scripts/results.py

Models of other people are measured where NIBBLE_SHARED, or `shared` beside the
checkout, has them; the page says which were missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import evaluation as ev
import measure
import nibble
from shared_cases import CASES

INTRODUCTION = """# Results

Made by `.venv/bin/python scripts/results.py`; do not edit. Every figure was measured in that
run on: {machine}.

`ONNX Runtime float` is the yardstick: the same ONNX file, same inputs, all threads. The Nibble
rows are one model compiled with different options; W8A16 is 8 bits with one scale per channel,
W4A16 g32 is 4 bits with one scale for 32 weights, W8A8-dynamic is 8 bits of weights and of
activations, which are scaled at run time; all rounded to nearest, without calibration. `cosine` is
that between the outputs and those of ONNX Runtime in float, where there are no labels.
`weights` is what the binary maps, `file` the whole binary (for ONNX Runtime: the ONNX file).
Milliseconds are of one call from Python at batch 1: all rows in turn, the median of five rounds.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=ev.ROOT / "docs/results.md")
    args = parser.parse_args()
    page = [INTRODUCTION.format(machine=measure.machine())]
    for case in (measure.GLYPHS, measure.STORIES, *CASES):
        print(case.title, file=sys.stderr)
        page.append(f"## {case.title}\n")
        try:
            rows = measure.measure(case, lambda text: print("  " + text, file=sys.stderr))
        except ev.Missing as reason:
            page.append(f"Not measured: {reason}.\n")
            continue
        page.append(measure.markdown(measure.table(case, rows)) + "\n")
    args.output.write_text("\n".join(page))
    print(args.output)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except nibble.NibbleError as error:
        sys.exit(f"error: {error}")
