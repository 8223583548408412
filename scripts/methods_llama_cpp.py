# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""llama.cpp's types for methods_peers.py: its program quantizes, we judge the weights."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import evaluation as ev
import measure
import nibble
import numpy as np
from methods_request import Clock, Request, require
from methods_torch import Exported, gguf_name


def mean_squares(exported: Exported, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Of each linear layer's input by column, over all tokens; what llama-imatrix finds."""
    sums: dict[str, np.ndarray] = {}
    model = exported.torch_model(exported.linear)
    for name, product in list(model.products.items()):

        def recorded(x, name=name, product=product):
            squares = (x.double() ** 2).sum(0).numpy()
            sums[name] = sums.get(name, 0) + squares
            return product(x)

        model.products[name] = recorded
    for sample in samples:
        nibble.step(model, sample[None], nibble.empty_cache(model), last_only=True)
    return {name: values / samples.size for name, values in sums.items()}


def write_importance(path: Path, values: dict[str, np.ndarray]) -> None:
    """In the older of the two formats that llama.cpp reads: for each tensor the length of
    its name, the name, a number of calls, the number of columns and their values; at the
    end the last call and the name of the data. Values are divided by calls."""
    with open(path, "wb") as file:
        file.write(struct.pack("<i", len(values)))
        for name, found in values.items():
            words = f"{gguf_name(name)}.weight".encode()
            file.write(struct.pack("<i", len(words)) + words)
            file.write(struct.pack("<ii", 1, len(found)) + found.astype("<f4").tobytes())
        file.write(struct.pack("<ii", 1, 0))


def read_weights(path: Path, exported: Exported) -> tuple[dict[str, np.ndarray], int]:
    """Values of the linear layers of a GGUF file, by our names, and their bytes."""
    import gguf

    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    weights, size = {}, 0
    for name, weight in exported.linear.items():
        tensor = tensors[f"{gguf_name(name)}.weight"]
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        weights[name] = np.array(values, np.float32).reshape(weight.shape)
        size += int(tensor.n_bytes)
    return weights, size


def _version(program: str) -> str | None:
    """Of a llama.cpp that says it; a build from a source package does not know."""
    run = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = re.search(r"version: (\S+)", run.stdout + run.stderr)
    return found[1] if found and found[1] != "0" else None


def run(request: Request) -> dict:
    require("gguf", "torch")
    program = shutil.which(request.settings.llama_quantize)
    if not program:
        raise ev.Missing("there is no llama-quantize (--llama-quantize)")
    recipe, exported = request.recipe, Exported(request.subject.path())
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place, "f32.gguf"), Path(place, "out.gguf")
        exported.save_gguf(source)
        options = ["--token-embedding-type", "f32", *(["--pure"] if recipe["pure"] else [])]
        taken = {"seconds": 0.0, "processor": 0.0, "peak": 0}
        if recipe["importance"]:
            samples = request.samples()
            clock = Clock()
            found = mean_squares(exported, samples)
            write_importance(Path(place, "importance.dat"), found)
            options += ["--imatrix", Path(place, "importance.dat")]
            taken = clock.stop()
        made = measure.run_measured([program, *options, source, out, recipe["type"]])
        if made.status:
            lines = made.messages.splitlines()
            raise nibble.NibbleError(f"llama-quantize: {lines[-1] if lines else 'it failed'}")
        taken["seconds"] += made.seconds
        taken["processor"] += made.processor
        taken["peak"] = max(taken["peak"], made.peak)
        weights, size = read_weights(out, exported)
    answer = request.judge(exported, weights, size, taken)
    version = _version(program)
    return answer | ({"version": version} if version else {})
