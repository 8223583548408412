# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A disk that gets full, at any point of the output, is one message and no file."""

import resource
import unittest

import numpy as np
import support as s
from refusal import Refusal


class FullDisk(Refusal):
    OUTPUTS = (
        ("m.so", []),
        ("m", []),
        ("m.o", []),
        ("m.mlir", ["--compile-to=linalg"]),
        ("m.mlirbc", ["--compile-to=linalg"]),
        ("m.s", ["--emit=asm"]),
        ("m.so", ["--weights=sidecar"]),
    )

    def compile_all(self, *wanted: str):
        for name, options in self.OUTPUTS:
            with self.subTest(name=name, options=options):
                model = s.MODELS / "glyphs.onnx"
                run = s.run_tool("nibble-compile", model, "-o", self.out / name, *options)
                # The name that the user gave, not a temporary one.
                self.assertNotIn(".tmp", run.stderr)
                stem = str(self.out / "m")
                self.check(run, 1, f"can't write '{stem}", *wanted)

    def test_nothing_fits(self):
        self.mount_small_disk(self.out, "16k")
        self.compile_all("No space left")

    def test_all_but_the_last_step_fits(self):
        # Objects of 0.7 MB and a binary of as much.
        self.mount_small_disk(self.out, "1100k")
        for name in ("m.so", "m", "m.o"):
            with self.subTest(name=name):
                run = s.run_tool("nibble-compile", s.MODELS / "glyphs.onnx", "-o", self.out / name)
                self.check(run, 1, f"can't write '{self.out / name}'", "No space left")

    def test_file_size_limit(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        run = self.compile(s.MODELS / "glyphs.onnx", preexec_fn=limit)
        self.check(run, 1, "File too large")

    def test_outputs_of_a_run(self):
        binary = s.compile_model(s.MODELS / "glyphs.onnx", [])
        images = self.folder / "images.npy"
        np.save(images, np.zeros((500, 1, 24, 24), np.float32))
        self.mount_small_disk(self.out, "8k")
        run = s.run_tool("nibble-run", binary, "--input", images, "--output-dir", self.out)
        self.check(run, 1, f"can't write '{self.out}/", ".npy'", "No space left")

    def test_full_standard_output(self):
        binary = s.compile_model(s.MODELS / "glyphs.onnx", [])
        with open("/dev/full", "w") as full:
            run = s.run_tool("nibble-run", binary, "--info", stdout=full)
        self.check(run, 1, "standard output")


if __name__ == "__main__":
    unittest.main()
