# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that is killed leaves its outputs whole, as they were before, or absent."""

import random
import re
import signal
import subprocess
import time
import unittest
from pathlib import Path

import numpy as np
import support as s
from refusal import Refusal

# What may be left by a process that could not clean up: X.tmp and 6 or 8 characters,
# and for the parts of a binary a word more.
TEMPORARY = re.compile(r".*\.tmp-?[0-9A-Za-z]{6,8}(-[a-z.]+(\.tmp[0-9a-f]+)?)?")


class Kill(Refusal):
    def setUp(self):
        super().setUp()
        self.random = random.Random(11)

    def kill_often(self, command: list, outputs: list[str], with_signal: int, times: int):
        """Runs `command` and kills it at random moments of its life.

        After each kill every output is as a whole run writes it, or not there, and
        there is nothing else but, after SIGKILL, temporary files.
        """
        start = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        length = time.monotonic() - start
        whole = {name: (self.out / name).read_bytes() for name in outputs}
        self.assertEqual(sorted(f.name for f in self.out.iterdir()), sorted(outputs))
        killed = 0
        for attempt in range(times):
            # Half of the time there is an older output, which stays or is replaced.
            before = attempt % 2 == 0
            for name in outputs:
                (self.out / name).unlink(missing_ok=True)
                if before:
                    (self.out / name).write_bytes(b"before")
            # A test run in the background may have been told to ignore SIGINT.
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: signal.signal(with_signal, signal.SIG_DFL)
                if with_signal != signal.SIGKILL
                else None,
            )
            # The outputs come at the end: most kills go there.
            time.sleep(length * self.random.choice((0.3, 0.7, 0.9, 1.0)) * self.random.random())
            process.send_signal(with_signal)
            _, text = process.communicate(timeout=120)
            killed += process.returncode == -with_signal
            for file in sorted(self.out.iterdir()):
                if file.name in outputs:
                    allowed = [whole[file.name]] + ([b"before"] if before else [])
                    self.assertIn(file.read_bytes(), allowed, f"{file} is half written")
                    continue
                self.assertEqual(with_signal, signal.SIGKILL, f"left behind: {file}\n{text}")
                self.assertTrue(TEMPORARY.fullmatch(file.name), file.name)
                file.unlink()
        self.assertGreater(killed, 0, "the process was never killed: it is too fast")

    def compile(self, name: str, *options: str) -> list:
        model = s.MODELS / "stories.onnx"
        return [s.tool("nibble-compile"), model, "-o", self.out / name, *options]

    def test_shared_object(self):
        command = self.compile("m.so", "--quantize=W8A16")
        self.kill_often(command, ["m.so"], signal.SIGKILL, 16)
        self.kill_often(command, ["m.so"], signal.SIGTERM, 16)

    def test_weights_beside_the_binary(self):
        command = self.compile("m", "--weights=sidecar", "--quantize=W8A16")
        for number in (signal.SIGKILL, signal.SIGINT):
            self.kill_often(command, ["m", "m.weights"], number, 8)

    def test_module_and_report(self):
        command = self.compile(
            "m.mlir", "--compile-to=quantized", "--quantize=W4A16", f"--report={self.out}/r.html"
        )
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.kill_often(command, ["m.mlir", "m.weights", "r.html"], number, 12)

    def test_export(self):
        command = self.compile("m.onnx", "--compile-to=onnx")
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.kill_often(command, ["m.onnx"], number, 8)

    def test_outputs_of_a_run(self):
        binary = s.compile_model(s.MODELS / "glyphs.onnx", [])
        images = self.folder / "images.npy"
        np.save(images, np.random.default_rng(0).random((2000, 1, 24, 24), np.float32))
        command = [s.tool("nibble-run"), binary, "--input", images, "--output-dir", self.out]
        names = [f"{name}.npy" for name in output_names(binary)]
        for number in (signal.SIGKILL, signal.SIGTERM):
            self.kill_often(command, names, number, 12)


def output_names(binary: Path) -> list[str]:
    run = s.run_tool("nibble-run", binary, "--info")
    return [entry["name"] for entry in s.json.loads(run.stdout)["outputs"]]


if __name__ == "__main__":
    unittest.main()
