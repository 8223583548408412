#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/awq.txt: the scales and limits that AutoAWQ finds.

    golden_awq.py --source AUTOAWQ     (its sources; package torch)

Only AutoAWQ's searches are run, on two layers that read the same activations, so what
its file imports for models and data is replaced by nothing. The file: rows of each
layer, cols, tokens; both weights; activations. Then for each case: bits, group, whether
zeros are used, whether weights have a say in the scales (duo scaling); scales; limits
of the first layer.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from unittest import mock

import torch

TARGET = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/awq.txt"
ROWS, COLS, TOKENS = 64, 64, 48
CASES = [(4, 32, True, True), (4, 32, False, True), (3, 64, True, False), (3, 32, True, True)]


def load(source: Path):
    names = ["transformers", "tqdm", "awq"]
    names += ["awq.utils", "awq.utils.calib_data", "awq.utils.utils", "awq.utils.module"]
    names += ["awq.quantize", "awq.quantize.scale", "awq.modules", "awq.modules.linear"]
    for name in names:
        sys.modules[name] = mock.MagicMock()
    spec = importlib.util.spec_from_file_location(
        "quantizer", source / "awq/quantize/quantizer.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AwqQuantizer


def write(file, values: torch.Tensor) -> None:
    file.write(" ".join(f"{value:.7g}" for value in values.flatten().tolist()) + "\n")


class Pair(torch.nn.Module):
    """Two layers side by side, as q and k."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(COLS, ROWS, bias=False)
        self.b = torch.nn.Linear(COLS, ROWS, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.a(x), self.b(x)], dim=-1)

    def state_dict(self, *args, **kwargs):
        # AutoAWQ keeps the result of `.cpu()` to restore the weights: a copy only if
        # they were on another device.
        state = super().state_dict(*args, **kwargs)
        return {name: value.clone() for name, value in state.items()}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, required=True)
    quantizer = object.__new__(load(parser.parse_args().source))
    torch.manual_seed(5)
    pair = Pair()
    for layer in (pair.a, pair.b):
        # Few digits, so that the file is short.
        layer.weight.copy_((torch.randn(ROWS, COLS) * 1e4).round() / 1e5)
    weights = [layer.weight.clone() for layer in (pair.a, pair.b)]
    x = torch.randn(TOKENS, COLS) * torch.exp(torch.randn(COLS) * 1.5)
    x = (x * 100).round() / 100
    with open(TARGET, "w") as file:
        file.write(f"{ROWS} {COLS} {TOKENS}\n")
        for values in (*weights, x):
            write(file, values)
        for bits, group, zeros, duo in CASES:
            vars(quantizer).update(
                w_bit=bits,
                group_size=group,
                zero_point=zeros,
                duo_scaling=duo,
                max_chunk_memory=2**30,
                n_parallel_calib_samples=None,
            )
            layers = [pair.a, pair.b]
            scales = quantizer._search_best_scale(pair, None, layers, x, pair)[2]
            limits = quantizer._compute_best_clip(weights[0], x)
            file.write(f"{bits} {group} {int(zeros)} {int(duo)}\n")
            for values in (scales, limits):
                write(file, values)


if __name__ == "__main__":
    main()
