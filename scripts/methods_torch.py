# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Llama that nibble exported, in torch, for peers that quantize torch's or GGUF's models."""

from __future__ import annotations

import functools
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: A block's linear layers: our name, that of transformers, that of GGUF.
PARTS = {
    "attention.q": ("self_attn.q_proj", "attn_q"),
    "attention.k": ("self_attn.k_proj", "attn_k"),
    "attention.v": ("self_attn.v_proj", "attn_v"),
    "attention.o": ("self_attn.o_proj", "attn_output"),
    "mlp.gate": ("mlp.gate_proj", "ffn_gate"),
    "mlp.up": ("mlp.up_proj", "ffn_up"),
    "mlp.down": ("mlp.down_proj", "ffn_down"),
}
#: Other tensors of a block, likewise.
NORMS = {
    "attention_norm": ("input_layernorm", "attn_norm"),
    "mlp_norm": ("post_attention_layernorm", "ffn_norm"),
}


def load_weights(path: Path) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    # Copies: torch wants memory that it may write to.
    return {t.name: np.array(numpy_helper.to_array(t)) for t in model.graph.initializer}


@dataclass
class Shape:
    """What the graph says of a Llama that nibble exported."""

    heads: int
    pairs: int
    """Heads of keys and values."""
    interleaved: bool
    """Whether neighbours turn together; otherwise those half a head apart."""
    epsilon: float
    inputs: dict[str, tuple[int | None, ...]]

    @staticmethod
    def read(path: Path) -> Shape:
        import onnx

        model = onnx.load(path, load_external_data=False)
        nodes = {node.name: node for node in model.graph.node}

        def attributes(name: str) -> dict:
            return {a.name: onnx.helper.get_attribute_value(a) for a in nodes[name].attribute}

        attention = attributes("layers.0.attention")
        return Shape(
            attention["q_num_heads"],
            attention["kv_num_heads"],
            bool(attributes("layers.0.attention.q_rope").get("interleaved", 0)),
            attributes("norm")["epsilon"],
            {
                value.name: tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
                for value in model.graph.input
            },
        )


class Exported:
    """Shape and weights of an exported Llama: `linear` by name as [N, K], and `others`."""

    def __init__(self, path: Path):
        self.path = path
        self.shape = Shape.read(path)
        self.others = load_weights(path)
        names = [name for name in self.others if _is_linear(name)]
        # Exported [K, N]; torch's layers hold [N, K].
        self.linear = {
            name.removesuffix(".weight"): np.ascontiguousarray(self.others.pop(name).T)
            for name in names
        }
        self.layers = sum(name.endswith("attention_norm.weight") for name in self.others)

    @property
    def count(self) -> int:
        """Weights of linear layers."""
        return sum(weight.size for weight in self.linear.values())

    @functools.cached_property
    def rope_theta(self) -> float:
        """From the angles of the second position, the second of which is theta^(-2 / d)."""
        cos, sin = self.others["rope.cos"][1], self.others["rope.sin"][1]
        return float(math.atan2(sin[1], cos[1]) ** -len(cos))

    def torch_model(self, weights: dict[str, np.ndarray]) -> TorchLlama:
        """The model with these values in its linear layers, in float32."""
        import torch

        products = {}
        for name, values in weights.items():
            weight = torch.from_numpy(np.ascontiguousarray(values, np.float32))
            products[name] = lambda x, w=weight: x @ w.T
        return TorchLlama(self, products)

    def _halves(self, name: str, rows: np.ndarray, back: bool = False) -> np.ndarray:
        """Rows of q and k in transformers' order, where each head has its pairs apart."""
        part = name.rsplit(".", 1)[1]
        if not self.shape.interleaved or part not in "qk":
            return rows
        heads = self.shape.heads if part == "q" else self.shape.pairs
        half = len(rows) // heads // 2
        split = rows.reshape(heads, *((2, half) if back else (half, 2)), -1)
        return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(rows.shape)

    def save_transformers(self, folder: Path) -> None:
        """The model as transformers keeps it, in float32, with its tokenizer."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        embed = self.others["embed.weight"]
        width = self.linear["layers.0.attention.q"].shape[1]
        config = LlamaConfig(
            vocab_size=len(embed),
            hidden_size=width,
            head_dim=len(self.linear["layers.0.attention.q"]) // self.shape.heads,
            intermediate_size=len(self.linear["layers.0.mlp.up"]),
            num_hidden_layers=self.layers,
            num_attention_heads=self.shape.heads,
            num_key_value_heads=self.shape.pairs,
            max_position_embeddings=len(self.others["rope.cos"]),
            rms_norm_eps=self.shape.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": self.rope_theta},
            tie_word_embeddings=True,
        )
        model = LlamaForCausalLM(config)
        state = {"model.embed_tokens.weight": embed}
        state["model.norm.weight"] = self.others["norm.weight"]
        for i in range(self.layers):
            for ours, (theirs, _) in NORMS.items():
                norm = self.others[f"layers.{i}.{ours}.weight"]
                state[f"model.layers.{i}.{theirs}.weight"] = norm
        for name, weight in self.linear.items():
            state[f"{transformers_name(name)}.weight"] = self._halves(name, weight)
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        model.load_state_dict(tensors, strict=False)
        model.save_pretrained(folder)
        for file in self.path.parent.glob("tokenizer*"):
            shutil.copy(file, folder)

    def from_transformers(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Weights [N, K] by transformers' names, as ours."""
        return {
            name: self._halves(name, weights[transformers_name(name)], back=True)
            for name in self.linear
        }

    def save_gguf(self, path: Path) -> None:
        """The model as llama.cpp keeps it, but for the order of rows in q and k: types of
        GGUF quantize each row by itself. There is no tokenizer."""
        import gguf

        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(self.layers)
        writer.add_context_length(len(self.others["rope.cos"]))
        writer.add_embedding_length(self.others["embed.weight"].shape[1])
        writer.add_feed_forward_length(len(self.linear["layers.0.mlp.up"]))
        writer.add_head_count(self.shape.heads)
        writer.add_head_count_kv(self.shape.pairs)
        writer.add_layer_norm_rms_eps(self.shape.epsilon)
        writer.add_rope_freq_base(self.rope_theta)
        writer.add_vocab_size(len(self.others["embed.weight"]))
        writer.add_tensor("token_embd.weight", self.others["embed.weight"])
        writer.add_tensor("output_norm.weight", self.others["norm.weight"])
        for i in range(self.layers):
            for ours, (_, theirs) in NORMS.items():
                norm = self.others[f"layers.{i}.{ours}.weight"]
                writer.add_tensor(f"blk.{i}.{theirs}.weight", norm)
        for name, weight in self.linear.items():
            writer.add_tensor(f"{gguf_name(name)}.weight", weight)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def transformers_name(name: str) -> str:
    _, layer, part = name.split(".", 2)
    return f"model.layers.{layer}.{PARTS[part][0]}"


def gguf_name(name: str) -> str:
    _, layer, part = name.split(".", 2)
    return f"blk.{layer}.{PARTS[part][1]}"


class TorchLlama:
    """A Llama that nibble exported, in torch, with the interface of nibble.Model.

    `products` has a function for each linear layer, by its name, from [n, K] to
    [n, N]. All else is float32.
    """

    def __init__(self, exported: Exported, products: dict):
        import torch

        self._shape = exported.shape
        self.products = products
        self._torch = torch
        self._weights = {
            name: torch.from_numpy(array)
            for name, array in exported.others.items()
            if name.endswith("norm.weight") or name in ("embed.weight", "rope.cos", "rope.sin")
        }
        self._layers = exported.layers
        self.input_shapes = self._shape.inputs

    def _norm(self, x, name: str):
        scale = self._torch.rsqrt((x * x).mean(-1, keepdim=True) + self._shape.epsilon)
        return x * scale * self._weights[name]

    def _split(self, x, heads: int):
        """[tokens, heads * size] as [heads, tokens, size]."""
        return x.reshape(len(x), heads, -1).transpose(0, 1)

    def _rotate(self, x, positions):
        cos, sin = (self._weights[f"rope.{part}"][positions] for part in ("cos", "sin"))
        # Pairs are neighbours, or lie half a head apart.
        axis = -1 if self._shape.interleaved else -2
        pairs = x.unflatten(-1, (-1, 2) if self._shape.interleaved else (2, -1))
        first, second = pairs.unbind(axis)
        turned = first * cos - second * sin, first * sin + second * cos
        return self._torch.stack(turned, axis).flatten(-2)

    def run(self, inputs):
        torch = self._torch
        with torch.no_grad():
            tokens = torch.from_numpy(inputs["input_ids"])[0]
            positions = torch.from_numpy(inputs["position_ids"])[0]
            x, present = self._weights["embed.weight"][tokens], {}
            for i in range(self._layers):
                x = x + self._attend(i, x, positions, inputs, present)
                h = self._norm(x, f"layers.{i}.mlp_norm.weight")
                gate = torch.nn.functional.silu(self.products[f"layers.{i}.mlp.gate"](h))
                product = gate * self.products[f"layers.{i}.mlp.up"](h)
                x = x + self.products[f"layers.{i}.mlp.down"](product)
            wanted = torch.from_numpy(inputs["logit_positions"])
            x = self._norm(x, "norm.weight")[wanted]
            logits = x @ self._weights["embed.weight"].T
        return {"logits": logits[None].numpy(), **present}

    def _attend(self, i: int, x, positions, inputs, present):
        torch, name = self._torch, f"layers.{i}.attention"
        h = self._norm(x, f"layers.{i}.attention_norm.weight")
        q, k, v = (self.products[f"{name}.{part}"](h) for part in "qkv")
        q = self._rotate(self._split(q, self._shape.heads), positions)
        k = self._rotate(self._split(k, self._shape.pairs), positions)
        kept = []
        for part, fresh in (("key", k), ("value", self._split(v, self._shape.pairs))):
            past = torch.from_numpy(inputs[f"past_key_values.{i}.{part}"])[0]
            kept.append(torch.cat([past, fresh], 1))
            present[f"present.{i}.{part}"] = kept[-1][None].numpy()
        k, v = (t.repeat_interleave(self._shape.heads // self._shape.pairs, 0) for t in kept)
        sees = torch.arange(k.shape[1])[None] <= positions[:, None]
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees)
        return self.products[f"{name}.o"](y.transpose(0, 1).reshape(len(x), -1))


def _is_linear(name: str) -> bool:
    return name.startswith("layers.") and name.endswith(".weight") and "norm" not in name


