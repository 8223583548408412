# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads PyTorch's `pytorch_model.bin` without PyTorch, and without running its code.

Such a file is a pickle that names tensors, and their storages as raw bytes: in a
ZIP archive (since PyTorch 1.6) or, in older files, one after the other. A pickle
may call any function that it names. Ours may name only the few that a dictionary
of tensors needs, and what it gets for them are functions of this file, which do
nothing but take notes; everything else is an error.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..errors import NibbleError
from .tensors import DTYPES, Weight, read_bytes, to_float32

# PyTorch's storage classes and dtypes by the names of safetensors.
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class _Storage:
    """A run of elements in the file; `key` finds its place."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    shape, strides = tuple(map(int, shape)), tuple(map(int, strides))
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides))
    inside = offset >= 0 and min(strides, default=0) >= 0 and last < storage.count
    if len(shape) != len(strides) or (math.prod(shape) and not inside):
        raise pickle.UnpicklingError(f"a tensor {list(shape)} that leaves its storage")
    return _Tensor(storage, int(offset), shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


class _Unpickler(pickle.Unpickler):
    """Knows no names but those of a dictionary of tensors."""

    _ALLOWED = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch.nn.parameter", "Parameter"): _rebuild_parameter,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which a dictionary of tensors does not need; files that "
            "run code are refused"
        )

    def persistent_load(self, saved_id: Any) -> _Storage:
        kind, key, count = saved_id[1], str(saved_id[2]), int(saved_id[4])
        if saved_id[0] != "storage" or kind not in DTYPES:
            raise pickle.UnpicklingError("an object that is no storage")
        # Older files may give a view: (key, offset, size).
        if len(saved_id) > 5 and saved_id[5] is not None:
            raise pickle.UnpicklingError("a view of a storage, which only very old files have")
        return _Storage(kind, key, count)


def _load(path: Any, file: BinaryIO) -> Any:
    try:
        return _Unpickler(file).load()
    except NibbleError:
        raise
    except Exception as error:  # A damaged pickle may raise anything.
        raise NibbleError(f"{path}: not a dictionary of tensors: {error}") from error


def read_pytorch(path: str | os.PathLike[str]) -> dict[str, Weight]:
    """Returns the tensors by name, read when they are needed.

    Raises NibbleError when the file is missing, damaged, or holds anything but
    tensors.
    """
    try:
        zipped = zipfile.is_zipfile(path)
        found, places = _read_zip(path) if zipped else _read_legacy(path)
    except OSError as error:
        raise NibbleError(f"{path}: cannot read: {error.strerror or error}") from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise NibbleError(f"{path}: expected a dictionary of tensors")
    weights = {}
    for name, tensor in found.items():
        if not isinstance(tensor, _Tensor):
            raise NibbleError(f"{path}: {name} is not a tensor")
        if tensor.storage.key not in places:
            raise NibbleError(f"{path}: the data of {name} is not in the file")
        weights[str(name)] = _weight(path, tensor, places[tensor.storage.key])
    return weights


def _weight(path: Any, tensor: _Tensor, place: int) -> Weight:
    kind, shape = tensor.storage.kind, tensor.shape
    itemsize = np.dtype(DTYPES[kind]).itemsize
    dense = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    compact = all(s == d for n, s, d in zip(shape, tensor.strides, dense) if n > 1)
    if compact:
        return Weight.in_file(path, place + tensor.offset * itemsize, shape, kind)

    def read(begin: int, end: int) -> np.ndarray:
        data = read_bytes(path, place, tensor.storage.count * itemsize)
        flat = np.frombuffer(data, DTYPES[kind])[tensor.offset :]
        strides = tuple(step * itemsize for step in tensor.strides)
        view = np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False)
        return to_float32(view[begin:end], kind)

    return Weight(shape, read)


def _read_zip(path: Any) -> tuple[Any, dict[str, int]]:
    """The unpickled object, and where in the file each storage begins."""
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise NibbleError(f"{path}: not a file of torch.save: no data.pkl in it")
            found = _load(path, io.BytesIO(archive.read(pickles[0])))
            folder = pickles[0].removesuffix("data.pkl") + "data/"
            places = {}
            for entry in archive.infolist():
                if not entry.filename.startswith(folder):
                    continue
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise NibbleError(f"{path}: {entry.filename} is compressed")
                # The local header has lengths of its own for name and extra field.
                file.seek(entry.header_offset)
                header = file.read(30)
                if len(header) != 30 or header[:4] != b"PK\3\4":
                    raise NibbleError(f"{path}: {entry.filename}: damaged ZIP entry")
                skip = sum(struct.unpack("<HH", header[26:30]))
                places[entry.filename.removeprefix(folder)] = entry.header_offset + 30 + skip
            return found, places
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise NibbleError(f"{path}: damaged ZIP archive: {error}") from error


def _read_legacy(path: Any) -> tuple[Any, dict[str, int]]:
    """Pickles of a magic number, a version, the system and the object, then the storages' keys
    and each storage with its length."""
    with open(path, "rb") as file:
        if _load(path, file) != _LEGACY_MAGIC:
            raise NibbleError(f"{path}: not a file of torch.save")
        _load(path, file)
        _load(path, file)
        found = _load(path, file)
        keys = _load(path, file)
        if not isinstance(keys, list) or not isinstance(found, dict):
            raise NibbleError(f"{path}: not a dictionary of tensors")
        sizes = {
            tensor.storage.key: np.dtype(DTYPES[tensor.storage.kind]).itemsize
            for tensor in found.values()
            if isinstance(tensor, _Tensor)
        }
        places = {}
        for key in map(str, keys):
            length = file.read(8)
            if len(length) != 8 or key not in sizes:
                raise NibbleError(f"{path}: truncated before storage {key}")
            places[key] = file.tell()
            file.seek(struct.unpack("<q", length)[0] * sizes[key], os.SEEK_CUR)
        return found, places
