# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a Llama-architecture language model as ONNX in standard operators.

The graph is opset 23: `RMSNormalization`, `RotaryEmbedding`, and `Attention` with
past keys and values as inputs and present ones as outputs. Batch, sequence and
past length are symbolic, so that one file serves prefill and decoding.

    input_ids                 int64   [batch, sequence]
    position_ids              int64   [batch, sequence]
    past_key_values.I.key     float32 [batch, kv_heads, past, head_dim]
    past_key_values.I.value   float32 [batch, kv_heads, past, head_dim]
 -> logits                    float32 [batch, sequence, vocabulary]
    present.I.key             float32 [batch, kv_heads, past + sequence, head_dim]
    present.I.value           float32 [batch, kv_heads, past + sequence, head_dim]

The architecture is that of Touvron et al., "LLaMA: Open and Efficient Foundation
Language Models" (arXiv:2302.13971), with grouped-query attention (Ainslie et al.,
arXiv:2305.13245).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping

import numpy as np

from .errors import NibbleError

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
    rope_theta: float = 10000.0
    interleaved: bool = True
    """Whether RoPE rotates neighbouring components (2i, 2i+1) or (i, i + d/2)."""

    def __post_init__(self) -> None:
        for name in ("dim", "hidden_dim", "layers", "heads", "kv_heads", "vocabulary", "positions"):
            if getattr(self, name) <= 0:
                raise NibbleError(f"model config: {name} is {getattr(self, name)}, expected > 0")
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            raise NibbleError(
                f"model config: dim {self.dim} over {self.heads} heads must give an even head size"
            )
        if self.heads % self.kv_heads:
            raise NibbleError(
                f"model config: {self.heads} heads are not a multiple of "
                f"{self.kv_heads} key-value heads"
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def kv_dim(self) -> int:
        return self.kv_heads * self.head_dim

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that `build_llama` takes; matrices are [out, in].

        `lm_head.weight` is optional: without it the head shares the embedding.
        """
        shapes: dict[str, tuple[int, ...]] = {"embed.weight": (self.vocabulary, self.dim)}
        for i in range(self.layers):
            p = f"layers.{i}."
            shapes |= {
                p + "attention_norm.weight": (self.dim,),
                p + "attention.q.weight": (self.dim, self.dim),
                p + "attention.k.weight": (self.kv_dim, self.dim),
                p + "attention.v.weight": (self.kv_dim, self.dim),
                p + "attention.o.weight": (self.dim, self.dim),
                p + "mlp_norm.weight": (self.dim,),
                p + "mlp.gate.weight": (self.hidden_dim, self.dim),
                p + "mlp.up.weight": (self.hidden_dim, self.dim),
                p + "mlp.down.weight": (self.dim, self.hidden_dim),
            }
        shapes["norm.weight"] = (self.dim,)
        shapes["lm_head.weight"] = (self.vocabulary, self.dim)
        return shapes


def rope_caches(config: LlamaConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of the rotation angles, float32 [positions, head_dim / 2]."""
    half = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    angles = np.outer(np.arange(config.positions), config.rope_theta**-half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class _Graph:
    """Collects nodes and initializers; a node's name is its layer's name."""

    def __init__(self) -> None:
        import onnx.helper

        self._helper = onnx.helper
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def weight(self, name: str, array: np.ndarray) -> str:
        import onnx.numpy_helper

        self.initializers.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(
        self, op: str, name: str, inputs: list[str], outputs: list[str] | None = None, **attrs
    ) -> str:
        outputs = outputs or [name + ".out"]
        self.nodes.append(self._helper.make_node(op, inputs, outputs, name=name, **attrs))
        return outputs[0]

    def linear(self, name: str, x: str, weight: np.ndarray) -> str:
        """x @ weight.T with the weight stored as [in, out], as ONNX's MatMul wants it."""
        return self.node("MatMul", name, [x, self.weight(name + ".weight", weight.T)])


def build_llama(config: LlamaConfig, weights: Mapping[str, np.ndarray]) -> "onnx.ModelProto":
    """Builds the graph described at the top of this file.

    Args:
      config: the sizes.
      weights: float32 arrays named and shaped as `LlamaConfig.weight_shapes` says.

    Raises:
      NibbleError: a weight is missing, unknown or has another shape.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise NibbleError("export needs the Python package onnx: pip install onnx") from error

    shapes = config.weight_shapes()
    tied = "lm_head.weight" not in weights
    for name, shape in shapes.items():
        if name == "lm_head.weight" and tied:
            continue
        if name not in weights:
            raise NibbleError(f"weight {name} is missing, expected shape {list(shape)}")
        if tuple(weights[name].shape) != shape:
            raise NibbleError(
                f"weight {name} has shape {list(weights[name].shape)}, expected {list(shape)}"
            )
    if unknown := sorted(set(weights) - set(shapes)):
        raise NibbleError(f"weights that no layer takes: {', '.join(unknown)}")

    g = _Graph()
    cos, sin = rope_caches(config)
    g.weight("rope.cos", cos)
    g.weight("rope.sin", sin)
    g.weight("embed.weight", weights["embed.weight"])

    def norm(name: str, x: str) -> str:
        scale = g.weight(name + ".weight", weights[name + ".weight"])
        return g.node("RMSNormalization", name, [x, scale], axis=-1, epsilon=config.eps)

    def rotate(name: str, x: str, heads: int) -> str:
        return g.node(
            "RotaryEmbedding",
            name,
            [x, "rope.cos", "rope.sin", "position_ids"],
            num_heads=heads,
            interleaved=int(config.interleaved),
        )

    x = g.node("Gather", "embed", ["embed.weight", "input_ids"], axis=0)
    for i in range(config.layers):
        p = f"layers.{i}."
        h = norm(p + "attention_norm", x)
        q, k, v = (
            g.linear(p + f"attention.{part}", h, weights[p + f"attention.{part}.weight"])
            for part in "qkv"
        )
        q = rotate(p + "attention.q_rope", q, config.heads)
        k = rotate(p + "attention.k_rope", k, config.kv_heads)
        a = g.node(
            "Attention",
            p + "attention",
            [q, k, v, "", f"past_key_values.{i}.key", f"past_key_values.{i}.value"],
            [p + "attention.out", f"present.{i}.key", f"present.{i}.value"],
            q_num_heads=config.heads,
            kv_num_heads=config.kv_heads,
            is_causal=1,
        )
        a = g.linear(p + "attention.o", a, weights[p + "attention.o.weight"])
        x = g.node("Add", p + "attention_residual", [x, a])
        h = norm(p + "mlp_norm", x)
        gate = g.linear(p + "mlp.gate", h, weights[p + "mlp.gate.weight"])
        up = g.linear(p + "mlp.up", h, weights[p + "mlp.up.weight"])
        sigmoid = g.node("Sigmoid", p + "mlp.sigmoid", [gate])
        silu = g.node("Mul", p + "mlp.silu", [gate, sigmoid])
        h = g.node("Mul", p + "mlp.product", [silu, up])
        down = g.linear(p + "mlp.down", h, weights[p + "mlp.down.weight"])
        x = g.node("Add", p + "mlp_residual", [x, down])
    x = norm("norm", x)
    if tied:
        table = g.node("Transpose", "lm_head.transpose", ["embed.weight"], perm=[1, 0])
    else:
        table = g.weight("lm_head.weight", weights["lm_head.weight"].T)
    g.node("MatMul", "lm_head", [x, table], ["logits"])

    def cache(prefix: str, length: str) -> list:
        shape = ["batch", config.kv_heads, length, config.head_dim]
        return [
            helper.make_tensor_value_info(f"{prefix}.{i}.{kind}", TensorProto.FLOAT, shape)
            for i in range(config.layers)
            for kind in ("key", "value")
        ]

    ids = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ids),
        helper.make_tensor_value_info("position_ids", TensorProto.INT64, ids),
    ] + cache("past_key_values", "past")
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*ids, config.vocabulary])
    ] + cache("present", "total")
    graph = helper.make_graph(g.nodes, "llama", inputs, outputs, g.initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11, producer_name="nibble"
    )
    onnx.checker.check_model(model, full_check=True)
    return model
