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
THREE = ["--quantize=W3A16", "--group-size=32", "--asymmetric"]


class Scales(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    def setUp(self):
        super().setUp()
        self.tokens, _ = s.stories_test()
        np.save(self.folder / "tokens.npy", self.tokens[:64].astype(np.int64))
        self.expected = None
        self.data = f"--data={self.folder / 'tokens.npy'}"

    def compile_with(self, model, *options, name=None, **kwargs):
        # A library of a name that was loaded before would not be read again.
        out = self.out / (name or f"m{len(list(self.out.iterdir()))}.so")
        run = s.run_tool("nibble-compile", model, "-o", out, *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        return out

    def error(self, *options):
        """Mean squared error of logits, on stories that are not among the samples."""
        tokens = self.tokens[100:116]
        if self.expected is None:
            self.expected = s.stories_logits(
                s.nibble.Model(str(self.compile_with(STORIES))), tokens
            )
        model = s.nibble.Model(str(self.compile_with(STORIES, *options)))
        return np.square(s.stories_logits(model, tokens) - self.expected).mean()

    def test_scales_do_not_change_the_model(self):
        rtn = self.error("--quantize=W8A16")
        for method in ("awq", "smoothquant"):
            self.assertLess(
                self.error("--quantize=W8A16", f"--method={method}", self.data), 1.5 * rtn
            )

    def test_before_gptq(self):
        rtn = self.error(*THREE)
        for method in ("awq,gptq", "smoothquant,gptq"):
            self.assertLess(self.error(*THREE, f"--method={method}", self.data), 0.8 * rtn)

    def test_statistics_suffice(self):
        statistics = self.folder / "stats.yaml"
        run = s.run_tool("nibble-calibrate", STORIES, "-o", statistics, self.data, "--hessian")
        self.assertEqual(run.returncode, 0, run.stderr)
        calibration = f"--calibration={statistics}"
        rtn = self.error("--quantize=W8A16")
        eight = self.error("--quantize=W8A16", "--method=awq", calibration)
        self.assertLess(eight, 1.5 * rtn)
        rtn = self.error(*THREE)
        self.assertLess(self.error(*THREE, "--method=awq,gptq", calibration), 0.8 * rtn)

    def test_methods_by_rules(self):
        rules = self.folder / "rules.yaml"
        rules.write_text(
            "default: {method: [awq, gptq]}\n"
            'rules: [{layers: "*attention.o", method: rtn}, {layers: "*down*", method: awq}]'
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
        self.refuse(2, "expected a number from 0 to 1, or auto",
                    options=[*THREE, "--method=smoothquant", "--smoothquant-alpha=x", self.data])  # fmt: skip
        self.refuse(2, "keep one", options=[*THREE, "--method=awq,smoothquant", self.data])


if __name__ == "__main__":
    unittest.main()
