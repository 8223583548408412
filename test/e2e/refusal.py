# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the tests of bad input share: models to spoil, and what a refusal looks like."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    raise unittest.SkipTest("the Python package onnx is not installed") from None

# What LLVM prints when it dies.
CRASH = ("Stack dump", "LLVM ERROR", "Assertion", "PLEASE submit", "terminate called")


def value(name: str, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def model(nodes, inputs, outputs, weights=(), opset: int = 21):
    graph = helper.make_graph(nodes, "bad", inputs, outputs, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def product(weight: np.ndarray) -> onnx.ModelProto:
    """x [2, K] times a weight [K, N]."""
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        [value("x", 2, weight.shape[0])],
        [value("y", 2, weight.shape[1])],
        [numpy_helper.from_array(weight, "w")],
    )


def external(location: str, length: int, offset: int = 0) -> onnx.ModelProto:
    """A product whose weight of 64 x 32 floats lies in another file."""
    proto = product(np.zeros((64, 32), np.float32))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = (("location", location), ("offset", str(offset)), ("length", str(length)))
    for key, text in entries:
        tensor.external_data.add(key=key, value=text)
    return proto


class Refusal(unittest.TestCase):
    """`folder` is for inputs; nothing may be left in `out`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"
        self.out.mkdir()

    def save(self, proto: onnx.ModelProto, name: str = "model.onnx") -> Path:
        (self.folder / name).write_bytes(proto.SerializeToString())
        return self.folder / name

    def check(self, run, status: int, *wanted: str, word: str = "error:"):
        """One message with `wanted` in it, this exit status, no file."""
        text = run.stderr
        self.assertEqual(run.returncode, status, text)
        for crash in CRASH:
            self.assertNotIn(crash, text)
        self.assertEqual(text.count(word), 1, f"expected one message, got:\n{text}")
        for part in wanted:
            self.assertIn(part, text)
        self.assertEqual(list(self.out.iterdir()), [], "files were left behind")

    def compile(self, path: Path, *options: str, **kwargs):
        return s.run_tool("nibble-compile", path, "-o", self.out / "m.so", *options, **kwargs)

    def reject(self, proto: onnx.ModelProto, *wanted: str):
        self.check(self.compile(self.save(proto)), 1, *wanted)

    def mount_small_disk(self, where: Path, size: str):
        """A file system of `size` at `where`, until the test ends."""
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(where)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            self.skipTest("a small disk cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(where)], check=True)
