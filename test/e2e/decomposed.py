# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A model of the Llama architecture from primitive operators, as PyTorch writes it.

Nothing here is an operator that stands for a form: attention, rotary embedding,
RMS normalization and SiLU are what their formulas say, heads are repeated, and
the cache is concatenated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibble.export import LlamaConfig

LOWEST = float(np.finfo(np.float32).min)


class Decomposed:
    """Collects nodes; each method writes one form and returns its result."""

    def __init__(self, config: LlamaConfig, weights: dict[str, np.ndarray]):
        self.config, self.weights = config, weights
        self.nodes, self.stored, self.inputs, self.outputs = [], {}, [], []

    def node(self, op: str, *operands: str, **attributes) -> str:
        from onnx import helper

        result = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(operands), [result], name=result, **attributes))
        return result

    def constant(self, value, dtype=np.int64) -> str:
        array = np.asarray(value, dtype)
        name = f"c{array.dtype}{array.shape}{array.tobytes().hex()}"
        self.stored[name] = array
        return name

    def weight(self, name: str, transposed: bool = False) -> str:
        array = self.weights[name]
        self.stored[name] = np.ascontiguousarray(array.T) if transposed else array
        return name

    def linear(self, x: str, name: str) -> str:
        return self.node("MatMul", x, self.weight(name, transposed=True))

    def size(self, x: str, axis: int) -> str:
        return self.node("Gather", self.node("Shape", x), self.constant(axis), axis=0)

    def shape(self, *sizes: str | int) -> str:
        zero = self.constant([0])
        parts = [
            self.constant([s]) if isinstance(s, int) else self.node("Unsqueeze", s, zero)
            for s in sizes
        ]
        return self.node("Concat", *parts, axis=0)

    def norm(self, x: str, name: str) -> str:
        square = self.node("Pow", x, self.constant(2, np.float32))
        mean = self.node("ReduceMean", square, self.constant([-1]), keepdims=1)
        sum = self.node("Add", mean, self.constant(self.config.eps, np.float32))
        inverse = self.node("Div", self.constant(1, np.float32), self.node("Sqrt", sum))
        return self.node("Mul", self.weight(name), self.node("Mul", x, inverse))

    def rotate(self, x: str, cos: str, sin: str) -> str:
        half = self.config.head_dim // 2
        last, one = self.constant([3]), self.constant([1])
        first = self.node("Slice", x, self.constant([0]), self.constant([half]), last, one)
        end = self.constant([2**63 - 1])
        second = self.node("Slice", x, self.constant([half]), end, last, one)
        turned = self.node("Concat", self.node("Neg", second), first, axis=-1)
        return self.node("Add", self.node("Mul", x, cos), self.node("Mul", turned, sin))

    def angles(self, past: str, length: str) -> tuple[str, str]:
        """Cosines and sines [1, 1, length, head_dim], each twice."""
        d = self.config.head_dim
        steps = 1.0 / self.config.rope.theta ** (np.arange(0, d, 2, dtype=np.float32) / d)
        zero, one = self.constant(0), self.constant(1)
        positions = self.node("Add", self.node("Range", zero, length, one), past)
        positions = self.node("Unsqueeze", positions, self.constant([0, 2]))
        positions = self.node("Cast", positions, to=1)
        angles = self.node("MatMul", positions, self.constant(steps[None, None, :], np.float32))
        twice = self.node("Concat", angles, angles, axis=-1)
        heads = self.constant([1])
        cos, sin = self.node("Cos", twice), self.node("Sin", twice)
        return self.node("Unsqueeze", cos, heads), self.node("Unsqueeze", sin, heads)

    def causal(self, past: str, length: str) -> str:
        """0 where a query sees a key, else the lowest number: [length, total]."""
        zero, one = self.constant(0), self.constant(1)
        total = self.node("Add", past, length)
        keys = self.node("Range", zero, total, one)
        queries = self.node("Range", past, total, one)
        queries = self.node("Unsqueeze", queries, self.constant([1]))
        seen = self.node("LessOrEqual", keys, queries)
        visible, hidden = self.constant(0, np.float32), self.constant(LOWEST, np.float32)
        return self.node("Where", seen, visible, hidden)

    def repeat(self, x: str) -> str:
        """[batch, kv_heads, t, d] with each head as often as queries share it."""
        c = self.config
        batch, length = self.size(x, 0), self.size(x, 2)
        wide = self.node("Unsqueeze", x, self.constant([2]))
        groups = c.heads // c.kv_heads
        wide = self.node("Expand", wide, self.shape(batch, c.kv_heads, groups, length, c.head_dim))
        return self.node("Reshape", wide, self.shape(batch, c.heads, length, c.head_dim))

    def heads(self, x: str, count: int) -> str:
        split = self.shape(self.size(x, 0), self.size(x, 1), count, self.config.head_dim)
        return self.node("Transpose", self.node("Reshape", x, split), perm=[0, 2, 1, 3])

    def attention(self, x: str, layer: int, cos: str, sin: str, mask: str) -> str:
        c, p = self.config, f"layers.{layer}.attention."
        q = self.rotate(self.heads(self.linear(x, p + "q.weight"), c.heads), cos, sin)
        k = self.rotate(self.heads(self.linear(x, p + "k.weight"), c.kv_heads), cos, sin)
        v = self.heads(self.linear(x, p + "v.weight"), c.kv_heads)
        cache = []
        for kind, new in (("key", k), ("value", v)):
            name = f"past_key_values.{layer}.{kind}"
            self.inputs.append((name, np.float32, ["batch", c.kv_heads, "past", c.head_dim]))
            both = self.node("Concat", name, new, axis=2)
            shape = ["batch", c.kv_heads, "total", c.head_dim]
            self.outputs.append((both, f"present.{layer}.{kind}", shape))
            cache.append(self.repeat(both))
        keys = self.node("Transpose", cache[0], perm=[0, 1, 3, 2])
        scores = self.node("MatMul", q, keys)
        scores = self.node("Div", scores, self.constant(np.sqrt(c.head_dim), np.float32))
        weights = self.node("Softmax", self.node("Add", scores, mask), axis=-1)
        y = self.node("Transpose", self.node("MatMul", weights, cache[1]), perm=[0, 2, 1, 3])
        y = self.node("Reshape", y, self.shape(self.size(x, 0), self.size(x, 1), c.q_dim))
        return self.linear(y, p + "o.weight")

    def mlp(self, x: str, layer: int) -> str:
        p = f"layers.{layer}.mlp."
        gate = self.linear(x, p + "gate.weight")
        gate = self.node("Mul", gate, self.node("Sigmoid", gate))
        up = self.linear(x, p + "up.weight")
        return self.linear(self.node("Mul", gate, up), p + "down.weight")

    def save(self, path: Path) -> None:
        """Writes the model with the inputs `input_ids` and the past, as others do."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        self.inputs.append(("input_ids", np.int64, ["batch", "length"]))
        length, past = self.size("input_ids", 1), self.size("past_key_values.0.key", 2)
        cos, sin = self.angles(past, length)
        mask = self.causal(past, length)
        x = self.node("Gather", self.weight("embed.weight"), "input_ids")
        for layer in range(self.config.layers):
            p = f"layers.{layer}."
            normed = self.norm(x, p + "attention_norm.weight")
            x = self.node("Add", x, self.attention(normed, layer, cos, sin, mask))
            x = self.node("Add", x, self.mlp(self.norm(x, p + "mlp_norm.weight"), layer))
        x = self.norm(x, "norm.weight")
        logits = self.linear(x, "lm_head.weight")
        self.outputs.insert(0, (logits, "logits", ["batch", "length", self.config.vocabulary]))
        for value, name, _ in self.outputs:
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        kinds = {np.int64: TensorProto.INT64, np.float32: TensorProto.FLOAT}
        graph = helper.make_graph(
            self.nodes,
            "decomposed",
            [helper.make_tensor_value_info(n, kinds[t], shape) for n, t, shape in self.inputs],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, sh) for _, n, sh in self.outputs],
            [numpy_helper.from_array(array, name) for name, array in self.stored.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
