# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""examples/plugin-pass builds against an installed Nibble, and its tests pass."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import support as s

ROOT = Path(__file__).resolve().parents[2]


def run(*command: object) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True,
                            text=True, timeout=600)
    output = result.stdout + result.stderr
    assert result.returncode == 0, f"{' '.join(map(str, command))}:\n{output[-4000:]}"
    return output


class Plugin(unittest.TestCase):
    """One installation for all tests."""

    @classmethod
    def setUpClass(cls):
        build = Path(s.tool("nibble-opt")).parents[1]
        cls.folder = tempfile.TemporaryDirectory(dir=build)
        cls.prefix = Path(cls.folder.name) / "prefix"
        cls.build = Path(cls.folder.name) / "build"
        run("cmake", "--install", build, "--prefix", cls.prefix)
        run("cmake", "-S", ROOT / "examples/plugin-pass", "-B", cls.build, "-G", "Ninja",
            f"-DCMAKE_PREFIX_PATH={cls.prefix}")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_example(self):
        output = run("ninja", "-C", self.build, "check")
        self.assertRegex(output, r"Passed *: *1 ")

    def test_on_a_model(self):
        run("ninja", "-C", self.build)
        output = Path(self.folder.name) / "quantized.mlir"
        run(self.prefix / "bin/nibble-compile", ROOT / "examples/models/glyphs.onnx",
            "-o", output, "--compile-to=quantized", "--quantize=W4A16", "--group-size=32",
            "--method=power-of-two", "--insert-passes=requests:quantize-power-of-two",
            f"--load-pass-plugin={self.build}/libQuantizePowerOfTwo.so")
        text = output.read_text()
        self.assertIn('method = "power-of-two"', text)
        self.assertNotIn("nibble.dequantize", text)

    def test_method_without_plugin(self):
        result = s.run_tool("nibble-compile", ROOT / "examples/models/glyphs.onnx", "-o",
                            Path(self.folder.name) / "none.mlir", "--compile-to=quantized",
                            "--quantize=W4A16", "--method=power-of-two")
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown method 'power-of-two'", result.stderr)


if __name__ == "__main__":
    unittest.main()
