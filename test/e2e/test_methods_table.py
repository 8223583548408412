# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scripts/methods_table.py on a small model, and what its peers' column is made of."""

import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import support as s

SCRIPT = s.ROOT / "scripts/methods_table.py"


class Table(unittest.TestCase):
    def run_script(self, *options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(SCRIPT), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    def test_glyphs(self):
        s.tool("nibble-compile")
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "page.md")
            run = self.run_script(
                "--models", "glyphs", "--methods", "float", "W8A16 per*", "W4A16 g64",
                "--peers", "bitsandbytes", "-o", str(page),
            )  # fmt: skip
            self.assertEqual(run.returncode, 0, run.stderr)
            text = page.read_text()
            rows = [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if "|" in line]
            self.assertEqual(rows[0][:4], ["method", "bits", "accuracy", "seconds"])
            names = [row[0] for row in rows[2:]]
            self.assertEqual(names, ["float", "W8A16 per channel", "W4A16 g64"])
            bits = [float(row[1]) for row in rows[2:]]
            self.assertEqual(bits[0], 32)
            # 8 bits and an f16 scale for each of the channels, of 9 to 576 weights.
            self.assertTrue(8 < bits[1] < 8.2 and 4.25 < bits[2] < 4.4, bits)
            for row in rows[2:]:
                self.assertGreater(float(row[2].split()[0]), 97)
            for row in rows[3:]:
                self.assertGreater(float(row[3]), 0)
                self.assertGreater(float(row[4]), 20)
            # It can't do this model, or it is not there: either way that is said.
            self.assertIn("- bitsandbytes: ", text)
            picture = xml.etree.ElementTree.parse(page.with_suffix(".svg"))
            circles = [e for e in picture.iter() if e.tag.endswith("circle")]
            self.assertEqual(len(circles), 3)

    def test_unknown_row(self):
        run = self.run_script("--methods", "W5*")
        self.assertEqual(run.returncode, 2)
        self.assertIn("no row has such a name", run.stderr)


class BitsOfAnONNXFile(unittest.TestCase):
    def test_counts_what_took_the_place_of_floats(self):
        try:
            import onnx
            from onnx import TensorProto, helper, numpy_helper
        except ImportError:
            self.skipTest("the Python package onnx is not installed")
        from methods_peers import bits_per_weight

        def save(path: Path, tensors: dict) -> None:
            made = [
                t if isinstance(t, onnx.TensorProto) else numpy_helper.from_array(t, name)
                for name, t in tensors.items()
            ]
            onnx.save(helper.make_model(helper.make_graph([], "g", [], [], made)), path)

        bias = np.zeros(8, np.float32)
        codes = helper.make_tensor("codes", TensorProto.INT4, [8, 16], [1] * 128)
        with tempfile.TemporaryDirectory() as place:
            before, after = Path(place, "a.onnx"), Path(place, "b.onnx")
            save(before, {"w": np.ones((8, 16), np.float32), "bias": bias})
            scales = np.ones((8, 1), np.float32)
            save(after, {"codes": codes, "scales": scales, "bias": bias})
            self.assertEqual(bits_per_weight(before, after), 4 + 32 / 16)
            self.assertIsNone(bits_per_weight(before, before))


if __name__ == "__main__":
    unittest.main()
