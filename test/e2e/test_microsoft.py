# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators of com.microsoft, one at a time, beside ONNX Runtime."""

import unittest

import numpy as np
import support as s


class Case(unittest.TestCase):
    """Builds a model of one node and compares what both make of random inputs."""

    @classmethod
    def setUpClass(cls):
        s.onnxruntime()
        s.tool("nibble-compile")
        (s.WORK / "microsoft").mkdir(parents=True, exist_ok=True)

    def setUp(self):
        self.rng = np.random.default_rng(len(self.id()))

    def codes(self, *shape, dtype=np.uint8):
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max + 1, shape).astype(dtype)

    def floats(self, *shape):
        return self.rng.normal(size=shape).astype(np.float32)

    def check(self, op, inputs, results=None, rtol=1e-4, version=21, label="",
              domain="com.microsoft", dynamic=(), **attributes):  # fmt: skip
        """`inputs`: (array, is it constant) in order, None where absent.

        Sizes in `dynamic` are not said to the compiler.
        """
        path, feeds = self.save(op, inputs, results, version, label, domain, dynamic, attributes)
        self.compare(s.Reference(path), s.load(path), feeds, rtol)

    def save(self, op, inputs, results, version, label, domain, dynamic, attributes):
        """The path of the model, and what `inputs` feeds to it."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        names, given, feeds, stored = [], [], {}, []
        for index, entry in enumerate(inputs):
            if entry is None:
                names.append("")
                continue
            array, constant = entry
            array = np.asarray(array)
            names.append(f"x{index}")
            if constant:
                stored.append(numpy_helper.from_array(array, names[-1]))
            else:
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                sizes = [f"n{size}" if size in dynamic else size for size in array.shape]
                given.append(helper.make_tensor_value_info(names[-1], kind, sizes))
                feeds[names[-1]] = array
        results = results or ["y"]
        node = helper.make_node(
            op, names, results, domain=domain, name="node", **attributes
        )
        graph = helper.make_graph(
            [node], "g", given,
            [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in results if name],
            stored,
        )  # fmt: skip
        for value in graph.output:
            value.ClearField("type")
        opsets = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        path = s.WORK / "microsoft" / f"{self.id().split('.')[-1]}{label}.onnx"
        onnx.save(model, path)
        return path, feeds

    def compare(self, reference, model, feeds, rtol=1e-4, defined=lambda name, array: array):
        """`defined(name, array)` is the part of a result that means something."""
        expected, actual = reference.run(feeds), model.run(feeds)
        for name, want in expected.items():
            got = actual[name]
            self.assertEqual(want.shape, got.shape, name)
            self.assertEqual(want.dtype, got.dtype, name)
            want, got = defined(name, want), defined(name, got)
            if want.dtype in (np.uint8, np.int8):
                step = np.abs(want.astype(int) - got.astype(int)).max()
                self.assertLessEqual(step, 1, name)
            else:
                np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def scale(value):
    return np.float32(value), True


def zero(value, dtype):
    return dtype(value), True


class Bytes(Case):
    def each(self):
        for dtype, x0, y0 in [(np.uint8, 120, 3), (np.int8, -5, 7), (np.uint8, 0, 255)]:
            yield dtype, zero(x0, dtype), zero(y0 - (128 if dtype == np.int8 else 0), dtype)

    def unary(self, op, *shape, xs=0.03, ys=0.01, **attributes):
        for index, (dtype, xz, yz) in enumerate(self.each()):
            x = self.codes(*shape, dtype=dtype), False
            self.check(op, [x, scale(xs), xz, scale(ys), yz], label=str(index), **attributes)

    def test_sigmoid(self):
        self.unary("QLinearSigmoid", 3, 37, ys=1 / 256)

    def test_leaky_relu(self):
        self.unary("QLinearLeakyRelu", 5, 7, 11, ys=0.02, alpha=0.1)

    def test_softmax(self):
        self.unary("QLinearSoftmax", 4, 33, ys=1 / 256, opset=13)

    def test_softmax_of_matrix(self):
        self.unary("QLinearSoftmax", 2, 3, 17, ys=1 / 256, opset=11, axis=1)

    def test_average_pool(self):
        self.unary("QLinearAveragePool", 1, 3, 9, 11, ys=0.02, kernel_shape=[3, 2], strides=[2, 1],
                   pads=[1, 0, 1, 1])  # fmt: skip

    def test_average_pool_counting_pads(self):
        self.unary("QLinearAveragePool", 1, 3, 9, 11, ys=0.02, kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                   count_include_pad=1)  # fmt: skip

    def test_global_average_pool(self):
        self.unary("QLinearGlobalAveragePool", 2, 19, 7, 5, ys=0.02)

    def test_global_average_pool_channels_last(self):
        self.unary("QLinearGlobalAveragePool", 2, 7, 5, 19, ys=0.02, channels_last=1)

    def binary(self, op, shape_a, shape_b, ys):
        for index, (dtype, xz, yz) in enumerate(self.each()):
            a = self.codes(*shape_a, dtype=dtype), False
            b = self.codes(*shape_b, dtype=dtype), False
            self.check(
                op, [a, scale(0.03), xz, b, scale(0.05), yz, scale(ys), xz], label=str(index)
            )

    def test_add(self):
        self.binary("QLinearAdd", (2, 3, 35), (2, 3, 35), 0.06)

    def test_add_broadcasts(self):
        self.binary("QLinearAdd", (2, 3, 5), (5,), 0.06)

    def test_mul(self):
        self.binary("QLinearMul", (2, 35), (2, 35), 0.2)

    def test_concat(self):
        for index, (dtype, xz, yz) in enumerate(self.each()):
            a = self.codes(2, 3, 5, dtype=dtype), False
            b = self.codes(2, 4, 5, dtype=dtype), False
            self.check("QLinearConcat", [scale(0.05), yz, a, scale(0.03), xz, b, scale(0.04), yz],
                       label=str(index), axis=1)  # fmt: skip

    def test_where(self):
        a, b = (self.codes(3, 17), False), (self.codes(3, 17), False)
        choice = self.rng.random((3, 17)) < 0.5, False
        u8 = np.uint8
        self.check("QLinearWhere", [choice, a, scale(0.03), zero(5, u8), b, scale(0.04), zero(9, u8),
                                    scale(0.04), zero(20, u8)])  # fmt: skip

    def test_quantize_16(self):
        x = self.floats(3, 9) * 40, False
        self.check("QuantizeLinear", [x, scale(0.01), zero(30000, np.uint16)])
        q = self.codes(3, 9, dtype=np.int16), False
        self.check("DequantizeLinear", [q, scale(0.01), zero(-7, np.int16)], label="back")


class Products(Case):
    def test_conv_channels_last(self):
        x = self.codes(1, 7, 9, 3), False
        w = self.codes(5, 3, 3, 3, dtype=np.int8), True
        scales = np.full(5, 0.02, np.float32), True
        self.check("QLinearConv", [x, scale(0.03), zero(128, np.uint8), w, scales,
                                   (np.zeros(5, np.int8), True), scale(0.5), zero(100, np.uint8),
                                   (self.rng.integers(-999, 999, 5).astype(np.int32), True)],
                   channels_last=1, pads=[1, 1, 1, 1])  # fmt: skip

    def gemm(self, label, result, dtype=np.uint8, per_column=True, **attributes):
        n, k = 7, 19
        a = self.codes(5, k, dtype=dtype), False
        b = self.codes(*((n, k) if attributes.get("transB") else (k, n)), dtype=np.int8), True
        count = n if per_column else None
        scales = np.float32(self.rng.random(count) * 0.1), True
        zeros = np.zeros(count or (), np.int8), True
        c = self.rng.integers(-5000, 5000, n).astype(np.int32), True
        self.check("QGemm", [a, scale(0.03), zero(17, dtype), b, scales, zeros, c, *result],
                   label=label, **attributes)  # fmt: skip

    def test_gemm_to_bytes(self):
        self.gemm("", [scale(0.5), zero(100, np.uint8)], transB=1)
        self.gemm("signed", [scale(0.5), zero(10, np.int8)], dtype=np.int8, per_column=False)

    def test_gemm_to_floats(self):
        self.gemm("", [], transB=1)
        self.gemm("scaled", [], per_column=False, alpha=1.5)

    def test_matmul_to_float(self):
        a = self.codes(2, 3, 21), False
        for label, b, zeros in [("", np.int8, None), ("z", np.uint8, (self.codes(6), True))]:
            b = self.codes(21, 6, dtype=b), True
            scales = (self.rng.random(6) * 0.1).astype(np.float32), True
            bias = self.floats(6), True
            self.check("MatMulIntegerToFloat", [a, b, scale(0.02), scales, zero(90, np.uint8), zeros, bias],
                       label=label)  # fmt: skip

    def test_dynamic_quantize_matmul(self):
        a = self.floats(2, 3, 21), False
        b = self.codes(21, 6, dtype=np.int8), True
        scales = (self.rng.random(6) * 0.1).astype(np.float32), True
        self.check("DynamicQuantizeMatMul", [a, b, scales, None, (self.floats(6), True)])

    def test_matmul_16(self):
        a = (self.codes(3, 5, dtype=np.int16) // 64, False)
        b = (self.codes(5, 4, dtype=np.int16) // 64, False)
        self.check("MatMulInteger16", [a, b])


class PackedWeights(Case):
    """Weights of 2, 4 and 8 bits, never as floats."""

    def matmul(self, label, bits, n, k, block, rows=(3,), zeros=None, order=None, bias=False):
        blocks = -(-k // block)
        b = self.codes(n, blocks, block * bits // 8), True
        scales = (self.rng.random((n, blocks)) * 0.1 + 0.01).astype(np.float32)
        if zeros == "packed":
            zeros = self.codes(n, -(-blocks * bits // 8)), True
        elif zeros == "float":
            zeros = (self.rng.random((n, blocks)) * (1 << bits)).astype(np.float32), True
        index = None
        if order == "shuffled":
            index = self.rng.permutation(np.arange(blocks * block) // block).astype(np.int32), True
        x = self.floats(*rows, k), False
        inputs = [x, b, (scales, True), zeros, index, (self.floats(n), True) if bias else None]
        while inputs[-1] is None:
            inputs.pop()
        self.check(
            "MatMulNBits", inputs, label=label, rtol=1e-4, K=k, N=n, bits=bits, block_size=block
        )

    def test_4_bits(self):
        self.matmul("a", 4, 40, 96, 32)
        self.matmul("b", 4, 7, 100, 16, rows=(1,), zeros="packed")
        self.matmul("c", 4, 33, 129, 64, rows=(2, 9), zeros="packed", bias=True)
        self.matmul("d", 4, 12, 64, 256, zeros="float")
        self.matmul("e", 4, 64, 256, 128, rows=(2, 20), zeros="float")

    def test_2_bits(self):
        self.matmul("a", 2, 40, 96, 32)
        self.matmul("b", 2, 7, 100, 16, rows=(1,), zeros="packed")

    def test_8_bits(self):
        self.matmul("a", 8, 40, 96, 32)
        self.matmul("b", 8, 7, 100, 16, rows=(1,), zeros="packed", bias=True)

    def test_order_of_activation(self):
        self.matmul("a", 4, 40, 96, 32, order="shuffled")
        self.matmul("b", 4, 9, 100, 32, order="shuffled")
        self.matmul("c", 4, 9, 100, 32, order="shuffled", zeros="float", rows=(20,))

    def test_float_never_appears(self):
        self.matmul("", 4, 40, 96, 32)
        path = s.WORK / "microsoft/test_float_never_appears.onnx"
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=quantized")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        text = out.read_text()
        self.assertIn(
            "scheme = #nibble.scheme<int4, group = 32, scale = f32, packing = rows>", text
        )
        self.assertNotIn("nibble.dequantize", text)
        self.assertNotIn("tensor<40x96xf32>", text)

    def gather(self, label, data, scales, zeros=None, **attributes):
        """Rows 1 to 3, some twice, of a table of at least four."""
        rows = np.array([[0, 3], [3, 1]], np.int64), False
        zeros = None if zeros is None else (zeros, True)
        self.check("GatherBlockQuantized", [(data, True), rows, (scales, True), zeros],
                   label=label, dynamic={2}, **attributes)  # fmt: skip

    def test_gather(self):
        for bits in (2, 4, 8):
            width = 48 * bits // 8
            scales = (self.rng.random((8, 3)) * 0.1).astype(np.float32)
            zeros = self.codes(8, -(-3 * bits // 8))
            for label, points in [("a", None), ("z", zeros)]:
                self.gather(f"{label}{bits}", self.codes(8, width), scales, points, bits=bits,
                            block_size=16, quantize_axis=1)  # fmt: skip
        # A last block that is not whole, axes from the end, a table of three dimensions.
        scales = (self.rng.random((8, 2)) * 0.1).astype(np.float32)
        self.gather("ragged", self.codes(8, 20), scales, block_size=32, quantize_axis=-1, bits=4)
        scales = (self.rng.random((4, 3, 2)) * 0.1).astype(np.float32)
        self.gather("deep", self.codes(4, 3, 16), scales, self.codes(4, 3, 1), block_size=16,
                    quantize_axis=2, bits=4)  # fmt: skip

    def test_gather_typed(self):
        import ml_dtypes

        for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
            codes = self.rng.integers(*((-8, 8) if dtype == ml_dtypes.int4 else (0, 16)), (6, 32))
            scales = (self.rng.random((6, 2)) * 0.1).astype(np.float32)
            zeros = codes[:, :2].astype(dtype)
            # The columns of a table are dequantized first.
            for axis, points in [(0, None), (0, zeros), (1, None)]:
                self.gather(f"{dtype.__name__}{axis}{points is None}", codes.astype(dtype), scales,
                            points, block_size=16, quantize_axis=1, gather_axis=axis)  # fmt: skip

    def test_gather_stays_packed(self):
        scales = (self.rng.random((8, 3)) * 0.1).astype(np.float32)
        self.gather("", self.codes(8, 24), scales, bits=4, block_size=16, quantize_axis=1)
        path = s.WORK / "microsoft/test_gather_stays_packed.onnx"
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=quantized")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("nibble.gather", out.read_text())
        self.assertNotIn("tensor<8x48xf32>", out.read_text())


class Floats(Case):
    def test_fused_conv(self):
        x, w = (self.floats(1, 3, 8, 9), False), (self.floats(4, 3, 3, 3), True)
        bias, other = (self.floats(4), True), (self.floats(1, 4, 6, 7), False)
        self.check("FusedConv", [x, w, bias, other], activation="Relu")
        self.check(
            "FusedConv",
            [x, w, bias],
            label="leaky",
            activation="LeakyRelu",
            activation_params=[0.2],
        )
        self.check(
            "FusedConv", [x, w], label="clip", activation="Clip", activation_params=[-0.5, 1.5]
        )

    def test_fused_matmul(self):
        a, b = (self.floats(2, 3, 5, 4), False), (self.floats(2, 3, 6, 5), False)
        self.check("FusedMatMul", [a, b], transA=1, transB=1, alpha=0.3)
        self.check("FusedMatMul", [(self.floats(5, 2, 4), False), (self.floats(2, 4, 3), False)],
                   label="batch", transBatchA=1)  # fmt: skip

    def test_fused_gemm(self):
        a, b, c = (self.floats(3, 5), False), (self.floats(6, 5), True), (self.floats(6), True)
        self.check("FusedGemm", [a, b, c], activation="HardSigmoid", transB=1, activation_alpha=0.3,
                   activation_beta=0.4)  # fmt: skip

    def test_gelu(self):
        x, bias = (self.floats(3, 17) * 3, False), (self.floats(17), True)
        self.check("Gelu", [x])
        self.check("BiasGelu", [x, bias], label="bias")
        self.check("FastGelu", [x, bias], label="fast")
        self.check("FastGelu", [x], label="fast1")
        self.check("QuickGelu", [x], label="quick")

    def test_skip_norm(self):
        x, skip = (self.floats(2, 3, 16), False), (self.floats(2, 3, 16), False)
        gamma, beta, bias = ((self.floats(16), True) for _ in range(3))
        self.check("SkipLayerNormalization", [x, skip, gamma, beta, bias], epsilon=1e-5)
        self.check(
            "SkipLayerNormalization", [x, skip, gamma], results=["y", "", "", "sum"], label="sum"
        )
        self.check("SkipSimplifiedLayerNormalization", [x, skip, gamma, bias],
                   results=["y", "", "", "sum"], label="rms", epsilon=1e-5)  # fmt: skip


if __name__ == "__main__":
    unittest.main()
