# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize=auto: schemes that are chosen by what they do to the model."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s

GLYPHS = s.MODELS / "glyphs.onnx"
STORIES = s.MODELS / "stories.onnx"


class Choose(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.images, self.labels = s.glyphs_test()
        self.data = self.folder / "images.npz"
        np.savez(self.data, images=self.images[:60])

    def compile(self, model: Path, name: str, *options: object) -> tuple[Path, dict]:
        """The binary and its report."""
        out, report = self.folder / f"{name}.so", self.folder / f"{name}.json"
        run = s.run_tool(
            "nibble-compile", model, "-o", out, f"--report={report}", "--report-samples=0", *options
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return out, json.loads(report.read_text())

    def logits(self, path: Path) -> np.ndarray:
        with s.nibble.Model(path) as model:
            return s.classify(model, self.images[60:], 50)

    def error(self, path: Path) -> float:
        """Of the outputs of glyphs on images that no choice saw."""
        wanted = self.logits(self.folder / "float.so")
        return float(((self.logits(path) - wanted) ** 2).sum() / (wanted**2).sum())

    def test_beats_schemes_that_are_alike(self):
        self.compile(GLYPHS, "float")
        for scheme in ("W3A16", "W4A16"):
            alike, plain = self.compile(
                GLYPHS, "alike", f"--quantize={scheme}", "--asymmetric", "--group-size=32"
            )
            budget = f"{plain['totals']['bits_per_weight']}bpw"
            auto, report = self.compile(
                GLYPHS, "auto", "--quantize=auto", f"--budget={budget}", "--group-size=32",
                f"--data={self.data}",
            )  # fmt: skip
            with self.subTest(scheme=scheme):
                self.assertLessEqual(report["totals"]["bytes"], plain["totals"]["bytes"])
                self.assertLess(self.error(auto), self.error(alike))

    def test_rules_make_the_same_model(self):
        rules = self.folder / "rules.yaml"
        for method in ("rtn", "gptq"):
            options = (f"--method={method}", f"--data={self.data}")
            first, _ = self.compile(
                GLYPHS, "first", "--quantize=auto", "--budget=4bpw", f"--write-config={rules}", *options
            )
            again, _ = self.compile(GLYPHS, "again", f"--config={rules}", f"--data={self.data}")
            np.testing.assert_array_equal(self.logits(first), self.logits(again))
            self.assertIn(f"method: {method}", rules.read_text())

    def test_errors_are_kept_as_small_as_they_must_be(self):
        self.compile(GLYPHS, "float")
        sizes = []
        for most in (0.1, 0.01, 0.001):
            path, report = self.compile(
                GLYPHS, "auto", "--quantize=auto", f"--max-error={most}", f"--data={self.data}"
            )
            self.assertLessEqual(report["choice"]["chosen"]["measured_error"], most)
            # The images are others.
            self.assertLess(self.error(path), 2 * most)
            sizes.append(report["choice"]["chosen"]["bytes"])
        self.assertEqual(sizes, sorted(sizes))
        self.assertLess(sizes[0], sizes[-1])

    def test_sizes_count_all_weights(self):
        _, report = self.compile(GLYPHS, "auto", "--quantize=auto", "--budget=70kB")
        self.assertLessEqual(report["totals"]["bytes"], 70000)
        self.assertGreater(report["totals"]["bytes"], 65000)
        run = s.run_tool(
            "nibble-compile", GLYPHS, "-o", self.folder / "x.so", "--quantize=auto", "--budget=10kB"
        )
        self.assertEqual(run.returncode, 1)
        self.assertIn("a budget of 10kB can't be met: the smallest choice takes", run.stderr)
        smallest = run.stderr.split("the smallest choice takes ")[1].split()[0]
        self.compile(GLYPHS, "least", "--quantize=auto", f"--budget={smallest}")

    def test_language_models_keep_their_distributions(self):
        tokens = self.folder / "tokens.npy"
        tokenizer = s.nibble.Tokenizer.load(s.MODELS / "stories_tokenizer.bin")
        text = " ".join("Tom has three red balls. He gives one to Mia and runs home.".split() * 40)
        np.save(tokens, np.array(tokenizer.encode(text), np.int64))
        options = ("--quantize=auto", "--budget=3.9bpw", "--group-size=64", "--head=auto")
        _, report = self.compile(STORIES, "auto", *options, f"--data={tokens}", "--window=64")
        choice = report["choice"]
        self.assertEqual(choice["measure"], "divergence of the outputs in nats per token")
        self.assertLess(choice["chosen"]["measured_error"], 0.5)
        schemes = {layer["scheme"] for layer in report["layers"]}
        self.assertGreater(len(schemes), 1)
        bits = [8 * layer["bytes"] for layer in report["layers"] if "shared_with" not in layer]
        weights = [layer["weights"] for layer in report["layers"] if "shared_with" not in layer]
        self.assertLessEqual(sum(bits) / sum(weights), 3.9)


if __name__ == "__main__":
    unittest.main()
