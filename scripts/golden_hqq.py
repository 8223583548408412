#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/hqq.txt: weights, and what hqq makes of them.

    golden_hqq.py     (packages hqq and torch; written with hqq 0.2.8.post1)

For each number of bits: bits, rows, cols, group; the weights; then for each group of
each row its scale, the zero after one step of the solver, and the zero in the end; last
the mean |error| in the end.
"""

from __future__ import annotations

from pathlib import Path

import torch
from hqq.core import optimize

TARGET = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/hqq.txt"
ROWS, COLS, GROUP = 8, 128, 64
OPTIONS = {"lp_norm": 0.7, "beta": 10.0, "kappa": 1.01, "iters": 20}


def write(file, values: torch.Tensor) -> None:
    file.write(" ".join(f"{value:.9g}" for value in values.flatten().tolist()) + "\n")


def main() -> None:
    torch.manual_seed(11)
    with open(TARGET, "w") as file:
        for bits in (2, 3, 4, 8):
            weights = torch.randn(ROWS, COLS) * 0.05
            weights[1] *= 1 + 9 * (torch.rand(COLS) < 0.03)  # Some outliers,
            weights[2] = weights[2].abs() + 0.1  # and a row far from zero.
            groups = weights.reshape(-1, GROUP)
            low = groups.min(dim=1, keepdim=True)[0]
            high = groups.max(dim=1, keepdim=True)[0]
            inverse = (2**bits - 1) / (high - low)
            limits = [0, 2**bits - 1]
            start = (groups, inverse, -low * inverse)
            _, _, step, _ = optimize.optimize_weights_proximal_legacy_step(
                *start, limits, OPTIONS["beta"], OPTIONS["lp_norm"], 1
            )
            codes, _, zero = optimize.optimize_weights_proximal_legacy(
                *start, limits, axis=1, opt_params=OPTIONS
            )
            error = (groups - (codes - zero) / inverse).abs().mean()
            file.write(f"{bits} {ROWS} {COLS} {GROUP}\n")
            for values in (weights, 1 / inverse, step, zero, error):
                write(file, values)


if __name__ == "__main__":
    main()
