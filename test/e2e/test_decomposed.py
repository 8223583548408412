# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Language models from primitive operators: what is recognised, and that it is right."""

import re
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s
from decomposed import Decomposed
from nibble.export import DataFile, DecoderOptions, LlamaConfig, Rope, Weight, build_llama

CONFIG = LlamaConfig(
    dim=32, hidden_dim=48, layers=2, heads=4, kv_heads=2, vocabulary=67, positions=64,
    rope=Rope(theta=1000.0), interleaved=False,
)  # fmt: skip


def operators(path: Path, options=()) -> dict[str, int]:
    """How often each operator is there after the phase `onnx`."""
    text = s.compile_model(path, ["--compile-to=onnx", *options], ".mlir").read_text()
    counts: dict[str, int] = {}
    for name in re.findall(r" = onnx\.([A-Za-z]+)\(", text):
        counts[name] = counts.get(name, 0) + 1
    return counts


class DecomposedLlama(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s.onnxruntime()
        s.tool("nibble-compile")
        rng = np.random.default_rng(17)
        shapes = CONFIG.weight_shapes()
        shapes.setdefault("lm_head.weight", (CONFIG.vocabulary, CONFIG.dim))
        cls.weights = {
            name: (
                rng.normal(size=shape) * shape[-1] ** -0.5
                if len(shape) > 1
                else rng.uniform(0.5, 1.5, shape)
            ).astype(np.float32)
            for name, shape in shapes.items()
        }
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.path = cls.folder / "decomposed.onnx"
        Decomposed(CONFIG, cls.weights).save(cls.path)

    def steps(self, model):
        """Logits of a prompt, of two more tokens, and of one more."""
        rng = np.random.default_rng(5)
        tokens = rng.integers(0, CONFIG.vocabulary, (2, 12))
        shape = (2, CONFIG.kv_heads, 0, CONFIG.head_dim)
        cache = {
            f"past_key_values.{i}.{kind}": np.zeros(shape, np.float32)
            for i in range(CONFIG.layers)
            for kind in ("key", "value")
        }
        for begin, end in ((0, 9), (9, 11), (11, 12)):
            results = model.run({"input_ids": tokens[:, begin:end], **cache})
            cache = {name.replace("present", "past_key_values"): np.array(value)
                     for name, value in results.items() if name != "logits"}  # fmt: skip
            yield np.array(results["logits"])

    def test_operators(self):
        fused = operators(self.path)
        self.assertEqual(fused["Attention"], 2)
        self.assertEqual(fused["RotaryEmbedding"], 4)
        self.assertEqual(fused["RMSNormalization"], 5)
        self.assertEqual(fused["Swish"], 2)
        for name in ("Softmax", "Transpose", "Pow", "Sigmoid", "Where", "LessOrEqual", "Neg"):
            self.assertNotIn(name, fused)
        plain = operators(self.path, ["--fuse-operators=false"])
        self.assertEqual(plain["Softmax"], 2)
        self.assertNotIn("Attention", plain)

    def test_logits(self):
        want = list(self.steps(s.Reference(self.path)))
        for options in ([], ["--fuse-operators=false"]):
            for got, expected in zip(self.steps(s.load(self.path, options)), want):
                np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)

    def test_own_exporter(self):
        path = self.folder / "own.onnx"
        weights = {name: Weight.of(array) for name, array in self.weights.items()}
        with DataFile(self.folder / "own.onnx.data") as data:
            path.write_bytes(
                build_llama(CONFIG, weights, data, DecoderOptions()).SerializeToString()
            )
            data.commit()
        model = s.load(path)
        rng = np.random.default_rng(5)
        tokens = rng.integers(0, CONFIG.vocabulary, (2, 12))
        got, _ = s.nibble.step(model, tokens, s.nibble.empty_cache(model, 2))
        want = np.concatenate(list(self.steps(s.load(self.path))), axis=1)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)

    def test_quantized(self):
        """The products of a fused model are quantized like those of our exporter."""
        options = ["--quantize=W8A16"]
        for got, want in zip(
            self.steps(s.load(self.path, options)), self.steps(s.Reference(self.path))
        ):
            self.assertGreater(s.cosine(got, want), 0.999)


if __name__ == "__main__":
    unittest.main()
