# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A residual network for the glyphs: training in JAX, export with folded norms.

stem 3x3 16, max pool -> block 16 to 32 -> block 32 to 64, stride 2
-> block 64 to 64 -> global average pool -> fully connected
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .glyphs import CLASSES, SIZE

# name: (input channels, output channels, kernel, stride)
CONVS = {
    "stem": (1, 16, 3, 1),
    "block1.conv1": (16, 32, 3, 1),
    "block1.conv2": (32, 32, 3, 1),
    "block1.shortcut": (16, 32, 1, 1),
    "block2.conv1": (32, 64, 3, 2),
    "block2.conv2": (64, 64, 3, 1),
    "block2.shortcut": (32, 64, 1, 2),
    "block3.conv1": (64, 64, 3, 1),
    "block3.conv2": (64, 64, 3, 1),
}
FEATURES = 64
EPS = 1e-5


def init(rng: np.random.Generator) -> tuple[dict, dict]:
    """Returns the parameters and the running statistics of the batch norms."""
    params, stats = {}, {}
    for name, (cin, cout, k, _) in CONVS.items():
        std = np.sqrt(2 / (cin * k * k))
        params[name] = {
            "w": rng.normal(0, std, (cout, cin, k, k)).astype(np.float32),
            "scale": np.ones(cout, np.float32),
            "shift": np.zeros(cout, np.float32),
        }
        stats[name] = {"mean": np.zeros(cout, np.float32), "var": np.ones(cout, np.float32)}
    params["fc"] = {
        "w": rng.normal(0, 0.1, (len(CLASSES), FEATURES)).astype(np.float32),
        "b": np.zeros(len(CLASSES), np.float32),
    }
    return params, stats


def forward(params: dict, stats: dict, x, train: bool):
    """Logits [n, classes] and, in training, the batch's statistics."""
    seen = {}

    def conv(name, x):
        _, _, k, stride = CONVS[name]
        p = params[name]
        pad = [(k // 2, k // 2)] * 2
        y = jax.lax.conv_general_dilated(x, p["w"], (stride, stride), pad)
        if train:
            mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3))
            seen[name] = {"mean": mean, "var": var}
        else:
            mean, var = stats[name]["mean"], stats[name]["var"]
        gain = p["scale"] / jnp.sqrt(var + EPS)
        return y * gain[:, None, None] + (p["shift"] - mean * gain)[:, None, None]

    x = jax.nn.relu(conv("stem", x))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    for block in ("block1", "block2", "block3"):
        y = jax.nn.relu(conv(f"{block}.conv1", x))
        y = conv(f"{block}.conv2", y)
        if f"{block}.shortcut" in CONVS:
            x = conv(f"{block}.shortcut", x)
        x = jax.nn.relu(x + y)
    x = x.mean((2, 3))
    return x @ params["fc"]["w"].T + params["fc"]["b"], seen


def train(
    images: np.ndarray, labels: np.ndarray, steps: int, seed: int, adam, report
) -> tuple[dict, dict]:
    """Trains on images [n, 1, SIZE, SIZE]; `adam` is the optimiser of train_embedded_models."""
    rng = np.random.default_rng(seed)
    params, stats = init(rng)
    state = adam.start(params)

    def loss(params, stats, x, y):
        logits, seen = forward(params, stats, x, True)
        smooth = 0.9 * jax.nn.one_hot(y, len(CLASSES)) + 0.1 / len(CLASSES)
        return -(smooth * jax.nn.log_softmax(logits)).sum(-1).mean(), seen

    @jax.jit
    def step(params, stats, state, rate, x, y):
        (value, seen), grads = jax.value_and_grad(loss, has_aux=True)(params, stats, x, y)
        params, state = adam.step(params, grads, state, rate)
        stats = jax.tree.map(lambda old, new: 0.95 * old + 0.05 * new, stats, seen)
        return params, stats, state, value

    batch = 128
    for i in range(steps):
        pick = rng.integers(0, len(labels), batch)
        rate = adam.rate(i, steps, 3e-3)
        params, stats, state, value = step(params, stats, state, rate, images[pick], labels[pick])
        if i % 100 == 0:
            report(f"classifier step {i}: loss {float(value):.3f}")
    return jax.tree.map(np.asarray, (params, stats))


def export(params: dict, stats: dict) -> onnx.ModelProto:
    """ONNX opset 21, `images` [batch, 1, SIZE, SIZE] -> `logits` [batch, classes]."""
    nodes, weights = [], []

    def weight(name: str, array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(op: str, name: str, inputs: list[str], **attrs) -> str:
        nodes.append(helper.make_node(op, inputs, [name + ".out"], name=name, **attrs))
        return name + ".out"

    def conv(name: str, x: str) -> str:
        _, _, k, stride = CONVS[name]
        p, s = params[name], stats[name]
        gain = p["scale"] / np.sqrt(s["var"] + EPS)
        inputs = [
            x,
            weight(name + ".weight", p["w"] * gain[:, None, None, None]),
            weight(name + ".bias", p["shift"] - s["mean"] * gain),
        ]
        return node(
            "Conv", name, inputs, kernel_shape=[k, k], strides=[stride, stride], pads=[k // 2] * 4
        )

    x = node("Relu", "stem.relu", [conv("stem", "images")])
    x = node("MaxPool", "pool", [x], kernel_shape=[2, 2], strides=[2, 2])
    for block in ("block1", "block2", "block3"):
        y = node("Relu", f"{block}.relu1", [conv(f"{block}.conv1", x)])
        y = conv(f"{block}.conv2", y)
        if f"{block}.shortcut" in CONVS:
            x = conv(f"{block}.shortcut", x)
        x = node("Relu", f"{block}.relu2", [node("Add", f"{block}.add", [x, y])])
    x = node("GlobalAveragePool", "average", [x])
    x = node("Flatten", "flatten", [x], axis=1)
    fc = [x, weight("fc.weight", params["fc"]["w"]), weight("fc.bias", params["fc"]["b"])]
    nodes.append(helper.make_node("Gemm", fc, ["logits"], name="fc", transB=1))
    graph = helper.make_graph(
        nodes, "glyphs",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(CLASSES)])],
        weights,
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, producer_name="nibble"
    )
    onnx.checker.check_model(model, full_check=True)
    return model
