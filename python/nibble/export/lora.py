# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""LoRA adapters in PEFT's format (Hu et al., arXiv:2106.09685).

An adapter adds scale * B A to a weight [out, in], with A [r, in] and B [out, r].
It is merged into the weights, or stands beside them in the graph, as two small
products that stay float when the base is quantized.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np

from ..errors import NibbleError
from .names import listed
from .pytorch_file import read_pytorch
from .safetensors_file import read_safetensors
from .settings import Settings
from .tensors import Adapter, Weight

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])(?:\.\w+)?\.weight")


def _tensors(folder: Path) -> dict[str, Weight]:
    for name, read in (
        ("adapter_model.safetensors", read_safetensors),
        ("adapter_model.bin", read_pytorch),
    ):
        if (folder / name).exists():
            return read(folder / name)
    raise NibbleError(f"{folder}: no adapter_model.safetensors or adapter_model.bin")


def _pattern_value(patterns: dict[str, float], layer: str, default: float) -> float:
    """PEFT's own rule: a pattern names the end of a layer's name."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return value
    return default


def read_lora(folder: str | os.PathLike[str]) -> dict[str, Adapter]:
    """Returns the adapters by the base weight's name in the checkpoint.

    Raises NibbleError when the folder is no LoRA adapter, or one with parts that
    are not supported, which are listed.
    """
    folder = Path(folder)
    settings = Settings(folder / "adapter_config.json")
    if settings.get("peft_type") != "LORA":
        raise NibbleError(
            f"{settings.path}: peft_type '{settings.get('peft_type')}' is not supported, only LORA"
        )
    unsupported = [key for key in ("use_dora", "modules_to_save", "trainable_token_indices")
                   if settings.get(key)]  # fmt: skip
    if settings.get("bias", "none") != "none":
        unsupported.append("bias")
    if unsupported:
        raise NibbleError(f"{settings.path}: not supported: {', '.join(unsupported)}")
    pairs: dict[str, dict[str, Weight]] = {}
    unknown = []
    for name, weight in _tensors(folder).items():
        if (match := _KEY.fullmatch(name)) and len(weight.shape) == 2:
            pairs.setdefault(match[1], {})[match[2]] = weight
        else:
            unknown.append(name)
    if unknown:
        raise NibbleError(f"{folder}: tensors that are no LoRA of a matrix: {listed(unknown)}")
    adapters = {}
    for layer, pair in pairs.items():
        if len(pair) != 2 or pair["A"].shape[0] != pair["B"].shape[1]:
            raise NibbleError(f"{folder}: the two matrices of {layer} do not fit")
        rank = pair["A"].shape[0]
        alpha = _pattern_value(
            settings.get("alpha_pattern", {}), layer, settings.number("lora_alpha")
        )
        scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
        adapters[layer + ".weight"] = Adapter(
            pair["A"].array(), np.float32(scale) * pair["B"].array()
        )
    if not adapters:
        raise NibbleError(f"{folder}: the adapter has no matrices")
    return adapters
