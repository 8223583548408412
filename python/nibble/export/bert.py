# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes encoders of the BERT architecture (Devlin et al., arXiv:1810.04805) as ONNX.

   input_ids          int64   [batch, sequence]
   attention_mask     int64   [batch, sequence], 1 for a token, 0 for padding
   token_type_ids     int64   [batch, sequence]
-> last_hidden_state  float32 [batch, sequence, dim]
   pooler_output      float32 [batch, dim], if the checkpoint has a pooler
   logits             float32 [batch, sequence, vocabulary] of a masked language
                      model, or [batch, labels] of a classifier
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..errors import NibbleError
from .activations import activation, check_activation
from .graph import DataFile, GraphBuilder
from .names import NamedWeights, check_sizes
from .tensors import Weight

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a model; `positions` is the longest text in tokens."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    vocabulary: int
    positions: int
    token_types: int = 2
    eps: float = 1e-12
    activation: str = "gelu"
    labels: int = 0
    """Classes of a sequence classifier, 0 for none."""

    def __post_init__(self) -> None:
        check_sizes(self, "dim", "hidden_dim", "layers", "heads", "vocabulary", "positions")
        if self.dim % self.heads:
            raise NibbleError(
                f"model config: dim {self.dim} is not a multiple of {self.heads} heads"
            )
        check_activation(self.activation)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that `build_bert` takes; matrices are [out, in].

        Those of `optional_weights` may be missing.
        """
        d, h = self.dim, self.hidden_dim
        shapes: dict[str, tuple[int, ...]] = {
            "embed.weight": (self.vocabulary, d),
            "positions.weight": (self.positions, d),
            "token_types.weight": (self.token_types, d),
        }
        norms, linears = ["embed_norm"], [("pooler", d, d), ("lm_transform", d, d)]
        for i in range(self.layers):
            p = f"layers.{i}."
            norms += [p + "attention_norm", p + "mlp_norm"]
            linears += [(f"{p}attention.{part}", d, d) for part in "qkvo"]
            linears += [(p + "mlp.up", h, d), (p + "mlp.down", d, h)]
        if self.labels:
            linears.append(("classifier", self.labels, d))
        for name, out, into in linears:
            shapes[name + ".weight"], shapes[name + ".bias"] = (out, into), (out,)
        for name in [*norms, "lm_norm"]:
            shapes[name + ".weight"] = shapes[name + ".bias"] = (d,)
        shapes["lm_head.weight"], shapes["lm_head.bias"] = (self.vocabulary, d), (self.vocabulary,)
        return shapes

    def optional_weights(self) -> list[str]:
        heads = ("pooler", "lm_transform", "lm_norm", "lm_head")
        return [f"{name}.{part}" for name in heads for part in ("weight", "bias")]


def build_bert(
    config: BertConfig,
    weights: Mapping[str, Weight | np.ndarray],
    data: DataFile | None = None,
    opset: int = 23,
) -> "onnx.ModelProto":
    """Builds the graph.

    Args:
      config: the sizes.
      weights: named and shaped as `BertConfig.weight_shapes` says.
      data: file for the weights, or None to keep them in the model.
      opset: 23 or later.

    Raises:
      NibbleError: a weight is missing, unknown or has another shape.
    """
    w = NamedWeights(weights, config.weight_shapes(), config.optional_weights())
    g = GraphBuilder(data, opset)
    ids = ["batch", "sequence"]
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        g.input(name, "INT64", ids)

    def norm(name: str, x: str) -> str:
        parts = [g.weight(f"{name}.{part}", w[f"{name}.{part}"]) for part in ("weight", "bias")]
        return g.node("LayerNormalization", name, [x, *parts], axis=-1, epsilon=config.eps)

    def linear(name: str, x: str) -> str:
        return g.linear(name, x, w[name + ".weight"], w.get(name + ".bias"))

    def lookup(name: str, table: str, index: str) -> str:
        return g.node("Gather", name, [g.weight(table, w[table]), index], axis=0)

    count = g.node("Shape", "length", ["input_ids"], start=1, end=2)
    count = g.node("Squeeze", "count", [count])
    zero = g.constant("zero", np.asarray(0, np.int64))
    one = g.constant("one", np.asarray(1, np.int64))
    index = g.node("Range", "position_index", [zero, count, one])
    x = lookup("embed", "embed.weight", "input_ids")
    x = g.node("Add", "embed_types", [x, lookup("types", "token_types.weight", "token_type_ids")])
    x = g.node("Add", "embed_sum", [x, lookup("positions", "positions.weight", index)])
    x = norm("embed_norm", x)

    tokens = g.node("Cast", "mask.tokens", ["attention_mask"], to=9)
    axes = g.constant("mask.axes", np.asarray([1, 2], np.int64))
    tokens = g.node("Unsqueeze", "mask.padding", [tokens, axes])
    unit = g.constant("mask.unit", np.asarray([1], np.int64))
    shape = g.node("Concat", "mask.shape", [unit, unit, "length.out", unit], axis=0)
    mask = g.node("Expand", "mask.expand", [tokens, shape])
    for i in range(config.layers):
        p = f"layers.{i}."
        q, k, v = (linear(p + f"attention.{part}", x) for part in "qkv")
        a = g.node(
            "Attention",
            p + "attention",
            [q, k, v, mask],
            q_num_heads=config.heads,
            kv_num_heads=config.heads,
        )
        a = linear(p + "attention.o", a)
        x = norm(p + "attention_norm", g.node("Add", p + "attention_residual", [x, a]))
        h = activation(g, p + "mlp.activation", linear(p + "mlp.up", x), config.activation)
        h = linear(p + "mlp.down", h)
        # The last layer's result is the model's.
        h = g.node("Add", p + "mlp_residual", [x, h])
        x = norm(p + "mlp_norm", h)
    x = g.node("Identity", "last_hidden_state", [x], ["last_hidden_state"])
    g.output("last_hidden_state", "FLOAT", [*ids, config.dim])
    if "pooler.weight" in w:
        first = g.constant("pooler.first", np.asarray(0, np.int64))
        pooled = linear("pooler", g.node("Gather", "pooler.token", [x, first], axis=1))
        pooled = g.node("Tanh", "pooler.tanh", [pooled], ["pooler_output"])
        g.output("pooler_output", "FLOAT", ["batch", config.dim])
        if config.labels:
            y = linear("classifier", pooled)
            g.node("Identity", "logits", [y], ["logits"])
            g.output("logits", "FLOAT", ["batch", config.labels])
    if "lm_transform.weight" in w:
        h = activation(g, "lm_activation", linear("lm_transform", x), config.activation)
        h = norm("lm_norm", h)
        if "lm_head.weight" in w:
            table = g.weight("lm_head.weight", w["lm_head.weight"], transpose=True)
        else:
            table = g.node("Transpose", "lm_head.transpose", ["embed.weight"], perm=[1, 0])
        y = g.node("MatMul", "lm_head", [h, table])
        g.node(
            "Add", "lm_head.add_bias", [y, g.weight("lm_head.bias", w["lm_head.bias"])], ["logits"]
        )
        g.output("logits", "FLOAT", [*ids, config.vocabulary])
    return g.finish("bert")
