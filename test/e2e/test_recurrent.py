# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""RNN, GRU and LSTM in all their forms against ONNX Runtime."""

import itertools
import unittest

import numpy as np
import support as s

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LENGTH, BATCH, INPUT, HIDDEN = 5, 3, 7, 9


def make_layer(op, constant, direction, layout, bias, lengths, states, peepholes, **attributes):
    """(model, inputs): one layer whose weights are constants or inputs."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)
    n = 2 if direction == "bidirectional" else 1
    rows = GATES[op] * HIDDEN

    def some(*shape):
        return random.uniform(-0.6, 0.6, shape).astype(np.float32)

    x = some(BATCH, LENGTH, INPUT) if layout else some(LENGTH, BATCH, INPUT)
    state = (BATCH, n, HIDDEN) if layout else (n, BATCH, HIDDEN)
    values = {"X": x, "W": some(n, rows, INPUT), "R": some(n, rows, HIDDEN)}
    values["B"] = some(n, 2 * rows) if bias else None
    values["lengths"] = np.array([5, 2, 3], np.int32) if lengths else None
    values["h"] = some(*state) if states else None
    if op == "LSTM":
        values["c"] = some(*state) if states else None
        values["P"] = some(n, 3 * HIDDEN) if peepholes else None
    outputs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    node = helper.make_node(
        op, [name if value is not None else "" for name, value in values.items()], outputs,
        name="layer", hidden_size=HIDDEN, direction=direction, layout=layout, **attributes,
    )  # fmt: skip
    given = {name: value for name, value in values.items() if value is not None}
    weights = [name for name in given if name in "WRBP"] if constant else []
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    graph = helper.make_graph(
        [node], "recurrent",
        [
            helper.make_tensor_value_info(name, types[value.dtype], value.shape)
            for name, value in given.items() if name not in weights
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(given[name], name) for name in weights],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model, {name: value for name, value in given.items() if name not in weights}


class Recurrent(unittest.TestCase):
    def check(self, op, constant=True, direction="forward", layout=0, bias=True,
              lengths=False, states=False, peepholes=False, **attributes):  # fmt: skip
        try:
            import onnx
        except ImportError:
            raise unittest.SkipTest("the Python package onnx is not installed") from None
        # ONNX Runtime refuses layout 1: the reference is turned by hand.
        model, inputs = make_layer(
            op, constant, direction, layout, bias, lengths, states, peepholes, **attributes
        )
        path = s.WORK / "recurrent.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        got = s.load(path).run(inputs)
        if layout:
            model, _ = make_layer(
                op, constant, direction, 0, bias, lengths, states, peepholes, **attributes
            )
            onnx.save(model, path)
            turned = {"X", "h", "c"}
            inputs = {k: v.swapaxes(0, 1) if k in turned else v for k, v in inputs.items()}
            if states or not constant:
                model, others = make_layer(
                    op, constant, direction, 1, bias, lengths, states, peepholes, **attributes
                )
                inputs.update({k: v for k, v in others.items() if k not in turned})
        wanted = s.Reference(path).run(inputs)
        for name, value in wanted.items():
            if layout:
                value = value.transpose(2, 0, 1, 3) if name == "Y" else value.swapaxes(0, 1)
            np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=name)

    def test_directions_and_operands(self):
        directions = ["forward", "reverse", "bidirectional"]
        for op, direction, rich in itertools.product(GATES, directions, [False, True]):
            with self.subTest(op=op, direction=direction, rich=rich):
                self.check(op, direction=direction, bias=rich, lengths=rich, states=rich,
                           peepholes=rich, constant=not rich)  # fmt: skip

    def test_constant_weights_with_everything(self):
        for op in GATES:
            with self.subTest(op=op):
                self.check(op, direction="bidirectional", lengths=True, states=True, peepholes=True)

    def test_batch_first(self):
        for op in GATES:
            with self.subTest(op=op):
                self.check(op, layout=1, direction="bidirectional")

    def test_linear_before_reset(self):
        for constant in [False, True]:
            with self.subTest(constant=constant):
                self.check("GRU", constant, "bidirectional", linear_before_reset=1, states=True)

    def test_clip_and_coupled_gates(self):
        for op in GATES:
            with self.subTest(op=op):
                self.check(op, clip=0.2)
        self.check("LSTM", input_forget=1, peepholes=True)

    def test_activations(self):
        lists = [
            ("Relu", {}), ("LeakyRelu", {"activation_alpha": [0.2]}), ("Softsign", {}),
            ("HardSigmoid", {"activation_alpha": [0.3], "activation_beta": [0.4]}),
            ("ScaledTanh", {"activation_alpha": [1.2], "activation_beta": [0.7]}),
            ("Affine", {"activation_alpha": [0.5], "activation_beta": [0.1]}),
            ("Elu", {"activation_alpha": [0.8]}), ("Softplus", {}),
            ("ThresholdedRelu", {"activation_alpha": [0.1]}),
        ]  # fmt: skip
        for name, coefficients in lists:
            with self.subTest(activation=name):
                self.check("RNN", activations=[name], **coefficients)
        self.check("LSTM", activations=["HardSigmoid", "Softsign", "ScaledTanh"],
                   activation_alpha=[0.3, 1.1], activation_beta=[0.4, 0.9])  # fmt: skip


if __name__ == "__main__":
    unittest.main()
