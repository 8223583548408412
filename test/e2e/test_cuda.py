# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--target=cuda: models equal those for the CPU, on a driver that runs kernels on the host."""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s

FAKE = Path(s.tool("nibble-run")).parents[1] / "test" / "FakeCuda" / "lib"
TRANSLATOR = Path(__file__).resolve().parents[1] / "FakeCuda" / "host-kernels.py"


def random_input(info: dict, dims: dict[str, int]) -> np.ndarray:
    """A tensor for an input of --info: floats in [-1, 1), integers 0 to 9."""
    shape = [d if isinstance(d, int) else dims.get(d, 2) for d in info["shape"]]
    generator = np.random.default_rng(1)
    if info["dtype"].startswith("float"):
        return generator.uniform(-1, 1, shape).astype(info["dtype"])
    return generator.integers(0, 10, shape).astype(info["dtype"])


@unittest.skipUnless(shutil.which("ptxas", path=os.environ["PATH"] + ":/usr/local/cuda/bin"),
                     "needs ptxas")
@unittest.skipUnless(shutil.which("clang-22") or shutil.which("clang"), "needs clang")
class Models(unittest.TestCase):
    def run_tool(self, *arguments: object, **variables: str) -> str:
        tools = str(Path(s.tool("nibble-run")).parent)
        path = os.pathsep.join([tools, "/usr/lib/llvm-22/bin", os.environ["PATH"]])
        env = {**os.environ, "PATH": path, **variables}
        result = s.run_tool(*arguments, env=env)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def check(self, model: Path, *options: str, tolerance: float = 1e-4, **dims: int) -> str:
        """Compares the outputs; returns what the driver noted."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            cuda = [*options, "--target=cuda", "--chip=sm_80"]
            self.run_tool("nibble-compile", model, *options, "-o", folder / "cpu.so")
            self.run_tool("nibble-compile", model, *cuda, "-o", folder / "cuda.so")
            self.run_tool("nibble-compile", model, *cuda, "--compile-to=vector",
                          "-o", folder / "cuda.mlir")
            translated = s.subprocess.run(
                [sys.executable, TRANSLATOR, folder / "cuda.mlir", folder / "kernels.so"],
                env={**os.environ, "PATH": os.pathsep.join([
                    str(Path(s.tool("nibble-opt")).parent), "/usr/lib/llvm-22/bin",
                    os.environ["PATH"]])}, capture_output=True, text=True)
            self.assertEqual(translated.returncode, 0, translated.stderr)
            info = json.loads(self.run_tool("nibble-run", folder / "cpu.so", "--info"))
            inputs = []
            for i, tensor in enumerate(info["inputs"]):
                np.save(folder / f"in{i}.npy", random_input(tensor, dims))
                inputs += ["--input", f"{tensor['name']}={folder / f'in{i}.npy'}"]
            self.run_tool("nibble-run", folder / "cpu.so", *inputs,
                          "--output-dir", folder / "out")
            expected = [x for file in sorted((folder / "out").glob("*.npy"))
                        for x in ("--expect", f"{file.stem}={file}")]
            self.assertTrue(expected)
            self.run_tool("nibble-run", folder / "cuda.so", *inputs, *expected,
                          f"--rtol={tolerance}", f"--atol={tolerance}",
                          LD_LIBRARY_PATH=str(FAKE), FAKE_CUDA_LOG=str(folder / "log"),
                          FAKE_CUDA_KERNELS=str(folder / "kernels.so"))
            log = (folder / "log").read_text()
            self.assertNotIn("error:", log)
            self.assertIn("cuLaunchKernel", log)
            self.assertIn("left: 0 allocations, 0 pinned, 0 modules, 0 streams, 0 events, "
                          "0 contexts, depth 0", log)
            return log

    def test_convolutions(self):
        self.check(s.MODELS / "glyphs.onnx", batch=3)

    def test_codes(self):
        for bits in (2, 3, 4, 8):
            with self.subTest(bits=bits):
                self.check(s.MODELS / "glyphs.onnx", f"--quantize=W{bits}A16", "--group-size=32",
                           "--asymmetric", batch=2)

    def test_codes_that_stay_on_the_host(self):
        self.check(s.MODELS / "glyphs.onnx", "--quantize=NF4", batch=2)

    def test_language_model(self):
        log = self.check(s.MODELS / "stories.onnx", "--quantize=W4A16", "--group-size=32",
                         batch=1, sequence=5, past=0)
        # Attention is the host's: values go there and back.
        self.assertIn("cuMemcpyDtoHAsync_v2", log)


if __name__ == "__main__":
    unittest.main()
