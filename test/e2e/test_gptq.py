# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPTQ from a statistics file: orders of columns, and what statistics do not fit."""

import unittest

import numpy as np
import support as s
from refusal import Refusal

STORIES = s.MODELS / "stories.onnx"
SCHEME = ["--quantize=W3A16", "--group-size=32", "--asymmetric"]


class GPTQ(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tokens, _ = s.stories_test()

    def calibrate(self, *options):
        data = self.folder / "tokens.npy"
        np.save(data, self.tokens[:64].astype(np.int64))
        statistics = self.folder / "statistics.yaml"
        run = s.run_tool(
            "nibble-calibrate", STORIES, f"--data={data}", "--layers-only", "-o", statistics, *options
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return f"--calibration={statistics}"

    def logits(self, name, *options):
        """Of stories that are not among the samples."""
        out = self.out / f"{name}.so"
        run = s.run_tool("nibble-compile", STORIES, "-o", out, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return s.stories_logits(s.nibble.Model(str(out)), self.tokens[100:120])

    def test_every_order_is_better_than_rounding(self):
        statistics = self.calibrate("--hessian")
        wanted = self.logits("float")

        def error(name, *options):
            return np.square(self.logits(name, *SCHEME, *options) - wanted).mean()

        rounded = error("rtn")
        for name, options in (
            ("aware", []),
            ("activation", ["--activation-order"]),
            ("static", ["--activation-order", "--static-groups"]),
            ("mse", ["--scale-rule=mse"]),
        ):
            with self.subTest(name):
                self.assertLess(error(name, "--method=gptq", statistics, *options), 0.8 * rounded)

    def test_statistics_without_hessians(self):
        statistics = self.calibrate()
        run = s.run_tool(
            "nibble-compile", STORIES, "-o", self.out / "m.so", *SCHEME, "--method=gptq", statistics
        )
        self.check(run, 1, "Hessian")


if __name__ == "__main__":
    unittest.main()
