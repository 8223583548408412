# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Roundings learned on blocks: what they gain over their start, and on which models."""

import hashlib
import unittest

import numpy as np
import support as s
from refusal import Refusal

STORIES = s.MODELS / "stories.onnx"
GLYPHS = s.MODELS / "glyphs.onnx"
SCHEME = ["--quantize=W3A16", "--group-size=32", "--asymmetric"]
LEARN = [*SCHEME, "--method=autoround", "--iterations=50"]


class AutoRound(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    def setUp(self):
        super().setUp()
        self.tokens, _ = s.stories_test()
        self.data = self.folder / "tokens.npy"
        np.save(self.data, self.tokens[:64].astype(np.int64))

    def compile_with(self, model, *options, name=None, **kwargs):
        # A library of a name that was loaded before would not be read again.
        out = self.out / (name or f"m{len(list(self.out.iterdir()))}.so")
        run = s.run_tool("nibble-compile", model, "-o", out, *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("keep the codes", run.stderr)
        return out

    def test_language_model_is_nearer_to_float_than_both_starts(self):
        data = f"--data={self.data}"
        # Stories that are not among the samples.
        logits = {
            name: s.stories_logits(
                s.nibble.Model(str(self.compile_with(STORIES, *options))), self.tokens[100:140]
            )
            for name, options in (
                ("float", []),
                ("rtn", SCHEME),
                ("gptq", [*SCHEME, "--method=gptq", data]),
                ("from rtn", [*LEARN, data, "--rounding-start=rtn"]),
                ("from gptq", [*LEARN, data]),
            )
        }
        exact = logits.pop("float")
        error = {name: float(np.square(found - exact).mean()) for name, found in logits.items()}
        self.assertLess(error["from rtn"], 0.8 * error["rtn"], error)
        self.assertLess(error["from gptq"], 0.95 * error["gptq"], error)

    def test_convolutions(self):
        images, _ = s.glyphs_test()
        np.save(self.folder / "images.npy", images[:200])
        data = f"--data={self.folder / 'images.npy'}"
        logits = {}
        for name, options in (("float", []), ("rtn", SCHEME),
                              ("learned", [*LEARN, data, "--rounding-start=rtn"])):  # fmt: skip
            model = s.nibble.Model(str(self.compile_with(GLYPHS, *options)))
            logits[name] = s.classify(model, images[200:600], 100)
        error = {
            name: np.square(logits[name] - logits["float"]).mean() for name in ("rtn", "learned")
        }
        self.assertLess(error["learned"], 0.8 * error["rtn"], error)

    def test_threads_and_states_on_disk_do_not_matter(self):
        def digest(*options, **kwargs):
            # A binary holds its own name.
            out = self.compile_with(
                STORIES, *SCHEME, "--method=autoround", "--iterations=20", "--rounding-start=rtn",
                f"--data={self.data}",
                *options, name="same.so", **kwargs,
            )  # fmt: skip
            return hashlib.sha256(out.read_bytes()).hexdigest()

        plain = digest()
        self.assertEqual(digest("--memory-limit=20kB"), plain)
        self.assertEqual(digest(env={"OMP_NUM_THREADS": "1"}), plain)
        self.assertNotEqual(digest("--seed=43"), plain)

    def test_samples_are_needed(self):
        self.check(
            self.compile(STORIES, *SCHEME, "--method=autoround"),
            1,
            "method autoround runs the model on samples: give them with --data",
        )


if __name__ == "__main__":
    unittest.main()
