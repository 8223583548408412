# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Methods that find scales of input channels, alone and before others."""

import hashlib
import json
import unittest

import numpy as np
import support as s
from refusal import Refusal

STORIES = s.MODELS / "stories.onnx"
GLYPHS = s.MODELS / "glyphs.onnx"
THREE = ["--quantize=W3A16", "--group-size=32", "--asymmetric"]


class Scales(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    def setUp(self):
        super().setUp()
        self.tokens, _ = s.stories_test()
        np.save(self.folder / "tokens.npy", self.tokens[:64].astype(np.int64))
        self.data = f"--data={self.folder / 'tokens.npy'}"

    def compile_with(self, model, *options, name=None, **kwargs):
        # A library of a name that was loaded before would not be read again.
        out = self.out / (name or f"m{len(list(self.out.iterdir()))}.so")
        run = s.run_tool("nibble-compile", model, "-o", out, *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        return out

    def loss(self, *options):
        """Mean negative log-likelihood of stories that are not among the samples."""
        model = s.nibble.Model(str(self.compile_with(STORIES, *options)))
        tokens = self.tokens[100:140]
        logits = s.stories_logits(model, tokens)[:, :-1]
        logits = logits - logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return -np.take_along_axis(logits, tokens[:, 1:, None].astype(np.int64), -1).mean()

    def test_language_model(self):
        float_, rtn = self.loss(), self.loss(*THREE)
        gained = {
            method: (rtn - self.loss(*THREE, f"--method={method}", self.data)) / (rtn - float_)
            for method in ("awq", "gptq", "awq,gptq", "smoothquant,gptq")
        }
        self.assertGreater(gained["awq"], 0.15, gained)
        self.assertGreater(gained["awq,gptq"], gained["awq"], gained)
        self.assertGreater(gained["smoothquant,gptq"], 0.15, gained)

    def test_methods_by_rules(self):
        rules = self.folder / "rules.yaml"
        rules.write_text(
            "default: {method: [awq, gptq]}\n"
            'rules: [{layers: "*o_proj*", method: rtn}, {layers: "*down*", method: awq}]'
        )
        reports = [self.folder / "report.json", self.folder / "report.yaml"]
        self.compile_with(
            STORIES, *THREE, self.data, f"--config={rules}", "--report-samples=0",
            *(f"--report={report}" for report in reports),
        )  # fmt: skip
        layers = json.loads(reports[0].read_text())["layers"]
        methods = {layer["name"]: layer["method"] for layer in layers if "method" in layer}
        self.assertEqual(set(methods.values()), {"awq,gptq", "awq", "rtn"})
        self.assertTrue(all(methods[name] == "awq" for name in methods if "down" in name))
        # The report is a configuration that gives the same again.
        self.assertIn("method: [awq, gptq]", reports[1].read_text())
        again = self.folder / "again.json"
        self.compile_with(
            STORIES, self.data, f"--config={reports[1]}", f"--report={again}",
            "--report-samples=0",
        )  # fmt: skip
        layers = json.loads(again.read_text())["layers"]
        self.assertEqual(
            {layer["name"]: layer["method"] for layer in layers if "method" in layer}, methods
        )

    def test_activations_of_8_bits(self):
        tokens = self.tokens[100:110]
        quantize = ["--quantize=W8A8-dynamic", self.data]
        expected = s.stories_logits(
            s.nibble.Model(str(self.compile_with(STORIES))), tokens)
        error = {}
        for name, options in (
            ("rtn", ["--method=rtn"]),
            ("auto", ["--method=smoothquant", "--smoothquant-alpha=auto"]),
        ):
            model = s.nibble.Model(str(self.compile_with(STORIES, *quantize, *options)))
            error[name] = np.square(s.stories_logits(model, tokens) - expected).mean()
        self.assertLess(error["auto"], error["rtn"])

    def test_convolutions(self):
        images, _ = s.glyphs_test()
        np.save(self.folder / "images.npy", images[:200])
        logits = {}
        for name, options in (
            ("float", []),
            ("rtn", THREE),
            ("awq", [*THREE, "--method=awq", f"--data={self.folder / 'images.npy'}"]),
        ):
            model = s.nibble.Model(str(self.compile_with(GLYPHS, *options)))
            logits[name] = s.classify(model, images[200:600], 100)
        error = {name: np.square(logits[name] - logits["float"]).mean() for name in ("rtn", "awq")}
        self.assertLess(error["awq"], 0.8 * error["rtn"], error)

    def test_threads_do_not_matter(self):
        def digest(**kwargs):
            out = self.compile_with(
                STORIES, *THREE, "--method=awq", self.data, name="same.so", **kwargs
            )
            return hashlib.sha256(out.read_bytes()).hexdigest()

        self.assertEqual(digest(env={"OMP_NUM_THREADS": "1"}), digest())

    def refuse(self, status, *wanted, options=()):
        run = s.run_tool("nibble-compile", STORIES, "-o", self.out / "m.so", *options)
        self.check(run, status, *wanted)

    def test_mistakes(self):
        self.refuse(1, "method awq", "--data", options=[*THREE, "--method=awq"])
        self.refuse(
            1, "layer", "use smoothquant",
            options=["--quantize=W8A8-dynamic", "--method=awq", self.data],
        )  # fmt: skip
        self.refuse(2, "keep one", options=[*THREE, "--method=awq,smoothquant", self.data])


if __name__ == "__main__":
    unittest.main()
