# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GPTQ from a statistics file: orders of columns, and what statistics do not fit."""

import json
import unittest

import numpy as np
import support as s
from refusal import Refusal

STORIES = s.MODELS / "stories.onnx"
SCHEME = ["--quantize=W3A16", "--group-size=32", "--asymmetric"]


class GPTQ(Refusal):
    """`self.out` is an empty folder for outputs, `self.folder` for inputs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tokens, _ = s.stories_test()

    def calibrate(self, *options):
        data = self.folder / "tokens.npy"
        np.save(data, self.tokens[:64].astype(np.int64))
        statistics = self.folder / "statistics.yaml"
        run = s.run_tool(
            "nibble-calibrate", STORIES, f"--data={data}", "--layers-only", "-o", statistics, *options
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        return f"--calibration={statistics}"

    def logits(self, name, *options):
        """Of stories that are not among the samples."""
        out = self.out / f"{name}.so"
        run = s.run_tool("nibble-compile", STORIES, "-o", out, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return s.stories_logits(s.nibble.Model(str(out)), self.tokens[100:120])

    def test_every_order_is_better_than_rounding(self):
        statistics = self.calibrate("--hessian")
        wanted = self.logits("float")

        def error(name, *options):
            return np.square(self.logits(name, *SCHEME, *options) - wanted).mean()

        rounded = error("rtn")
        for name, options in (
            ("aware", []),
            ("activation", ["--activation-order"]),
            ("static", ["--activation-order", "--static-groups"]),
            ("mse", ["--scale-rule=mse"]),
        ):
            with self.subTest(name):
                self.assertLess(error(name, "--method=gptq", statistics, *options), 0.8 * rounded)

    def test_statistics_without_hessians(self):
        statistics = self.calibrate()
        run = s.run_tool(
            "nibble-compile", STORIES, "-o", self.out / "m.so", *SCHEME, "--method=gptq", statistics
        )
        self.check(run, 1, "Hessian")

    def test_a_layer_that_no_input_reached(self):
        try:
            from onnx import TensorProto, helper, numpy_helper, save
        except ImportError:
            self.skipTest("the Python package onnx is not installed")
        generator = np.random.default_rng(6)
        product = {}
        for name in ("used", "idle"):
            weight = generator.standard_normal((32, 24)).astype(np.float32)
            product[name] = helper.make_graph(
                [helper.make_node("MatMul", ["x", f"w_{name}"], [f"y_{name}"], name=name)],
                name, [],
                [helper.make_tensor_value_info(f"y_{name}", TensorProto.FLOAT, ["n", 24])],
                [numpy_helper.from_array(weight, f"w_{name}")],
            )  # fmt: skip
        graph = helper.make_graph(
            [
                helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
                helper.make_node("Less", ["sum", "limit"], ["isLess"]),
                helper.make_node(
                    "If", ["isLess"], ["y"], then_branch=product["used"],
                    else_branch=product["idle"],
                ),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 24])],
            [numpy_helper.from_array(np.float32(1e9), "limit")],
        )  # fmt: skip
        model, data = self.folder / "choice.onnx", self.folder / "x.npz"
        opset = [helper.make_opsetid("", 21)]
        save(helper.make_model(graph, opset_imports=opset, ir_version=10), model)
        np.savez(data, x=generator.standard_normal((64, 32)).astype(np.float32))
        statistics, report = self.folder / "choice.yaml", self.folder / "r.json"
        run = s.run_tool(
            "nibble-calibrate", model, f"--data={data}", "--hessian", "-o", statistics
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        run = s.run_tool(
            "nibble-compile", model, "-o", self.out / "choice.so", *SCHEME, "--method=gptq",
            f"--calibration={statistics}", f"--report={report}",
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(
            'warning: layer "idle" is rounded to nearest: no input of the data reached it',
            run.stderr,
        )
        self.assertNotIn('layer "used" is rounded', run.stderr)
        layers = {layer["name"]: layer for layer in json.loads(report.read_text())["layers"]}
        self.assertEqual({layers[name]["scheme"] for name in ("used", "idle")}, {"W3A16"})


if __name__ == "__main__":
    unittest.main()
