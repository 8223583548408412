# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small Llama-architecture model for the stories, trained in JAX.

The weights carry the names and shapes of nibble.export.LlamaConfig, which also
writes the ONNX file.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nibble.export import LlamaConfig


def init(config: LlamaConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    weights = {}
    for name, shape in config.weight_shapes().items():
        if len(shape) == 1:
            weights[name] = np.ones(shape, np.float32)
            continue
        std = 0.05 if name in ("embed.weight", "lm_head.weight") else shape[1] ** -0.5
        if name.endswith(("attention.o.weight", "mlp.down.weight")):
            std /= (2 * config.layers) ** 0.5
        weights[name] = rng.normal(0, std, shape).astype(np.float32)
    return weights


def forward(config: LlamaConfig, w: dict, tokens):
    """Logits [n, length, vocabulary] for tokens [n, length], each seeing those before it."""
    count, length = tokens.shape
    cos, sin = (table[:, None] for table in config.rope.tables(config.head_dim, length))
    mask = jnp.tril(jnp.ones((length, length), bool))

    def norm(x, scale):
        return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + config.eps) * scale

    def rotate(x):
        even, odd = x[..., 0::2], x[..., 1::2]
        return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)

    x = w["embed.weight"][tokens]
    for i in range(config.layers):
        p = f"layers.{i}."
        h = norm(x, w[p + "attention_norm.weight"])
        q, k, v = (
            (h @ w[p + f"attention.{part}.weight"].T).reshape(count, length, -1, config.head_dim)
            for part in "qkv"
        )
        repeat = config.heads // config.kv_heads
        q, k = rotate(q), jnp.repeat(rotate(k), repeat, 2)
        v = jnp.repeat(v, repeat, 2)
        score = jnp.einsum("nqhd,nkhd->nhqk", q, k) / config.head_dim**0.5
        score = jax.nn.softmax(jnp.where(mask, score, -jnp.inf))
        a = jnp.einsum("nhqk,nkhd->nqhd", score, v).reshape(count, length, config.dim)
        x = x + a @ w[p + "attention.o.weight"].T
        h = norm(x, w[p + "mlp_norm.weight"])
        gate = h @ w[p + "mlp.gate.weight"].T
        up = h @ w[p + "mlp.up.weight"].T
        x = x + (jax.nn.silu(gate) * up) @ w[p + "mlp.down.weight"].T
    return norm(x, w["norm.weight"]) @ w["lm_head.weight"].T


def train(
    config: LlamaConfig,
    text: np.ndarray,
    starts: np.ndarray,
    length: int,
    steps: int,
    seed: int,
    adam,
    report,
) -> dict[str, np.ndarray]:
    """Trains on windows of `length` tokens of `text` [n] that begin at one of `starts`."""
    rng = np.random.default_rng(seed)
    weights = init(config, rng)
    state = adam.start(weights)
    starts = starts[starts + length + 1 <= len(text)]

    def loss(w, tokens):
        guess = jax.nn.log_softmax(forward(config, w, tokens[:, :-1]))
        return -jnp.take_along_axis(guess, tokens[:, 1:, None], -1).mean()

    @jax.jit
    def step(weights, state, rate, tokens):
        value, grads = jax.value_and_grad(loss)(weights, tokens)
        weights, state = adam.step(weights, grads, state, rate)
        return weights, state, value

    for i in range(steps):
        pick = rng.choice(starts, 24)
        tokens = text[pick[:, None] + np.arange(length + 1)]
        weights, state, value = step(weights, state, adam.rate(i, steps, 3e-3), tokens)
        if i % 100 == 0:
            report(f"language model step {i}: loss {float(value):.3f}")
    return jax.tree.map(np.asarray, weights)
