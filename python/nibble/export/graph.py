# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builds ONNX graphs whose weights go straight to a file.

Weights are written when a layer is added, in chunks, to one file of external
data beside the model; the graph in memory holds their offsets only. So the
memory that an export takes does not grow with the model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Iterable

import numpy as np

from ..errors import NibbleError
from .tensors import Weight

if TYPE_CHECKING:
    import onnx

DATA_SUFFIX = ".data"
# Tensors below this size stay in the model, and so do integers.
_INLINE_BYTES = 1024
# A page, so that a large tensor can be mapped for itself.
_PAGE = 4096
_CHUNK_BYTES = 4 << 20


def require_onnx() -> None:
    """NibbleError when the package that every export needs is not there."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise NibbleError("export needs the Python package onnx: pip install onnx") from error


class DataFile:
    """External data of one model, written under a temporary name.

    Used by `with`; the file gets its name when `commit` is called and is removed
    when it was not.
    """

    def __init__(self, path: Path):
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> "DataFile":
        self._file = open(self._temporary, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def commit(self) -> None:
        self._file.close()
        self._file = None
        self._temporary.replace(self.path)

    def begin(self, size: int) -> int:
        """Aligns for a tensor of `size` bytes and returns its offset."""
        alignment = _PAGE if size >= 16 * _PAGE else 64
        padding = -self.size % alignment
        self.write(bytes(padding))
        return self.size

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self.size += len(data)


class GraphBuilder:
    """Collects nodes, inputs and weights; a node's name is its layer's name.

    Args:
      data: where weights go, or None to keep them in the model.
      opset: the opset of the model.
    """

    def __init__(self, data: DataFile | None = None, opset: int = 23):
        require_onnx()
        import onnx.helper

        self._helper = onnx.helper
        self._data = data
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.metadata: dict[str, str] = {}

    def weight(self, name: str, weight: Weight | np.ndarray, transpose: bool = False) -> str:
        """Adds a float32 initializer, or with `transpose` the transposed matrix."""
        import onnx

        if isinstance(weight, np.ndarray):
            weight = Weight.of(weight)
        shape = weight.shape[::-1] if transpose else weight.shape
        tensor = onnx.TensorProto(name=name, dims=shape, data_type=onnx.TensorProto.FLOAT)
        if self._data is None or weight.bytes < _INLINE_BYTES:
            array = weight.array()
            tensor.raw_data = np.asarray(array.T if transpose else array, "<f4").tobytes()
        else:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            offset = self._data.begin(weight.bytes)
            self._write(weight, transpose)
            for key, value in (
                ("location", self._data.path.name),
                ("offset", offset),
                ("length", weight.bytes),
            ):
                tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name

    def _write(self, weight: Weight, transpose: bool) -> None:
        width = weight.bytes // max(weight.shape[0], 1)
        if not transpose:
            step = max(1, _CHUNK_BYTES // max(width, 1))
            for begin in range(0, weight.shape[0], step):
                rows = weight.rows(begin, min(begin + step, weight.shape[0]))
                self._data.write(np.ascontiguousarray(rows, "<f4").data.cast("B"))
            return
        array = weight.array()
        rows, columns = array.shape
        step = max(1, _CHUNK_BYTES // (4 * rows))
        for begin in range(0, columns, step):
            block = np.ascontiguousarray(array[:, begin : begin + step].T, "<f4")
            self._data.write(block.data.cast("B"))

    def constant(self, name: str, array: np.ndarray) -> str:
        """A small constant of any type, such as a shape."""
        import onnx.numpy_helper

        if all(tensor.name != name for tensor in self.initializers):
            self.initializers.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(
        self,
        op: str,
        name: str,
        inputs: list[str],
        outputs: list[str] | None = None,
        **attributes: Any,
    ) -> str:
        """Adds a node and returns the name of its first output."""
        outputs = outputs or [name + ".out"]
        self.nodes.append(self._helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def linear(self, name: str, x: str, weight: Weight, bias: Weight | None = None) -> str:
        """x @ weight.T + bias, for a weight [out, in], which is stored as [in, out]."""
        table = self.weight(name + ".weight", weight, transpose=True)
        y = self.node("MatMul", name, [x, table])
        if weight.adapter:
            low = self.weight(name + ".lora_A.weight", weight.adapter.a.T)
            low = self.node("MatMul", name + ".lora_A", [x, low])
            high = self.weight(name + ".lora_B.weight", weight.adapter.b.T)
            high = self.node("MatMul", name + ".lora_B", [low, high])
            y = self.node("Add", name + ".add_lora", [y, high])
        if bias is not None:
            y = self.node("Add", name + ".add_bias", [y, self.weight(name + ".bias", bias)])
        return y

    def input(self, name: str, kind: str, shape: Iterable[int | str]) -> str:
        """Declares an input; `kind` is a name of TensorProto.DataType."""
        self.inputs.append(self._value(name, kind, shape))
        return name

    def output(self, name: str, kind: str, shape: Iterable[int | str]) -> None:
        self.outputs.append(self._value(name, kind, shape))

    def _value(self, name: str, kind: str, shape: Iterable[int | str]) -> "onnx.ValueInfoProto":
        import onnx

        dtype = onnx.TensorProto.DataType.Value(kind)
        return self._helper.make_tensor_value_info(name, dtype, list(shape))

    def finish(self, name: str) -> "onnx.ModelProto":
        """The checked model. Weights in a file have to be committed by the caller."""
        import onnx

        graph = self._helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, self.initializers
        )
        model = self._helper.make_model(
            graph,
            opset_imports=[self._helper.make_opsetid("", self.opset)],
            ir_version=11,
            producer_name="nibble",
        )
        self._helper.set_model_props(model, self.metadata)
        if self._data is None:
            onnx.checker.check_model(model, full_check=True)
        return model
