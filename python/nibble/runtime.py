# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs compiled models: include/nibble/Runtime/nibble.h by ctypes, with NumPy arrays."""

from __future__ import annotations

import ctypes as c
import functools
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

import numpy as np

from .errors import ContextOverflowError, NibbleError
from .sequences import join_sequences, split_sequences

_VERSION_MAJOR = 0

# Element types by their ONNX number. Those of `_CODES` are of ml_dtypes; without this package
# they are unsigned integers, one an element, that hold the codes.
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32",
    7: "int64", 9: "bool", 10: "float16", 11: "float64", 12: "uint32",
    13: "uint64", 16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz",
    19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
    27: "float6_e2m3fn", 28: "float6_e3m2fn",
}  # fmt: skip
_NUMBERS = {name: number for number, name in _DTYPES.items()}
_CODES = {number: np.dtype("uint8") for number in range(17, 29)} | {16: np.dtype("uint16")}


class _TensorInfo(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("dtype", c.c_int32),
        ("rank", c.c_int32),
        ("dims", c.POINTER(c.c_int64)),
        ("dim_names", c.POINTER(c.c_char_p)),
    ]


class _Tensor(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("bytes", c.c_size_t),
        ("dtype", c.c_int32),
        ("rank", c.c_int32),
        ("dims", c.POINTER(c.c_int64)),
    ]


# The fields of a _Tensor as numbers: setting them one by one takes longer than a small model.
_TENSOR = struct.Struct("PPNiiP")


_copy_bytes = c.pythonapi.PyByteArray_FromStringAndSize
_copy_bytes.restype, _copy_bytes.argtypes = c.py_object, [c.c_void_p, c.c_ssize_t]


@functools.lru_cache(maxsize=256)
def _c_name(name: str) -> tuple[int, object]:
    """Address of a name as C sees it, and what keeps it alive."""
    buffer = c.create_string_buffer(name.encode())
    return c.addressof(buffer), buffer


@functools.lru_cache(maxsize=256)
def _c_dims(shape: tuple[int, ...]) -> tuple[int, object]:
    """Address of the sizes as C sees them, and what keeps them alive."""
    buffer = (c.c_int64 * max(len(shape), 1))(*shape)
    return c.addressof(buffer), buffer


class _Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("threads", c.c_int32), ("profile", c.c_int32)]


class _ProfileEntry(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("calls", c.c_uint64),
        ("nanoseconds", c.c_uint64),
        ("bytes", c.c_uint64),
    ]


class _CacheInfo(c.Structure):
    _fields_ = [(name, c.c_int32) for name in ("input", "output", "axis", "grows")]


class _CacheOptions(c.Structure):
    _fields_ = [("size", c.c_size_t)] + [
        (name, c.c_int64) for name in ("batch", "limit", "reserve")
    ]


class _CacheState(c.Structure):
    _fields_ = [
        ("kept", c.c_int32),
        ("batch", c.c_int64),
        ("length", c.c_int64),
        ("capacity", c.c_int64),
        ("limit", c.c_int64),
        ("bytes", c.c_uint64),
    ]


_CONTEXT_OVERFLOW = 7
_HANDLE = c.c_void_p
# name: (result, arguments)
_FUNCTIONS = {
    "nibble_version": (c.c_uint32, []),
    "nibble_model_load": (c.c_int, [c.c_char_p, c.POINTER(_HANDLE)]),
    "nibble_model_free": (None, [_HANDLE]),
    "nibble_model_name": (c.c_char_p, [_HANDLE]),
    "nibble_model_producer": (c.c_char_p, [_HANDLE]),
    "nibble_model_options": (c.c_char_p, [_HANDLE]),
    "nibble_model_target": (c.c_char_p, [_HANDLE]),
    "nibble_model_weight_bytes": (c.c_uint64, [_HANDLE]),
    "nibble_model_input_count": (c.c_size_t, [_HANDLE]),
    "nibble_model_output_count": (c.c_size_t, [_HANDLE]),
    "nibble_model_input": (c.POINTER(_TensorInfo), [_HANDLE, c.c_size_t]),
    "nibble_model_output": (c.POINTER(_TensorInfo), [_HANDLE, c.c_size_t]),
    "nibble_model_cache_count": (c.c_size_t, [_HANDLE]),
    "nibble_model_cache": (c.POINTER(_CacheInfo), [_HANDLE, c.c_size_t]),
    "nibble_context_keep_caches": (c.c_int, [_HANDLE, c.POINTER(_CacheOptions)]),
    "nibble_context_truncate_caches": (c.c_int, [_HANDLE, c.c_int64]),
    "nibble_context_cache_state": (None, [_HANDLE, c.POINTER(_CacheState)]),
    "nibble_context_read_cache": (c.c_int, [_HANDLE, c.c_size_t, c.POINTER(_Tensor)]),
    "nibble_context_create": (c.c_int, [_HANDLE, c.POINTER(_Options), c.POINTER(_HANDLE)]),
    "nibble_context_free": (None, [_HANDLE]),
    "nibble_run": (
        c.c_int,
        [_HANDLE, c.c_char_p, c.c_size_t, c.POINTER(_Tensor), c.c_size_t],
    ),
    "nibble_last_error": (c.c_char_p, [_HANDLE]),
    "nibble_context_profile": (c.c_size_t, [_HANDLE, c.POINTER(c.POINTER(_ProfileEntry))]),
    "nibble_context_memory": (c.c_uint64, [_HANDLE]),
}


@functools.cache
def _library() -> c.CDLL:
    """The runtime: $NIBBLE_RUNTIME, or beside this package, or where the loader looks."""
    name = "libnibble_runtime.so"
    here = Path(__file__).resolve().parent
    if wanted := os.environ.get("NIBBLE_RUNTIME"):
        candidates = [wanted]
    else:
        build = Path(os.environ.get("NIBBLE_BUILD", here.parents[1] / "build"))
        places = [here / "lib", build / "lib"]
        candidates = [str(p / name) for p in places if (p / name).exists()] + [name]
    problem = ""
    for candidate in candidates:
        try:
            library = c.CDLL(candidate)
        except OSError as error:
            problem = problem or str(error)
            continue
        for function, (result, arguments) in _FUNCTIONS.items():
            try:
                entry = getattr(library, function)
            except AttributeError:
                raise NibbleError(f"{candidate}: not Nibble's runtime: no {function}") from None
            entry.restype, entry.argtypes = result, arguments
        version = library.nibble_version()
        if version // 1000 != _VERSION_MAJOR:
            raise NibbleError(
                f"{candidate}: runtime version {version // 1000}, this package needs "
                f"{_VERSION_MAJOR}: install the two from one build"
            )
        return library
    raise NibbleError(
        f"cannot load Nibble's runtime ({problem}): build Nibble, or set NIBBLE_RUNTIME "
        f"to the path of {name}"
    )


@functools.cache
def _dtype(number: int) -> np.dtype:
    name = _DTYPES.get(number)
    if name is None:
        raise NibbleError(f"element type {number} has no NumPy equivalent")
    if number not in _CODES:
        return np.dtype(name)
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        return _CODES[number]


@functools.cache
def _dtype_number(dtype: np.dtype, wanted: int = 0) -> int:
    """The number of an array's type; `wanted` is that of the input it is for."""
    if wanted in _CODES and dtype == _CODES[wanted]:
        return wanted
    for number, name in _DTYPES.items():
        if dtype.name == name:
            return number
    raise NibbleError(f"arrays of type {dtype} cannot be given to a model")


@dataclass(frozen=True)
class TensorInfo:
    """What a model says about one input or output."""

    name: str
    dtype: np.dtype
    """Element type; of ml_dtypes where NumPy has none, else unsigned integers that hold codes."""
    type: str
    """Name of the element type, also where `dtype` are codes: "float32", "int4"."""
    shape: tuple[int | None, ...]
    """Sizes; None where any size will do."""
    dim_names: tuple[str, ...]
    """Names of the dimensions, "" for none; equal names are equal sizes in a run."""


@dataclass(frozen=True)
class LayerProfile:
    """Sums over the runs of one thread: wall time in seconds, weight bytes read per call."""

    name: str
    calls: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class CacheInfo:
    """An input ("past") that a model adds to and the output ("present") that returns it."""

    input: str
    output: str
    axis: int
    """The dimension of the positions."""
    grows: bool
    """Whether the present has more positions; else their number is fixed (TensorScatter)."""


@dataclass(frozen=True)
class CacheState:
    """What a context keeps; see `Context.keep_caches`."""

    batch: int
    length: int
    """Positions (tokens) of every cache that grows."""
    capacity: int
    """Positions that fit without more memory."""
    limit: int
    """Most positions; 0 for as memory allows."""
    bytes: int


class Model:
    """A compiled model (.so), ready to run.

    May be used from several threads at once: each gets a context (scratch
    memory, thread team) of its own when it first calls `run`.

    Args:
      path: the shared object that nibble-compile wrote.
      threads: threads of one run; 0 for all that OpenMP would use.
      profile: measure every layer, see `profile`.

    Raises:
      NibbleError: no such file, not a compiled model, another version, missing
        weights, or a CPU without the instructions the model was compiled for.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 0, profile: bool = False):
        self._model: int | None = None
        self._contexts: set[int] = set()
        self._local = threading.local()
        self._lock = threading.Lock()
        if threads < 0:
            raise NibbleError(f"threads is {threads}, expected 0 or more")
        self._threads, self._profiling = threads, profile
        self._lib = _library()
        handle = _HANDLE()
        if self._lib.nibble_model_load(os.fsencode(path), c.byref(handle)):
            raise NibbleError(self._error(None))
        self._model = handle.value
        lib, count = self._lib, self._lib.nibble_model_input_count(self._model)
        self.inputs = [self._info(lib.nibble_model_input, i) for i in range(count)]
        self._known = {info.name: info for info in self.inputs}
        count = lib.nibble_model_output_count(self._model)
        self.outputs = [self._info(lib.nibble_model_output, i) for i in range(count)]
        count = lib.nibble_model_cache_count(self._model)
        self.caches = [self._cache(i) for i in range(count)]
        """Inputs and outputs that a `Context` can keep as one buffer."""
        kept = {cache.output for cache in self.caches}
        self._kept_count = max(
            (i + 1 for i, info in enumerate(self.outputs) if info.name not in kept), default=0
        )

    def _error(self, context: int | None) -> str:
        return self._lib.nibble_last_error(context).decode("utf-8", "replace")

    def _info(self, function, index: int) -> TensorInfo:
        info = function(self._model, index).contents
        ranks = range(info.rank)
        shape = tuple(None if info.dims[i] < 0 else info.dims[i] for i in ranks)
        names = tuple(info.dim_names[i].decode() for i in ranks)
        return TensorInfo(info.name.decode(), _dtype(info.dtype), _DTYPES[info.dtype], shape, names)

    def _cache(self, index: int) -> CacheInfo:
        found = self._lib.nibble_model_cache(self._model, index).contents
        names = self.inputs[found.input].name, self.outputs[found.output].name
        return CacheInfo(*names, found.axis, bool(found.grows))

    def _text(self, function: str) -> str:
        return getattr(self._lib, function)(self._handle()).decode("utf-8", "replace")

    def _handle(self) -> int:
        if self._model is None:
            raise NibbleError("this model is closed")
        return self._model

    def _context(self) -> int:
        context = getattr(self._local, "context", None)
        if context is None:
            context = self._local.context = self._new_context()
            self._local.results = (_Tensor * len(self.outputs))()
        return context

    def _new_context(self) -> int:
        handle = _HANDLE()
        options = _Options(c.sizeof(_Options), self._threads, int(self._profiling))
        if self._lib.nibble_context_create(self._handle(), c.byref(options), c.byref(handle)):
            raise NibbleError(self._error(None))
        with self._lock:
            self._contexts.add(handle.value)
        return handle.value

    def _raise(self, context: int, status: int) -> None:
        text = self._error(context) or "this context is in use by another thread"
        raise ContextOverflowError(text) if status == _CONTEXT_OVERFLOW else NibbleError(text)

    def context(self) -> "Context":
        """A new context of this model: runs of its own, which can keep keys and values."""
        return Context(self)

    @property
    def name(self) -> str:
        return self._text("nibble_model_name")

    @property
    def producer(self) -> str:
        """Compiler and version that made the model."""
        return self._text("nibble_model_producer")

    @property
    def options(self) -> str:
        """The options it was compiled with."""
        return self._text("nibble_model_options")

    @property
    def target(self) -> str:
        """The CPU it was compiled for."""
        return self._text("nibble_model_target")

    @property
    def weight_bytes(self) -> int:
        return self._lib.nibble_model_weight_bytes(self._handle())

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        return {info.name: info.shape for info in self.inputs}

    @property
    def context_memory(self) -> int:
        """Bytes that this thread's context holds for intermediate values and outputs."""
        return self._lib.nibble_context_memory(self._context())

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        *,
        copy: bool = True,
        out: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Computes all outputs.

        Args:
          inputs: an array for every input of the model, by name. Arrays must
            have the input's element type; lists and numbers are converted to it.
            Dense arrays in row-major order are read where they are. A sequence
            is a list of arrays of one rank, an absent optional None.
          copy: False returns the model's own memory instead of copies. Such an
            array is valid until this thread's next run of this model, and may
            be an input of that run.
          out: arrays for some of the outputs, by name: dense, writable, of the
            output's type, and at least as large as it. The result is written there.

        Returns:
          The outputs by name: those of `out` as views of its arrays, the others
          as arrays that the caller owns, or as `copy` says. A sequence is a list
          of arrays, as is an optional tensor, of at most one; an absent optional
          sequence is None.

        Raises:
          NibbleError: an input is missing, unknown, or of another type or shape,
            or a check inside the model failed (such as an index out of range).
        """
        return self._run(self, self._context(), self._local.results, inputs, copy, out)

    def _run(
        self,
        owner: "Model | Context",
        context: int,
        results: c.Array[_Tensor],
        inputs: Mapping[str, np.ndarray],
        copy: bool,
        out: Mapping[str, np.ndarray] | None,
        kept: bool = False,
    ) -> dict[str, np.ndarray]:
        """`run` in a context; views keep its owner alive."""
        if any(f"{name}.shapes" in self._known for name in inputs):
            inputs = split_sequences(inputs, self._known)
        packed, alive = b"", []
        for name, value in inputs.items():
            info = self._known.get(name)
            if not isinstance(value, np.ndarray):
                value = np.asarray(value, info.dtype if info else None)
            if not value.dtype.isnative:
                value = value.astype(value.dtype.newbyteorder("="))
            # Not ascontiguousarray, which makes a scalar an array of rank 1.
            array = np.asarray(value, order="C")
            wanted = _NUMBERS[info.type] if info else 0
            c_name, c_dims = _c_name(name), _c_dims(array.shape)
            alive.append((array, c_name, c_dims))
            packed += _TENSOR.pack(
                c_name[0],
                array.ctypes.data,
                array.nbytes,
                _dtype_number(array.dtype, wanted),
                array.ndim,
                c_dims[0],
            )
        # Presents that the context keeps are no results, unless there is an array for them.
        count = self._kept_count if kept and not out else len(self.outputs)
        # What the run before left there would be taken for the caller's arrays.
        c.memset(results, 0, c.sizeof(results))
        if out:
            self._give(results, out)
        if status := self._lib.nibble_run(context, packed, len(alive), results, count):
            self._raise(context, status)
        found = {}
        hidden = {cache.output for cache in self.caches} if kept else ()
        for info, output in zip(self.outputs[:count], _TENSOR.iter_unpack(results)):
            if out and info.name in out:
                found[info.name] = _beginning(out[info.name], *output)
            elif info.name not in hidden:
                found[info.name] = _copy_out(*output) if copy else _view(owner, *output)
        if any(f"{name}.shapes" in found for name in found):
            return join_sequences(found)
        return found

    def _give(self, results: c.Array[_Tensor], out: Mapping[str, np.ndarray]) -> None:
        """Sets the caller's arrays as where outputs go."""
        known = {info.name: number for number, info in enumerate(self.outputs)}
        for name, array in out.items():
            if name not in known:
                raise NibbleError(f"no output '{name}'; the model has {', '.join(known)}")
            flags, wanted = array.flags, self.outputs[known[name]].dtype
            if array.dtype != wanted or not (flags.c_contiguous and flags.writeable):
                raise NibbleError(
                    f"the array for output '{name}' must be dense, writable and {wanted}"
                )
            result = results[known[name]]
            result.data, result.bytes = array.ctypes.data, array.nbytes

    def profile(self) -> list[LayerProfile]:
        """Time of every layer in this thread's runs; empty without profile=True."""
        return self._profile(self._context())

    def _profile(self, context: int) -> list[LayerProfile]:
        entries = c.POINTER(_ProfileEntry)()
        count = self._lib.nibble_context_profile(context, c.byref(entries))
        return [
            LayerProfile(e.name.decode(), e.calls, e.nanoseconds * 1e-9, e.bytes)
            for e in (entries[i] for i in range(count))
        ]

    def close(self) -> None:
        """Frees the model; no thread may be in `run`. Called by `with` and the collector."""
        if self._model is not None:
            for context in self._contexts:
                self._lib.nibble_context_free(context)
            self._lib.nibble_model_free(self._model)
            self._model, self._contexts = None, set()
            self._local = threading.local()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A constructor that raised leaves nothing to free.
        if getattr(self, "_model", None) is not None:
            self.close()


class Context:
    """Runs of a model that belong together, by one caller at a time.

    Unlike `Model.run`, which has a context for each thread, a context may be
    handed from thread to thread, and it can keep the keys and values of a
    language model, so that they are neither copied nor passed:

      context = model.context()
      context.keep_caches()
      logits = context.run({"input_ids": prompt, ...})["logits"]
      logits = context.run({"input_ids": next_token, ...})["logits"]

    It keeps its model alive. `close`, or the end of a `with`, frees its memory.
    """

    def __init__(self, model: Model):
        self.model = model
        self._handle: int | None = None
        self._kept = False
        self._results = (_Tensor * len(model.outputs))()
        self._handle = model._new_context()

    def _open(self) -> int:
        if self._handle is None or self._handle not in self.model._contexts:
            raise NibbleError("this context, or its model, is closed")
        return self._handle

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        *,
        copy: bool = True,
        out: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Computes all outputs, as `Model.run` does.

        After `keep_caches` the inputs of caches are not given, and their outputs
        are returned for arrays in `out` alone.

        Raises:
          ContextOverflowError: the caches would pass their limit. They stay as
            they were, as after every run that failed; but caches of a fixed size
            may hold what that run wrote: repeat it, or start anew.
          NibbleError: see `Model.run`.
        """
        handle = self._open()
        return self.model._run(self, handle, self._results, inputs, copy, out, self._kept)

    def keep_caches(self, batch: int = 1, limit: int = 0, reserve: int = 0) -> None:
        """Keeps keys and values from now on, or empties those that are kept.

        Args:
          batch: sequences that run side by side.
          limit: most positions (tokens) of a sequence, 0 for as memory allows.
          reserve: positions to have memory for at once; else it doubles when full.

        Raises NibbleError for a model without caches, or when memory is not enough.
        """
        options = _CacheOptions(c.sizeof(_CacheOptions), batch, limit, reserve)
        lib, handle = self.model._lib, self._open()
        status = lib.nibble_context_keep_caches(handle, c.byref(options))
        # Without memory nothing is kept; after wrong arguments what was kept is.
        state = _CacheState()
        lib.nibble_context_cache_state(handle, c.byref(state))
        self._kept = bool(state.kept)
        self._check(status)

    def truncate_caches(self, length: int) -> None:
        """Forgets all positions from `length` on."""
        self._check(self.model._lib.nibble_context_truncate_caches(self._open(), length))

    @property
    def cache_state(self) -> CacheState:
        """What is kept; all zero before `keep_caches`."""
        state = _CacheState()
        self.model._lib.nibble_context_cache_state(self._open(), c.byref(state))
        return CacheState(state.batch, state.length, state.capacity, state.limit, state.bytes)

    def read_cache(self, name: str) -> np.ndarray:
        """A dense copy of a cache, by the name of its input or output."""
        for index, cache in enumerate(self.model.caches):
            if name in (cache.input, cache.output):
                found = _Tensor()
                lib = self.model._lib
                self._check(lib.nibble_context_read_cache(self._open(), index, c.byref(found)))
                return _copy_out(*_TENSOR.unpack(found))
        known = ", ".join(cache.input for cache in self.model.caches)
        raise NibbleError(f"no cache '{name}'; the model has {known or 'none'}")

    def profile(self) -> list[LayerProfile]:
        """Time of every layer in this context's runs; empty without `Model(profile=True)`."""
        return self.model._profile(self._open())

    @property
    def memory(self) -> int:
        """Bytes held for intermediate values, outputs and caches."""
        return self.model._lib.nibble_context_memory(self._open())

    def _check(self, status: int) -> None:
        if status:
            self.model._raise(self._open(), status)

    def close(self) -> None:
        """Frees its memory. Arrays that are views of it must not be used any more."""
        handle, self._handle = self._handle, None
        with self.model._lock:
            if handle not in self.model._contexts:
                return
            self.model._contexts.remove(handle)
        self.model._lib.nibble_context_free(handle)

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()


class _ModelMemory:
    """Memory of a context as NumPy sees it; keeps what it belongs to alive."""

    def __init__(self, owner: Model | Context, data: int, size: int):
        self._owner = owner
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (data, False),
        }


def _shape(rank: int, dims: int) -> tuple[int, ...]:
    return struct.unpack(f"{rank}q", c.string_at(dims, 8 * rank))


# The fields of a _Tensor, as arrays.


def _view(
    owner: Model | Context,
    name: int,
    data: int | None,
    size: int,
    dtype: int,
    rank: int,
    dims: int,
) -> np.ndarray:
    """The memory itself."""
    if not size:  # NumPy takes no null pointer, not even for an empty array.
        return np.empty(_shape(rank, dims), _dtype(dtype))
    memory = np.asarray(_ModelMemory(owner, data, size))
    return memory.view(_dtype(dtype)).reshape(_shape(rank, dims))


def _beginning(
    array: np.ndarray, name: int, data: int | None, size: int, dtype: int, rank: int, dims: int
) -> np.ndarray:
    """The part of the caller's array that a result was written to."""
    return array.reshape(-1)[: size // array.itemsize].reshape(_shape(rank, dims))


def _copy_out(
    name: int, data: int | None, size: int, dtype: int, rank: int, dims: int
) -> np.ndarray:
    # Copies in one call; the array keeps the bytes.
    return np.ndarray(_shape(rank, dims), _dtype(dtype), _copy_bytes(data, size))
