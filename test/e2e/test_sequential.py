# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Methods that run the model on samples, block by block: what they gain, and what goes wrong."""

import hashlib
import json
import os
import resource
import unittest

import numpy as np
import support as s
from refusal import Refusal

STORIES = s.MODELS / "stories.onnx"
GLYPHS = s.MODELS / "glyphs.onnx"
GPTQ = ["--quantize=W3A16", "--group-size=32", "--method=gptq"]
RTN = ["--quantize=W3A16", "--group-size=32", "--method=rtn"]


class Sequential(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    def setUp(self):
        super().setUp()
        self.tokens, self.answers = s.stories_test()
        self.data = self.folder / "tokens.npy"
        np.save(self.data, self.tokens[:64].astype(np.int64))

    def compile_with(self, model, *options, name=None, **kwargs):
        # A library of a name that was loaded before would not be read again.
        out = self.out / (name or f"m{len(list(self.out.iterdir()))}.so")
        run = s.run_tool("nibble-compile", model, "-o", out, *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        return out

    def digest(self, *options, **kwargs):
        # A binary holds its own name.
        data = f"--data={self.data}"
        out = self.compile_with(STORIES, *GPTQ, data, *options, name="same.so", **kwargs)
        return hashlib.sha256(out.read_bytes()).hexdigest()

    def loss(self, binary):
        """Mean negative log-likelihood of stories that are not among the samples."""
        tokens = self.tokens[100:140]
        logits = s.stories_logits(s.nibble.Model(str(binary)), tokens)[:, :-1]
        logits = logits - logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return -np.take_along_axis(logits, tokens[:, 1:, None].astype(np.int64), -1).mean()

    def test_language_model_is_better_than_rounded(self):
        losses = {}
        for name, options in (("float", []), ("rtn", RTN), ("gptq", [*GPTQ, f"--data={self.data}"])):
            losses[name] = self.loss(self.compile_with(STORIES, *options))
        gained = (losses["rtn"] - losses["gptq"]) / (losses["rtn"] - losses["float"])
        self.assertGreater(gained, 0.3, losses)

    def test_convolutions(self):
        images, _ = s.glyphs_test()
        np.save(self.folder / "images.npy", images[:200])
        logits = {}
        for name, options in (
            ("float", []),
            ("rtn", RTN),
            ("gptq", [*GPTQ, f"--data={self.folder / 'images.npy'}"]),
        ):
            model = s.nibble.Model(str(self.compile_with(GLYPHS, *options)))
            logits[name] = s.classify(model, images[200:600], 100)
        error = {
            name: np.square(logits[name] - logits["float"]).mean() for name in ("rtn", "gptq")
        }
        self.assertLess(error["gptq"], 0.7 * error["rtn"], error)

    def test_states_on_disk_and_threads_do_not_matter(self):
        plain = self.digest()
        self.assertEqual(self.digest("--memory-limit=20kB"), plain)
        self.assertEqual(self.digest(env={"OMP_NUM_THREADS": "1"}), plain)
        # Those that sum Hessians and round weights are as many as there are processors.
        one = {min(os.sched_getaffinity(0))}
        self.assertEqual(self.digest(preexec_fn=lambda: os.sched_setaffinity(0, one)), plain)
        self.assertNotEqual(self.digest("--samples=3"), plain)

    def test_layers_with_an_importance_matrix(self):
        rules = self.folder / "rules.yaml"
        rules.write_text('rules: [{layers: "*up*", scheme: Q4_0, method: imatrix}]')
        report = self.folder / "report.json"
        self.compile_with(
            STORIES, *GPTQ, f"--data={self.data}", f"--config={rules}", f"--report={report}",
            "--report-samples=0",
        )  # fmt: skip
        layers = json.loads(report.read_text())["layers"]
        methods = {(layer["scheme"], layer["method"]) for layer in layers if "up" in layer["name"]}
        self.assertEqual(methods, {("Q4_0", "imatrix")})

    def test_report_of_each_layer(self):
        """What GPTQ found, and the options of a rule."""
        rules = self.folder / "rules.yaml"
        rules.write_text(
            'rules: [{layers: "*up*", damp-percent: 0.1, activation-order: true}]'
        )
        names = [f"report.{kind}" for kind in ("json", "yaml", "html")]
        report, config, page = (self.folder / name for name in names)
        self.compile_with(
            STORIES, *GPTQ, f"--data={self.data}", f"--config={rules}", f"--report={report}",
            f"--report={config}", f"--report={page}", "--report-samples=0",
        )  # fmt: skip

        def read():
            layers = json.loads(report.read_text())["layers"]
            return [layer for layer in layers if layer.get("method") == "gptq"]

        rounded = read()
        self.assertGreater(len(rounded), 10)
        for layer in rounded:
            own = "up" in layer["name"]
            found = layer["rounding"]
            self.assertEqual(found["calibration_rows"], self.tokens[:64].size)
            self.assertEqual(found["damp"], 0.1 if own else 0.05)
            self.assertGreater(found["loss"], 0)
            options = {"damp-percent": "0.1", "activation-order": "true"} if own else None
            self.assertEqual(layer.get("options"), options)
        self.assertIn("activation-order: true", config.read_text())
        self.assertIn("Damping", page.read_text())
        # The report makes the same choices again.
        self.compile_with(
            STORIES, "--quantize=none", f"--data={self.data}", f"--config={config}",
            f"--report={report}", "--report-samples=0",
        )  # fmt: skip
        self.assertEqual(read(), rounded)

    def refuse(self, status, *wanted, options=(), **kwargs):
        run = s.run_tool(
            "nibble-compile", STORIES, "-o", self.out / "m.so", *GPTQ, *options, **kwargs
        )
        self.check(run, status, *wanted)

    def test_a_full_disk_is_one_message(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))

        options = [f"--data={self.data}", "--memory-limit=20kB"]
        self.refuse(
            1, "for hidden states in '", "nibble-states-", "which is to hold ", "kB",
            "File too large", options=options, preexec_fn=limit,
        )

    def test_bad_data(self):
        np.save(self.folder / "floats.npy", np.zeros((4, 20), np.float32))
        np.save(self.folder / "short.npy", np.arange(20))
        np.save(self.folder / "large.npy", np.full((2, 20), 384))
        np.save(self.folder / "long.npy", np.ones((2, 300), np.int64))
        for name, wanted in (
            ("floats.npy", ["floats.npy"]),
            ("short.npy", ["short.npy", "512"]),
            ("large.npy", ["large.npy"]),
            ("long.npy", ["long.npy", "position is beyond"]),
            ("none.npy", ["none.npy"]),
        ):
            with self.subTest(name=name):
                self.refuse(1, *wanted, options=[f"--data={self.folder / name}"])

    def test_bad_options(self):
        self.refuse(2, "--memory-limit", "much", options=["--memory-limit=much"])
        self.refuse(2, "--window=0", options=["--window=0"])
        self.refuse(2, "--calibration-compute", options=["--calibration-compute=f16"])
        options = ["--quantize=NF4", f"--data={self.data}"]
        self.refuse(1, "layer \"", "method 'gptq' rounds to integers", options=options)


if __name__ == "__main__":
    unittest.main()
