# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes language models of the Llama architecture as ONNX in standard operators.

Llama (Touvron et al., arXiv:2302.13971) and what differs from it by options:
Mistral (sliding window), Qwen2 (biases), Qwen3 (normalised queries and keys),
SmolLM. Grouped-query attention is that of Ainslie et al., arXiv:2305.13245.
Inputs and outputs are those of decoder.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy as np

from ..errors import NibbleError
from .activations import activation, check_activation
from .decoder import Decoder, DecoderOptions
from .graph import DataFile, GraphBuilder
from .names import NamedWeights, check_sizes
from .rope import Rope, rope_inputs
from .tensors import Weight

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a model; `positions` is the longest text in tokens."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int
    eps: float = 1e-5
    rope: Rope = Rope()
    interleaved: bool = True
    """Whether RoPE rotates neighbouring components (2i, 2i+1) or (i, i + d/2)."""
    head_size: int = 0
    """Size of a head; 0 for dim / heads."""
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    """Normalise each head's queries and keys before they are rotated."""
    activation: str = "silu"
    windows: tuple[int, ...] = ()
    """Keys that a query of each layer sees, 0 for all; () for 0 everywhere."""
    without_rope: tuple[int, ...] = ()
    """Layers that do not rotate."""

    def __post_init__(self) -> None:
        check_sizes(
            self, "dim", "hidden_dim", "layers", "heads", "kv_heads", "vocabulary", "positions"
        )
        check_sizes(self, "head_dim")
        if (not self.head_size and self.dim % self.heads) or self.head_dim % 2:
            raise NibbleError(
                f"model config: dim {self.dim} over {self.heads} heads must give an even head size"
            )
        if self.rope.kind == "dynamic" and self.head_dim < 4:
            raise NibbleError("model config: dynamic rope scaling needs heads of at least 4")
        if self.heads % self.kv_heads:
            raise NibbleError(
                f"model config: {self.heads} heads are not a multiple of "
                f"{self.kv_heads} key-value heads"
            )
        if self.windows and len(self.windows) != self.layers:
            raise NibbleError(
                f"model config: {len(self.windows)} attention windows for {self.layers} layers"
            )
        check_activation(self.activation)

    @property
    def head_dim(self) -> int:
        return self.head_size or self.dim // self.heads

    @property
    def q_dim(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        return self.kv_heads * self.head_dim

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that `build_llama` takes; matrices are [out, in].

        `lm_head.weight` is optional: without it the head shares the embedding.
        """
        shapes: dict[str, tuple[int, ...]] = {"embed.weight": (self.vocabulary, self.dim)}
        linears = (
            ("attention.q", self.q_dim, self.dim, self.qkv_bias),
            ("attention.k", self.kv_dim, self.dim, self.qkv_bias),
            ("attention.v", self.kv_dim, self.dim, self.qkv_bias),
            ("attention.o", self.dim, self.q_dim, self.o_bias),
            ("mlp.gate", self.hidden_dim, self.dim, self.mlp_bias),
            ("mlp.up", self.hidden_dim, self.dim, self.mlp_bias),
            ("mlp.down", self.dim, self.hidden_dim, self.mlp_bias),
        )
        for i in range(self.layers):
            p = f"layers.{i}."
            shapes[p + "attention_norm.weight"] = (self.dim,)
            shapes[p + "mlp_norm.weight"] = (self.dim,)
            for name, out, into, bias in linears:
                shapes[f"{p}{name}.weight"] = (out, into)
                if bias:
                    shapes[f"{p}{name}.bias"] = (out,)
            if self.qk_norm:
                shapes[p + "attention.q_norm.weight"] = (self.head_dim,)
                shapes[p + "attention.k_norm.weight"] = (self.head_dim,)
        shapes["norm.weight"] = (self.dim,)
        shapes["lm_head.weight"] = (self.vocabulary, self.dim)
        return shapes


def build_llama(
    config: LlamaConfig,
    weights: Mapping[str, Weight | np.ndarray],
    data: DataFile | None = None,
    options: DecoderOptions = DecoderOptions(),
) -> "onnx.ModelProto":
    """Builds the graph.

    Args:
      config: the sizes.
      weights: named and shaped as `LlamaConfig.weight_shapes` says.
      data: file for the weights, or None to keep them in the model.
      options: which inputs the graph has.

    Raises:
      NibbleError: a weight is missing, unknown or has another shape.
    """
    w = NamedWeights(weights, config.weight_shapes(), optional=["lm_head.weight"])
    g = GraphBuilder(data, options.opset)
    decoder = Decoder(g, options, config.head_dim, config.kv_heads)
    rotation = rope_inputs(g, config.rope, config.head_dim, config.positions)

    def norm(name: str, x: str) -> str:
        scale = g.weight(name + ".weight", w[name + ".weight"])
        return g.node("RMSNormalization", name, [x, scale], axis=-1, epsilon=config.eps)

    def linear(name: str, x: str) -> str:
        return g.linear(name, x, w[name + ".weight"], w.get(name + ".bias"))

    def norm_heads(name: str, x: str, heads: int) -> str:
        split = g.constant(f"shape.{heads}_heads", np.asarray([0, 0, heads, config.head_dim]))
        whole = g.constant(f"shape.{heads}_joined", np.asarray([0, 0, heads * config.head_dim]))
        x = g.node("Reshape", name + ".split", [x, split])
        return g.node("Reshape", name + ".join", [norm(name, x), whole])

    def query_or_key(layer: int, name: str, x: str, heads: int) -> str:
        x = linear(name, x)
        if config.qk_norm:
            x = norm_heads(name + "_norm", x, heads)
        if layer in config.without_rope:
            return x
        return g.node(
            "RotaryEmbedding",
            name + "_rope",
            [x, *rotation],
            num_heads=heads,
            interleaved=int(config.interleaved),
        )

    g.weight("embed.weight", w["embed.weight"])
    x = g.node("Gather", "embed", ["embed.weight", "input_ids"], axis=0)
    for i in range(config.layers):
        p = f"layers.{i}."
        h = norm(p + "attention_norm", x)
        q = query_or_key(i, p + "attention.q", h, config.heads)
        k = query_or_key(i, p + "attention.k", h, config.kv_heads)
        v = linear(p + "attention.v", h)
        window = config.windows[i] if config.windows else 0
        a = decoder.attention(i, p + "attention", q, k, v, config.heads, window)
        x = g.node("Add", p + "attention_residual", [x, linear(p + "attention.o", a)])
        h = norm(p + "mlp_norm", x)
        gate = activation(g, p + "mlp.activation", linear(p + "mlp.gate", h), config.activation)
        h = g.node("Mul", p + "mlp.product", [gate, linear(p + "mlp.up", h)])
        x = g.node("Add", p + "mlp_residual", [x, linear(p + "mlp.down", h)])
    decoder.finish(norm("norm", x), config.layers, config.vocabulary, w.get("lm_head.weight"))
    return g.finish("llama")
