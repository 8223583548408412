# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads GGUF files, versions 2 and 3: key-value metadata, tensor headers, tensors.

Quantized tensors are de-quantized by the package `gguf`, some rows at a time.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NibbleError
from .tensors import Weight, file_size, read_bytes, to_float32

_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_PLAIN = {0: "F32", 1: "F16", 30: "BF16"}
# Number and (elements, bytes) of a block of the types that are de-quantized.
_BLOCKS = {
    2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
}  # fmt: skip


@dataclass(frozen=True)
class GgufFile:
    """Metadata by key (numbers, strings, lists) and tensors by name."""

    path: str
    metadata: dict[str, Any]
    tensors: dict[str, Weight]


class _Reader:
    """Reads the header, which is all that comes before the tensors' data."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path, self.offset, self.size = path, 0, file_size(path)
        self._block, self._start = b"", 0

    def take(self, count: int) -> bytes:
        if count > self.size - self.offset:
            raise NibbleError(f"{self.path}: truncated in the header at offset {self.offset}")
        begin = self.offset - self._start
        if begin + count > len(self._block):
            length = min(max(count, 1 << 20), self.size - self.offset)
            self._block = bytes(read_bytes(self.path, self.offset, length))
            self._start, begin = self.offset, 0
        self.offset += count
        return self._block[begin : begin + count]

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "surrogateescape")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise NibbleError(f"{self.path}: metadata of the unknown type {kind}")
        item, count = self.number("I"), self.number("Q")
        if item == _ARRAY:
            raise NibbleError(f"{self.path}: metadata with lists of lists")
        if item in _SCALARS:
            code = np.dtype("<" + _SCALARS[item])
            return np.frombuffer(self.take(count * code.itemsize), code).tolist()
        return [self.value(item) for _ in range(count)]


def read_gguf(path: str | os.PathLike[str]) -> GgufFile:
    """Reads a file's header; tensors are read when they are needed.

    Raises NibbleError when the file is missing, truncated or malformed, or when a
    tensor has a type that cannot be de-quantized.
    """
    reader = _Reader(path)
    if reader.size < 24 or reader.take(4) != b"GGUF":
        raise NibbleError(f"{path}: not a GGUF file")
    version = reader.number("I")
    if version not in (2, 3):
        raise NibbleError(f"{path}: GGUF version {version}; known are 2 and 3")
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    metadata = {}
    for _ in range(key_count):
        key = reader.string()
        metadata[key] = reader.value(reader.number("I"))
    headers = []
    for _ in range(tensor_count):
        name, rank = reader.string(), reader.number("I")
        if rank > 4:
            raise NibbleError(f"{path}: tensor {name} has rank {rank}, expected at most 4")
        # The innermost size comes first.
        shape = tuple(reader.number("Q") for _ in range(rank))[::-1]
        headers.append((name, shape, reader.number("I"), reader.number("Q")))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0:
        raise NibbleError(f"{path}: general.alignment is {alignment}, expected a number above 0")
    start = -(-reader.offset // alignment) * alignment
    tensors = {
        name: _tensor(reader, name, shape, kind, start + offset)
        for name, shape, kind, offset in headers
    }
    return GgufFile(str(path), metadata, tensors)


def _tensor(reader: _Reader, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Weight:
    path = reader.path
    width = shape[-1] if shape else 1
    rows = int(np.prod(shape[:-1], dtype=object)) if shape else 1

    def check(row_bytes: int) -> None:
        if offset + rows * row_bytes > reader.size:
            raise NibbleError(
                f"{path}: tensor {name} {list(shape)} ends at {offset + rows * row_bytes}, the "
                f"file at {reader.size}: it is truncated"
            )

    if kind in _PLAIN:
        check(width * (4 if _PLAIN[kind] == "F32" else 2))
        return Weight.in_file(path, offset, shape, _PLAIN[kind])
    if kind not in _BLOCKS:
        known = ", ".join([*_PLAIN.values(), *(block[0] for block in _BLOCKS.values())])
        raise NibbleError(f"{path}: tensor {name} has GGML type {kind}; known are {known}")
    type_name, elements, size = _BLOCKS[kind]
    if width % elements:
        raise NibbleError(
            f"{path}: tensor {name}: rows of {width} elements are not whole blocks of {type_name}"
        )
    row_bytes = width // elements * size
    check(row_bytes)
    inner = int(np.prod(shape[1:-1], dtype=np.int64)) if len(shape) > 1 else 1

    def read(begin: int, end: int) -> np.ndarray:
        if len(shape) == 1:
            begin, end, picked = 0, 1, slice(begin, end)
        data = read_bytes(
            path, offset + begin * inner * row_bytes, (end - begin) * inner * row_bytes
        )
        blocks = np.frombuffer(data, np.uint8).reshape(-1, row_bytes)
        values = to_float32(_dequantize(blocks, kind), "F32")
        return values.reshape(-1)[picked] if len(shape) == 1 else values.reshape(-1, *shape[1:])

    return Weight(shape, read)


def _dequantize(rows: np.ndarray, kind: int) -> np.ndarray:
    try:
        import gguf
    except ImportError as error:
        raise NibbleError(
            "quantized GGUF files need the Python package gguf: pip install gguf"
        ) from error
    # In pieces: the package's own intermediate values are several times as large.
    step = max(1, (1 << 18) // rows.shape[1])
    kind = gguf.GGMLQuantizationType(kind)
    parts = [gguf.dequantize(rows[i : i + step], kind) for i in range(0, len(rows), step)]
    return np.concatenate(parts)
