#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/ggml.bin: weights, and the blocks ggml makes of them.

    golden_ggml.py --source LLAMA_CPP/ggml [--library LIB.so] [--check]

Builds ggml's quantizers from its sources without fused multiply-add, and runs them by
ctypes on weights of our own. The file, little-endian: rows, cols (u32), weights
[rows, cols], importance [cols] (f32), then for each type its number (u32) and its blocks
without and with importance. With --check the file is compared instead. --library keeps
the library; GGUFTest compares with it on random weights if NIBBLE_GGML_LIBRARY names it.
Written with llama.cpp of llama-cpp-python 0.3.36.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/ggml.bin"
# Name in ggml's functions: number of the type.
TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8,
         "q2_K": 10, "q3_K": 11, "q4_K": 12, "q5_K": 13, "q6_K": 14}  # fmt: skip
COLS = 512


def build(source: Path, library: Path) -> ctypes.CDLL:
    """Compiles the quantizers and what they need of ggml.c."""
    with tempfile.TemporaryDirectory() as folder:
        # Normally configured by CMake; the strings are only printed.
        Path(folder, "ggml-version.h").write_text(
            '#define GGML_VERSION ""\n#define GGML_COMMIT ""\n'
        )
        include = [f"-I{path}" for path in (folder, source / "include", source / "src")]
        files = [str(source / "src" / name) for name in ("ggml-quants.c", "ggml.c")]
        subprocess.run(
            ["cc", "-O2", "-ffp-contract=off", "-DNDEBUG", "-w", "-fPIC", "-shared"]
            + [*include, *files, "-o", str(library), "-lm"],
            check=True,
        )
    # Backends are not linked: what calls them is never called.
    loaded = ctypes.CDLL(str(library.resolve()), mode=1)
    loaded.ggml_row_size.restype = ctypes.c_size_t
    loaded.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    return loaded


def quantize(ggml: ctypes.CDLL, name: str, weights: np.ndarray, importance) -> bytes:
    rows, cols = weights.shape
    blocks = ctypes.create_string_buffer(rows * ggml.ggml_row_size(TYPES[name], cols))
    function = getattr(ggml, f"quantize_{name}")
    function.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    function.argtypes = [pointer, pointer, ctypes.c_int64, ctypes.c_int64, pointer]
    given = None if importance is None else importance.ctypes.data
    assert function(weights.ctypes.data, blocks, rows, cols, given) == len(blocks)
    return blocks.raw


def make_weights(random: np.random.Generator) -> np.ndarray:
    """An odd number of rows: usual ones, and those that searches trip over."""
    normal = random.standard_normal((4, COLS))
    sparse = random.standard_normal(COLS) * (random.random(COLS) < 0.05)
    steps = np.repeat(random.standard_normal(COLS // 16), 16)
    one = np.zeros(COLS)
    one[300] = -3
    rows = [
        *normal * [[1], [0.02], [1e-3], [30]],
        random.standard_t(2, COLS) * 0.05,
        random.random(COLS) + 4,
        -random.random(COLS) - 0.5,
        sparse,
        steps,
        np.zeros(COLS),
        np.full(COLS, 0.7),
        np.full(COLS, -1.5),
        one,
        random.integers(-8, 8, COLS) / 8,
        random.standard_normal(COLS) * 1e-6,
        random.standard_normal(COLS) * 1e-15,
        random.standard_normal(COLS) * 1e-20,
        random.standard_normal(COLS) * 1e-39,
        np.where(random.random(COLS) < 0.5, 1e-45, -1e-45),
        random.standard_normal(COLS) * 10.0 ** random.integers(-12, 4, COLS),
        random.standard_normal(COLS) * 1e4,
    ]
    return np.stack(rows).astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="ggml's sources")
    parser.add_argument("--library", type=Path, help="keep the library here")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()

    random = np.random.default_rng(7)
    weights = make_weights(random)
    importance = random.lognormal(0, 2, COLS).astype(np.float32)
    importance[random.random(COLS) < 0.1] = 0
    importance[64:96] = 0  # A block of columns whose inputs were always zero.
    data = np.array(weights.shape, "<u4").tobytes()
    data += weights.astype("<f4").tobytes() + importance.astype("<f4").tobytes()
    with tempfile.TemporaryDirectory() as folder:
        ggml = build(args.source, args.library or Path(folder, "ggml.so"))
        for name, number in TYPES.items():
            data += np.array([number], "<u4").tobytes()
            data += quantize(ggml, name, weights, None)
            data += quantize(ggml, name, weights, importance)
    if args.check:
        same = TARGET.read_bytes() == data
        print(f"{TARGET.name}: {'the same' if same else 'differs'}")
        return 0 if same else 1
    TARGET.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
