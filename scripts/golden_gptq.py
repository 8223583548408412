#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/gptq.txt: weights, inputs, and GPTQModel's result.

    golden_gptq.py     (packages gptqmodel and torch; written with gptqmodel 7.7.0)

Arrays of hexadecimal bit patterns: `weight` [rows, cols], `hessian` [cols, cols], the sum
of x x^T; then for each case, named BITS.KIND.ORDER, what the codes stand for. A block is
as long as a group: in a longer one GPTQModel chooses the scales of later groups from
weights that lack some changes. Of 2 bits with zeros, GPTQModel tries two zeros, which is
a method of its own.
"""

from __future__ import annotations

from pathlib import Path

import torch
from gptqmodel.quantization.config import QuantizeConfig
from gptqmodel.quantization.gptq import GPTQ

TARGET = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/gptq.txt"
ROWS, COLS, GROUP, SAMPLES = 6, 48, 16, 160


def write(file, name: str, values: torch.Tensor) -> None:
    words = values.to(torch.float32).contiguous().view(torch.int32).flatten().tolist()
    file.write(f"{name} float32 {' '.join(map(str, values.shape))}\n")
    file.write(" ".join(f"{word & 0xFFFFFFFF:08x}" for word in words) + "\n")


def quantize(layer: torch.nn.Linear, inputs: torch.Tensor, **options) -> torch.Tensor:
    """The quantized weight of `layer`; `inputs` is [samples, cols]."""
    task = GPTQ(layer, QuantizeConfig(group_size=GROUP, damp_percent=0.05, **options))
    task.quantizer.configure(perchannel=True)
    task.add_batch(inputs[None], layer(inputs)[None])
    return task.quantize(blocksize=GROUP)[0]


def main() -> None:
    torch.manual_seed(5)
    inputs = torch.randn(SAMPLES, COLS) @ (torch.eye(COLS) + 0.2 * torch.randn(COLS, COLS))
    inputs *= torch.exp(torch.sin(1.7 * torch.arange(COLS)))
    weight = torch.randn(ROWS, COLS)
    with open(TARGET, "w") as file, torch.no_grad():
        write(file, "weight", weight)
        write(file, "hessian", inputs.T @ inputs)
        for bits in (2, 3, 4, 8):
            for symmetric in (True, False)[: 1 if bits == 2 else 2]:
                for order in ("natural", "aware", "activation"):
                    layer = torch.nn.Linear(COLS, ROWS, bias=False)
                    layer.weight.copy_(weight)
                    values = quantize(
                        layer,
                        inputs,
                        bits=bits,
                        sym=symmetric,
                        desc_act=order == "activation",
                        act_group_aware=order == "aware",
                    )
                    kind = "symmetric" if symmetric else "asymmetric"
                    write(file, f"{bits}.{kind}.{order}", values)


if __name__ == "__main__":
    main()
