# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes language models of the GPT-2 architecture as ONNX.

Radford et al., "Language Models are Unsupervised Multitask Learners" (2019):
learned positions, layer normalization before each block, GELU. Inputs and
outputs are those of decoder.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..errors import NibbleError
from .activations import activation
from .decoder import Decoder, DecoderOptions
from .graph import DataFile, GraphBuilder
from .names import NamedWeights, check_sizes
from .tensors import Weight

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Gpt2Config:
    """Sizes of a model; `positions` is the longest text in tokens."""

    dim: int
    layers: int
    heads: int
    vocabulary: int
    positions: int
    hidden_dim: int = 0
    """Width of the feed-forward block; 0 for 4 * dim."""
    eps: float = 1e-5
    activation: str = "gelu_new"
    scale_attention: bool = True
    """Divide the scores by sqrt(head_dim)."""
    scale_by_layer: bool = False
    """Divide the scores of layer i by i + 1 as well."""

    def __post_init__(self) -> None:
        check_sizes(self, "dim", "layers", "heads", "vocabulary", "positions")
        if self.dim % self.heads:
            raise NibbleError(
                f"model config: dim {self.dim} is not a multiple of {self.heads} heads"
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def inner(self) -> int:
        return self.hidden_dim or 4 * self.dim

    def score_scale(self, layer: int) -> float:
        """What the attention scores of a layer are multiplied by."""
        scale = self.head_dim**-0.5 if self.scale_attention else 1.0
        return scale / (layer + 1) if self.scale_by_layer else scale

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that `build_gpt2` takes; matrices are [out, in].

        `lm_head.weight` is optional: without it the head shares the embedding.
        """
        shapes: dict[str, tuple[int, ...]] = {
            "embed.weight": (self.vocabulary, self.dim),
            "positions.weight": (self.positions, self.dim),
        }
        for i in range(self.layers):
            p = f"layers.{i}."
            for name, out, into in (
                ("attention.q", self.dim, self.dim),
                ("attention.k", self.dim, self.dim),
                ("attention.v", self.dim, self.dim),
                ("attention.o", self.dim, self.dim),
                ("mlp.up", self.inner, self.dim),
                ("mlp.down", self.dim, self.inner),
            ):
                shapes[f"{p}{name}.weight"] = (out, into)
                shapes[f"{p}{name}.bias"] = (out,)
            for norm in ("attention_norm", "mlp_norm"):
                shapes[f"{p}{norm}.weight"] = (self.dim,)
                shapes[f"{p}{norm}.bias"] = (self.dim,)
        shapes["norm.weight"] = shapes["norm.bias"] = (self.dim,)
        shapes["lm_head.weight"] = (self.vocabulary, self.dim)
        return shapes


def build_gpt2(
    config: Gpt2Config,
    weights: Mapping[str, Weight | np.ndarray],
    data: DataFile | None = None,
    options: DecoderOptions = DecoderOptions(),
) -> "onnx.ModelProto":
    """Builds the graph.

    Args:
      config: the sizes.
      weights: named and shaped as `Gpt2Config.weight_shapes` says.
      data: file for the weights, or None to keep them in the model.
      options: which inputs the graph has.

    Raises:
      NibbleError: a weight is missing, unknown or has another shape.
    """
    w = NamedWeights(weights, config.weight_shapes(), optional=["lm_head.weight"])
    g = GraphBuilder(data, options.opset)
    decoder = Decoder(g, options, config.head_dim, config.heads)

    def norm(name: str, x: str) -> str:
        parts = [g.weight(f"{name}.{part}", w[f"{name}.{part}"]) for part in ("weight", "bias")]
        return g.node("LayerNormalization", name, [x, *parts], axis=-1, epsilon=config.eps)

    def linear(name: str, x: str) -> str:
        return g.linear(name, x, w[name + ".weight"], w[name + ".bias"])

    tokens = g.weight("embed.weight", w["embed.weight"])
    positions = g.weight("positions.weight", w["positions.weight"])
    tokens = g.node("Gather", "embed", [tokens, "input_ids"], axis=0)
    positions = g.node("Gather", "positions", [positions, "position_ids"], axis=0)
    x = g.node("Add", "embed_sum", [tokens, positions])
    for i in range(config.layers):
        p = f"layers.{i}."
        h = norm(p + "attention_norm", x)
        q, k, v = (linear(p + f"attention.{part}", h) for part in "qkv")
        scale = config.score_scale(i)
        a = decoder.attention(i, p + "attention", q, k, v, config.heads, scale=scale)
        x = g.node("Add", p + "attention_residual", [x, linear(p + "attention.o", a)])
        h = linear(p + "mlp.up", norm(p + "mlp_norm", x))
        h = activation(g, p + "mlp.activation", h, config.activation)
        x = g.node("Add", p + "mlp_residual", [x, linear(p + "mlp.down", h)])
    decoder.finish(norm("norm", x), config.layers, config.vocabulary, w.get("lm_head.weight"))
    return g.finish("gpt2")
