# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trained models that ONNX Runtime quantized, run by both."""

import unittest

import numpy as np
import support as s

# isort: split
import shared_inputs as si


class QuantizedModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = s.quantization_tests("quantized-models")

    def outputs(
        self, model: str, samples: np.ndarray, calibration: np.ndarray, operator=False, **options
    ):
        """What ONNX Runtime and Nibble compute with the model in 8 bits."""
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        source = s.shared(model)
        path = self.folder / f"{source.stem}-{'operator' if operator else 'qdq'}.onnx"
        name = next(iter(s.Reference(source).input_shapes))
        reader = s.CalibrationReader({name: sample[None]} for sample in calibration)
        quantize_static(
            source, path, reader, activation_type=QuantType.QUInt8,
            quant_format=QuantFormat.QOperator if operator else QuantFormat.QDQ,
            weight_type=QuantType.QInt8, **options,
        )  # fmt: skip
        want = s.classify(s.Reference(path), samples, 1)
        return want, s.classify(s.load(path), samples, 1), path

    def check_integers(self, path):
        """All convolutions and products are in integers, and no float lies between them."""
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=nibble")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        text = out.read_text()
        self.assertNotRegex(text, r"nibble\.(matmul|conv) |linalg\.(matmul|batch_matmul|conv)")
        found = [line for line in text.splitlines() if "_integer %" in line]
        floats = [line for line in found if not line.rstrip().endswith("xi8>")]
        self.assertLessEqual(len(floats), 1, "\n".join(floats))
        return len(found)

    def check_close(self, want: np.ndarray, got: np.ndarray, share: float):
        """Rounding to the same codes but for a few: the mean error is small."""
        self.assertEqual(want.shape, got.shape)
        self.assertLessEqual(np.abs(want - got).mean(), share * np.abs(want).max())

    def test_resnet20(self):
        images, labels = s.cifar_test()
        for operator in (False, True):
            with self.subTest(operator=operator):
                want, got, path = self.outputs(
                    "cifar10-resnet/derived/resnet20_cifar10.onnx", images, images[:32], operator,
                    per_channel=True)  # fmt: skip
                self.check_close(want, got, 0.005)
                self.assertGreaterEqual((want.argmax(-1) == got.argmax(-1)).mean(), 0.99)
                self.assertGreaterEqual(s.accuracy(got, labels), s.accuracy(want, labels) - 0.006)
                self.assertEqual(self.check_integers(path), 20)

    def test_mnist(self):
        images, labels = s.mnist_test()
        want, got, path = self.outputs("mnist/mnist.onnx", images, images[:32])
        self.check_close(want, got, 0.005)
        self.assertGreaterEqual(s.accuracy(got, labels), 0.98)
        self.check_integers(path)

    def test_mobilenetv2(self):
        example = si.EXAMPLES["mobilenetv2"]
        images = np.concatenate([next(iter(feeds.values())) for feeds in example.inputs()])
        want, got, path = self.outputs(
            "mobilenetv2-qat/derived/mobilenetv2_qat_dequant.onnx", images, images, per_channel=True
        )
        self.check_close(want, got, 0.01)
        self.check_integers(path)

    def test_lprnet(self):
        images, texts = si.plates()
        images, texts = images[:200], texts[:200]
        want, got, _ = self.outputs(
            "lprnet-ocr/derived/lprnet_sirius.onnx", images, images[:16], per_channel=True
        )
        self.check_close(want, got, 0.01)
        right = [sum(map(str.__eq__, map(si.read_plate, logits), texts)) for logits in (want, got)]
        self.assertGreaterEqual(right[1], right[0] - 2)


if __name__ == "__main__":
    unittest.main()
