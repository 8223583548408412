# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reports, as the compiler writes them and as python -m nibble report shows them."""

import contextlib
import io
import json
import math
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
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


class OutputErrors(unittest.TestCase):
    """Against float64 in NumPy, for a model of one product: y = x w."""

    def setUp(self):
        s.tool("nibble-calibrate")
        try:
            import onnx
            from onnx import TensorProto, helper, numpy_helper
        except ImportError:
            self.skipTest("the Python package onnx is not installed")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        generator = np.random.default_rng(3)
        self.weight = generator.standard_normal((48, 20)).astype(np.float32)
        # Columns that are correlated, and of different sizes.
        samples = generator.standard_normal((40, 5, 48)) * np.linspace(0.1, 3, 48)
        self.samples = np.cumsum(samples, -1).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n", 48])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "n", 20])],
            [numpy_helper.from_array(self.weight, "w")],
        )
        self.model = self.folder / "m.onnx"
        opset = [helper.make_opsetid("", 21)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), self.model)
        self.data = self.folder / "x.npz"
        np.savez(self.data, x=self.samples)

    def calibrate(self, *options: str) -> Path:
        out = self.folder / f"stats{len(options)}.yaml"
        run = s.run_tool("nibble-calibrate", self.model, f"--data={self.data}", "-o", out, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return out

    def report(self, *options: str) -> dict:
        path = self.folder / "r.json"
        quantize = ["--quantize=W4A16", "--group-size=16", "--asymmetric"]
        s.nibble.compile(
            self.model, self.folder / "m.so", report=path, options=[*quantize, *options]
        )
        return json.loads(path.read_text())

    def quantized_weight(self) -> np.ndarray:
        """What the compiled model multiplies with."""
        model = s.nibble.Model(self.folder / "m.so")
        return model.run({"x": np.eye(48, dtype=np.float32)[None]})["y"][0].astype(np.float64)

    def test_statistics(self):
        report = self.report(f"--calibration={self.calibrate('--hessian')}")
        layer = report["layers"][0]
        x = self.samples.reshape(-1, 48).astype(np.float64)
        error = self.weight - self.quantized_weight()
        wanted = ((x @ error) ** 2).sum() / ((x @ self.weight) ** 2).sum()
        found = layer["output_error"]
        self.assertEqual(found["basis"], "hessian")
        self.assertAlmostEqual(found["relative"] / wanted, 1, 4)
        self.assertAlmostEqual(found["sqnr_db"], -10 * math.log10(found["relative"]), 9)
        self.assertEqual(report["calibration"], str(self.folder / "stats1.yaml"))

        layer = self.report(f"--calibration={self.calibrate()}")["layers"][0]
        importance = (x**2).mean(0)[:, None]
        wanted = (importance * error**2).sum() / (importance * self.weight**2).sum()
        self.assertEqual(layer["output_error"]["basis"], "mean-squares")
        self.assertAlmostEqual(layer["output_error"]["relative"] / wanted, 1, 4)
        self.assertNotIn("measured_output", layer)

    def test_windows_of_grouped_convolutions(self):
        from onnx import TensorProto, helper, numpy_helper, save

        generator = np.random.default_rng(4)
        weight = generator.standard_normal((6, 4, 3, 3)).astype(np.float32)
        graph = helper.make_graph(
            [
                helper.make_node(
                    "Conv", ["x", "w"], ["y"], name="conv", group=2, strides=[2, 1],
                    pads=[1, 0, 1, 2],
                )
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 9, 7])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 6, 5, 7])],
            [numpy_helper.from_array(weight, "w")],
        )  # fmt: skip
        opset = [helper.make_opsetid("", 21)]
        save(helper.make_model(graph, opset_imports=opset, ir_version=10), self.model)
        x = np.cumsum(generator.standard_normal((12, 8, 9, 7)), -1).astype(np.float32)
        np.savez(self.data, x=x)
        report = self.report(f"--calibration={self.calibrate('--hessian')}")
        # The layer is the model: its error is that of the outputs.
        quantized = s.nibble.Model(self.folder / "m.so").run({"x": x})["y"].astype(np.float64)
        plain = s.Reference(self.model).run({"x": x})["y"].astype(np.float64)
        wanted = ((quantized - plain) ** 2).sum() / (plain**2).sum()
        found = report["layers"][0]["output_error"]
        self.assertEqual(found["basis"], "hessian")
        self.assertAlmostEqual(found["relative"] / wanted, 1, 3)

    def test_samples(self):
        report = self.report(f"--data={self.data}", "--report-samples=7")
        layer, output = report["layers"][0]["measured_output"], report["outputs"][0]
        x = self.samples[:7].astype(np.float64)
        y, error = x @ self.weight, x @ (self.weight - self.quantized_weight())
        sqnr = 10 * np.log10((y**2).sum((1, 2)) / (error**2).sum((1, 2)))
        cosines = [s.cosine(a, a - b) for a, b in zip(y, error)]
        self.assertEqual(output["name"], "y")
        for found in (layer, output["measured_output"]):
            self.assertEqual(found["samples"], 7)
            self.assertAlmostEqual(found["sqnr_db"]["mean"], sqnr.mean(), 2)
            self.assertAlmostEqual(found["sqnr_db"]["standard_deviation"], sqnr.std(ddof=1), 2)
            self.assertAlmostEqual(found["sqnr_db"]["least"], sqnr.min(), 2)
            self.assertAlmostEqual(found["cosine"]["mean"], np.mean(cosines), 5)
        self.assertNotIn("measured_output", self.report()["layers"][0])

    def test_samples_of_a_model_for_another_cpu(self):
        # No machine that runs tests has these instructions.
        data, report = f"--data={self.data}", self.folder / "far.json"
        native = self.report(data)
        run = s.run_tool(
            "nibble-compile", self.model, "-o", self.folder / "far.o", "--quantize=W4A16",
            "--group-size=16", "--asymmetric", "--march=diamondrapids", data,
            f"--report={report}",
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(report.read_text())["outputs"], native["outputs"])

    def test_samples_of_products_in_bf16(self):
        # Enough rows for tiles, and more of them than errors of 4 bits.
        np.savez(self.data, x=np.tile(self.samples, (1, 8, 1)))
        data = [f"--data={self.data}", "--quantize=W8A16", "--group-size=-1"]
        errors = [
            self.report(*data, f"--compute={compute}")["outputs"][0]["measured_output"]
            for compute in ("f32", "bf16")
        ]
        if s.has_tiles():
            self.assertNotEqual(*errors)
        else:
            self.assertEqual(*errors)

    def check_refused(self, message: str, *options: str):
        path = self.folder / "bad.json"
        run = s.run_tool(
            "nibble-compile", self.model, "-o", self.folder / "bad.so", "--quantize=W4A16",
            f"--report={path}", *options,
        )  # fmt: skip
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(message, run.stderr)
        self.assertFalse(path.exists() or (self.folder / "bad.so").exists())

    def test_bad_data(self):
        wrong = self.folder / "wrong.npz"
        np.savez(wrong, x=np.zeros((3, 5, 47), np.float32))
        self.check_refused("wrong.npz", f"--data={wrong}")
        np.savez(wrong, x=np.full((3, 5, 48), np.nan, np.float32))
        self.check_refused("NaN", f"--data={wrong}")
        self.check_refused("none.npz", f"--data={self.folder / 'none.npz'}")
        self.check_refused("none.yaml", f"--calibration={self.folder / 'none.yaml'}")

    def test_quantized_text_has_no_float_model(self):
        path = self.folder / "q.mlir"
        s.nibble.compile(self.model, path, "W4A16", compile_to="quantized")
        run = s.run_tool(
            "nibble-compile", path, "-o", self.folder / "q.so", f"--data={self.data}",
            f"--report={self.folder / 'q.json'}",
        )  # fmt: skip
        self.assertEqual(run.returncode, 1)
        self.assertIn("is not in float any more: give the ONNX file", run.stderr)


if __name__ == "__main__":
    unittest.main()
