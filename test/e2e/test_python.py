# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python package: tokenizer, export, and its messages."""

import struct
import tempfile
import threading
import unittest
from pathlib import Path

import numpy as np
import support as s
from nibble import LlamaConfig, Model, NibbleError, Tokenizer, build_llama, read_llama2c
from nibble.__main__ import main


def reference_logits(config: LlamaConfig, w: dict, tokens: list[int]) -> np.ndarray:
    """The architecture in plain NumPy, double precision, one text."""
    half = config.head_dim // 2
    angle = np.arange(len(tokens))[:, None] * config.rope.theta ** (-np.arange(half) / half)
    turn = np.exp(1j * angle)[:, None]

    def norm(x, scale):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config.eps) * scale

    def rotate(x):
        pairs = x.reshape(len(tokens), -1, half, 2)
        turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn
        return np.stack([turned.real, turned.imag], -1).reshape(len(tokens), -1, config.head_dim)

    w = {name: array.astype(np.float64) for name, array in w.items()}
    x = w["embed.weight"][tokens]
    causal = np.tril(np.ones((len(tokens), len(tokens)), bool))
    for i in range(config.layers):
        layer = {n.removeprefix(f"layers.{i}."): a for n, a in w.items()}
        h = norm(x, layer["attention_norm.weight"])
        q, k, v = (h @ layer[f"attention.{part}.weight"].T for part in "qkv")
        q, k = rotate(q), rotate(k)
        v = v.reshape(k.shape)
        heads = []
        for head in range(config.heads):
            shared = head // (config.heads // config.kv_heads)
            score = q[:, head] @ k[:, shared].T / config.head_dim**0.5
            score = np.exp(np.where(causal, score, -np.inf))
            heads.append(score / score.sum(-1, keepdims=True) @ v[:, shared])
        x = x + np.concatenate(heads, -1) @ layer["attention.o.weight"].T
        h = norm(x, layer["mlp_norm.weight"])
        gate = h @ layer["mlp.gate.weight"].T
        h = gate / (1 + np.exp(-gate)) * (h @ layer["mlp.up.weight"].T)
        x = x + h @ layer["mlp.down.weight"].T
    return norm(x, w["norm.weight"]) @ w.get("lm_head.weight", w["embed.weight"]).T


def small_model(tied: bool) -> tuple[LlamaConfig, dict]:
    config = LlamaConfig(
        dim=24, hidden_dim=40, layers=2, heads=4, kv_heads=2, vocabulary=50, positions=32
    )
    rng = np.random.default_rng(11)
    weights = {
        name: rng.normal(1 if len(shape) == 1 else 0, 0.3, shape).astype(np.float32)
        for name, shape in config.weight_shapes().items()
        if not (tied and name == "lm_head.weight")
    }
    return config, weights


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Export(Temporary):
    def check_model(self, tied: bool):
        config, weights = small_model(tied)
        path = self.folder / "small.onnx"
        path.write_bytes(build_llama(config, weights).SerializeToString())
        tokens = [1, 7, 49, 3, 3, 20]
        model = s.Reference(path)
        logits, _ = s.nibble.step(model, np.asarray([tokens]), s.nibble.empty_cache(model))
        want = reference_logits(config, weights, tokens)
        np.testing.assert_allclose(logits[0], want, rtol=0, atol=2e-5)

    def test_untied_model_against_numpy(self):
        self.check_model(tied=False)

    def test_tied_model_against_numpy(self):
        self.check_model(tied=True)

    def test_checkpoint_round_trip(self):
        config, weights = small_model(tied=True)
        blob = struct.pack("<7i", 24, 40, 2, 4, 2, 50, 32)
        blob += weights["embed.weight"].tobytes()
        for part in (
            "attention_norm attention.q attention.k attention.v attention.o mlp_norm "
            "mlp.gate mlp.down mlp.up"
        ).split():
            blob += b"".join(weights[f"layers.{i}.{part}.weight"].tobytes() for i in range(2))
        blob += weights["norm.weight"].tobytes() + bytes(4 * 32 * 6)
        path = self.folder / "small.bin"
        path.write_bytes(blob)
        found_config, found = read_llama2c(path)
        self.assertEqual(found_config, config)
        self.assertEqual(set(found), set(weights))
        for name in weights:
            np.testing.assert_array_equal(found[name].array(), weights[name])
        path.write_bytes(blob[:-4])
        with self.assertRaisesRegex(
            NibbleError, f"has {len(blob) - 4} bytes, expected {len(blob)}"
        ):
            read_llama2c(path)

    def test_shapes_are_checked(self):
        config, weights = small_model(tied=True)
        weights["norm.weight"] = np.ones(23, np.float32)
        with self.assertRaisesRegex(NibbleError, r"norm.weight has shape \[23\], expected \[24\]"):
            build_llama(config, weights)

    def test_command_line_message(self):
        with self.assertRaises(SystemExit) as caught:
            main(["export", "x.bin", "--no-such-option"])
        self.assertEqual(caught.exception.code, 2)
        self.assertEqual(main(["export", str(self.folder / "x.bin"), "-o", str(self.folder)]), 1)


class TokenizerTest(Temporary):
    def test_stories_round_trip(self):
        tokenizer = Tokenizer.load(s.MODELS / "stories_tokenizer.bin")
        text = "Anna has 12 red apples. Ben gives her 3 more."
        tokens = tokenizer.encode(text)
        self.assertEqual(tokens[0], 1)
        self.assertLess(len(tokens), 20)
        self.assertEqual(tokenizer.decode(tokens), text)

    def test_merges_the_best_pair_first(self):
        pieces = [b"<unk>", b"<s>", b"</s>", b" ", b"a", b"b", b"c", b"ab", b"bc"]
        scores = [0, 0, 0, 0, 0, 0, 0, -2, -1]
        self.assertEqual(Tokenizer(pieces, scores).encode("abc"), [1, 3, 4, 8])

    def test_unknown_character(self):
        tokenizer = Tokenizer.load(s.MODELS / "stories_tokenizer.bin")
        with self.assertRaisesRegex(NibbleError, "not in the vocabulary"):
            tokenizer.encode("\u00e9")

    def test_truncated_file(self):
        data = (s.MODELS / "stories_tokenizer.bin").read_bytes()
        path = self.folder / "cut.bin"
        path.write_bytes(data[:-1])
        with self.assertRaisesRegex(NibbleError, "cut.bin"):
            Tokenizer.load(path)


class Running(unittest.TestCase):
    def test_metadata(self):
        model = s.load(s.MODELS / "glyphs.onnx")
        self.assertEqual([i.name for i in model.inputs], ["images"])
        self.assertEqual(model.inputs[0].shape, (None, 1, 24, 24))
        self.assertEqual(model.inputs[0].dtype, np.float32)
        self.assertEqual(model.outputs[0].shape, (None, 32))

    def test_messages(self):
        model = s.load(s.MODELS / "glyphs.onnx")
        image = np.zeros((1, 1, 24, 24), np.float32)
        for inputs, word in (
            ({}, "images"),
            ({"pictures": image}, "pictures"),
            ({"images": image[0]}, "images"),
            ({"images": image.astype(np.int64)}, "int64"),
        ):
            with self.subTest(word=word), self.assertRaisesRegex(NibbleError, word):
                model.run(inputs)
        self.assertEqual(model.run({"images": image})["logits"].shape, (1, 32))
        with self.assertRaisesRegex(NibbleError, "no-such-file"):
            Model("no-such-file.so")

    def test_many_threads(self):
        model = s.load(s.MODELS / "glyphs.onnx", threads=1)
        images, _ = s.glyphs_test()
        want = [model.run({"images": images[i : i + 4]})["logits"] for i in range(8)]
        wrong = []

        def work(i: int):
            for _ in range(10):
                got = model.run({"images": images[i : i + 4]})["logits"]
                if not np.array_equal(got, want[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
