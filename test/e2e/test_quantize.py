# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m nibble quantize: export, calibration and compilation in one step."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s
from nibble.__main__ import main


class Quantize(unittest.TestCase):
    def setUp(self):
        s.tool("nibble-calibrate")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.images, self.labels = s.glyphs_test()
        self.data = self.folder / "images.npz"
        np.savez(self.data, images=self.images[:100])
        self.out = self.folder / "out.so"

    def call(self, *options: object) -> tuple[int, str]:
        """Status and standard error."""
        errors = io.StringIO()
        command = ["quantize", str(s.MODELS / "glyphs.onnx"), "-o", str(self.out)]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            status = main([*command, *map(str, options)])
        return status, errors.getvalue()

    def accuracy(self) -> float:
        with s.nibble.Model(self.out) as model:
            return s.accuracy(s.classify(model, self.images[100:], 50), self.labels[100:])

    def layers(self, path: Path) -> list[dict]:
        return json.loads(path.read_text())["layers"]

    def test_static_ranges_from_data(self):
        report = self.folder / "r.json"
        status, errors = self.call("--quantize=W8A8", f"--data={self.data}", f"--report={report}")
        self.assertEqual(status, 0, errors)
        self.assertEqual({layer["scheme"] for layer in self.layers(report)}, {"W8A8"})
        self.assertGreater(self.accuracy(), 0.98)

    def rules(self, text: str) -> str:
        path = self.folder / "rules.yaml"
        path.write_text(text)
        return f"--config={path}"

    def test_gptq_goes_block_by_block(self):
        quantize = ["--quantize=W3A16", "--method=gptq", "--group-size=64"]
        report = self.folder / "r.json"
        status, errors = self.call(
            *quantize, f"--data={self.data}", "--samples=50", f"--report={report}"
        )
        self.assertEqual(status, 0, errors)
        self.assertEqual({layer["method"] for layer in self.layers(report)}, {"gptq"})
        self.assertNotIn("calibrating", errors)
        self.assertGreater(self.accuracy(), 0.95)
        direct = self.folder / "direct.so"
        run = s.run_tool(
            "nibble-compile", s.MODELS / "glyphs.onnx", "-o", direct, *quantize,
            f"--data={self.data}", "--samples=50",
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        with s.nibble.Model(self.out) as one, s.nibble.Model(direct) as other:
            logits = [s.classify(model, self.images[:20], 20) for model in (one, other)]
        np.testing.assert_array_equal(*logits)

    def test_gptq_in_a_rule(self):
        report = self.folder / "r.json"
        for rules in (
            "rules:\n- layers: stem\n  method: gptq  # of all\n",
            '{"rules": [{"layers": "stem", "method": "gptq"}]}',
        ):
            status, errors = self.call(
                "--quantize=W4A16", self.rules(rules), f"--data={self.data}", f"--report={report}"
            )
            self.assertEqual(status, 0, errors)
            self.assertNotIn("calibrating", errors)
            methods = {layer["name"]: layer["method"] for layer in self.layers(report)}
            self.assertEqual(methods.pop("stem"), "gptq")
            self.assertEqual(set(methods.values()), {"rtn"})

    def test_gptq_beside_static_ranges_gets_hessians(self):
        report = self.folder / "r.json"
        rules = self.rules("rules: [{layers: stem, scheme: W4A16, method: gptq, group-size: 9}]")
        status, errors = self.call(
            "--quantize=W8A8", rules, f"--data={self.data}", f"--report={report}"
        )
        self.assertEqual(status, 0, errors)
        layers = {layer["name"]: layer for layer in self.layers(report)}
        stem = layers.pop("stem")
        self.assertEqual((stem["scheme"], stem["method"]), ("W4A16", "gptq"))
        self.assertEqual({layer["scheme"] for layer in layers.values()}, {"W8A8"})

    def test_mistakes(self):
        status, errors = self.call("--quantize=W8A8")
        self.assertEqual(status, 1)
        self.assertIn("--calibration", errors)
        status, errors = self.call("--quantize=W8A8", "--data=none.npz")
        self.assertEqual(status, 1)
        self.assertIn("none.npz", errors)
        status, errors = self.call("--quantize=W8A8", f"--data={self.data}", "--calibration=x")
        self.assertEqual(status, 1)
        self.assertIn("exclude each other", errors)
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()
