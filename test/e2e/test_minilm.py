# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""all-MiniLM-L6-v2 from the Python package that carries it: sentence embeddings.

Skipped when the package cannot be fetched. The yardstick is the float model in
ONNX Runtime; test_checkpoints compares exported BERT models with transformers.
"""

import unittest

import numpy as np
import support as s

SENTENCES = [
    "A man is playing the guitar on a small stage.",
    "Somebody makes music with a string instrument in front of an audience.",
    "The committee postponed its decision on the new budget until spring.",
    "Members of the board will vote about next year's spending later.",
    "It rained all night, and in the morning the river had left its bed.",
    "After hours of heavy rain the water flooded the fields near the town.",
    "To sort a list of n numbers by comparison takes n log n steps.",
    "Hello!",
]


def setUpModule():
    global source
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise unittest.SkipTest("the Python package tokenizers is not installed") from None
    try:
        source = s.nibble.fetch("all-minilm-l6-v2")
    except s.nibble.NibbleError as error:
        raise unittest.SkipTest(str(error)) from None


class SentenceEmbeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import tokenizers

        cls.path = s.nibble.export_model(source, s.WORK / "minilm")
        tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
        tokenizer.enable_padding()
        codes = tokenizer.encode_batch(SENTENCES)
        cls.inputs = {
            "input_ids": np.array([c.ids for c in codes]),
            "attention_mask": np.array([c.attention_mask for c in codes]),
            "token_type_ids": np.array([c.type_ids for c in codes]),
        }
        cls.wanted = cls.embed(s.Reference(cls.path))

    @classmethod
    def embed(cls, model):
        """Means over the tokens, of length 1: [sentences, 384]."""
        hidden = model.run(cls.inputs)["last_hidden_state"]
        mask = cls.inputs["attention_mask"][:, :, None]
        means = (hidden * mask).sum(1) / mask.sum(1)
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def cosines(self, *options):
        return (self.embed(s.load(self.path, options)) * self.wanted).sum(1)

    def test_sentences_of_one_meaning_are_near(self):
        near = self.wanted @ self.wanted.T - np.eye(len(SENTENCES))
        self.assertEqual(near.argmax(1)[:6].tolist(), [1, 0, 3, 2, 5, 4])

    def test_float(self):
        self.assertGreaterEqual(self.cosines().min(), 0.9999)

    def test_w8a8_dynamic(self):
        self.assertGreaterEqual(self.cosines("--quantize=W8A8-dynamic").min(), 0.99)

    def test_w4(self):
        # Rounded to nearest: reported, and far from noise.
        options = ("--quantize=W4A16", "--group-size=32", "--asymmetric")
        self.assertGreaterEqual(self.cosines(*options).min(), 0.9)


if __name__ == "__main__":
    unittest.main()
