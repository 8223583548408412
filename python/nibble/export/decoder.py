# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all generating language models have in common in ONNX.

    input_ids                 int64   [batch, sequence]
    position_ids              int64   [batch, sequence]
    attention_mask            int64   [batch, total], 1 for a token, 0 for padding
    logit_positions           int64   [selected], which of the sequence's positions
                                      get logits; -1 is the last
    past_key_values.I.key     float32 [batch, kv_heads, past, head_dim]
    past_key_values.I.value   float32 [batch, kv_heads, past, head_dim]
 -> logits                    float32 [batch, selected, vocabulary]
    present.I.key             float32 [batch, kv_heads, total, head_dim]
    present.I.value           float32 [batch, kv_heads, total, head_dim]

`total` is past + sequence. All sizes are symbolic: one file serves prefill,
decoding and batches that are padded on the left. `attention_mask` is left out of
a graph built without padding, `logit_positions` of one that gives all logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import GraphBuilder
from .tensors import Weight


@dataclass(frozen=True)
class DecoderOptions:
    """Which optional inputs a graph has, and the opset it is written in."""

    padding: bool = True
    """Take `attention_mask`."""
    select_logits: bool = True
    """Take `logit_positions`; without it, all positions have logits."""
    opset: int = 23
    """23, or 25: there `Attention` has a window of its own, so that a sliding
    window needs no mask of [sequence, total]."""


class Decoder:
    """Inputs, attention and head of a decoder in `graph`."""

    def __init__(self, graph: GraphBuilder, options: DecoderOptions, head_dim: int, kv_heads: int):
        self.graph = graph
        self.options = options
        self._head_dim, self._kv_heads = head_dim, kv_heads
        self._masks: dict[int, str] = {}
        ids = ["batch", "sequence"]
        graph.input("input_ids", "INT64", ids)
        graph.input("position_ids", "INT64", ids)
        if options.padding:
            graph.input("attention_mask", "INT64", ["batch", "total"])
        if options.select_logits:
            graph.input("logit_positions", "INT64", ["selected"])

    def _size(self, value: str, axis: int) -> str:
        """One size of a value as an int64 of shape [1]."""
        name = f"size.{value}.{axis}"
        if all(node.name != name for node in self.graph.nodes):
            self.graph.node("Shape", name, [value], start=axis, end=axis + 1)
        return name + ".out"

    def _mask(self, window: int) -> str:
        """The boolean mask [batch or 1, 1, sequence, total], or "" when none is needed.

        A query sees the keys of its own text that are not padding and, with a
        window above zero, the last `window` of them, itself included.
        """
        g = self.graph
        if self.options.opset >= 25:
            window = 0
        if window in self._masks:
            return self._masks[window]
        if window > 0:
            mask = self._windowed(self._mask(0), window)
        elif self.options.padding:
            mask = self._padding_mask()
        else:
            mask = ""
        self._masks[window] = mask
        return mask

    def _padding_mask(self) -> str:
        """`attention_mask` for every query; ONNX Runtime wants their number in the shape."""
        g = self.graph
        one = g.constant("mask.axis_of_heads", np.asarray([1], np.int64))
        tokens = g.node("Cast", "mask.tokens", ["attention_mask"], to=9)
        axes = g.constant("mask.axes", np.asarray([1, 2], np.int64))
        tokens = g.node("Unsqueeze", "mask.padding", [tokens, axes])
        queries = self._size("input_ids", 1)
        shape = g.node("Concat", "mask.shape", [one, one, queries, one], axis=0)
        return g.node("Expand", "mask.expand", [tokens, shape])

    def _windowed(self, mask: str, window: int) -> str:
        """`mask` without the keys that are `window` or more before a query."""
        g = self.graph
        zero = g.constant("mask.zero", np.asarray(0, np.int64))
        step = g.constant("mask.one", np.asarray(1, np.int64))
        axis = g.constant("mask.axis", np.asarray([0], np.int64))
        past = g.node("Squeeze", "window.past", [self._size("past_key_values.0.key", 2), axis])
        count = g.node("Squeeze", "window.count", [self._size("input_ids", 1), axis])
        total = g.node("Add", "window.total", [past, count])
        queries = g.node("Range", "window.queries", [past, total, step])
        last = g.constant("mask.last_axis", np.asarray([1], np.int64))
        queries = g.node("Unsqueeze", "window.rows", [queries, last])
        keys = g.node("Range", "window.keys", [zero, total, step])
        distance = g.node("Sub", "window.distance", [queries, keys])
        limit = g.constant("window.limit", np.asarray(window, np.int64))
        near = g.node("Less", "window.near", [distance, limit])
        if mask:
            return g.node("And", "window.mask", [mask, near])
        axes = g.constant("mask.batch_and_heads", np.asarray([0, 1], np.int64))
        return g.node("Unsqueeze", "window.mask", [near, axes])

    def attention(
        self,
        layer: int,
        name: str,
        q: str,
        k: str,
        v: str,
        heads: int,
        window: int = 0,
        scale: float | None = None,
    ) -> str:
        """Attention of [batch, sequence, heads * head_dim] over past and present keys.

        `window` counts the keys that a query sees, 0 for all; `scale` multiplies
        the scores, by default 1 / sqrt(head_dim).
        """
        g = self.graph
        shape = ["batch", self._kv_heads, "past", self._head_dim]
        past = [
            g.input(f"past_key_values.{layer}.{kind}", "FLOAT", shape) for kind in ("key", "value")
        ]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        attributes: dict[str, int | float] = {"is_causal": 1}
        if scale is not None:
            attributes["scale"] = scale
        if window > 0 and self.options.opset >= 25:
            attributes["left_window_size"] = window - 1
        return g.node(
            "Attention",
            name,
            [q, k, v, self._mask(window), *past],
            [name + ".out", *present],
            q_num_heads=heads,
            kv_num_heads=self._kv_heads,
            **attributes,
        )

    def finish(
        self, x: str, layers: int, vocabulary: int, head: Weight | None, bias: Weight | None = None
    ) -> None:
        """Logits of the final hidden states; without `head` by the embedding's table."""
        g = self.graph
        if self.options.select_logits:
            x = g.node("Gather", "select_logits", [x, "logit_positions"], axis=1)
        if head is None:
            table = g.node("Transpose", "lm_head.transpose", ["embed.weight"], perm=[1, 0])
        else:
            table = g.weight("lm_head.weight", head, transpose=True)
        if bias is None:
            g.node("MatMul", "lm_head", [x, table], ["logits"])
        else:
            y = g.node("MatMul", "lm_head", [x, table])
            g.node("Add", "lm_head.add_bias", [y, g.weight("lm_head.bias", bias)], ["logits"])
        selected = "selected" if self.options.select_logits else "sequence"
        g.output("logits", "FLOAT", ["batch", selected, vocabulary])
        for layer in range(layers):
            for kind in ("key", "value"):
                g.output(
                    f"present.{layer}.{kind}",
                    "FLOAT",
                    ["batch", self._kv_heads, "total", self._head_dim],
                )
