# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reports, as the compiler writes them and as python -m nibble report shows them."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import support as s
from nibble.__main__ import main


def call(*arguments: str) -> tuple[int, str, str]:
    """Status, standard output and standard error of a verb."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main(list(arguments))
    return status, out.getvalue(), errors.getvalue()


class Show(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def compile(self, name: str, *options: str) -> Path:
        s.tool("nibble-compile")
        report = self.folder / name
        s.nibble.compile(
            s.MODELS / "glyphs.onnx", self.folder / "q.mlir", compile_to="quantized",
            report=report, options=options,
        )  # fmt: skip
        return report

    def test_table(self):
        rules = self.folder / "rules.yaml"
        rules.write_text("rules: [{layers: stem, skip: true}]")
        path = self.compile("r.json", "--quantize=W4A16", f"--config={rules}")
        status, out, _ = call("report", str(path))
        self.assertEqual(status, 0)
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^glyphs\.onnx: 9 of 10 layers quantized, [\d.]+ bits per")
        self.assertEqual(lines[1].split()[:4], ["layer", "scheme", "method", "bits"])
        self.assertEqual(len(lines), 12)
        self.assertRegex(lines[2], r"^stem +none +32\.000 +576 +a rule keeps it float")
        status, out, _ = call("report", str(path), "--sort", "sqnr", "--count", "3")
        figures = [float(line.split()[5]) for line in out.splitlines()[2:]]
        layers = json.loads(path.read_text())["layers"]
        worst = sorted(layer["sqnr_db"] for layer in layers if "sqnr_db" in layer)[:3]
        self.assertEqual(figures, [round(value, 2) for value in worst])

    def test_page_opens_in_a_browser(self):
        path = self.compile("r.html", "--quantize=W8A16")
        with mock.patch("webbrowser.open", return_value=True) as opened:
            self.assertEqual(call("report", str(path))[0], 0)
        opened.assert_called_once_with(path.resolve().as_uri())

    def test_errors(self):
        def check(name: str, content: str | None, message: str, *options: str):
            path = self.folder / name
            if content is not None:
                path.write_text(content)
            status, _, errors = call("report", str(path), *options)
            self.assertEqual(status, 1)
            self.assertIn(message, errors)
            self.assertIn(name if not options else options[0], errors)

        check("none.json", None, "cannot read")
        check("none.html", None, "no such file")
        check("a.txt", "", "expected a report named X.json")
        check("a.json", "{", "not a report in JSON form")
        check("b.json", "[]", "has no 'totals' and 'layers'")
        check("c.json", '{"totals": {}, "layers": [{"name": "x"}]}', "layer 1 lacks one of")
        check("d.json", '{"totals": {}, "layers": []}', "has that figure", "--sort", "measured")


if __name__ == "__main__":
    unittest.main()
