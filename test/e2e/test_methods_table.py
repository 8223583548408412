# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scripts/methods_table.py on a small model, and what its peers' rows are made of."""

import json
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


def rows_of(page: Path) -> list[list[str]]:
    lines = page.read_text().splitlines()
    return [re.split(r" *\| *", line)[1:-1] for line in lines if "|" in line]


class Table(unittest.TestCase):
    def run_script(self, *options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, str(SCRIPT), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    def test_glyphs_in_two_runs(self):
        s.tool("nibble-compile")
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "page.md")
            common = ["--models", "glyphs", "--tools", "nibble", "bitsandbytes", "-o", str(page)]
            run = self.run_script(*common, "--methods", "float", "W8A16 per*")
            self.assertEqual(run.returncode, 0, run.stderr)
            first = json.loads(page.with_suffix(".json").read_text())["records"]
            run = self.run_script(*common, "--resume", "--methods", "W4A16 g64", "W8A16 per*")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertRegex(run.stderr, r"W8A16 per channel, Nibble\n  known")
            self.assertNotRegex(run.stderr, r"W4A16 g64, Nibble\n  known")
            # What was measured before is as it was, and a row has come.
            second = json.loads(page.with_suffix(".json").read_text())["records"]
            self.assertEqual(second[: len(first)], first)
            self.assertEqual(len(second), len(first) + 1)

            rows = rows_of(page)
            head = ["bits", "method", "tool", "accuracy", "seconds", "processor s", "peak MB"]
            self.assertEqual(rows[0], head)
            # In the order of bits.
            names = [row[1] for row in rows[2:]]
            self.assertEqual(names, ["W4A16 g64", "W8A16 per channel", "float"])
            bits = [float(row[0]) for row in rows[2:]]
            # 8 bits and an f16 scale for each of the channels, of 9 to 576 weights.
            self.assertTrue(4.25 < bits[0] < 4.4 and 8 < bits[1] < 8.2 and bits[2] == 32, bits)
            for row in rows[2:]:
                self.assertGreater(float(row[3].strip("*").split()[0]), 97)
            for row in rows[2:4]:
                self.assertGreater(float(row[4]), 0)
                self.assertGreater(float(row[5]), 0)
                self.assertGreater(float(row[6]), 20)
            # It can't do this model, or it is not there: either way that is said.
            text = page.read_text()
            self.assertIn("- bitsandbytes: ", text)
            self.assertEqual(text.count("--models glyphs"), 2)
            picture = xml.etree.ElementTree.parse(page.with_suffix(".svg"))
            # Float is a line.
            circles = [e for e in picture.iter() if e.tag.endswith("circle")]
            self.assertEqual(len(circles), 2)

    def test_unknown_row(self):
        run = self.run_script("--methods", "W5*")
        self.assertEqual(run.returncode, 2)
        self.assertIn("no row has such a name", run.stderr)

    def test_text_that_is_not_there(self):
        run = self.run_script("--text", "none.txt:8")
        self.assertEqual(run.returncode, 2)
        self.assertIn("none.txt: no such file", run.stderr)

    def test_results_that_are_none(self):
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "page.md")
            page.with_suffix(".json").write_text('{"records": [3]}')
            run = self.run_script("--models", "glyphs", "--resume", "-o", str(page))
            self.assertEqual(run.returncode, 1)
            self.assertIn("page.json: not the results of an earlier run", run.stderr)


class Comparison(unittest.TestCase):
    def section(self, *rows: tuple[str, str, float, float]):
        from methods_results import Figures, Record, Store, sections

        store = Store(Path("none.json"), False)
        for tool, method, bits, value in rows:
            figures = Figures(bits, {"perplexity": value}, 1.0, 2.0, 3)
            store.records[method + tool] = Record(method + tool, "m", method, tool, figures)
        return sections(store)[0]

    def test_rows_that_nothing_beats(self):
        section = self.section(
            ("nibble", "a", 4.25, 30.0),
            ("nibble", "b", 4.25, 29.0),
            ("llama.cpp", "c", 4.5, 29.5),
            ("nibble", "d", 8.0, 27.0),
        )
        self.assertEqual(section.front(), {"bnibble", "dnibble"})
        self.assertEqual(section.ahead(), [])

    def test_peers_that_are_ahead(self):
        section = self.section(
            ("nibble", "a", 4.25, 30.0),
            ("autoround", "a", 4.3125, 28.0),
            ("gptqmodel", "a", 4.3125, 31.0),
            ("llama.cpp", "b", 2.0, 90.0),
        )
        ahead = [(row.key, best and best.key) for row, best in section.ahead()]
        self.assertEqual(ahead, [("bllama.cpp", None), ("aautoround", "anibble")])


class TorchModel(unittest.TestCase):
    def test_names_and_rows_of_others(self):
        try:
            import onnx  # noqa: F401
        except ImportError:
            self.skipTest("the Python package onnx is not installed")
        from methods_torch import Exported, transformers_name

        exported = Exported(s.stories260k()[0])
        self.assertEqual(len(exported.linear), 7 * exported.layers)
        self.assertAlmostEqual(exported.rope_theta, 1e4, delta=1)
        theirs = {
            transformers_name(name): exported._halves(name, weight)
            for name, weight in exported.linear.items()
        }
        q = "layers.0.attention.q"
        # Row 2 of a head, which turns with row 3, is row 1 of its first half.
        np.testing.assert_array_equal(theirs[transformers_name(q)][1], exported.linear[q][2])
        for name, weight in exported.from_transformers(theirs).items():
            np.testing.assert_array_equal(weight, exported.linear[name])


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
