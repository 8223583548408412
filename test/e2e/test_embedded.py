# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The two models of examples/models, in float and quantized."""

import unittest

import numpy as np
import support as s

TOLERANCE = 1e-4


class Glyphs(unittest.TestCase):
    model = s.MODELS / "glyphs.onnx"

    def test_float_matches_onnxruntime_for_every_batch(self):
        images, _ = s.glyphs_test()
        compiled, reference = s.load(self.model), s.Reference(self.model)
        for batch in (1, 2, 7, 64):
            with self.subTest(batch=batch):
                got = compiled.run({"images": images[:batch]})["logits"]
                want = reference.run({"images": images[:batch]})["logits"]
                np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)

    def test_float_accuracy(self):
        images, labels = s.glyphs_test()
        self.assertEqual(s.accuracy(s.classify(s.load(self.model), images, 100), labels), 0.988)

    def check_quantized(self, scheme: str, loss: float, share: float):
        images, labels = s.glyphs_test()
        plain, small = s.load(self.model), s.load(self.model, s.SCHEMES[scheme])
        self.assertLess(small.weight_bytes, share * plain.weight_bytes)
        logits = s.classify(small, images, 100)
        self.assertGreater(s.accuracy(logits, labels), 0.988 - loss)
        # It must be another model, or nothing was quantized.
        self.assertGreater(np.abs(logits - s.classify(plain, images, 100)).max(), TOLERANCE)

    def test_w8a16(self):
        self.check_quantized("W8A16", loss=0.003, share=0.30)

    def test_w8a8_dynamic(self):
        self.check_quantized("W8A8-dynamic", loss=0.003, share=0.40)

    def test_w4a16(self):
        self.check_quantized("W4A16 g32", loss=0.01, share=0.20)


class Stories(unittest.TestCase):
    model = s.MODELS / "stories.onnx"

    def test_float_matches_onnxruntime(self):
        tokens, _ = s.stories_test()
        compiled, reference = s.load(self.model), s.Reference(self.model)
        for batch, length in ((1, 1), (1, 40), (5, 17), (3, tokens.shape[1])):
            with self.subTest(batch=batch, length=length):
                part = tokens[:batch, :length]
                got, cache = s.nibble.step(compiled, part, s.nibble.empty_cache(compiled, batch))
                want, other = s.nibble.step(reference, part, s.nibble.empty_cache(reference, batch))
                np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE)
                for name in other:
                    np.testing.assert_allclose(cache[name], other[name], rtol=0, atol=TOLERANCE)

    def test_token_by_token_equals_prefill(self):
        tokens = s.stories_test()[0][:2, :24]
        model = s.load(self.model)
        whole, _ = s.nibble.step(model, tokens, s.nibble.empty_cache(model, 2))
        cache = s.nibble.empty_cache(model, 2)
        for i in range(tokens.shape[1]):
            logits, cache = s.nibble.step(model, tokens[:, i : i + 1], cache)
            np.testing.assert_allclose(logits[:, 0], whole[:, i], rtol=0, atol=TOLERANCE)

    def check(self, scheme: str, loss: float):
        tokens, answers = s.stories_test()
        right = [
            s.answer_accuracy(
                s.stories_logits(s.load(self.model, s.SCHEMES[name]), tokens), tokens, answers
            )
            for name in ("float", scheme)
        ]
        self.assertGreaterEqual(right[1], right[0] - loss)

    def test_w8a16(self):
        self.check("W8A16", 0.002)

    def test_w8a8_dynamic(self):
        self.check("W8A8-dynamic", 0.005)

    def test_w4a16(self):
        self.check("W4A16 g32", 0.01)


if __name__ == "__main__":
    unittest.main()
