# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives that onnx-build-gradient writes, against differences of the function.

Everything is computed in double precision, so that central differences are right
to eight digits and more; a wrong rule is off in the first.
"""

from __future__ import annotations

import unittest

import numpy as np
import support
from nibble import Model

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None

STEP = 1e-5


def build(name, nodes, variables, constants, path):
    """Inputs x0, x1, ...; the last node makes y; loss = sum of y times random weights."""
    inputs = [
        helper.make_tensor_value_info(f"x{i}", TensorProto.DOUBLE, x.shape)
        for i, x in enumerate(variables)
    ]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Mul", ["y", "r"], ["weighted"]),
         helper.make_node("ReduceSum", ["weighted"], ["loss"], keepdims=0)],
        name, inputs, [helper.make_tensor_value_info("loss", TensorProto.DOUBLE, [])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)
    onnx.save(model, path)


def differences(loss, variables, k):
    """The gradient by the k-th variable, by central differences."""
    result = np.zeros_like(variables[k])
    for at in np.ndindex(variables[k].shape):
        values = []
        for sign in (1, -1):
            moved = [x.copy() for x in variables]
            moved[k][at] += sign * STEP
            values.append(loss(moved))
        result[at] = (values[0] - values[1]) / (2 * STEP)
    return result


@unittest.skipIf(onnx is None, "the Python package onnx is not installed")
class Gradient(unittest.TestCase):
    def setUp(self):
        support.tool("nibble-compile")
        self.folder = support.WORK / "gradient"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = np.random.default_rng(29)

    def check(self, name, nodes, shapes, result, constants=None, positive=False):
        """`result` is the shape of y; shapes those of the variables."""
        variables = [self.random.standard_normal(shape) for shape in shapes]
        if positive:
            variables = [np.abs(x) + 0.5 for x in variables]
        constants = {"r": self.random.standard_normal(result), **(constants or {})}
        path = self.folder / f"{name}.onnx"
        build(name, nodes, variables, constants, path)
        numbers = ",".join(str(i) for i in range(len(shapes)))
        out = path.with_suffix(".so")
        done = support.run_tool(
            "nibble-compile", path, "-o", out,
            f"--insert-passes=onnx:onnx-build-gradient{{arguments={numbers}}},canonicalize,cse",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        model = Model(out)

        def run(values):
            return model.run({f"x{i}": x for i, x in enumerate(values)})

        found = run(variables)
        plain = Model(support.compile_model(path, []))
        loss = plain.run({f"x{i}": x for i, x in enumerate(variables)})["loss"]
        # Writing the derivative does not change the function.
        np.testing.assert_allclose(found["loss"], loss, rtol=1e-12, atol=1e-12)
        for k, x in enumerate(variables):
            expected = differences(lambda values: float(run(values)["loss"]), variables, k)
            got = found[f"x{k}.gradient"]
            self.assertEqual(got.shape, x.shape)
            self.assertGreater(np.abs(expected).max(), 0.01)
            scale = max(1.0, np.abs(expected).max())
            error = np.abs(got - expected).max() / scale
            # Single-precision functions inside of the model would give 1e-3.
            self.assertLess(error, 1e-6, f"{name}, variable {k}")

    def unary(self, operator, positive=False, constants=None, more=(), **attributes):
        node = helper.make_node(operator, ["x0", *more], ["y"], **attributes)
        name = operator + "".join(f"_{v}" for v in attributes.values())
        self.check(name, [node], [(3, 5)], (3, 5), constants, positive)

    def test_functions_of_one_operand(self):
        for operator in ("Neg", "Exp", "Reciprocal", "Abs", "Sin", "Cos", "Sigmoid", "Tanh",
                         "Softplus", "Relu", "Elu", "HardSigmoid", "HardSwish", "Erf"):
            with self.subTest(operator):
                self.unary(operator)
        for operator in ("Log", "Sqrt"):
            with self.subTest(operator):
                self.unary(operator, positive=True)

    def test_functions_with_parameters(self):
        self.unary("LeakyRelu", alpha=0.2)
        self.unary("Swish", alpha=1.5)
        self.unary("Gelu")
        self.unary("Gelu", approximate="tanh")
        self.unary("Clip", constants={"lo": np.array(-0.5), "hi": np.array(0.8)}, more=("lo", "hi"))
        self.unary("Pow", positive=True, constants={"e": np.array(1.7)}, more=("e",))

    def test_broadcasting(self):
        for operator in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
            with self.subTest(operator):
                node = helper.make_node(operator, ["x0", "x1"], ["y"])
                self.check(operator, [node], [(2, 3, 4), (3, 1)], (2, 3, 4),
                           positive=operator == "Div")

    def test_one_value_used_twice(self):
        nodes = [helper.make_node("Mul", ["x0", "x0"], ["a"]),
                 helper.make_node("Exp", ["a"], ["b"]),
                 helper.make_node("Add", ["b", "a"], ["y"])]
        self.check("twice", nodes, [(4,)], (4,))

    def test_movement(self):
        ints = {"shape": np.array([4, 6]), "axes": np.array([1]), "begin": np.array([1, -3]),
                "end": np.array([4, 6]), "along": np.array([0, 1])}
        nodes = [helper.make_node("Reshape", ["x0", "shape"], ["a"]),
                 helper.make_node("Slice", ["a", "begin", "end", "along"], ["b"]),
                 helper.make_node("Transpose", ["b"], ["c"]),
                 helper.make_node("Unsqueeze", ["c", "axes"], ["d"]),
                 helper.make_node("Concat", ["d", "x1"], ["y"], axis=1)]
        self.check("movement", nodes, [(2, 3, 4), (3, 2, 3)], (3, 3, 3), ints)

    def test_split_with_an_unused_part(self):
        nodes = [helper.make_node("Split", ["x0", "sizes"], ["a", "b", "c"], axis=1),
                 helper.make_node("Concat", ["c", "a"], ["y"], axis=1)]
        self.check("split", nodes, [(2, 6)], (2, 4), {"sizes": np.array([1, 2, 3])})

    def test_gather_of_repeated_rows(self):
        node = helper.make_node("Gather", ["x0", "i"], ["y"])
        self.check("gather", [node], [(5, 3)], (4, 3), {"i": np.array([1, 4, 1, 0])})

    def test_reductions(self):
        axes = {"axes": np.array([0, 2])}
        for operator in ("ReduceSum", "ReduceMean", "ReduceSumSquare"):
            with self.subTest(operator):
                node = helper.make_node(operator, ["x0", "axes"], ["y"], keepdims=0)
                self.check(operator, [node], [(2, 3, 4)], (3,), axes)
        for operator in ("Softmax", "LogSoftmax"):
            with self.subTest(operator):
                node = helper.make_node(operator, ["x0"], ["y"], axis=1)
                self.check(operator, [node], [(2, 5, 3)], (2, 5, 3))

    def test_products(self):
        node = helper.make_node("MatMul", ["x0", "x1"], ["y"])
        self.check("matmul_weight", [node], [(2, 3, 4), (4, 5)], (2, 3, 5))
        self.check("matmul_batches", [node], [(2, 1, 3, 4), (3, 4, 5)], (2, 3, 3, 5))
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            node = helper.make_node("Gemm", ["x0", "x1", "x2"], ["y"], transA=a, transB=b,
                                    alpha=0.7, beta=1.3)
            shapes = [(4, 3) if a else (3, 4), (5, 4) if b else (4, 5), (5,)]
            self.check(f"gemm{a}{b}", [node], shapes, (3, 5))

    def test_convolutions(self):
        node = helper.make_node("Conv", ["x0", "x1", "x2"], ["y"], strides=[2, 1],
                                dilations=[1, 2], pads=[1, 0, 0, 2])
        self.check("conv", [node], [(2, 3, 6, 7), (4, 3, 2, 3), (4,)], (2, 4, 3, 5))
        node = helper.make_node("Conv", ["x0", "x1"], ["y"], group=2, pads=[1, 1])
        self.check("conv_groups", [node], [(1, 4, 6), (6, 2, 3)], (1, 6, 6))

    def test_normalizations(self):
        node = helper.make_node("LayerNormalization", ["x0", "x1", "x2"], ["y"], axis=-1)
        self.check("layer_norm", [node], [(2, 3, 6), (6,), (6,)], (2, 3, 6))
        node = helper.make_node("RMSNormalization", ["x0", "x1"], ["y"], epsilon=1e-3)
        self.check("rms_norm", [node], [(2, 3, 6), (6,)], (2, 3, 6))

    def test_rotary_embedding(self):
        angle = self.random.standard_normal((2, 3, 2))
        node = helper.make_node("RotaryEmbedding", ["x0", "cos", "sin"], ["y"])
        self.check("rotary", [node], [(2, 2, 3, 4)], (2, 2, 3, 4),
                   {"cos": np.cos(angle), "sin": np.sin(angle)})

    def test_attention_of_grouped_heads(self):
        node = helper.make_node("Attention", ["x0", "x1", "x2"], ["y"], is_causal=1)
        self.check("attention", [node], [(1, 4, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)], (1, 4, 3, 4))
        node = helper.make_node("Attention", ["x0", "x1", "x2", "m"], ["y"], q_num_heads=2,
                                kv_num_heads=2, scale=0.3, softcap=2.0)
        # With more keys than queries and no past the first query sees one key.
        node_wide = helper.make_node("Attention", ["x0", "x1", "x2"], ["y"], is_causal=1)
        self.check("attention_wide", [node_wide], [(1, 1, 2, 4), (1, 1, 4, 4), (1, 1, 4, 4)],
                   (1, 1, 2, 4))
        mask = np.array([[True, False, True, True], [True, True, True, False]])
        self.check("attention_rank3", [node], [(1, 2, 8), (1, 4, 8), (1, 4, 6)], (1, 2, 6),
                   {"m": mask})

    def test_an_operator_without_a_rule_is_named(self):
        node = helper.make_node("CumSum", ["x0", "axis"], ["y"], name="running_sum")
        path = self.folder / "unknown.onnx"
        build("unknown", [node], [np.zeros(3)], {"r": np.ones(3), "axis": np.array(0)}, path)
        done = support.run_tool(
            "nibble-compile", path, "-o", path.with_suffix(".so"),
            "--insert-passes=onnx:onnx-build-gradient{arguments=0}",
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("CumSum 'running_sum' has no derivative", done.stderr)


if __name__ == "__main__":
    unittest.main()
