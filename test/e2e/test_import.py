# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Importing a model of 500 MB maps its weights instead of copying them."""

import resource
import shutil
import unittest

import numpy as np
import support as s

COUNT, ROWS, COLUMNS = 4, 8192, 4096
# Private memory that a tool may have: heap, stacks, writable data of libraries.
PRIVATE = 150 * 1000 * 1000


def limit_private_memory():
    resource.setrlimit(resource.RLIMIT_DATA, (PRIVATE, PRIVATE))


class LargeModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import onnx
            from onnx import TensorProto, helper, numpy_helper
        except ImportError:
            raise unittest.SkipTest("the Python package onnx is not installed") from None
        cls.folder = s.WORK / "large-import"
        cls.folder.mkdir(parents=True, exist_ok=True)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.path = cls.folder / "large.onnx"
        nodes, weights, name = [], [], "x"
        for i in range(COUNT):
            shape = (COLUMNS, ROWS) if i % 2 else (ROWS, COLUMNS)
            weight = np.full(shape, 0.25 + i, np.float32)
            weights.append(numpy_helper.from_array(weight, f"w{i}"))
            nodes.append(helper.make_node("MatMul", [name, f"w{i}"], [f"y{i}"], name=f"product{i}"))
            name = f"y{i}"
        graph = helper.make_graph(
            nodes,
            "large",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", ROWS])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", ROWS])],
            weights,
        )
        opset = [helper.make_opsetid("", 21)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        onnx.save(model, cls.path)
        onnx.save(
            model, cls.folder / "external.onnx",
            save_as_external_data=True, location="external.bin",
        )  # fmt: skip

    def check(self, name: str):
        text = self.folder / "large.mlir"
        run = s.run_tool(
            "nibble-translate", "--import-onnx", self.folder / name, "-o", text,
            preexec_fn=limit_private_memory,
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertLess(text.stat().st_size, 5e6)
        again = s.run_tool("nibble-opt", text, preexec_fn=limit_private_memory)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout.count("onnx.MatMul"), COUNT)
        self.assertLess(len(again.stdout), 5e6)

    def test_inline_weights(self):
        self.check("large.onnx")

    def test_external_weights(self):
        self.check("external.onnx")

    def test_changed_file_is_noticed(self):
        text = self.folder / "changed.mlir"
        copy = self.folder / "glyphs.onnx"
        data = bytearray((s.MODELS / "glyphs.onnx").read_bytes())
        copy.write_bytes(data)
        run = s.run_tool("nibble-translate", "--import-onnx", copy, "-o", text)
        self.assertEqual(run.returncode, 0, run.stderr)
        # Somewhere inside the weights.
        data[len(data) // 2] ^= 1
        copy.write_bytes(data)
        run = s.run_tool("nibble-compile", text, "-o", self.folder / "changed.so")
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("glyphs.onnx", run.stderr)
        self.assertFalse((self.folder / "changed.so").exists())


if __name__ == "__main__":
    unittest.main()
