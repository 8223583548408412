#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/llm-int8.txt: what bitsandbytes makes of our random inputs.

    pip install bitsandbytes torch numpy
    scripts/golden_llm_int8.py

Arrays are written as `NAME TYPE DIMENSION...` and a line of hexadecimal numbers, bit patterns of
floats (f32, f16) or integers (i8, i32).
"""

import sys
from pathlib import Path

import bitsandbytes as bnb
import numpy as np
import torch

OUT = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/llm-int8.txt"
THRESHOLD = 6.0
WORDS = {"f32": np.uint32, "f16": np.uint16, "i8": np.uint8, "i32": np.uint32}
TYPES = {"float32": "f32", "float16": "f16", "int8": "i8", "int32": "i32"}


class Writer:
    def __init__(self, file):
        self.file = file

    def add(self, name: str, array) -> None:
        array = np.ascontiguousarray(array)
        kind = TYPES[array.dtype.name]
        dims = " ".join(map(str, array.shape))
        words = " ".join(f"{word:x}" for word in array.view(WORDS[kind]).ravel())
        self.file.write(f"{name} {kind} {dims}\n{words}\n")


def weights(random) -> dict[str, np.ndarray]:
    """Random rows of odd length, and rows that are hard to get right."""
    rows = random.standard_normal((7, 33)).astype(np.float32)
    hard = np.zeros((9, 33), np.float32)
    hard[1] = 0.25  # all equal
    hard[2] = -0.0
    hard[3] = rows[0] * 2e-7  # denormal halves
    hard[4] = rows[1] * 1e-9  # below all halves
    hard[5, 7] = 65504  # the largest half
    hard[5, 8] = -1
    hard[6] = np.arange(33) - 16.5  # ties
    hard[7] = rows[2] * 1e-39  # denormal floats
    hard[8] = np.where(rows[3] > 0, rows[3], rows[3] * 1000)
    return {"random": rows, "hard": hard, "one": np.float32([[-3.0]])}


def activations(random, rows: int, cols: int, columns, share: float) -> np.ndarray:
    """Halves, with outliers in a share of the rows of some columns."""
    x = random.standard_normal((rows, cols))
    for column in columns:
        hit = random.random(rows) < share
        hit[random.integers(rows)] = True
        x[hit, column] = random.choice([-1, 1], hit.sum()) * random.uniform(6, 60, hit.sum())
    return x.astype(np.float16)


def main() -> int:
    random = np.random.default_rng(20260822)
    quantize = bnb.functional.int8_vectorwise_quant
    cases = {
        "many": activations(random, 40, 101, [3, 17, 64, 100], 0.5),
        "few": activations(random, 3, 101, [0, 50], 0.4),
        "single": activations(random, 1, 101, [5, 99], 1.0),
        "none": np.clip(activations(random, 9, 101, [], 0), -5.9, 5.9).astype(np.float16),
        "all": activations(random, 6, 101, range(101), 0.3),
        "edge": np.where(np.eye(5, 101) > 0, 6.0, 0.5).astype(np.float16),
    }
    cases["zeros"] = np.zeros((2, 101), np.float16)
    cases["zeros"][1, 4] = 7
    with open(OUT, "w", encoding="ascii") as file:
        file.write(f"# bitsandbytes {bnb.__version__}, torch {torch.__version__.split('+')[0]}\n")
        writer = Writer(file)
        for name, weight in weights(random).items():
            # As Int8Params does when a model is loaded.
            codes, absmax, _ = quantize(torch.from_numpy(weight).to(torch.float16))
            writer.add(f"weight.{name}", weight)
            writer.add(f"weight.{name}.codes", codes.numpy())
            writer.add(f"weight.{name}.absmax", absmax.numpy())

        weight = (random.standard_normal((37, 101)) / 10).astype(np.float16)
        bias = random.standard_normal(37).astype(np.float16)
        writer.add("product.weight", weight)
        writer.add("product.bias", bias)
        for name, x in cases.items():
            codes, absmax, columns = quantize(torch.from_numpy(x.copy()), threshold=THRESHOLD)
            state = bnb.MatmulLtState()
            state.CB, state.SCB, _ = quantize(torch.from_numpy(weight))
            state.has_fp16_weights = state.is_training = False
            y = bnb.matmul(torch.from_numpy(x.copy()), None, state=state, threshold=THRESHOLD,
                           bias=torch.from_numpy(bias))
            writer.add(f"input.{name}", x)
            writer.add(f"input.{name}.codes", codes.numpy())
            writer.add(f"input.{name}.absmax", absmax.numpy())
            writer.add(f"input.{name}.columns", columns.numpy().astype(np.int32))
            writer.add(f"input.{name}.product", y.detach().numpy())
    print(f"{OUT}: {OUT.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
