#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Quantizer/Inputs/bitsandbytes.txt: weights, and what bitsandbytes
makes of them on a CPU. Double quantization looks codes up in a table there, whereas its
CUDA kernels choose the nearest value: 1 or 2 codes in 1000 differ by one.

    golden_bitsandbytes.py   (packages bitsandbytes and torch; written with 0.50.2)

Arrays as test/unit/Quantizer/Golden.h reads them. `CASE.scales` with `.codes`, `.second`
and `.offset` are double quantization alone. `CASE.weights` is quantized to nf4 and
fp4: `CASE.TYPE.BLOCK.codes` (a code for each weight), `.absmax`; with double quantization
`.absmax_codes`, `.second` and `.offset`. `map` is the dynamic map.
"""

from __future__ import annotations

from pathlib import Path

import bitsandbytes.functional as bnb
import numpy as np
import torch

TARGET = Path(__file__).resolve().parent.parent / "test/unit/Quantizer/Inputs/bitsandbytes.txt"


def write(file, name: str, values: torch.Tensor | np.ndarray) -> None:
    array = np.asarray(values)
    kind = {"float32": "f32", "uint8": "u8"}[array.dtype.name]
    words = array.reshape(-1).view(np.uint32 if kind == "f32" else np.uint8)
    file.write(f"{name} {kind} {' '.join(map(str, array.shape))}\n")
    file.write(" ".join(f"{word:x}" for word in words.tolist()) + "\n")


def get_midpoints(kind: str) -> torch.Tensor:
    code = bnb.get_4bit_type(kind, device="cpu").sort().values
    return (code[:-1] + code[1:]) / 2


def make_cases() -> dict[str, tuple[torch.Tensor, list[int]]]:
    """Weights and the sizes of blocks to try on them."""
    torch.manual_seed(5)
    cases = {}
    cases["normal"] = (torch.randn(12, 64), [32, 64, 128, 256])
    cases["uniform"] = (torch.rand(3, 128) - 0.25, [64])
    cases["odd"] = (torch.randn(7, 27) * 0.02, [32, 64, 4096])
    cases["one"] = (torch.tensor([[-3.5]]), [64])
    cases["long"] = (torch.randn(1, 2100), [512, 1024, 2048])
    special = torch.zeros(6, 64)
    special[1] = 2.5  # A constant,
    special[2] = torch.arange(64) * 1e-45  # denormal numbers,
    special[3] = torch.randn(64) * 1e-39
    special[4] = torch.randn(64) * 1e37  # large ones,
    special[5, :32] = -0.0  # and a zero of either sign.
    cases["special"] = (special, [32, 64])
    # Numbers that are equally near to two codes, and their neighbours.
    middles = torch.cat([get_midpoints("nf4"), get_midpoints("fp4")])
    two = torch.tensor(2.0)
    ties = [middles, middles.nextafter(two), middles.nextafter(-two), torch.ones(6)]
    cases["ties"] = (torch.cat(ties).reshape(2, -1), [4096])
    return cases


def make_scales() -> dict[str, torch.Tensor]:
    """Scales for double quantization: more than one group, with a short last one."""
    torch.manual_seed(6)
    spread = torch.rand(600) * 10.0 ** torch.randint(-7, 1, (600,))
    return {
        "usual": torch.randn(700).abs() * 0.02 + 0.05,
        "spread": spread,
        "outlier": torch.cat([torch.rand(255) * 1e-3, torch.tensor([30.0]), torch.zeros(3)]),
        "equal": torch.full((300,), 0.0625),
        "zero": torch.zeros(5),
        "denormal": torch.rand(40) * 1e-40,
    }


def main() -> None:
    with open(TARGET, "w") as file:
        write(file, "map", bnb.create_dynamic_map())
        for name, scales in make_scales().items():
            offset = scales.mean()
            codes, state = bnb.quantize_blockwise(scales - offset, blocksize=256)
            write(file, f"{name}.scales", scales)
            write(file, f"{name}.offset", offset.reshape(1))
            write(file, f"{name}.codes", codes)
            write(file, f"{name}.second", state.absmax)
        for name, (weights, blocks) in make_cases().items():
            weights = weights.float()
            write(file, f"{name}.weights", weights)
            for kind in ("nf4", "fp4"):
                for block in blocks:
                    key = f"{name}.{kind}.{block}"
                    packed, state = bnb.quantize_4bit(weights, blocksize=block, quant_type=kind)
                    codes = torch.stack([packed >> 4, packed & 15], dim=-1).flatten()
                    write(file, f"{key}.codes", codes[: weights.numel()])
                    write(file, f"{key}.absmax", state.absmax)
                    _, state = bnb.quantize_4bit(
                        weights, blocksize=block, quant_type=kind, compress_statistics=True
                    )
                    write(file, f"{key}.absmax_codes", state.absmax)
                    write(file, f"{key}.second", state.state2.absmax)
                    write(file, f"{key}.offset", state.offset.reshape(1))


if __name__ == "__main__":
    main()
