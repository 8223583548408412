#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes docs/operators.md: which ONNX operators compile, and how far.

    operators_table.py --data DIR

DIR is the folder of ONNX's operator tests that test/conformance/run_node_tests.py
takes. The table counts the tests of each operator and those that are listed as not
passing; the operators are those of the installed `onnx` package.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test/conformance"))
from run_node_tests import LISTS, find_tests, read_list  # noqa: E402

INTRO = """\
# Operators

What of ONNX compiles. Made by `scripts/operators_table.py`; the tests are ONNX's own
operator tests, which `test/conformance/run_node_tests.py` runs. An operator without
tests that has a limit is listed for it; "read only" operators are imported and
exported, but not compiled. Every operator that cannot be compiled is named, with its
layer and the reason, in one message.

"""
LIMITS = {
    "Bernoulli": "own generator (Squares): other numbers than NumPy's",
    "DFT": "a product with a matrix; the axis is constant",
    "Dropout": "training uses a generator of our own: other numbers than NumPy's",
    "GatherND": "the last size of the indices is known when compiling",
    "ImageDecoder": "read only: files are decoded before the model",
    "LSTM": "ONNX Runtime's reading of `clip`: the cell state is not clipped",
    "LinearRegressor": "no `post_transform`",
    "Multinomial": "own generator (Squares)",
    "RandomNormal": "own generator (Squares)",
    "RandomNormalLike": "own generator (Squares)",
    "RandomUniform": "own generator (Squares)",
    "RandomUniformLike": "own generator (Squares)",
    "ScatterND": "the last size of the indices is known when compiling",
    "Squeeze": "axes are constant",
    "TfIdfVectorizer": "pools of integers",
    "TreeEnsemble": "read only",
    "Unsqueeze": "axes are constant",
}


def defined_operators() -> set[str]:
    """Names that have a definition in the dialect."""
    names: set[str] = set()
    for file in (ROOT / "include/nibble/Dialect/ONNX/IR").glob("*.td"):
        text = file.read_text()
        names |= set(re.findall(r"^def ONNX_(\w+?)Op\b", text, re.MULTILINE))
    return names


def count_tests(data: Path) -> dict[str, list[int]]:
    """Per operator type: tests, and tests that are listed as not passing."""
    import onnx

    failing = read_list(LISTS[False])
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    with tempfile.TemporaryDirectory() as folder:
        for test in find_tests(data, Path(folder)):
            if test.name.endswith("_expanded"):
                continue
            model = onnx.load(test / "model.onnx")
            for kind in {node.op_type for node in model.graph.node}:
                counts[kind][0] += 1
                counts[kind][1] += test.name in failing
    return counts


def main() -> int:
    import onnx

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the tests")
    args = parser.parse_args()
    counts, defined = count_tests(args.data), defined_operators()
    rows = []
    for schema in onnx.defs.get_all_schemas():
        if schema.deprecated:
            continue
        tests, failing = counts.get(schema.name, (0, 0))
        note = LIMITS.get(schema.name, "")
        if schema.name not in defined:
            note = "not supported"
        passing = f"{tests - failing} of {tests}" if tests else "none"
        rows.append((schema.domain or "ai.onnx", schema.name, passing, note))
    rows.sort()
    lines = ["| Domain | Operator | Tests that pass | Limits |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    (ROOT / "docs/operators.md").write_text(INTRO + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
