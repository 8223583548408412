# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of two inputs, transposed or not: float64, ONNX Runtime, and equal over threads."""

import unittest

import numpy as np
import onnx
import support as s
from nibble import Model
from onnx import TensorProto as T
from onnx import helper as h


def flipped(perm_rank: int) -> list[int]:
    return [*range(perm_rank - 2), perm_rank - 1, perm_rank - 2]


def build(name: str, shapes, perms, dynamic: bool, gemm=None):
    """y = a' * b', where perms say how a and b are transposed first."""
    nodes, names = [], ["a", "b"]
    for i, perm in enumerate(perms):
        if perm:
            nodes.append(h.make_node("Transpose", [names[i]], [names[i] + "t"], perm=perm))
            names[i] += "t"
    if gemm is None:
        nodes.append(h.make_node("MatMul", names, ["y"]))
    else:
        nodes.append(h.make_node("Gemm", names, ["y"], **gemm))
    inputs = [
        h.make_tensor_value_info(
            x, T.FLOAT, [f"{x}{d}" for d in range(len(shape))] if dynamic else shape
        )
        for x, shape in zip("ab", shapes)
    ]
    graph = h.make_graph(nodes, name, inputs, [h.make_tensor_value_info("y", T.FLOAT, None)])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], ir_version=9)
    s.WORK.mkdir(parents=True, exist_ok=True)
    path = s.WORK / f"{name}.onnx"
    onnx.save(model, path)
    return path


def product(feeds, perms):
    a, b = (x.astype(np.float64) for x in feeds.values())
    a, b = (x.transpose(p) if p else x for x, p in zip((a, b), perms))
    return a @ b, np.abs(a) @ np.abs(b)


class Products(unittest.TestCase):
    def setUp(self):
        s.tool("nibble-compile")
        self.random = np.random.default_rng(7)

    def feeds(self, shapes):
        return {x: self.random.standard_normal(shape, np.float32) for x, shape in zip("ab", shapes)}

    def check(self, name, shapes, perms=(None, None), more=(), gemm=None):
        """`more` are other shapes for the same binary, whose dimensions are not known then."""
        path = build(name, shapes, perms, bool(more), gemm)
        flags = [(gemm or {}).get(key) for key in ("transA", "transB")]
        transposed = [[1, 0] if flag else p for flag, p in zip(flags, perms)]
        binary = s.compile_model(path, [])
        rounded = s.compile_model(path, ["--compute=bf16"])
        reference = s.Reference(path)
        with Model(binary, threads=1) as one, Model(binary, threads=2) as two:
            for sizes in (shapes, *more):
                feeds = self.feeds(sizes)
                expected, size = product(feeds, transposed)
                got = one.run(feeds)["y"]
                np.testing.assert_array_less(np.abs(got - expected), 1e-6 * size + 1e-9)
                np.testing.assert_allclose(got, reference.run(feeds)["y"], rtol=1e-3, atol=1e-3)
                np.testing.assert_array_equal(got, two.run(feeds)["y"])
        with Model(rounded, threads=1) as one, Model(rounded, threads=2) as two:
            feeds = self.feeds(shapes)
            expected, size = product(feeds, transposed)
            got = one.run(feeds)["y"]
            np.testing.assert_array_less(np.abs(got - expected), 2**-8 * size)
            np.testing.assert_array_equal(got, two.run(feeds)["y"])
            if s.has_tiles():
                self.assertGreater((np.abs(got - expected) / size).max(), 1e-5)

    def test_matrices(self):
        self.check("product_nn", [(131, 97), (97, 75)])
        self.check("product_tn", [(97, 131), (97, 75)], ([1, 0], None))
        self.check("product_nt", [(131, 97), (75, 97)], (None, [1, 0]))
        self.check("product_gemm", [(97, 131), (75, 97)], gemm={"transA": 1, "transB": 1})

    def test_sizes_of_the_run(self):
        more = [((3, 40), (40, 50)), ((64, 64), (64, 64)), ((1, 1), (1, 1)), ((20, 300), (300, 17))]
        self.check("product_unknown", [(131, 97), (97, 75)], more=more)

    def test_batches(self):
        self.check("product_rows", [(4, 37, 97), (97, 75)])
        self.check("product_batch", [(2, 3, 45, 64), (2, 3, 70, 64)], (None, flipped(4)))
        more = [((2, 5, 1, 33), (2, 5, 64, 33)), ((1, 2, 100, 33), (1, 2, 64, 33))]
        self.check("product_batches", [(2, 3, 45, 64), (2, 3, 70, 64)], (None, flipped(4)), more)

    def test_heads(self):
        """Tokens with heads side by side, as attention has them."""
        perm = [0, 2, 1, 3]
        self.check("product_heads", [(2, 48, 3, 32), (2, 48, 3, 32)], (perm, [0, 2, 3, 1]))
        self.check("product_values", [(2, 3, 60, 40), (2, 40, 3, 32)], (None, perm))

    def test_same_operand(self):
        """x^T x: one tensor is both operands."""
        node = [h.make_node("Transpose", ["x"], ["t"]), h.make_node("MatMul", ["t", "x"], ["y"])]
        graph = h.make_graph(
            node, "gram", [h.make_tensor_value_info("x", T.FLOAT, ["rows", 70])],
            [h.make_tensor_value_info("y", T.FLOAT, [70, 70])],
        )  # fmt: skip
        path = s.WORK / "product_gram.onnx"
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], ir_version=9), path)
        with Model(s.compile_model(path, [])) as model:
            for rows in (300, 5):
                x = self.random.standard_normal((rows, 70), np.float32)
                expected = x.T.astype(np.float64) @ x
                np.testing.assert_allclose(model.run({"x": x})["y"], expected, atol=1e-3)


if __name__ == "__main__":
    unittest.main()
