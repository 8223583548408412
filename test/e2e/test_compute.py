# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--compute=bf16: products of many rows in AMX tiles, where there are any."""

import unittest

import numpy as np
import support as s


class Stories(unittest.TestCase):
    model = s.MODELS / "stories.onnx"

    def logits(self, *options: str) -> np.ndarray:
        tokens, _ = s.stories_test()
        return s.stories_logits(s.load(self.model, list(options)), tokens)

    def check(self, *options: str):
        tokens, answers = s.stories_test()
        plain, rounded = self.logits(*options), self.logits(*options, "--compute=bf16")
        accuracy = [s.answer_accuracy(x, tokens, answers) for x in (plain, rounded)]
        self.assertGreaterEqual(accuracy[1], accuracy[0] - 0.005)
        # Numbers of 8 bits, through some layers.
        error = np.abs(rounded - plain).max() / np.abs(plain).max()
        self.assertLess(error, 0.05)
        if s.has_tiles():
            self.assertGreater(error, 0)

    def test_float(self):
        self.check()

    def test_codes(self):
        self.check("--quantize=W8A16", "--group-size=-1")
        self.check("--quantize=W4A16", "--group-size=32", "--asymmetric")

    def test_one_token_at_a_time_is_not_rounded(self):
        tokens = s.stories_test()[0][:2, :6]
        models = [s.load(self.model, options) for options in ([], ["--compute=bf16"])]
        caches = [s.nibble.empty_cache(model, 2) for model in models]
        for i in range(tokens.shape[1]):
            steps = [
                s.nibble.step(model, tokens[:, i : i + 1], cache)
                for model, cache in zip(models, caches)
            ]
            caches = [cache for _, cache in steps]
            np.testing.assert_array_equal(steps[0][0], steps[1][0])


if __name__ == "__main__":
    unittest.main()
