# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Types of GGUF files, from compiler to result, against blocks that ggml made.

A product with the identity gives back the weight that the kernels compute with. What
it must be is decoded here from the blocks of the unit tests (golden_ggml.py).
"""

from __future__ import annotations

import json
import unittest

import numpy as np
import support
from nibble import Model

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None

GOLDEN = support.ROOT / "test/unit/Quantizer/Inputs/ggml.bin"
# Bytes of a block, and weights of one.
BLOCKS = {"Q4_0": (18, 32), "Q4_1": (20, 32), "Q5_0": (22, 32), "Q5_1": (24, 32),
          "Q8_0": (34, 32), "Q2_K": (84, 256), "Q3_K": (110, 256), "Q4_K": (144, 256),
          "Q5_K": (176, 256), "Q6_K": (210, 256)}  # fmt: skip


def read_golden():
    """Weights, importance, and for each type its blocks without and with importance."""
    data = GOLDEN.read_bytes()
    rows, cols = np.frombuffer(data, "<u4", 2)
    at = 8
    weights = np.frombuffer(data, "<f4", rows * cols, at).reshape(rows, cols)
    at += weights.nbytes
    importance = np.frombuffer(data, "<f4", cols, at)
    at += importance.nbytes
    blocks = {}
    for name, (size, length) in BLOCKS.items():
        at += 4
        count = rows * cols // length * size
        both = [np.frombuffer(data, np.uint8, count, at + i * count) for i in range(2)]
        blocks[name] = [one.reshape(-1, size) for one in both]
        at += 2 * count
    return weights, importance, blocks


def half(b, at):
    return b[:, at : at + 2].copy().view("<f2").astype(np.float32)


def nibbles(b, distance):
    """Low four bits of codes, which lie beside those `distance` further on."""
    parts = b.reshape(len(b), -1, 1, distance) >> np.array([0, 4], np.uint8)[:, None]
    return (parts & 15).reshape(len(b), -1)


def pairs(b):
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    return (b.reshape(len(b), 2, 1, 32) >> shifts & 3).reshape(len(b), 256)


def lanes(b):
    return (b[:, None, :] >> np.arange(8, dtype=np.uint8)[:, None] & 1).reshape(len(b), 256)


def six_bits(b):
    """8 scales and 8 minimums of Q4_K and Q5_K."""
    low, high, mixed = b[:, :4], b[:, 4:8], b[:, 8:12]
    scales = np.concatenate([low & 63, (mixed & 15) | (low >> 6 << 4)], 1)
    minimums = np.concatenate([high & 63, (mixed >> 4) | (high >> 6 << 4)], 1)
    return scales.astype(np.float32), minimums.astype(np.float32)


def decode(name, b):
    """Scales and minimums for each weight, and codes: w = scale * code - minimum."""
    d, m = half(b, 0), np.zeros((len(b), 1), np.float32)
    if name in ("Q4_0", "Q4_1"):
        q = nibbles(b[:, -16:], 16).astype(np.float32)
    elif name in ("Q5_0", "Q5_1"):
        high = np.unpackbits(b[:, -20:-16], axis=1, bitorder="little")
        q = (nibbles(b[:, -16:], 16) + 16 * high).astype(np.float32)
    elif name == "Q8_0":
        q = b[:, 2:].view(np.int8).astype(np.float32)
    elif name == "Q2_K":
        scales, q = b[:, :16], pairs(b[:, 16:80]).astype(np.float32)
        m = np.repeat(half(b, 82) * (scales >> 4), 16, axis=1)
        d = np.repeat(half(b, 80) * (scales & 15), 16, axis=1)
    elif name == "Q3_K":
        q = pairs(b[:, 32:96]) + 4.0 * lanes(b[:, :32]) - 4
        top = b[:, 104:108, None] >> np.array([0, 2, 4, 6], np.uint8) & 3
        low = np.concatenate([b[:, 96:104] & 15, b[:, 96:104] >> 4], 1)
        scales = (low + 16 * top.transpose(0, 2, 1).reshape(-1, 16)).astype(np.float32)
        d = np.repeat(half(b, 108) * (scales - 32), 16, axis=1)
    elif name in ("Q4_K", "Q5_K"):
        scales, minimums = six_bits(b[:, 4:16])
        d, m = np.repeat(d * scales, 32, axis=1), np.repeat(half(b, 2) * minimums, 32, axis=1)
        q = nibbles(b[:, -128:], 32).astype(np.float32)
        if name == "Q5_K":
            q += 16 * lanes(b[:, 16:48])
    else:
        q = nibbles(b[:, :128], 64) + 16.0 * pairs(b[:, 128:192]) - 32
        d = np.repeat(half(b, 208) * b[:, 192:208].view(np.int8), 16, axis=1)
    if name in ("Q4_0", "Q5_0"):
        q -= 8 if name == "Q4_0" else 16
    if name in ("Q4_1", "Q5_1"):
        m = -half(b, 2)
    return d, m, q


def save(path, weight):
    """y = x W, x of any number of rows."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")], "gguf",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weight.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)  # fmt: skip


@unittest.skipIf(onnx is None, "the Python package onnx is not installed")
class GGUF(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.tool("nibble-compile")
        cls.folder = support.WORK / "gguf"
        cls.folder.mkdir(parents=True, exist_ok=True)
        cls.weights, cls.importance, cls.blocks = read_golden()
        cls.model = cls.folder / "fc.onnx"
        save(cls.model, np.ascontiguousarray(cls.weights.T))

    def compile(self, scheme, *options, model=None):
        """The weight that the compiled model computes with, and its report."""
        out, report = self.folder / f"{scheme}.so", self.folder / f"{scheme}.json"
        result = support.run_tool("nibble-compile", model or self.model, f"--quantize={scheme}",
                                  f"--report={report}", "-o", out, *options)  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        cols = self.weights.shape[1]
        got = Model(out).run({"x": np.eye(cols, dtype=np.float32)})["y"].T
        return got, json.loads(report.read_text())["layers"][0]

    def test_weights_are_those_of_ggml(self):
        for name in BLOCKS:
            with self.subTest(name):
                got, layer = self.compile(name)
                d, m, q = decode(name, self.blocks[name][0])
                shape = self.weights.shape
                want = (d * q - m).reshape(shape)
                size = (np.abs(d * q) + np.abs(m)).reshape(shape)
                np.testing.assert_array_less(np.abs(got - want), 3e-7 * size + 1e-37)
                self.assertEqual(layer["scheme"], name)

    def test_true_bits_of_a_weight(self):
        """Ours have sub-scales of a byte, and rows of whole bytes."""
        for name, bits in [("Q4_0", 4.5), ("Q5_1", 6), ("Q8_0", 8.5), ("Q2_K", 3.125),
                           ("Q4_K", 4.625), ("Q6_K", 6.5625)]:  # fmt: skip
            _, layer = self.compile(name)
            self.assertAlmostEqual(8 * layer["bytes"] / self.weights.size, bits, places=3)

    def test_importance_of_calibration(self):
        rng = np.random.default_rng(3)
        weight = rng.standard_normal((512, 24)).astype(np.float32)
        spread = np.exp(1.5 * rng.standard_normal(512))
        data = (rng.standard_normal((200, 512)) * spread).astype(np.float32)
        model, samples = self.folder / "normal.onnx", self.folder / "samples.npz"
        statistics = self.folder / "statistics.yaml"
        save(model, weight)
        np.savez(samples, x=data)
        result = support.run_tool("nibble-calibrate", model, f"--data={samples}", "--layers-only",
                                  "--batch=0", "-o", statistics)  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("Q4_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q6_K"):
            with self.subTest(name):
                error = {}
                for method in ("rtn", "imatrix"):
                    options = [f"--method={method}"]
                    if method == "imatrix":
                        options.append(f"--calibration={statistics}")
                    got, _ = self.compile(name, *options, model=model)
                    error[method] = np.square(data @ (got.T - weight)).sum()
                self.assertLess(error["imatrix"], 0.9 * error["rtn"])

    def test_importance_needs_calibration(self):
        result = support.run_tool("nibble-compile", self.model, "--quantize=Q4_K",
                                  "--method=imatrix", "-o", self.folder / "none.so")  # fmt: skip
        self.assertEqual(result.returncode, 1)
        self.assertIn('layer "fc": method \'imatrix\' needs', result.stderr)

    def test_half_quadratic(self):
        weight = np.random.default_rng(5).standard_normal((512, 24)).astype(np.float32)
        model = self.folder / "hqq.onnx"
        save(model, weight)
        error = {}
        for method in ("rtn", "hqq"):
            options = [f"--method={method}", "--group-size=64", "--asymmetric"]
            got, layer = self.compile("W3A16", *options, model=model)
            error[method] = np.abs(got.T - weight).mean()
            self.assertEqual(layer["method"], method)
        self.assertLess(error["hqq"], 0.98 * error["rtn"])


if __name__ == "__main__":
    unittest.main()
