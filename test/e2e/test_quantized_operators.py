# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random single operators between quantized tensors, beside ONNX Runtime."""

import unittest

import numpy as np
import support as s

BYTES = (np.uint8, np.int8)


class Graph:
    """A graph of one operator, its inputs dequantized, its output quantized."""

    def __init__(self, rng):
        self.rng = rng
        self.nodes, self.stored, self.inputs, self.feeds = [], [], [], {}
        self.count = 0

    def constant(self, array) -> str:
        from onnx import numpy_helper

        self.count += 1
        self.stored.append(numpy_helper.from_array(np.asarray(array), f"c{self.count}"))
        return f"c{self.count}"

    def node(self, op, *inputs, **attributes) -> str:
        from onnx import helper

        self.count += 1
        self.nodes.append(
            helper.make_node(
                op, list(inputs), [f"v{self.count}"], f"{op}{self.count}", **attributes
            )
        )
        return f"v{self.count}"

    def input(self, array) -> str:
        from onnx import helper

        name = f"x{len(self.inputs)}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        self.feeds[name] = array
        return name

    def codes(self, dtype, *shape):
        info = np.iinfo(dtype)
        return self.rng.integers(info.min, info.max + 1, shape).astype(dtype)

    def byte(self, dtype):
        return np.array(self.codes(dtype, 1)[0], dtype)

    def activation(self, dtype, *shape, scale=None) -> str:
        """A dequantized input."""
        scale = np.float32(scale or self.rng.uniform(0.01, 0.1))
        name = self.input(self.codes(dtype, *shape))
        return self.node(
            "DequantizeLinear", name, self.constant(scale), self.constant(self.byte(dtype))
        )

    def weight(self, dtype, *shape, axis=None, zero=False):
        """A dequantized constant and its scales; symmetric unless `zero`."""
        count = () if axis is None else (shape[axis],)
        scale = self.rng.uniform(0.005, 0.02, count).astype(np.float32)
        middle = 128 if dtype == np.uint8 else 0
        zeros = self.codes(dtype, *count) if zero and count else np.full(count, middle, dtype)
        if zero and not count:
            zeros = self.byte(dtype)
        attributes = {} if axis is None else {"axis": axis}
        name = self.constant(self.codes(dtype, *shape))
        value = self.node(
            "DequantizeLinear", name, self.constant(scale), self.constant(zeros), **attributes
        )
        return value, scale

    def finish(self, value, dtype, scale):
        """Quantizes; the graph's output is bytes."""
        zero = self.constant(self.byte(dtype))
        return self.node("QuantizeLinear", value, self.constant(np.float32(scale)), zero)

    def save(self, path, output, opset):
        import onnx
        from onnx import TensorProto, helper

        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        value.ClearField("type")
        graph = helper.make_graph(self.nodes, "g", self.inputs, [value], self.stored)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
        )
        onnx.save(model, path)


class QuantizedOperators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s.onnxruntime()
        s.tool("nibble-compile")
        cls.folder = s.WORK / "quantized-operators"
        cls.folder.mkdir(parents=True, exist_ok=True)

    def check(self, label, build, opset=20):
        """`build(graph)` gives the output; bytes may differ by one."""
        graph = Graph(np.random.default_rng(sum(map(ord, label))))
        output = build(graph)
        path = self.folder / f"{label}.onnx"
        graph.save(path, output, opset)
        want = next(iter(s.Reference(path).run(graph.feeds).values()))
        got = next(iter(s.load(path).run(graph.feeds).values()))
        with self.subTest(label):
            self.assertEqual((want.shape, want.dtype), (got.shape, got.dtype))
            if want.dtype in BYTES:
                self.assertLessEqual(np.abs(want.astype(int) - got.astype(int)).max(), 1)
            elif want.dtype in (np.int32, np.int64):
                np.testing.assert_array_equal(got, want)
            else:
                np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())

    def conv(
        self,
        label,
        kind,
        x,
        w,
        bias=True,
        axis=0,
        zero=False,
        activation=None,
        wtype=np.int8,
        **attributes,
    ):
        def build(g):
            value = g.activation(kind, *x, scale=0.05)
            weight, scale = g.weight(wtype, *w, axis=axis, zero=zero)
            operands = [value, weight]
            if bias:
                unit = np.float32(0.05) * scale * np.ones(w[0], np.float32)
                b = g.constant(g.rng.integers(-3000, 3000, w[0]).astype(np.int32))
                zeros = g.constant(np.zeros(w[0], np.int32))
                operands.append(g.node("DequantizeLinear", b, g.constant(unit), zeros, axis=0))
            y = g.node("Conv", *operands, **attributes)
            if activation == "Clip":
                y = g.node("Clip", y, g.constant(np.float32(-1)), g.constant(np.float32(3)))
            elif activation:
                y = g.node(activation, y)
            return g.finish(y, kind, 0.2)

        self.check(label, build)

    def test_conv(self):
        u8, s8 = BYTES
        self.conv("conv-1d", u8, (2, 5, 23), (7, 5, 4), pads=[1, 2], strides=[2])
        self.conv("conv-2d", s8, (1, 3, 13, 11), (5, 3, 3, 3), pads=[1, 1, 1, 1], activation="Relu")
        self.conv("conv-1x1", u8, (3, 33, 5, 7), (35, 33, 1, 1), axis=None)
        self.conv("conv-groups", u8, (1, 6, 9, 9), (9, 2, 3, 3), group=3, activation="Clip")
        self.conv(
            "conv-depth",
            s8,
            (2, 17, 10, 8),
            (17, 1, 3, 3),
            group=17,
            pads=[1, 0, 1, 0],
            strides=[2, 1],
        )
        self.conv("conv-dilated", u8, (1, 4, 15, 15), (6, 4, 3, 3), dilations=[2, 3], bias=False)
        self.conv(
            "conv-same", u8, (1, 4, 10, 9), (6, 4, 3, 2), auto_pad="SAME_UPPER", strides=[2, 2]
        )
        self.conv(
            "conv-zeros",
            u8,
            (1, 4, 8, 8),
            (6, 4, 3, 3),
            axis=None,
            zero=True,
            wtype=u8,
            pads=[1] * 4,
        )
        self.conv("conv-3d", u8, (1, 3, 6, 7, 5), (4, 3, 2, 3, 2), axis=None)
        self.conv("conv-swish", u8, (1, 8, 9, 9), (12, 8, 3, 3), activation="HardSwish")

    def matmul(
        self, label, kind, a, b, axis=None, zero=False, both=False, wtype=np.int8, quantize=True
    ):
        def build(g):
            x = g.activation(kind, *a)
            w = g.activation(wtype, *b) if both else g.weight(wtype, *b, axis=axis, zero=zero)[0]
            y = g.node("MatMul", x, w)
            return g.finish(y, kind, 2.0) if quantize else y

        self.check(label, build)

    def test_matmul(self):
        u8, s8 = BYTES
        self.matmul("matmul", u8, (5, 37), (37, 19), axis=1)
        self.matmul("matmul-row", s8, (1, 64), (64, 70))
        self.matmul("matmul-batch", u8, (3, 4, 20), (20, 33), wtype=u8, zero=True)
        self.matmul("matmul-float", u8, (2, 5, 21), (21, 6), axis=1, quantize=False)
        self.matmul("matmul-both", u8, (2, 3, 5, 7), (2, 3, 7, 6), both=True, wtype=u8)
        self.matmul("matmul-both-signed", s8, (4, 9), (9, 5), both=True)
        self.matmul("matmul-spread", s8, (1, 3, 5, 7), (2, 3, 7, 6), both=True)

    def test_gemm(self):
        def build(transA, transB, bias):
            def inner(g):
                x = g.activation(np.uint8, *((19, 5) if transA else (5, 19)), scale=0.05)
                shape = (23, 19) if transB else (19, 23)
                w, scale = g.weight(np.int8, *shape, axis=0 if transB else 1)
                operands = [x, w]
                if bias:
                    b = g.constant(g.rng.integers(-3000, 3000, 23).astype(np.int32))
                    unit = g.constant(np.float32(0.05) * scale)
                    operands.append(g.node("DequantizeLinear", b, unit, axis=0))
                return g.finish(
                    g.node("Gemm", *operands, transA=transA, transB=transB), np.uint8, 0.2
                )

            return inner

        def trained(g):
            x = g.activation(np.uint8, 5, 19, scale=0.05)
            scale = g.constant(g.rng.uniform(0.005, 0.02, 23).astype(np.float32))
            zero = g.constant(np.zeros(23, np.int8))
            w = g.constant(g.rng.normal(size=(19, 23)).astype(np.float32))
            codes = g.node("QuantizeLinear", w, scale, zero, axis=1)
            y = g.node("MatMul", x, g.node("DequantizeLinear", codes, scale, zero, axis=1))
            return g.finish(y, np.uint8, 0.2)

        # What a tool for training writes: float weights that are rounded in the graph.
        self.check("matmul-trained", trained)
        self.check("gemm", build(0, 0, True))
        self.check("gemm-b", build(0, 1, True))
        self.check("gemm-a", build(1, 1, False))

    def test_integer_operators(self):
        def matmul(zero_a, zero_b):
            def inner(g):
                a, b = g.input(g.codes(np.uint8, 6, 21)), g.constant(g.codes(np.int8, 21, 9))
                return g.node("MatMulInteger", a, b, g.constant(zero_a), g.constant(zero_b))

            return inner

        self.check("matmul-integer", matmul(np.uint8(7), np.int8(-3)))
        self.check("matmul-integer-columns", matmul(np.uint8(7), np.arange(9, dtype=np.int8)))

        def conv(g):
            x, w = g.input(g.codes(np.uint8, 2, 3, 9, 8)), g.constant(g.codes(np.uint8, 5, 3, 3, 3))
            return g.node(
                "ConvInteger",
                x,
                w,
                g.constant(np.uint8(90)),
                g.constant(np.uint8(130)),
                pads=[1] * 4,
            )

        self.check("conv-integer", conv)

    def test_two_tensors(self):
        shapes = [((2, 3, 17), (2, 3, 17)), ((4, 1, 9), (3, 1)), ((5, 33), ())]
        for op, scale in [("Add", 0.15), ("Sub", 0.15), ("Mul", 0.5), ("Max", 0.1), ("Min", 0.1)]:
            for i, (a, b) in enumerate(shapes):
                kind = BYTES[i % 2]
                self.check(
                    f"{op}-{i}",
                    lambda g, a=a, b=b, op=op, kind=kind, scale=scale: g.finish(
                        g.node(op, g.activation(kind, *a), g.activation(kind, *b)), kind, scale
                    ),
                )

    def test_one_tensor(self):
        cases = [
            ("Sigmoid", 1 / 256, {}), ("Tanh", 1 / 128, {}), ("Relu", 0.05, {}), ("HardSwish", 0.05, {}),
            ("LeakyRelu", 0.05, {"alpha": 0.2}), ("Elu", 0.05, {}), ("Gelu", 0.05, {}), ("Exp", 1.0, {}),
            ("HardSigmoid", 1 / 256, {}), ("Softplus", 0.05, {}), ("Abs", 0.05, {}), ("Erf", 1 / 128, {}),
            ("Softmax", 1 / 256, {"axis": 1}), ("ReduceMean", 0.02, {}), ("Neg", 0.05, {}),
            ("GlobalAveragePool", 0.02, {}), ("Transpose", 0.03, {"perm": [3, 1, 0, 2]}),
            ("AveragePool", 0.04, {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}),
            ("AveragePool", 0.04, {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "count_include_pad": 1}),
            ("MaxPool", 0.05, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
            ("MaxPool", 0.05, {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
            ("ArgMax", 1, {"axis": 1}), ("DepthToSpace", 0.05, {"blocksize": 2}), ("Flatten", 0.04, {}),
        ]  # fmt: skip
        for i, (op, scale, attributes) in enumerate(cases):
            kind = BYTES[i % 2]

            def build(g, op=op, attributes=attributes, kind=kind, scale=scale):
                y = g.node(op, g.activation(kind, 2, 4, 7, 9, scale=0.03), **attributes)
                return y if op == "ArgMax" else g.finish(y, kind, scale)

            self.check(f"{op}-one-{i}", build)

    def test_movement(self):
        def pad(g):
            pads = g.constant(np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64))
            return g.finish(g.node("Pad", g.activation(np.uint8, 1, 2, 5, 6), pads), np.uint8, 0.05)

        def concat(g):
            parts = [g.activation(np.uint8, 2, n, 7) for n in (3, 1, 4)]
            return g.finish(g.node("Concat", *parts, axis=1), np.uint8, 0.08)

        def resize(g):
            sizes = g.constant(np.array([1, 1, 2, 3], np.float32))
            y = g.node("Resize", g.activation(np.int8, 1, 3, 5, 4), "", sizes, mode="nearest")
            return g.finish(y, np.int8, 0.05)

        def linear(g):
            sizes = g.constant(np.array([1, 1, 2, 2], np.float32))
            y = g.node("Resize", g.activation(np.uint8, 1, 3, 5, 4), "", sizes, mode="linear")
            return g.finish(y, np.uint8, 0.08)

        def gather(g):
            table = g.weight(np.int8, 12, 9)[0]
            rows = g.input(np.array([[3, 0], [11, 5]], np.int64))
            return g.finish(g.node("Gather", table, rows), np.int8, 0.02)

        def slices(g):
            ends = [g.constant(np.array(v, np.int64)) for v in ([1, 4], [7, 0], [1, 2], [2, -2])]
            return g.finish(g.node("Slice", g.activation(np.uint8, 2, 8, 6), *ends), np.uint8, 0.05)

        for build in (pad, concat, resize, linear, gather, slices):
            self.check(build.__name__, build)


if __name__ == "__main__":
    unittest.main()
