# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sequences and optionals as inputs, outputs and carried values, as lists in Python."""

import unittest

import numpy as np
import onnx
import support as s
from nibble import Model, NibbleError
from onnx import TensorProto as T
from onnx import helper as h

FLOATS = h.make_sequence_type_proto(h.make_tensor_type_proto(T.FLOAT, [None]))
INTEGER = h.make_tensor_type_proto(T.INT64, [])


class Sequences(unittest.TestCase):
    def check(self, name: str, nodes, inputs: dict, outputs: dict, cases: list[dict]):
        graph = h.make_graph(
            nodes, name,
            [h.make_value_info(n, t) for n, t in inputs.items()],
            [h.make_value_info(n, t) for n, t in outputs.items()],
        )  # fmt: skip
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 22)], ir_version=10)
        s.WORK.mkdir(parents=True, exist_ok=True)
        path = s.WORK / f"{name}.onnx"
        onnx.save(model, path)
        reference = s.Reference(path)
        with Model(s.compile_model(path, [], fresh=True), threads=1) as compiled:
            for feeds in cases:
                expected = reference.run(feeds)
                self.same(compiled.run(feeds), expected)
            return compiled

    def same(self, got: dict, expected: dict):
        self.assertEqual(list(got), list(expected))
        for name, value in expected.items():
            if not isinstance(value, list):
                np.testing.assert_array_equal(got[name], value, name)
                continue
            self.assertEqual(len(got[name]), len(value), name)
            for a, b in zip(got[name], value):
                np.testing.assert_array_equal(a, b, name)

    def lists(self):
        rng = np.random.default_rng(2)
        for sizes in ([3, 1, 4], [2], [0, 5]):
            yield [rng.random(size, np.float32) for size in sizes]

    def test_positions(self):
        nodes = [
            h.make_node("SequenceInsert", ["s", "x", "p"], ["more"]),
            h.make_node("SequenceErase", ["more", "p"], ["same"]),
            h.make_node("SequenceErase", ["more"], ["less"]),
            h.make_node("SequenceAt", ["more", "p"], ["at"]),
            h.make_node("SequenceLength", ["more"], ["n"]),
            h.make_node("ConcatFromSequence", ["more"], ["all"], axis=0),
        ]
        x = np.float32([7, 8])
        cases = [
            {"s": sequence, "x": x, "p": np.array(position)}
            for sequence in self.lists()
            for position in range(-len(sequence), len(sequence) + 1)
        ]
        # Before the last counts from the end of the shorter sequence: only what both agree on.
        cases = [case for case in cases if case["p"] >= 0]
        vector = h.make_tensor_type_proto(T.FLOAT, [None])
        self.check(
            "positions", nodes, {"s": FLOATS, "x": vector, "p": INTEGER},
            {"more": FLOATS, "same": FLOATS, "less": FLOATS, "at": vector, "n": INTEGER,
             "all": vector}, cases,
        )  # fmt: skip

    def test_loop_and_map(self):
        body = h.make_graph(
            [h.make_node("SequenceAt", ["s", "i"], ["t"]),
             h.make_node("Mul", ["t", "t"], ["square"]),
             h.make_node("SequenceInsert", ["acc", "square"], ["next"]),
             h.make_node("Identity", ["c"], ["go"])],
            "body",
            [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("c", T.BOOL, []),
             h.make_value_info("acc", FLOATS)],
            [h.make_tensor_value_info("go", T.BOOL, []), h.make_value_info("next", FLOATS)],
        )  # fmt: skip
        double = h.make_graph(
            [h.make_node("Add", ["e", "e"], ["d"])], "double",
            [h.make_tensor_value_info("e", T.FLOAT, [None])],
            [h.make_tensor_value_info("d", T.FLOAT, [None])],
        )  # fmt: skip
        nodes = [
            h.make_node("SequenceLength", ["s"], ["n"]),
            h.make_node("SequenceEmpty", [], ["nothing"]),
            h.make_node("Loop", ["n", "", "nothing"], ["squares"], body=body),
            h.make_node("SequenceMap", ["squares"], ["twice"], body=double),
        ]
        cases = [{"s": sequence} for sequence in self.lists()]
        self.check("loop_map", nodes, {"s": FLOATS}, {"squares": FLOATS, "twice": FLOATS}, cases)

    def test_split(self):
        matrix = h.make_tensor_type_proto(T.FLOAT, ["n", 3])
        rows = h.make_sequence_type_proto(h.make_tensor_type_proto(T.FLOAT, [3]))
        parts = h.make_sequence_type_proto(h.make_tensor_type_proto(T.FLOAT, [None, 3]))
        nodes = [
            h.make_node("SplitToSequence", ["x"], ["rows"], keepdims=0),
            h.make_node("SplitToSequence", ["x", "k"], ["parts"]),
            h.make_node("ConcatFromSequence", ["rows"], ["y"], axis=1, new_axis=1),
        ]
        cases = [
            {"x": np.arange(3 * n, dtype=np.float32).reshape(n, 3), "k": np.array(2)}
            for n in (1, 4, 5)
        ]
        turned = h.make_tensor_type_proto(T.FLOAT, [3, None])
        self.check(
            "split", nodes, {"x": matrix, "k": INTEGER}, {"rows": rows, "parts": parts, "y": turned},
            cases,
        )  # fmt: skip

    def test_optional(self):
        maybe = h.make_optional_type_proto(FLOATS)
        graph = h.make_graph(
            [h.make_node("OptionalHasElement", ["o"], ["there"]),
             h.make_node("OptionalGetElement", ["o"], ["s"])],
            "optional", [h.make_value_info("o", maybe)],
            [h.make_tensor_value_info("there", T.BOOL, []), h.make_value_info("s", FLOATS)],
        )  # fmt: skip
        path = s.WORK / "optional.onnx"
        s.WORK.mkdir(parents=True, exist_ok=True)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=8)
        onnx.save(model, path)
        with Model(s.compile_model(path, [], fresh=True)) as compiled:
            for value in ([np.float32([1, 2])], [], None):
                result = compiled.run({"o": value})
                self.assertEqual(result["there"], value is not None)
                self.same({"s": result["s"]}, {"s": value or []})
            with self.assertRaisesRegex(NibbleError, "list of arrays of 1 dimensions"):
                compiled.run({"o": [np.zeros((2, 2), np.float32)]})


if __name__ == "__main__":
    unittest.main()
