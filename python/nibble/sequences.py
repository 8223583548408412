# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists of arrays for the inputs and outputs that are sequences or optionals in ONNX.

A sequence NAME is compiled as the elements of all its arrays, NAME, and their sizes,
NAME.shapes, one row each; NAME.present tells whether an optional sequence is there.
"""

from __future__ import annotations

from typing import Mapping

import numpy as np

from .errors import NibbleError


def split_sequences(inputs: Mapping, known: Mapping) -> dict:
    """Takes lists of arrays apart. `known` has the model's inputs by name."""
    result = {}
    for name, value in inputs.items():
        shapes = known.get(f"{name}.shapes")
        if shapes is None or f"{name}.shapes" in inputs:
            result[name] = value
            continue
        rank, dtype = shapes.shape[1], known[name].dtype
        arrays = [np.asarray(array) for array in ([] if value is None else value)]
        for array in arrays:
            if array.ndim != rank or array.dtype != dtype:
                raise NibbleError(
                    f"input '{name}': expected a list of arrays of {rank} dimensions and type "
                    f"{dtype}, got one of {array.ndim} dimensions and type {array.dtype}"
                )
        result[name] = np.concatenate([a.ravel() for a in arrays] or [np.empty(0, dtype)])
        sizes = np.array([array.shape for array in arrays], np.int64)
        result[f"{name}.shapes"] = sizes.reshape(len(arrays), rank)
        if f"{name}.present" in known:
            result[f"{name}.present"] = np.array(value is not None)
    return result


def join_sequences(outputs: dict[str, np.ndarray]) -> dict:
    """The inverse, for the outputs."""
    result = {}
    for name, value in outputs.items():
        if name.endswith((".shapes", ".present")) and name.rpartition(".")[0] in outputs:
            continue
        shapes = outputs.get(f"{name}.shapes")
        if shapes is not None:
            ends = np.cumsum([0] + [int(np.prod(shape)) for shape in shapes])
            parts = zip(ends[:-1], ends[1:], shapes)
            value = [value[begin:end].reshape(shape) for begin, end, shape in parts]
            if not outputs.get(f"{name}.present", True):
                value = None
        result[name] = value
    return result
