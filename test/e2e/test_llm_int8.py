# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""LLM.int8 beside bitsandbytes, whose results scripts/golden_llm_int8.py has written down."""

import unittest

import numpy as np
import support as s

GOLDEN = s.ROOT / "test/unit/Quantizer/Inputs/llm-int8.txt"
CASES = ("many", "few", "single", "none", "all", "edge", "zeros")


def read_golden() -> dict[str, np.ndarray]:
    """Arrays of `NAME TYPE DIMENSION...` and lines of hexadecimal bit patterns."""
    types = {"f32": "<u4 <f4", "f16": "<u2 <f2", "i8": "u1 i1", "i32": "<u4 <i4"}
    lines = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    arrays = {}
    for head, words in zip(lines[::2], lines[1::2]):
        name, kind, *shape = head.split()
        bits, number = types[kind].split()
        array = np.array([int(word, 16) for word in words.split()], bits).view(number)
        arrays[name] = array.reshape([int(size) for size in shape])
    return arrays


class Products(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from onnx import TensorProto, helper, numpy_helper, save

        cls.golden = read_golden()
        weight = cls.golden["product.weight"].astype(np.float32)
        n, k = weight.shape
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["y"], "product"),
                helper.make_node("Add", ["y", "b"], ["z"], "bias"),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", k])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["rows", n])],
            [
                numpy_helper.from_array(np.ascontiguousarray(weight.T), "w"),
                numpy_helper.from_array(cls.golden["product.bias"].astype(np.float32), "b"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        folder = s.WORK / "llm-int8"
        folder.mkdir(parents=True, exist_ok=True)
        cls.model = folder / "product.onnx"
        save(model, cls.model)

    def error(self, case: str, *options: str) -> float:
        x = self.golden[f"input.{case}"].astype(np.float32)
        want = self.golden[f"input.{case}.product"].astype(np.float64)
        got = s.load(self.model, ["--quantize=LLM.int8", *options]).run({"x": x})["z"]
        return float(np.linalg.norm(got - want) / np.linalg.norm(want))

    def test_products_are_those_of_bitsandbytes(self):
        # It rounds the sum of codes, the weights of the outliers and the result to halves,
        # each by up to 2^-11 of itself; we do not.
        for case in CASES:
            with self.subTest(case):
                self.assertLess(self.error(case), 1e-3)

    def test_the_threshold_matters(self):
        # With outliers in the codes, and with everything an outlier.
        for case in ("many", "few"):
            with self.subTest(case):
                self.assertGreater(self.error(case, "--outlier-threshold=0"), 0.01)
                self.assertGreater(self.error(case, "--outlier-threshold=1e-6"), 0.001)


class Stories(unittest.TestCase):
    def test_answers(self):
        tokens, answers = s.stories_test()
        right = []
        for options in ([], ["--quantize=LLM.int8"], ["--quantize=LLM.int8", "--head=LLM.int8"]):
            logits = s.stories_logits(s.load(s.MODELS / "stories.onnx", options), tokens)
            right.append(s.answer_accuracy(logits, tokens, answers))
        self.assertGreaterEqual(min(right[1:]), right[0] - 0.005)


if __name__ == "__main__":
    unittest.main()
