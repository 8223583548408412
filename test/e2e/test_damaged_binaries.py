# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Binaries and weights files that are cut off, damaged, exchanged or for another CPU."""

import shutil
import subprocess
import unittest
from pathlib import Path

import numpy as np
import support as s
from refusal import Refusal


class DamagedBinaries(Refusal):
    def make(self, name: str, *options: str) -> Path:
        """Compiles glyphs as `name`; a copy that may be spoilt."""
        path = self.folder / name
        run = s.run_tool("nibble-compile", s.MODELS / "glyphs.onnx", "-o", path, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return path

    def refuse(self, path: Path, *wanted: str, options=()):
        run = s.run_tool("nibble-run", path, "--info", *options)
        self.check(run, 1, *wanted)
        self.assertEqual(run.stdout, "")

    def test_cut_off(self):
        for name in ("m.so", "m"):
            path = self.make(name)
            data = path.read_bytes()
            for size in (0, 10, 64, 200, 5000, len(data) // 2, len(data) - 60, len(data) - 1):
                with self.subTest(name=name, size=size):
                    path.write_bytes(data[:size])
                    self.refuse(path, name)

    def test_changed_byte(self):
        """In the code always; in the weights when asked for."""
        random = np.random.default_rng(5)
        for name in ("m.so", "m"):
            path = self.make(name)
            data = path.read_bytes()
            elf = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True).stdout
            fields = elf.split(".nibble_weights", 1)[1].split()
            begin, size = int(fields[2], 16), int(fields[3], 16)
            outside = [int(x) for x in random.integers(64, begin, 14)]
            # Behind the weights is the seal, which ends with their checksum.
            outside += [int(x) for x in random.integers(begin + size, len(data) - 8, 4)]
            for position in outside + [begin, begin + size // 2, begin + size - 1]:
                spoilt = bytearray(data)
                spoilt[position] ^= 1 << int(random.integers(0, 8))
                path.write_bytes(spoilt)
                with self.subTest(name=name, position=position):
                    self.refuse(path, name, options=["--verify"])
                    if begin <= position < begin + size:
                        run = s.run_tool("nibble-run", path, "--info")
                        self.assertEqual(run.returncode, 0, run.stderr)
                    else:
                        self.refuse(path, name)
            path.write_bytes(data)
            run = s.run_tool("nibble-run", path, "--verify", "--info")
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_weights_file(self):
        path = self.make("m.so", "--weights=sidecar")
        weights = self.folder / "m.so.weights"
        data = weights.read_bytes()
        run = s.run_tool("nibble-run", path, "--verify", "--info")
        self.assertEqual(run.returncode, 0, run.stderr)
        for size in (0, 7, 100, 4096, len(data) - 1):
            with self.subTest(size=size):
                weights.write_bytes(data[:size])
                self.refuse(path, "m.so.weights")
        weights.write_bytes(data + b"x")
        self.refuse(path, "m.so.weights", "too long")
        spoilt = bytearray(data)
        spoilt[6000] ^= 4
        weights.write_bytes(spoilt)
        self.refuse(path, "m.so.weights", "damaged", options=["--verify"])
        other = self.make("other.so", "--weights=sidecar", "--quantize=W8A16")
        shutil.copy(self.folder / "other.so.weights", weights)
        self.refuse(path, "m.so.weights", "does not belong")
        (self.folder / "other.so.weights").unlink()
        self.refuse(other, "other.so.weights")

    def test_program_with_weights_file(self):
        """The weights lie beside the program, whoever starts it and from where."""
        path = self.make("m", "--weights=sidecar")
        for start in ([s.tool("nibble-run"), path], [path], ["sh", "-c", '"$0" "$@"', path]):
            run = subprocess.run([*start, "--verify", "--info"], cwd="/", capture_output=True)
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_other_files(self):
        text = self.folder / "text.so"
        text.write_text("not a model")
        self.refuse(text, "text.so")
        self.refuse(Path(s.tool("nibble-run")), "nibble-run")
        self.refuse(s.BUILD / "lib/libNibble.so", "not a model compiled by nibble-compile")
        self.refuse(self.folder, str(self.folder))

    def test_wrong_cpu(self):
        """The code is not entered on a CPU that lacks what it was compiled for."""
        with open("/proc/cpuinfo") as info:
            flags = info.read().split("flags")[1].split("\n")[0].split()
        if "xop" in flags:
            self.skipTest("no target is known that this CPU does not have")
        # bdver4 has XOP, which no other maker's CPU and no later one has.
        path = self.make("m.so", "--march=bdver4")
        run = s.run_tool("nibble-run", path, "--benchmark=0")
        self.check(run, 1, "bdver4", "xop")


if __name__ == "__main__":
    unittest.main()
