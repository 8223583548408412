# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models that others trained: what they must reproduce, in float and quantized."""

import unittest

import numpy as np
import support as s

# isort: split
import shared_inputs as si


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

    def test_w8a8_dynamic(self):
        self.assertGreaterEqual(self.right("W8A8-dynamic"), 0.985)


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

    def test_resnet20_w8a8_dynamic(self):
        self.check_quantized("resnet20", "W8A8-dynamic", 0.94)

    def test_resnet56_w8a8_dynamic(self):
        self.check_quantized("resnet56", "W8A8-dynamic", 0.95)


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

    def test_w8a8_dynamic(self):
        got, want = self.losses("W8A8-dynamic")
        self.assertLess(got, want + 0.01)


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

    def test_w8a8_dynamic(self):
        got, want = self.logits(s.load, s.SCHEMES["W8A8-dynamic"])
        np.testing.assert_array_equal(got.argmax(-1), want.argmax(-1))
class OneShot(unittest.TestCase):
    """Models with one input, run at batch 1, beside ONNX Runtime or a stored output."""

    def check(self, name: str, tolerance: float, scheme: str = "float", reference=None):
        """Differences are relative to the largest output; `reference` is for ONNX Runtime."""
        example = si.EXAMPLES[name]
        model = s.load(example.path(), s.SCHEMES[scheme])
        reference = s.Reference(reference or example.path())
        for inputs in example.inputs():
            wanted = reference.run(inputs)
            for output, array in model.run(inputs).items():
                scale = float(np.abs(wanted[output]).max())
                difference = float(np.abs(array - wanted[output]).max())
                self.assertLessEqual(difference, tolerance * scale)

    def check_rounded(self, name: str, scheme: str, bits: int, group: int):
        """Quantized without calibration is float with rounded weights."""
        model = s.rounded_model(si.EXAMPLES[name].path(), bits, group)
        self.check(name, 1e-3, scheme, model)

    def test_mobilenetv2_float(self):
        self.check("mobilenetv2", 1e-4)

    def test_mobilenetv2_w8a16(self):
        self.check_rounded("mobilenetv2", "W8A16", 8, -1)

    def test_mobilenetv2_w4a16(self):
        self.check_rounded("mobilenetv2", "W4A16 g32", 4, 32)

    def test_fastestdet_float(self):
        self.check("fastestdet", 1e-3)

    def test_fastestdet_w8a16(self):
        self.check_rounded("fastestdet", "W8A16", 8, -1)

    def test_yolox_float(self):
        data = np.load(s.shared("yolox-nano/derived/opencv46_io.npz"))
        model = s.load(s.shared("yolox-nano/yolox_nano.onnx"))
        for image, want in zip(data["input"], data["output"]):
            got = model.run({"images": image[None].astype(np.float32)})["output"][0]
            self.assertLessEqual(np.abs(got - want).max(), 1e-3 * np.abs(want).max())

    def test_yolox_w8a16(self):
        self.check_rounded("yolox-nano", "W8A16", 8, -1)

    def test_magika_v1_float(self):
        self.check("magika-v1", 2e-5)


class LPRNet(unittest.TestCase):
    def right(self, scheme: str) -> int:
        images, texts = si.plates()
        model = s.load(s.shared("lprnet-ocr/derived/lprnet_sirius.onnx"), s.SCHEMES[scheme])
        return sum(map(str.__eq__, map(si.read_plate, s.classify(model, images, 1)), texts))

    def test_float(self):
        self.assertAlmostEqual(self.right("float"), 894, delta=2)

    def test_w8a16(self):
        self.assertGreaterEqual(self.right("W8A16"), 885)

    def test_w4a16(self):
        # 753; 774 with --scale-rule=absmax: what most models gain by signed-max costs here.
        self.assertGreaterEqual(self.right("W4A16 g32"), 740)

    def test_w8a8_dynamic(self):
        self.assertGreaterEqual(self.right("W8A8-dynamic"), 885)


class Magika(unittest.TestCase):
    def check(self, scheme: str, tolerance: float, least: int = 129):
        features, labels, scores = si.magika_examples()
        model = s.load(s.shared("magika/model.onnx"), s.SCHEMES[scheme])
        for batch in (1, len(features)):
            got = s.classify(model, features, batch)
            names = [si.magika_labels()[i] for i in got.argmax(-1)]
            self.assertGreaterEqual(sum(map(str.__eq__, names, labels)), least)
            self.assertLessEqual(np.abs(got.max(-1) - scores).max(), tolerance)

    def test_float(self):
        self.check("float", 2e-5)

    def test_w8a16(self):
        self.check("W8A16", 0.5, least=125)

    def test_w8a8_dynamic(self):
        # One scale for all 2048 positions of a file is coarse.
        self.check("W8A8-dynamic", 1.0, least=115)


class SileroVAD(unittest.TestCase):
    """The state goes from step to step, so that errors would add up along the recording."""

    def detect(self, name: str, make) -> np.ndarray:
        return si.detect_speech(make(s.shared(f"silero-vad/{name}.onnx")), si.speech())

    def test_op15_float(self):
        got, want = (self.detect("silero_vad_16k_op15", m) for m in (s.load, s.Reference))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-3)

    def test_op18_float(self):
        got, want = (self.detect("silero_vad_op18_ifless", m) for m in (s.load, s.Reference))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-3)

    def test_exports_agree(self):
        names = "silero_vad_16k_op15", "silero_vad_op18_ifless"
        first, second = (self.detect(name, s.load) for name in names)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-2)

    def test_wrong_length(self):
        """The model takes one step: others leave more than one frame to squeeze."""
        model = s.load(s.shared("silero-vad/silero_vad_16k_op15.onnx"))
        state, rate = np.zeros((2, 1, 128), np.float32), np.asarray(16000)
        with self.assertRaisesRegex(s.nibble.NibbleError, "to squeeze is not 1"):
            model.run({"input": np.zeros((1, 2048), np.float32), "state": state, "sr": rate})


if __name__ == "__main__":
    unittest.main()
