# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GridSample in all modes against ONNX Runtime; the statistics of random numbers."""

import itertools
import unittest

import numpy as np
import support as s


def load_onnx():
    try:
        import onnx
    except ImportError:
        raise unittest.SkipTest("the Python package onnx is not installed") from None
    return onnx


def save(name, nodes, inputs, outputs, opset):
    """A model file with float inputs (name, shape) and float outputs."""
    onnx = load_onnx()
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, name,
        [value(key, onnx.TensorProto.FLOAT, shape) for key, shape in inputs],
        [value(key, onnx.TensorProto.FLOAT, None) for key in outputs],
    )  # fmt: skip
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9
    )
    path = s.WORK / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


class Sampling(unittest.TestCase):
    def test_grids_in_all_modes(self):
        onnx = load_onnx()
        random = np.random.default_rng(3)
        image = random.standard_normal((2, 3, 5, 7), dtype=np.float32)
        # Also positions far outside.
        grid = random.uniform(-2.2, 2.2, (2, 4, 20, 2)).astype(np.float32)
        modes = ["nearest", "linear", "cubic"]
        paddings = ["zeros", "border", "reflection"]
        cases = list(itertools.product(modes, paddings, [0, 1]))
        nodes = [
            onnx.helper.make_node(
                "GridSample", ["x", "grid"], [f"y{i}"],
                mode=mode, padding_mode=padding, align_corners=align,
            )
            for i, (mode, padding, align) in enumerate(cases)
        ]  # fmt: skip
        names = [f"y{i}" for i in range(len(cases))]
        inputs = [("x", image.shape), ("grid", grid.shape)]
        path = save("grids", nodes, inputs, names, 20)
        feed = {"x": image, "grid": grid}
        got, wanted = s.load(path).run(feed), s.Reference(path).run(feed)
        for name, case in zip(names, cases):
            with self.subTest(case=case):
                np.testing.assert_allclose(got[name], wanted[name], rtol=1e-4, atol=1e-4)

    def test_random_numbers(self):
        make = load_onnx().helper.make_node
        shape = (64, 1000)
        nodes = [
            make("RandomNormalLike", ["x"], ["normal"], mean=2.0, scale=3.0, seed=1.0),
            make("RandomUniformLike", ["x"], ["uniform"], low=-1.0, high=3.0, seed=2.0),
            make("Bernoulli", ["x"], ["bits"], seed=3.0),
        ]
        path = save("random", nodes, [("x", shape)], ["normal", "uniform", "bits"], 15)
        feed = {"x": np.full(shape, 0.25, np.float32)}
        first, again = s.load(path).run(feed), s.load(path).run(feed)
        for name in first:
            np.testing.assert_array_equal(first[name], again[name])
        self.assertAlmostEqual(float(first["normal"].mean()), 2, delta=0.05)
        self.assertAlmostEqual(float(first["normal"].std()), 3, delta=0.05)
        self.assertAlmostEqual(float(first["uniform"].mean()), 1, delta=0.03)
        self.assertAlmostEqual(float(first["uniform"].std()), 4 / 12**0.5, delta=0.03)
        self.assertLess(float(first["uniform"].max()), 3)
        self.assertAlmostEqual(float(first["bits"].mean()), 0.25, delta=0.01)
        # Neighbours have nothing in common.
        x = first["normal"].ravel() - 2
        self.assertLess(abs(float((x[1:] * x[:-1]).mean())) / 9, 0.02)


if __name__ == "__main__":
    unittest.main()
