#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times attention of SmolLM2's shape, and ONNX Runtime's, in turns.

    .venv/bin/python benchmarks/attention.py [--heads 9 3] [--width 64] [--layers N]
        [--prompts LENGTH ...] [--pasts LENGTH ...] [--threads T]

A prompt is causal, its tokens look at themselves and at those before; a step of
generation is one token that looks at `past` others. The model is a chain of
`--layers` attentions with keys and values of their own, so that they come from
memory as in a language model. Printed are milliseconds of one attention, the
time per token of a step of all the layers of SmolLM2 (30), and how many times as
long ONNX Runtime takes. Results are compared with ONNX Runtime's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import evaluation as ev  # noqa: E402
import measure  # noqa: E402
import nibble  # noqa: E402

MODEL_LAYERS = 30


def make_model(heads: int, kv_heads: int, width: int, layers: int, causal: bool) -> Path:
    """Inputs q [1, heads, s, width] and, for each layer, k0, v0, ... [1, kv_heads, t, width]."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, count: int, tokens: str):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, tokens, width])

    path = ev.WORK / f"attention{heads}_{kv_heads}_{width}_{layers}{'_causal' * causal}.onnx"
    nodes = [
        helper.make_node(
            "Attention", [f"y{i - 1}" if i else "q", f"k{i}", f"v{i}"], [f"y{i}"],
            name=f"attention{i}", is_causal=int(causal),
        )
        for i in range(layers)
    ]  # fmt: skip
    inputs = [value(f"{name}{i}", kv_heads, "t") for i in range(layers) for name in "kv"]
    graph = helper.make_graph(
        nodes, "attention", [value("q", heads, "s"), *inputs],
        [value(f"y{layers - 1}", heads, "s")],
    )  # fmt: skip
    ev.WORK.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 23)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=11), path)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, nargs=2, default=[9, 3], metavar=("Q", "KV"))
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--prompts", type=int, nargs="*", default=[128, 1024])
    parser.add_argument("--pasts", type=int, nargs="*", default=[128, 1024, 8192])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    heads, kv_heads = args.heads
    shape = f"{heads} heads, {kv_heads} of keys, width {args.width}"
    print(f"{shape}, {args.layers} layers, on {measure.machine()}")
    print(f"{'':24}{'Nibble':>10}{'ONNX Runtime':>14}{'ratio':>8}{'max error':>11}")
    cases = [(f"prompt of {n}", n, n, True) for n in args.prompts]
    cases += [(f"step after {n}", 1, n + 1, False) for n in args.pasts]
    generator = np.random.default_rng(1)
    for title, queries, keys, causal in cases:
        path = make_model(heads, kv_heads, args.width, args.layers, causal)
        kv_shape = (1, kv_heads, keys, args.width)
        inputs = {"q": generator.standard_normal((1, heads, queries, args.width), np.float32)}
        for i in range(args.layers):
            for name in "kv":
                inputs[f"{name}{i}"] = generator.standard_normal(kv_shape, np.float32)
        with ev.load(path, threads=args.threads) as model:
            reference = ev.Reference(path, threads=args.threads)
            output = f"y{args.layers - 1}"
            error = np.abs(model.run(inputs)[output] - reference.run(inputs)[output]).max()
            calls = [lambda: model.run(inputs), lambda: reference.run(inputs)]
            own, other = (ms / args.layers for ms in measure.take_turns(calls, args.rounds))
        line = f"{title:24}{own:8.3f}ms{other:12.3f}ms{other / own:8.2f}{error:11.1e}"
        if queries == 1:
            line += f"   {own * MODEL_LAYERS:.2f} ms of {MODEL_LAYERS} layers per token"
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ev.Missing, nibble.NibbleError) as error:
        sys.exit(f"error: {error}")
