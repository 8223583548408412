# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights that are read when they are needed, some rows at a time.

A checkpoint may be larger than memory, so a reader does not return arrays but
`Weight` objects: a shape, and a function that reads float32 rows. Whatever an
architecture does with a weight (split it, reorder its rows, transpose it) gives
another `Weight`, and the bytes are touched only when the ONNX file is written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from ..errors import NibbleError

# Element types of checkpoint files by the names that safetensors uses.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def to_float32(array: np.ndarray, kind: str) -> np.ndarray:
    """Elements of a file as float32; bfloat16 is the upper half of a float32."""
    if kind == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Adapter:
    """A low-rank addition to a weight [out, in]: b a, with a [r, in] and b [out, r].

    The scale of the adapter is in b.
    """

    a: np.ndarray
    b: np.ndarray


class Weight:
    """A tensor of a checkpoint: `shape`, and float32 elements on demand.

    `adapter` is what a graph adds beside the weight, or None.

    Args:
      shape: sizes, none for a scalar.
      read: `read(begin, end)` returns rows along the first axis, float32.
    """

    def __init__(self, shape: tuple[int, ...], read: Callable[[int, int], np.ndarray]):
        self.shape = tuple(int(size) for size in shape)
        self._read = read
        self.adapter: Adapter | None = None

    def __repr__(self) -> str:
        return f"Weight{list(self.shape)}"

    @property
    def bytes(self) -> int:
        """Size as float32."""
        return 4 * int(np.prod(self.shape, dtype=np.int64))

    def rows(self, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) along the first axis."""
        return self._read(begin, end)

    def array(self) -> np.ndarray:
        """All elements."""
        return self._read(0, self.shape[0] if self.shape else 1).reshape(self.shape)

    @classmethod
    def of(cls, array: np.ndarray) -> "Weight":
        """A weight that is in memory already."""
        array = np.asarray(array)
        flat = array.reshape(array.shape or (1,))
        return cls(array.shape, lambda begin, end: flat[begin:end].astype(np.float32, copy=False))

    @classmethod
    def in_file(
        cls, path: str | os.PathLike[str], offset: int, shape: tuple[int, ...], kind: str
    ) -> "Weight":
        """A dense tensor at a place in a file; `kind` is a key of `DTYPES`."""
        dtype = np.dtype(DTYPES[kind])
        width = int(np.prod(shape[1:], dtype=np.int64))

        def read(begin: int, end: int) -> np.ndarray:
            # Read, not mapped: pages of a mapping would count as our memory.
            data = read_bytes(
                path,
                offset + begin * width * dtype.itemsize,
                (end - begin) * width * dtype.itemsize,
            )
            return to_float32(np.frombuffer(data, dtype), kind).reshape(end - begin, *shape[1:])

        return cls(shape, read)

    def transposed(self) -> "Weight":
        """The matrix [columns, rows]; it is read as a whole."""
        rows, columns = self.shape
        return Weight((columns, rows), lambda begin, end: self.array().T[begin:end])

    def part(self, begin: int, end: int) -> "Weight":
        """Rows [begin, end) as a weight of their own."""
        piece = Weight(
            (end - begin, *self.shape[1:]),
            lambda first, last: self.rows(begin + first, begin + last),
        )
        if self.adapter:
            piece.adapter = Adapter(self.adapter.a, self.adapter.b[begin:end])
        return piece

    def reordered(self, order: np.ndarray) -> "Weight":
        """Row i of the result is row order[i] of this."""
        return Weight(self.shape, lambda begin, end: self.array()[order[begin:end]])

    def adapted(self, adapter: Adapter, merge: bool) -> "Weight":
        """The weight with an adapter added, or beside it."""
        if merge:
            a, b = adapter.a, adapter.b
            return Weight(self.shape, lambda begin, end: self.rows(begin, end) + b[begin:end] @ a)
        both = Weight(self.shape, self._read)
        both.adapter = adapter
        return both


def read_bytes(path: str | os.PathLike[str], offset: int, size: int) -> bytearray:
    """Bytes [offset, offset + size) of a file; NibbleError when they are not there."""
    data = bytearray(size)
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            view, done = memoryview(data), 0
            while done < size:
                count = file.readinto(view[done:])
                if not count:
                    raise NibbleError(
                        f"{path}: truncated: {size} bytes at offset {offset} are needed, the "
                        f"file ends after {offset + done}"
                    )
                done += count
    except OSError as error:
        raise NibbleError(f"{path}: cannot read: {error.strerror or error}") from error
    return data


def file_size(path: str | os.PathLike[str]) -> int:
    """Size in bytes; NibbleError when the file cannot be read."""
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise NibbleError(f"{path}: cannot read: {error.strerror or error}") from error
