# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A running 4-bit model keeps no private copy of its weights, and the compiler needs
memory for the weights in hand, not for the model.

The running model is one product of 4096 x 4096, 64 MiB in float32 and 9 MiB in 4 bits:
a float copy could not hide in what a process needs anyway.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
import support as s

SIZE = 4096

PROGRAM = (
    """
import json, sys, numpy as np, nibble
def maps():
    rows, row = [], None
    for line in open("/proc/self/smaps"):
        words = line.split()
        if not words[0].endswith(":"):
            row = {"path": words[5] if len(words) > 5 else "", "kB": {}}
            rows.append(row)
        elif len(words) == 3:
            row["kB"][words[0][:-1]] = int(words[1])
    return rows
def private():
    # Not Private_Dirty: that counts pages of a file that was just written and
    # is not on the disk yet, which are no copies.
    return sum(row["kB"]["Anonymous"] for row in maps())
np.ones((64, 64), np.float32) @ np.ones((64, 64), np.float32)
before = private()
model = nibble.Model(sys.argv[1], threads=2)
x = np.ones((1, %d), np.float32)
for _ in range(3):
    out = next(iter(model.run({"x": x}).values()))
weights = [row["kB"] for row in maps() if row["path"] == sys.argv[2] and row["kB"]["Size"] > 4096]
print(json.dumps({
    "growth": private() - before,
    "weights": sum(kb["Rss"] for kb in weights),
    "copied": sum(kb["Anonymous"] for kb in weights),
    "bytes": model.weight_bytes,
}))
"""
    % SIZE
)


def make_chain(name: str, size: int, layers: int) -> Path:
    """A model of some products with [size, size] each, one after the other."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise unittest.SkipTest("the Python package onnx is not installed") from None
    path = s.WORK / f"{name}.onnx"
    if path.exists():
        return path
    generator = np.random.default_rng(7)
    values = ["x", *(f"h{i}" for i in range(1, layers)), "y"]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [values[i], f"w{i}"], [values[i + 1]], name=f"product{i}")
            for i in range(layers)
        ],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
        [
            numpy_helper.from_array(generator.standard_normal((size, size), np.float32), f"w{i}")
            for i in range(layers)
        ],
    )
    s.WORK.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


class CompilerMemory(unittest.TestCase):
    def peak(self, path: Path, *options: str) -> int:
        """Bytes of memory that a compilation takes at most, pages of files included."""
        usage = s.usage_of_tool("nibble-compile", path, "-o", s.WORK / "peak.so", *options)
        return usage.ru_maxrss * 1024

    def check(self, *options: str):
        # 192 MiB of weights in 12 tensors, against 1 MiB.
        size, layers = 2048, 12
        large = self.peak(make_chain("chain", size, layers), *options)
        small = self.peak(make_chain("small_chain", size // 4, 1), *options)
        tensor = size * size * 4
        self.assertLess(large - small, 4 * tensor, "bytes more than for a small model")

    def test_float(self):
        self.check()

    def test_quantized(self):
        self.check(*s.SCHEMES["W4A16 g32"])

    def test_sidecar(self):
        self.check("--weights=sidecar")


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.path = make_chain("large", SIZE, 1)

    def measure(self, where: str) -> dict[str, int]:
        options = [*s.SCHEMES["W4A16 g32"], f"--weights={where}"]
        binary = s.compile_model(self.path, options)
        mapped = binary
        if where == "sidecar":
            mapped = max(binary.parent.iterdir(), key=lambda file: file.stat().st_size)
        command = [sys.executable, "-c", PROGRAM, str(binary), str(mapped.resolve())]
        environment = {**os.environ, "PYTHONPATH": str(s.ROOT / "python")}
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def check(self, where: str):
        found = self.measure(where)
        # 4.5 bits per weight: codes and one f16 scale for 32 of them.
        self.assertLess(found["bytes"], SIZE * SIZE * 4.6 / 8)
        self.assertGreater(found["weights"], 8000, "the weights are not mapped from the file")
        self.assertEqual(found["copied"], 0, "kB of the mapped weights that are private")
        self.assertLess(found["growth"], 4000, "kB of private memory of model and run")

    def test_embedded(self):
        self.check("embedded")

    def test_sidecar(self):
        self.check("sidecar")


if __name__ == "__main__":
    unittest.main()
