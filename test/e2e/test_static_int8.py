# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Static W8A8: calibrate, compile, run; the same as a QDQ model in ONNX Runtime."""

import json
import unittest

import numpy as np
import support as s

MODEL = s.MODELS / "glyphs.onnx"
# Images that scales are chosen by, and those that are scored.
CALIBRATION, SCORED = slice(800, 1000), slice(0, 800)


class StaticInt8(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s.tool("nibble-compile")
        cls.folder = s.WORK / "static-int8"
        cls.folder.mkdir(parents=True, exist_ok=True)
        cls.images, cls.labels = s.glyphs_test()
        cls.data = cls.folder / "data.npz"
        np.savez(cls.data, images=cls.images[CALIBRATION])
        cls.statistics = cls.folder / "stats.yaml"
        ran = s.run_tool(
            "nibble-calibrate", MODEL, f"--data={cls.data}", "-o", cls.statistics, "--method=mse"
        )
        assert ran.returncode == 0, ran.stderr
        cls.options = ["--quantize=W8A8", f"--calibration={cls.statistics}"]

    def compile(self, model, name, *options):
        out = self.folder / name
        ran = s.run_tool("nibble-compile", model, "-o", out, *options)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return out

    def logits(self, path):
        return s.classify(s.nibble.Model(path), self.images[SCORED], 1)

    def test_accuracy_and_report(self):
        report = self.folder / "report.json"
        binary = self.compile(MODEL, "static.so", *self.options, f"--report={report}")
        labels = self.labels[SCORED]
        wanted = s.accuracy(s.classify(s.load(MODEL), self.images[SCORED], 1), labels)
        found = self.logits(binary)
        self.assertGreaterEqual(s.accuracy(found, labels), wanted - 0.003)
        layers = json.loads(report.read_text())["layers"]
        self.assertGreater(len(layers), 3)
        for layer in layers:
            self.assertEqual(layer["scheme"], "W8A8", layer["name"])
            # A float32 scale for each channel beside the bytes.
            self.assertGreater(layer["bits_per_weight"], 8)
            self.assertLess(layer["bits_per_weight"], 12)

    def test_output_errors_of_equalized_layers(self):
        # What was seen is the input of before: those layers have no error.
        text = self.compile(MODEL, "equal.mlir", *self.options, "--compile-to=onnx").read_text()
        equalized = text.count("nibble.equalized")
        self.assertGreater(equalized, 0)
        for option, missing in (("--equalize", equalized), ("--equalize=false", 0)):
            report = self.folder / "errors.json"
            self.compile(MODEL, "errors.so", *self.options, f"--report={report}", option)
            layers = json.loads(report.read_text())["layers"]
            without = [layer["name"] for layer in layers if "output_error" not in layer]
            self.assertEqual(len(without), missing, without)
            self.assertGreater(len(layers), missing)

    def test_no_float_product_is_left(self):
        text = self.compile(
            MODEL, "static.mlir", *self.options, "--compile-to=nibble"
        ).read_text()
        self.assertNotRegex(text, r"nibble\.(matmul|conv) |linalg\.(matmul|conv)")
        found = [line for line in text.splitlines() if "_integer %" in line]
        floats = [line for line in found if not line.rstrip().endswith("xi8>")]
        # The logits.
        self.assertEqual(len(floats), 1, "\n".join(floats))

    def test_qdq_model_in_onnxruntime(self):
        ort = s.onnxruntime()
        for codes in ([], ["--activation-type=int8", "--activation-symmetric"]):
            options = [*self.options, *codes]
            binary = self.compile(MODEL, "both.so", *options)
            qdq = self.compile(MODEL, "both.onnx", *options, "--emit=qdq-onnx")
            ours = self.logits(binary)
            for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
                with self.subTest(codes=codes, level=level):
                    settings = ort.SessionOptions()
                    settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
                    session = ort.InferenceSession(
                        str(qdq), settings, providers=["CPUExecutionProvider"]
                    )
                    name = session.get_inputs()[0].name
                    theirs = np.concatenate(
                        [session.run(None, {name: x[None]})[0] for x in self.images[SCORED]]
                    )
                    # Rarely a tie of a hidden value falls to the other side.
                    self.assertLess(np.abs(ours - theirs).mean(), 2e-3 * np.abs(ours).max())
                    self.assertGreater((ours.argmax(-1) == theirs.argmax(-1)).mean(), 0.995)

    def test_trained_scales_stay(self):
        qdq = self.compile(MODEL, "trained.onnx", *self.options, "--emit=qdq-onnx")
        plain = self.compile(qdq, "plain.so")
        asked = self.compile(qdq, "asked.so", "--quantize=W8A8")
        np.testing.assert_array_equal(self.logits(plain), self.logits(asked))
        np.testing.assert_array_equal(
            self.logits(plain), self.logits(self.compile(MODEL, "direct.so", *self.options))
        )

    def test_corrections_can_be_switched_off(self):
        texts = {
            option: self.compile(
                MODEL, "off.mlir", *self.options, "--compile-to=onnx", *option
            ).read_text()
            for option in ((), ("--bias-correction=false",), ("--equalize=false",))
        }
        self.assertEqual(len(set(texts.values())), 3)

    def refused(self, *options):
        out = self.folder / "refused.so"
        out.unlink(missing_ok=True)
        ran = s.run_tool("nibble-compile", MODEL, "-o", out, *options)
        self.assertNotEqual(ran.returncode, 0)
        self.assertFalse(out.exists())
        return ran.stderr

    def test_refusals(self):
        self.assertIn("needs the ranges of activations", self.refused("--quantize=W8A8"))
        other = self.folder / "other.yaml"
        text = self.statistics.read_text()
        first = text.index("hash: 0x") + len("hash: 0x")
        other.write_text(text[:first] + "0123456789abcdef" + text[first + 16 :])
        self.assertIn(
            "this model has", self.refused("--quantize=W8A8", f"--calibration={other}")
        )
        missing = self.folder / "missing.yaml"
        self.assertIn(
            "missing.yaml", self.refused("--quantize=W8A8", f"--calibration={missing}")
        )
        self.assertIn("symmetric", self.refused(*self.options, "--asymmetric"))
        ran = s.run_tool(
            "nibble-compile", MODEL, "-o", self.folder / "none.onnx", "--emit=qdq-onnx"
        )
        self.assertIn("nothing is quantized", ran.stderr)

    def test_a_rule_keeps_a_layer_float(self):
        report = self.folder / "rule.json"
        self.compile(MODEL, "all.so", *self.options, f"--report={report}")
        names = [layer["name"] for layer in json.loads(report.read_text())["layers"]]
        config = self.folder / "rules.yaml"
        config.write_text(f'version: 1\nrules:\n  - layers: "{names[1]}"\n    skip: true\n')
        ran = s.run_tool(
            "nibble-compile", MODEL, "-o", self.folder / "rule.so", *self.options,
            f"--config={config}", f"--report={report}",
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertNotIn("matches no layer", ran.stderr)
        layers = {e["name"]: e for e in json.loads(report.read_text())["layers"]}
        self.assertEqual(layers[names[1]]["scheme"], "none")
        self.assertIn("a rule keeps it float", layers[names[1]]["reason"])
        self.assertEqual(layers[names[0]]["scheme"], "W8A8")

    def test_a_tensor_without_statistics(self):
        text = self.statistics.read_text()
        name = self.compile(MODEL, "names.mlir", "--compile-to=onnx").read_text()
        name = next(line for line in name.splitlines() if "onnx.Relu" in line)
        name = name.split('onnx.name = "')[1].split('"')[0]
        cut = self.folder / "cut.yaml"
        self.assertIn(f'"{name}"', text)
        cut.write_text(text.replace(f'"{name}"', f'"{name} gone"', 1))
        ran = s.run_tool(
            "nibble-compile", MODEL, "-o", self.folder / "cut.so", "--quantize=W8A8",
            f"--calibration={cut}",
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn(f'the statistics have no range of its input "{name}"', ran.stderr)


if __name__ == "__main__":
    unittest.main()
