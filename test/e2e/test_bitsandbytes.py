# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NF4, FP4 and double quantization: a small model with them beside ONNX Runtime with the
weights that they stand for; MatMulBnb4 beside ONNX Runtime's own kernel; SmolLM2."""

import json
import unittest

import numpy as np
import support as s

NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
     -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
     0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], np.float32
)  # fmt: skip
FP4 = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3], np.float32) / np.float32(12)
FP4 = np.concatenate([FP4, -FP4])


def dynamic_map():
    """bitsandbytes' signed map of 8 bits."""
    positive = [
        10.0 ** (decade - 6) * (0.1 + 0.9 * (step + 0.5) / 2**decade)
        for decade in range(7)
        for step in range(2**decade)
    ]
    return np.sort(np.array([0.0, 1.0, *positive, *(-x for x in positive)]))


def nearest(values, table):
    order = np.sort(table)
    return order[np.searchsorted((order[1:] + order[:-1]) / 2, values)]


def requantized(weight, table, block, twice=False):
    """What a weight [out, in] stands for once it is quantized, in float64."""
    flat = weight.astype(np.float64).ravel()
    blocks = -(-flat.size // block)
    padded = np.zeros(blocks * block)
    padded[: flat.size] = flat
    padded = padded.reshape(blocks, block)
    scales = np.abs(padded).max(axis=1, keepdims=True)
    values = nearest(padded / np.where(scales == 0, 1, scales), table.astype(np.float64))
    if twice:
        mean = scales.mean()
        for first in range(0, blocks, 256):
            part = scales[first : first + 256] - mean
            largest = np.abs(part).max()
            if largest:
                part = nearest(part / largest, dynamic_map()) * largest
            scales[first : first + 256] = part + mean
    return (values * scales).ravel()[: flat.size].reshape(weight.shape).astype(np.float32)


def make_model(path, change=lambda weight: weight):
    """An embedding, products with and without rows of whole blocks, convolutions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(4)
    weights = {
        "table": rng.normal(size=(50, 24)),
        "first": rng.normal(size=(40, 24)),  # rows of 24: blocks of 64 cross them
        "second": rng.normal(size=(72, 128)) * 0.1,
        "conv": rng.normal(size=(6, 4, 3, 3)),
        "grouped": rng.normal(size=(6, 2, 3, 3)),
    }
    stored = {}
    for name, weight in weights.items():
        weight = weight.astype(np.float32)
        rows = change(weight.reshape(len(weight), -1)).reshape(weight.shape)
        # MatMul has its weight the other way round, Gemm does not.
        stored[name] = np.ascontiguousarray(rows.T) if name == "first" else rows
    shape = {"to_rows": [-1, 128], "to_image": [-1, 4, 6, 3]}
    stored.update({name: np.array(sizes) for name, sizes in shape.items()})
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"], name="embed"),
        helper.make_node("MatMul", ["embedded", "first"], ["a"], name="first"),
        helper.make_node("Pad", ["a", "pads"], ["wide"], name="pad"),
        helper.make_node("Reshape", ["wide", "to_rows"], ["b"], name="rows"),
        helper.make_node("Gemm", ["b", "second"], ["c"], name="second", transB=1),
        helper.make_node("Reshape", ["c", "to_image"], ["d"], name="image"),
        helper.make_node("Conv", ["d", "conv"], ["e"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["e", "grouped"], ["y"], name="grouped", group=3),
    ]
    stored["pads"] = np.array([0, 0, 0, 0, 0, 24])
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 6, 4, 1])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path
    )


class SmallModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s.onnxruntime()
        s.tool("nibble-compile")
        cls.folder = s.WORK / "bitsandbytes"
        cls.folder.mkdir(parents=True, exist_ok=True)
        make_model(cls.folder / "model.onnx")

    def check(self, name, table, block, twice=False, options=()):
        """Runs one token and many, which other kernels multiply."""
        label = f"{name}-{block}{'-twice' if twice else ''}"
        binary, wanted = self.folder / f"{label}.so", self.folder / f"{label}.onnx"
        report = self.folder / f"{label}.json"
        done = s.run_tool(
            "nibble-compile", self.folder / "model.onnx", f"--quantize={name}", f"--head={name}",
            *(["--double-quant"] if twice else []), *options, "-o", binary, f"--report={report}",
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        make_model(wanted, lambda weight: requantized(weight, table, block, twice))
        import nibble

        model, reference = nibble.Model(binary), s.Reference(wanted)
        for batch in (1, 5, 40):
            ids = np.random.default_rng(batch).integers(0, 50, (batch, 2))
            got, want = model.run({"ids": ids})["y"], reference.run({"ids": ids})["y"]
            np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())
        return json.loads(report.read_text())["layers"], done.stderr

    def test_nf4(self):
        layers, messages = self.check("NF4", NF4, 64)
        self.assertEqual({layer["scheme"] for layer in layers}, {"NF4"})
        self.assertEqual({layer["group_size"] for layer in layers}, {64})
        self.assertIn('layer "first": blocks of 64 do not end with rows of 24', messages)
        self.assertNotIn('layer "second"', messages)

    def test_fp4_of_large_blocks(self):
        self.check("FP4", FP4, 512, options=["--group-size=512"])

    def test_double_quantization(self):
        layers, _ = self.check("NF4", NF4, 32, twice=True, options=["--group-size=32"])
        second = next(layer for layer in layers if layer["name"] == "second")
        self.assertTrue(second["double_quant"])
        # 288 scales of 8 bits, in two groups, for 9216 codes of 4.
        self.assertAlmostEqual(second["bits_per_weight"], 4 + 8 / 32 + 2 * 2 * 32 / 9216)

    def test_double_quantization_of_integers(self):
        """Hardly worse than scales of 32 bits."""
        import nibble

        options = ["--quantize=W4A16", "--head=W4A16", "--group-size=16", "--asymmetric"]
        errors = []
        for more in ([], ["--double-quant"]):
            report = self.folder / f"integers{len(more)}.json"
            done = s.run_tool(
                "nibble-compile", self.folder / "model.onnx", *options, *more,
                "-o", self.folder / "integers.so", f"--report={report}",
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
            layers = json.loads(report.read_text())["layers"]
            errors.append(next(x["sqnr_db"] for x in layers if x["name"] == "second"))
            model = nibble.Model(self.folder / "integers.so")
            self.assertTrue(np.isfinite(model.run({"ids": np.array([[1, 2]])})["y"]).all())
        self.assertAlmostEqual(*errors, delta=0.1)

    def test_options_that_no_scheme_has(self):
        for options, message in (
            (["--group-size=48"], "blocks of 48 weights: expected 32, 64"),
            (["--asymmetric"], "nf4 has codes of 4 bits and no zero points"),
            (["--scale-rule=mse"], "scale rule mse is for integers"),
        ):
            done = s.run_tool(
                "nibble-compile", self.folder / "model.onnx", "--quantize=NF4", *options,
                "-o", self.folder / "none.so",
            )  # fmt: skip
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'layer "first": {message}', done.stderr)
            self.assertFalse((self.folder / "none.so").exists())


class MatMulBnb4(unittest.TestCase):
    """ONNX Runtime's CPU provider has the operator, too."""

    @classmethod
    def setUpClass(cls):
        s.onnxruntime()
        s.tool("nibble-compile")
        (s.WORK / "bitsandbytes").mkdir(parents=True, exist_ok=True)

    def check(self, n, k, block, kind, dtype=np.float32):
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        rng = np.random.default_rng(n * k)
        codes = rng.integers(0, 256, (n * k + 1) // 2).astype(np.uint8)
        scales = rng.uniform(0.1, 1, -(-n * k // block)).astype(dtype)
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        node = helper.make_node(
            "MatMulBnb4", ["x", "w", "s"], ["y"], domain="com.microsoft", name="fc",
            K=k, N=n, block_size=block, quant_type=kind,
        )  # fmt: skip
        graph = helper.make_graph(
            [node], "g",
            [helper.make_tensor_value_info("x", element, ["rows", k])],
            [helper.make_tensor_value_info("y", element, ["rows", n])],
            [numpy_helper.from_array(codes, "w"), numpy_helper.from_array(scales, "s")],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        path = s.WORK / "bitsandbytes" / f"bnb4-{n}-{k}-{block}-{kind}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        table = (NF4 if kind else FP4).astype(np.float64)
        flat = np.stack([codes >> 4, codes & 15], axis=1).ravel()[: n * k]
        weight = table[flat] * scales.astype(np.float64)[np.arange(n * k) // block]
        model, reference = s.load(path), s.Reference(path)
        for rows in (1, 3, 33):
            x = rng.normal(size=(rows, k)).astype(dtype)
            got = model.run({"x": x})["y"]
            want = x.astype(np.float64) @ weight.reshape(n, k).T
            tolerance = (1e-5 if dtype == np.float32 else 2e-3) * np.abs(want).max()
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)
            np.testing.assert_allclose(
                got, reference.run({"x": x})["y"], rtol=0, atol=2 * tolerance
            )

    def test_nf4(self):
        self.check(48, 64, 64, 1)

    def test_fp4(self):
        self.check(33, 128, 32, 0)

    def test_blocks_across_rows(self):
        self.check(24, 80, 64, 1)


if __name__ == "__main__":
    unittest.main()
