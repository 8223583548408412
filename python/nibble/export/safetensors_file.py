# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads safetensors files: a JSON header with shapes and offsets, then the tensors."""

from __future__ import annotations

import json
import math
import os
import struct

from ..errors import NibbleError
from .tensors import DTYPES, Weight, file_size, read_bytes

# The format's own limit; a larger number is not a length.
_MOST_HEADER_BYTES = 100_000_000
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Weight]:
    """Returns the tensors by name, read when they are needed.

    Raises NibbleError when the file is missing, truncated or malformed, and for
    element types that have no float32 form here.
    """
    size = file_size(path)
    if size < 8:
        raise NibbleError(f"{path}: not a safetensors file: only {size} bytes")
    length = struct.unpack("<Q", read_bytes(path, 0, 8))[0]
    if length > min(_MOST_HEADER_BYTES, size - 8):
        raise NibbleError(
            f"{path}: not a safetensors file, or truncated: a header of {length} bytes in a "
            f"file of {size}"
        )
    try:
        header = json.loads(read_bytes(path, 8, length))
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        parsed = [
            (name, str(e["dtype"]), tuple(map(int, e["shape"])), tuple(map(int, e["data_offsets"])))
            for name, e in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NibbleError(f"{path}: malformed safetensors header: {error!r}") from error
    start, weights = 8 + length, {}
    for name, kind, shape, offsets in parsed:
        if kind not in DTYPES:
            raise NibbleError(
                f"{path}: tensor {name} has type {kind}; known are {', '.join(DTYPES)}"
            )
        if len(offsets) != 2 or min(shape, default=0) < 0:
            raise NibbleError(f"{path}: tensor {name}: malformed shape or offsets")
        begin, end = offsets
        wanted = math.prod(shape) * _SIZES.get(kind, 1)
        if begin < 0 or end - begin != wanted or start + end > size:
            raise NibbleError(
                f"{path}: tensor {name} {list(shape)} needs {wanted} bytes, its data is at "
                f"[{begin}, {end}) of {size - start}: the file is truncated or damaged"
            )
        weights[name] = Weight.in_file(path, start + begin, shape, kind)
    return weights
