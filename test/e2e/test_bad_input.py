# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input gets one message, the right exit status, and leaves no file behind."""

import os
import shutil
import unittest

import numpy as np
import support as s
from refusal import Refusal, TensorProto, external, helper, model, numpy_helper, product, value


class BadInput(Refusal):
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

    def test_flipped_bits(self):
        """Each is refused as above, or it is the name of something or a weight."""
        data = (s.MODELS / "glyphs.onnx").read_bytes()
        random = np.random.default_rng(7)
        header = [int(random.integers(0, 3000)) for _ in range(20)]
        anywhere = [int(random.integers(0, len(data))) for _ in range(5)]
        refused = 0
        for position in header + anywhere:
            spoilt = bytearray(data)
            spoilt[position] ^= 1 << int(random.integers(0, 8))
            with self.subTest(position=position):
                path = self.folder / "flipped.onnx"
                path.write_bytes(spoilt)
                run = s.run_tool(
                    "nibble-compile", path, "-o", self.out / "m.mlir", "--compile-to=onnx"
                )
                if run.returncode != 0:
                    # A pass names the layer alone.
                    self.check(run, 1)
                    refused += 1
                for file in self.out.iterdir():
                    file.unlink()
        self.assertGreater(refused, 0)

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

    def test_linked_external_data(self):
        inner = self.folder / "inner"
        inner.mkdir()
        secret = self.folder / "secret.bin"
        secret.write_bytes(bytes(8192))
        (inner / "soft.bin").symlink_to(secret)
        os.link(secret, inner / "hard.bin")
        for name, reason in (("soft.bin", "symbolic link"), ("hard.bin", "hard link")):
            with self.subTest(name=name):
                path = self.save(external(name, 8192), "inner/model.onnx")
                self.check(self.compile(path), 1, name, reason)

    def test_short_external_data(self):
        (self.folder / "short.bin").write_bytes(bytes(100))
        self.reject(external("short.bin", 8192), "short.bin", "100", "8192")

    def test_external_data_beyond_the_end(self):
        (self.folder / "data.bin").write_bytes(bytes(8192))
        self.reject(external("data.bin", 8192, offset=2**63), "data.bin", "8192")
        self.reject(external("data.bin", 8192, offset=1), "data.bin", "from offset 1")
        self.reject(external("data.bin", 99), "data.bin", "99", "8192")

    def test_external_data_is_a_folder(self):
        (self.folder / "data.bin").mkdir()
        self.reject(external("data.bin", 8192), "data.bin", "not a regular file")

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

    def test_unknown_opset(self):
        proto = product(np.zeros((64, 32), np.float32))
        for version in (0, -1, 29, 1000):
            with self.subTest(version=version):
                proto.opset_import[0].version = version
                self.reject(proto, f"operator set {version} ")

    def test_unknown_type(self):
        proto = product(np.zeros((64, 32), np.float32))
        proto.graph.input[0].type.tensor_type.elem_type = 99
        self.reject(proto, "99", "'x'")
        proto = product(np.zeros((64, 32), np.float32))
        proto.graph.initializer[0].data_type = 99
        self.reject(proto, "99", "'w'")

    def test_impossible_dimensions(self):
        weight = np.zeros((64, 32), np.float32)
        for where, sizes in (
            ("input", (-2, 64)),
            ("input", (2**40, 2**40)),
            ("weight", (-64, -32)),
            ("weight", (2**32, 2**32)),
            ("weight", (2**62, 32)),
            ("weight", (64, 2**60)),
        ):
            with self.subTest(where=where, sizes=sizes):
                proto = product(weight)
                if where == "input":
                    dims = proto.graph.input[0].type.tensor_type.shape.dim
                    for dim, size in zip(dims, sizes):
                        dim.dim_value = size
                else:
                    proto.graph.initializer[0].dims[:] = sizes
                self.reject(proto, "'w'" if where == "weight" else "'x'")

    def test_huge_results(self):
        """Sizes that no machine has, from operators that are cheap to write down."""
        shape = numpy_helper.from_array(np.array([2**31, 2**31], np.int64), "shape")
        for operator, inputs in (("ConstantOfShape", ["shape"]), ("Expand", ["x", "shape"])):
            with self.subTest(operator=operator):
                node = helper.make_node(operator, inputs, ["y"], name="huge")
                self.reject(model([node], [value("x", 1)], [value("y", None, None)], [shape]),
                            "huge", "too large")  # fmt: skip

    def test_type_mismatch(self):
        node = helper.make_node("Add", ["x", "i"], ["y"], name="sum")
        inputs = [value("x", 4), value("i", 4, kind=TensorProto.INT64)]
        self.reject(model([node], inputs, [value("y", 4)]), "sum")

    def test_attribute_of_another_type(self):
        node = helper.make_node("Softmax", ["x"], ["y"], name="soft", axis="one")
        self.reject(model([node], [value("x", 4)], [value("y", 4)]), "soft", "axis")

    def test_names_that_are_not_text(self):
        node = helper.make_node("Frobnicate", ["x"], ["y"], name="steer")
        data = model([node], [value("x", 4)], [value("y", 4)]).SerializeToString()
        for bad, shown in ((b"\xff\xfe\xee..", r"\xFF\xFE\xEE.."), (b"\x1b[31m", r"\x1B[31m")):
            with self.subTest(name=shown):
                path = self.folder / "model.onnx"
                path.write_bytes(data.replace(b"steer", bad))
                self.check(self.compile(path), 1, shown)

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
        for name in ("m.so", "m", "m.o", "m.mlir", "m.mlirbc"):
            with self.subTest(name=name):
                target = self.folder / "no/such/folder" / name
                run = s.run_tool("nibble-compile", s.MODELS / "glyphs.onnx", "-o", target)
                self.check(run, 1, "no/such/folder/m")

    def test_output_is_a_folder(self):
        for name in ("m.so", "m", "m.mlir"):
            with self.subTest(name=name):
                (self.folder / name).mkdir()
                run = s.run_tool(
                    "nibble-compile", s.MODELS / "glyphs.onnx", "-o", self.folder / name
                )
                self.check(run, 1, f"{name}'", "directory")
                self.assertEqual(list((self.folder / name).iterdir()), [])

    def test_unwritable_report(self):
        run = self.compile(
            s.MODELS / "glyphs.onnx", "--quantize=W8A16", f"--report={self.folder}/no/r.json"
        )
        self.check(run, 1, "no/r.json")

    def test_full_device(self):
        # Every write to it fails as on a full disk.
        run = s.run_tool(
            "nibble-compile", s.MODELS / "glyphs.onnx", "-o", "/dev/full",
            "--emit=mlir", "--compile-to=nibble",
        )  # fmt: skip
        self.check(run, 1, "/dev/full")

    def test_missing_parts_of_the_compiler(self):
        """A library without the runtime beside it."""
        shutil.copy(s.BUILD / "lib/libNibble.so.0.1", self.folder)
        environment = dict(os.environ, LD_LIBRARY_PATH=str(self.folder))
        run = self.compile(s.MODELS / "glyphs.onnx", env=environment)
        self.check(run, 1, "libnibble_runtime.a", "beside libNibble.so")

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
        with self.assertRaisesRegex(s.nibble.NibbleError, "table of 384 rows, got 385"):
            s.nibble.step(model, np.asarray([[385, 3]]), cache)
        # The same model goes on to work.
        logits, _ = s.nibble.step(model, np.asarray([[1]]), cache)
        self.assertTrue(np.isfinite(logits).all())


if __name__ == "__main__":
    unittest.main()
