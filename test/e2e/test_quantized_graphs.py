# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Graphs that ONNX Runtime's quantizer made: in integers, with its results."""

import re
import unittest

import numpy as np
import support as s

FLOAT_TENSOR = re.compile(r"tensor<(?:[0-9?]+x)+f32>")


class Net:
    """Builds a small ONNX graph with random weights."""

    def __init__(self, seed: int, **inputs):
        from onnx import TensorProto, helper

        self.rng = np.random.default_rng(seed)
        self.nodes, self.stored, self.count = [], [], 0
        self.shapes = inputs
        self.inputs = [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in inputs.items()
        ]

    def constant(self, array) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant((self.rng.normal(size=shape) / np.sqrt(fan)).astype(np.float32))

    def __call__(self, op, *inputs, outputs=1, **attributes):
        from onnx import helper

        self.count += 1
        names = [f"v{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, list(inputs), names, f"{op}_{self.count}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def save(self, path, *outputs, opset=17):
        import onnx
        from onnx import TensorProto, helper

        values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, values, self.stored)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
        )
        onnx.save(onnx.shape_inference.infer_shapes(model), path)

    def samples(self, count):
        rng = np.random.default_rng(3)
        return [
            {n: rng.normal(size=d).astype(np.float32) for n, d in self.shapes.items()}
            for _ in range(count)
        ]


def convolutions(path):
    net = Net(1, x=[1, 3, 19, 17])
    y = net(
        "Relu",
        net("Conv", "x", net.weight(9, 3, 3, 3), net.weight(9), pads=[1, 1, 1, 1], strides=[2, 1]),
    )
    low, high = net.constant(np.float32(0)), net.constant(np.float32(6))
    z = net(
        "Clip",
        net("Conv", y, net.weight(9, 1, 3, 3), net.weight(9), pads=[1, 1, 1, 1], group=9),
        low,
        high,
    )
    y = net("Add", y, net("Conv", z, net.weight(9, 9, 1, 1)))
    y = net("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    z = net(
        "Sigmoid",
        net("Conv", y, net.weight(7, 9, 2, 3), net.weight(7), pads=[0, 1, 1, 1], dilations=[1, 1]),
    )
    y = net("Concat", y, z, axis=1)
    y = net("Flatten", net("GlobalAveragePool", y))
    net.save(path, net("Gemm", y, net.weight(10, 16), net.weight(10), transB=1))
    return net


def activations(path):
    net = Net(2, x=[1, 8, 9, 11])
    y = net("HardSwish", net("Conv", "x", net.weight(12, 8, 3, 3), net.weight(12)))
    gate = net(
        "Sigmoid",
        net("Conv", net("GlobalAveragePool", y), net.weight(12, 12, 1, 1), net.weight(12)),
    )
    y = net("LeakyRelu", net("Mul", y, gate), alpha=0.1)
    y = net("AveragePool", y, kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 1, 1])
    y = net("Tanh", net("Conv", y, net.weight(5, 12, 1, 1), net.weight(5)))
    net.save(path, y)
    return net


def movements(path):
    net = Net(3, x=[1, 6, 8, 10])
    y = net("Relu", net("Conv", "x", net.weight(8, 6, 3, 3), net.weight(8), pads=[1, 1, 1, 1]))
    roi = ""
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    y = net("Resize", y, roi, scales, mode="nearest", coordinate_transformation_mode="asymmetric",
            nearest_mode="floor")  # fmt: skip
    a, b = net("Split", y, net.constant(np.array([3, 5], np.int64)), outputs=2, axis=1)
    b = net("Slice", b, net.constant(np.array([0], np.int64)), net.constant(np.array([3], np.int64)),
            net.constant(np.array([1], np.int64)))  # fmt: skip
    y = net("Transpose", net("Add", a, b), perm=[0, 2, 3, 1])
    y = net("Reshape", y, net.constant(np.array([1, -1, 24], np.int64)))
    net.save(path, net("MatMul", y, net.weight(24, 7)))
    return net


def layers(path, opset=17):
    net = Net(4, x=[5, 37])
    y = net("Add", net("MatMul", "x", net.weight(37, 33)), net.weight(33))
    y = net("Mul", y, net("Sigmoid", y))
    y = net("Gemm", y, net.weight(33, 20), net.weight(20))
    y = net("Softmax", y, axis=-1)
    net.save(path, net("MatMul", y, net.weight(20, 6)), opset=opset)
    return net


NETS = {
    "convolutions": convolutions,
    "activations": activations,
    "movements": movements,
    "layers": layers,
}


class QuantizedGraphs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = s.quantization_tests("quantized-graphs")
        cls.nets = {name: build(cls.folder / f"{name}.onnx") for name, build in NETS.items()}

    def quantize(self, net: str, label: str, **options):
        """The net quantized with static ranges."""
        from onnxruntime.quantization import quantize_static

        path = self.folder / f"{net}-{label}.onnx"
        source = self.folder / f"{net}.onnx"
        quantize_static(source, path, s.CalibrationReader(self.nets[net].samples(8)), **options)
        return path

    def step_of(self, path) -> float:
        """The scale of the last quantization before the output, else a thousandth."""
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(path).graph
        stored = {t.name: t for t in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        name = graph.output[0].name
        while name in makers and makers[name].op_type not in (
            "DequantizeLinear",
            "DynamicQuantizeLinear",
        ):
            name = makers[name].input[0]
        scale = (
            stored.get(makers[name].input[1])
            if name in makers and len(makers[name].input) > 1
            else None
        )
        return float(numpy_helper.to_array(scale).max()) if scale is not None else 1e-3

    def compare(self, net: str, path, steps: float):
        """Largest difference between both in units of the output's scale."""
        reference, model = s.Reference(path), s.load(path)
        worst = 0.0
        for feeds in self.nets[net].samples(4):
            want, got = reference.run(feeds), model.run(feeds)
            for name, value in want.items():
                self.assertEqual(value.shape, got[name].shape)
                unit = self.step_of(path)
                worst = max(worst, float(np.abs(value - got[name]).max()) / unit)
        self.assertLessEqual(worst, steps, f"{path.name} differs by {worst} steps")

    def check_integers(self, path, products: int):
        """No product is left in floats, none has a float result that is quantized later."""
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=nibble")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        text = out.read_text()
        found = [
            line for line in text.splitlines() if re.search(r"nibble\.(matmul|conv)_integer", line)
        ]
        self.assertEqual(len(found), products, text)
        self.assertNotRegex(text, r"nibble\.(matmul|conv) |linalg\.(matmul|batch_matmul|conv)")
        return found

    def formats(self):
        from onnxruntime.quantization import QuantFormat, QuantType

        qdq, operator = QuantFormat.QDQ, QuantFormat.QOperator
        u8, s8 = QuantType.QUInt8, QuantType.QInt8
        yield "u8u8", {"quant_format": qdq, "activation_type": u8, "weight_type": u8}
        yield "u8s8", {"quant_format": qdq, "activation_type": u8, "weight_type": s8}
        yield "s8s8", {"quant_format": qdq, "activation_type": s8, "weight_type": s8}
        yield (
            "channel",
            {"quant_format": qdq, "activation_type": s8, "weight_type": s8, "per_channel": True},
        )
        yield "symmetric", {
            "quant_format": qdq, "activation_type": s8, "weight_type": s8,
            "extra_options": {"ActivationSymmetric": True},
        }  # fmt: skip
        yield (
            "reduced",
            {
                "quant_format": qdq,
                "activation_type": u8,
                "weight_type": s8,
                "per_channel": True,
                "reduce_range": True,
            },
        )
        yield "operator-u8u8", {"quant_format": operator, "activation_type": u8, "weight_type": u8}
        yield (
            "operator-u8s8",
            {
                "quant_format": operator,
                "activation_type": u8,
                "weight_type": s8,
                "per_channel": True,
            },
        )
        yield "operator-s8s8", {"quant_format": operator, "activation_type": s8, "weight_type": s8}

    def check_net(self, net: str, products: int):
        for label, options in self.formats():
            with self.subTest(format=label):
                path = self.quantize(net, label, **options)
                # A step in an inner operator may become two in the last.
                self.compare(net, path, steps=2.01)
                found = self.check_integers(path, products)
                for line in found[:-1]:
                    self.assertRegex(line, r"-> tensor<[^>]*xi8>", "a product gives floats")

    def test_convolutions(self):
        self.check_net("convolutions", 5)

    def test_activations(self):
        self.check_net("activations", 3)

    def test_movements(self):
        self.check_net("movements", 2)

    def test_layers(self):
        self.check_net("layers", 3)

    def test_dynamic(self):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        for net, products in [("layers", 3), ("convolutions", 5)]:
            for kind in (QuantType.QUInt8, QuantType.QInt8):
                if kind == QuantType.QInt8 and net == "convolutions":
                    continue  # ONNX Runtime has no kernel for such a ConvInteger
                with self.subTest(net=net, weights=kind):
                    path = self.folder / f"{net}-dynamic-{kind}.onnx"
                    quantize_dynamic(self.folder / f"{net}.onnx", path, weight_type=kind)
                    self.compare(net, path, steps=1)
                    for line in self.check_integers(path, products):
                        self.assertRegex(line, r"-> tensor<[^>]*xf32>")

    def check_packed(self, label: str, quantizer, bits: int, tolerance: float):
        """Weights alone have few bits; they are never dequantized."""
        import onnx

        net = NETS["layers"](self.folder / "packed.onnx", opset=21)
        source = onnx.load(self.folder / "packed.onnx")
        with self.subTest(label):
            made = quantizer(source)
            made.process()
            path = self.folder / f"packed-{label}.onnx"
            made.model.save_model_to_file(str(path))
            want, got = s.Reference(path), s.load(path)
            for feeds in net.samples(3):
                for name, value in want.run(feeds).items():
                    np.testing.assert_allclose(got.run(feeds)[name], value, rtol=0, atol=tolerance)
            out = path.with_suffix(".mlir")
            ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=quantized")
            self.assertEqual(ran.returncode, 0, ran.stderr)
            text = out.read_text()
            # The two MatMul; a Gemm stays what it is.
            self.assertEqual(text.count(f"scheme = #nibble.scheme<int{bits}, group = 16"), 2, text)
            self.assertNotIn("nibble.dequantize", text)

    def test_packed_weights(self):
        from onnxruntime.quantization import QuantFormat

        try:
            from onnxruntime.quantization import matmul_nbits_quantizer as nbits
        except ImportError as error:
            raise s.Missing(f"matmul_nbits_quantizer: {error}") from None

        for form in (QuantFormat.QOperator, QuantFormat.QDQ):
            for symmetric in (True, False):
                # The quantizer leaves 8 bits in QDQ form in floats.
                for bits in (4, 8) if form == QuantFormat.QOperator else (4,):
                    label = f"{form.name}-{bits}-{'symmetric' if symmetric else 'asymmetric'}"

                    def make(model, form=form, symmetric=symmetric, bits=bits):
                        config = nbits.DefaultWeightOnlyQuantConfig(
                            block_size=16, is_symmetric=symmetric, quant_format=form, bits=bits
                        )
                        return nbits.MatMulNBitsQuantizer(model, algo_config=config)

                    # ONNX Runtime rounds the activations of its fused QDQ form to 8 bits.
                    exact = form == QuantFormat.QOperator
                    self.check_packed(label, make, bits, 1e-4 if exact else 1e-2)

    def test_16_bits(self):
        from onnxruntime.quantization import QuantFormat, QuantType

        path = self.quantize("layers", "16", quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt16,
                             weight_type=QuantType.QInt8, extra_options={"UseQDQContribOps": True})  # fmt: skip
        self.compare("layers", path, steps=2)


if __name__ == "__main__":
    unittest.main()
