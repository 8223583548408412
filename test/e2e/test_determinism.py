# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The same input gives the same bytes, and the same results."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s


class Determinism(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compile(self, model: Path, place: str, name: str, *options: str, **kwargs) -> dict:
        """Compiles to `place`/`name`; the bytes of every file that this writes."""
        out = self.folder / place
        out.mkdir(parents=True, exist_ok=True)
        run = s.run_tool("nibble-compile", model, "-o", out / name, *options, **kwargs)
        self.assertEqual(run.returncode, 0, run.stderr)
        return {file.name: file.read_bytes() for file in out.iterdir()}

    def assert_same(self, first: dict, second: dict, what: str):
        self.assertEqual(first.keys(), second.keys(), what)
        for name, data in first.items():
            self.assertTrue(data == second[name], f"{name} differs: {what}")

    OUTPUTS = (
        ("m.so", ["--quantize=W4A16", "--group-size=32"]),
        ("m", ["--weights=sidecar", "--quantize=W8A16"]),
        ("m.o", []),
        ("m.mlir", ["--quantize=W4A16", "--compile-to=linalg"]),
        ("m.mlirbc", ["--quantize=W4A16", "--compile-to=linalg"]),
        ("m.onnx", ["--compile-to=onnx"]),
    )

    def test_runs(self):
        for name, options in self.OUTPUTS:
            with self.subTest(name=name):
                model = s.MODELS / "glyphs.onnx"
                first = self.compile(model, "a" + name, name, *options)
                self.assert_same(first, self.compile(model, "b" + name, name, *options), "two runs")

    def test_threads(self):
        """A binary names the number that --threads gave it as its default; what else is
        in it, and every other kind of output, is the same for all."""
        model = s.MODELS / "stories.onnx"
        options = ["--quantize=W4A16", "--group-size=32"]
        first = self.compile(model, "t1", "m.mlir", "--threads=1", "--compile-to=llvm", *options)
        for threads in (2, 4):
            wanted = [f"--threads={threads}", "--compile-to=llvm", *options]
            other = self.compile(model, f"t{threads}", "m.mlir", *wanted)
            self.assert_same(first, other, f"1 and {threads} threads")

    def test_cores_of_the_machine(self):
        """Without --threads the compiler takes all cores: one must give the same."""
        for model in ("stories.onnx", "glyphs.onnx"):
            everywhere = self.compile(s.MODELS / model, "all" + model, "m.so", "--quantize=W8A16")
            alone = self.compile(
                s.MODELS / model, "one" + model, "m.so", "--quantize=W8A16",
                preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
            )  # fmt: skip
            self.assert_same(everywhere, alone, "one core and all")

    def test_places(self):
        """Nothing of where the model, the output or the compiler's folder lie gets into
        a binary."""
        elsewhere = self.folder / "else where"
        elsewhere.mkdir()
        shutil.copy(s.MODELS / "glyphs.onnx", elsewhere / "glyphs.onnx")
        for name in ("m.so", "m", "m.o"):
            with self.subTest(name=name):
                first = self.compile(s.MODELS / "glyphs.onnx", "p" + name, name)
                second = self.compile(
                    Path("else where/glyphs.onnx"), "q" + name, name, cwd=self.folder
                )
                self.assert_same(first, second, "another folder")

    def test_results(self):
        """Every output is the same number for any number of threads."""
        random = np.random.default_rng(1)
        images = self.folder / "images.npy"
        np.save(images, random.random((33, 1, 24, 24), np.float32))
        for options in ([], ["--quantize=W4A16", "--group-size=32"], ["--quantize=W8A16"]):
            with self.subTest(options=options):
                binary = s.compile_model(s.MODELS / "glyphs.onnx", options)
                results = []
                for threads in (1, 2, 3, 4, 2):
                    out = self.folder / f"t{threads}"
                    run = s.run_tool(
                        "nibble-run", binary, "--input", images, "--output-dir", out,
                        "--threads", threads,
                    )  # fmt: skip
                    self.assertEqual(run.returncode, 0, run.stderr)
                    results.append({f.name: f.read_bytes() for f in out.iterdir()})
                for other in results[1:]:
                    self.assert_same(results[0], other, "another number of threads")


if __name__ == "__main__":
    unittest.main()
