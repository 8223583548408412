# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models that others trained: what they must reproduce, in float and quantized."""

import unittest

import numpy as np
import support as s


class Mnist(unittest.TestCase):
    # The model's file fixes the batch at one image.
    def right(self, scheme: str) -> float:
        images, labels = s.mnist_test()
        model = s.load(s.shared("mnist/mnist.onnx"), s.SCHEMES[scheme])
        return s.accuracy(s.classify(model, images, 1), labels)

    def test_float(self):
        self.assertEqual(self.right("float"), 0.987)

    def test_float_logits(self):
        data = np.load(s.shared("mnist/derived/opencv46_io.npz"))
        model = s.load(s.shared("mnist/mnist.onnx"))
        got = s.classify(model, data["input"].astype(np.float32), 1)
        # Logits reach several thousand.
        np.testing.assert_allclose(got, data["output"], rtol=1e-5, atol=1e-2)

    def test_w8a16(self):
        self.assertGreaterEqual(self.right("W8A16"), 0.985)

    def test_w4a16(self):
        self.assertGreaterEqual(self.right("W4A16 g32"), 0.97)


class ResNet(unittest.TestCase):
    def logits(self, name: str, scheme: str) -> np.ndarray:
        model = s.shared(f"cifar10-resnet/derived/{name}_cifar10.onnx")
        return s.classify(s.load(model, s.SCHEMES[scheme]), s.cifar_test()[0], 1)

    def check_float(self, name: str, accuracy: float):
        got = self.logits(name, "float")
        want = np.load(s.shared(f"cifar10-resnet/derived/{name}_opencv46_logits.npz"))["logits"]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)
        self.assertAlmostEqual(s.accuracy(got, s.cifar_test()[1]), accuracy, delta=0.0005)

    def check_quantized(self, name: str, scheme: str, least: float):
        got = s.accuracy(self.logits(name, scheme), s.cifar_test()[1])
        self.assertGreaterEqual(got, least)

    def test_resnet20_float(self):
        self.check_float("resnet20", 0.943)

    def test_resnet56_float(self):
        self.check_float("resnet56", 0.954)

    def test_resnet20_w8a16(self):
        self.check_quantized("resnet20", "W8A16", 0.94)

    def test_resnet56_w8a16(self):
        self.check_quantized("resnet56", "W8A16", 0.95)

    def test_resnet20_w4a16(self):
        self.check_quantized("resnet20", "W4A16 g32", 0.935)

    def test_resnet56_w4a16(self):
        self.check_quantized("resnet56", "W4A16 g32", 0.94)


class Stories260K(unittest.TestCase):
    def test_float_greedy_text(self):
        path, tokenizer, text = s.stories260k()
        tokens = list(s.nibble.generate(s.load(path), [1], 256))
        self.assertEqual(tokenizer.decode([1, *tokens]), text)

    def test_float_logits(self):
        path, tokenizer, text = s.stories260k()
        tokens = np.asarray([tokenizer.encode(text)])
        got, want = (
            s.nibble.step(model, tokens, s.nibble.empty_cache(model))[0]
            for model in (s.load(path), s.Reference(path))
        )
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)

    def losses(self, scheme: str) -> tuple[float, float]:
        """Nats per token of the compiled model and of the float one in ONNX Runtime."""
        path, tokenizer, _ = s.stories260k()
        texts = s.tinystories(40)
        models = s.load(path, s.SCHEMES[scheme]), s.Reference(path)
        return tuple(s.text_loss(model, tokenizer, texts) for model in models)

    def test_float_loss(self):
        got, want = self.losses("float")
        self.assertAlmostEqual(got, want, delta=1e-4)

    def test_w8a16(self):
        got, want = self.losses("W8A16")
        self.assertLess(got, want + 0.01)

    def test_w4a16(self):
        got, want = self.losses("W4A16 g32")
        self.assertLess(got, want + 0.15)


class GptNanoSort(unittest.TestCase):
    def logits(self, load, *options) -> tuple[np.ndarray, np.ndarray]:
        path, tokens, want = s.gpt_nano_sort()
        model = load(path, *options)
        return s.nibble.step(model, tokens, s.nibble.empty_cache(model, len(tokens)))[0], want

    def test_export(self):
        got, want = self.logits(s.Reference)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)

    def test_float_logits(self):
        got, want = self.logits(s.load)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)

    def test_w8a16(self):
        got, want = self.logits(s.load, s.SCHEMES["W8A16"])
        np.testing.assert_array_equal(got.argmax(-1), want.argmax(-1))


if __name__ == "__main__":
    unittest.main()
