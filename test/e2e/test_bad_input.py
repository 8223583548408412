# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input gets one message, the right exit status, and leaves no file behind."""

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


def model(nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "bad", inputs, outputs, list(weights))
    opset = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


def product(weight: np.ndarray) -> onnx.ModelProto:
    """x [2, K] times a weight [K, N]."""
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        [value("x", 2, weight.shape[0])],
        [value("y", 2, weight.shape[1])],
        [numpy_helper.from_array(weight, "w")],
    )


def external(location: str, length: int) -> onnx.ModelProto:
    proto = product(np.zeros((64, 32), np.float32))
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=text)
    return proto


class BadInput(unittest.TestCase):
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

    # Files that are no models.

    def test_missing_file(self):
        self.check(self.compile(self.folder / "none.onnx"), 1, "none.onnx")

    def test_empty_file(self):
        path = self.folder / "empty.onnx"
        path.write_bytes(b"")
        self.check(self.compile(path), 1, "empty.onnx")

    def test_random_bytes(self):
        random = np.random.default_rng(3)
        for size in (1, 17, 400, 10000):
            with self.subTest(size=size):
                path = self.folder / "random.onnx"
                path.write_bytes(random.bytes(size))
                self.check(self.compile(path), 1, "random.onnx")

    def test_truncated_model(self):
        data = (s.MODELS / "glyphs.onnx").read_bytes()
        for size in (1, 100, len(data) // 2, len(data) - 1):
            with self.subTest(size=size):
                path = self.folder / "cut.onnx"
                path.write_bytes(data[:size])
                self.check(self.compile(path), 1, "cut.onnx")

    # External data.

    def test_missing_external_data(self):
        self.reject(external("gone.bin", 8192), "gone.bin")

    def test_escaping_external_data(self):
        inner = self.folder / "inner"
        inner.mkdir()
        (self.folder / "secret.bin").write_bytes(bytes(8192))
        for location in ("../secret.bin", str(self.folder / "secret.bin")):
            with self.subTest(location=location):
                path = self.save(external(location, 8192), "inner/model.onnx")
                self.check(self.compile(path), 1, "secret.bin")

    def test_short_external_data(self):
        (self.folder / "short.bin").write_bytes(bytes(100))
        self.reject(external("short.bin", 8192), "short.bin")

    # Graphs that make no sense.

    def test_unknown_operators_in_one_list(self):
        nodes = [
            helper.make_node("Frobnicate", ["x"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"], name="fine"),
            helper.make_node("Unheard", ["b"], ["y"], name="second"),
        ]
        proto = model(nodes, [value("x", 4)], [value("y", 4)])
        self.reject(proto, "Frobnicate", "first", "Unheard", "second")

    def test_shape_mismatch(self):
        proto = product(np.zeros((64, 32), np.float32))
        proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 65
        self.reject(proto, "product")

    def test_cycle(self):
        nodes = [
            helper.make_node("Add", ["x", "b"], ["a"], name="one"),
            helper.make_node("Relu", ["a"], ["b"], name="two"),
        ]
        self.reject(model(nodes, [value("x", 4)], [value("b", 4)]), "one")

    def test_dangling_input(self):
        node = helper.make_node("Add", ["x", "nowhere"], ["y"], name="sum")
        self.reject(model([node], [value("x", 4)], [value("y", 4)]), "nowhere")

    # Options.

    def test_unknown_scheme(self):
        run = self.compile(s.MODELS / "glyphs.onnx", "--quantize=W5A99")
        self.check(run, 2, "W5A99")

    def test_unknown_option(self):
        run = self.compile(s.MODELS / "glyphs.onnx", "--no-such-option")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("no-such-option", run.stderr)

    def test_broken_config(self):
        config = self.folder / "rules.yaml"
        config.write_text("version: 1\nrules:\n  - layers: '*'\n    scheme: [W8A16\n")
        run = self.compile(s.MODELS / "glyphs.onnx", f"--config={config}")
        self.assertRegex(run.stderr, r"rules\.yaml:[45]:")
        self.check(run, 1)

    def test_unknown_key_in_config(self):
        config = self.folder / "rules.yaml"
        config.write_text("version: 1\nrules:\n  - layers: '*'\n    schema: W8A16\n")
        run = self.compile(s.MODELS / "glyphs.onnx", f"--config={config}")
        self.check(run, 1, "rules.yaml:4:", "schema")

    # Outputs.

    def test_unwritable_output(self):
        target = self.folder / "no/such/folder/m.so"
        run = s.run_tool("nibble-compile", s.MODELS / "glyphs.onnx", "-o", target)
        self.check(run, 1, "no/such/folder")

    def test_full_device(self):
        # Every write to it fails as on a full disk.
        run = s.run_tool(
            "nibble-compile", s.MODELS / "glyphs.onnx", "-o", "/dev/full",
            "--emit=mlir", "--compile-to=nibble",
        )  # fmt: skip
        self.check(run, 1, "/dev/full")

    def test_full_disk(self):
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(self.out)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            self.skipTest("a small disk cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(self.out)], check=True)
        self.check(self.compile(s.MODELS / "glyphs.onnx"), 1, "m.so")

    # Running.

    def run_glyphs(self, name: str, array: np.ndarray):
        binary = s.compile_model(s.MODELS / "glyphs.onnx", [])
        path = self.folder / "input.npy"
        np.save(path, array)
        return s.run_tool(
            "nibble-run", binary, "--input", f"{name}={path}", "--output-dir", self.out
        )

    def test_wrong_input_name(self):
        run = self.run_glyphs("picture", np.zeros((1, 1, 24, 24), np.float32))
        self.check(run, 1, "picture", "images")

    def test_wrong_input_shape(self):
        run = self.run_glyphs("images", np.zeros((1, 1, 24, 25), np.float32))
        self.check(run, 1, "images", "25", "24")

    def test_wrong_input_type(self):
        run = self.run_glyphs("images", np.zeros((1, 1, 24, 24), np.float64))
        self.check(run, 1, "images", "float64", "float32")

    def test_index_out_of_range(self):
        model = s.load(s.MODELS / "stories.onnx")
        cache = s.nibble.empty_cache(model)
        with self.assertRaises(s.nibble.NibbleError):
            s.nibble.step(model, np.asarray([[384]]), cache)
        # The same model goes on to work.
        logits, _ = s.nibble.step(model, np.asarray([[1]]), cache)
        self.assertTrue(np.isfinite(logits).all())


if __name__ == "__main__":
    unittest.main()
