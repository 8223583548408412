#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times one matrix product with weights in float, 8 and 4 bits, and ONNX Runtime's in float.

    .venv/bin/python benchmarks/products.py [--size N] [--rows M ...] [--threads T]

Prints milliseconds, the rate at which weight bytes are read, and arithmetic. A
product with few rows is bound by memory: there fewer bits should mean less time.
The weights of the default size (4096 x 4096, 64 MiB in float) do not fit into
caches. The result of every kernel is checked against NumPy on the weights that
NumPy rounds in the same way; with W8A8-dynamic the activations are rounded too.
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

# Scheme: bits and group of the rounding that the result is checked against.
ROUNDING = {"float": None, "W8A16": (8, -1), "W4A16 g32": (4, 32), "W8A8-dynamic": (8, -1)}


def make_model(size: int) -> tuple[Path, np.ndarray]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    path = ev.WORK / f"product{size}.onnx"
    weight = np.random.default_rng(1).standard_normal((size, size), np.float32)
    if not path.exists():
        ev.WORK.mkdir(parents=True, exist_ok=True)
        shape = ["rows", size]
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
            "product",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(weight, "w")],
        )
        opset = [helper.make_opsetid("", 21)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path, weight


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16, 128])
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    path, weight = make_model(args.size)
    print(f"{args.size} x {args.size} on {measure.machine()}")
    print(f"{'':20}{'rows':>6}{'ms':>10}{'GB/s':>8}{'GFLOP/s':>9}{'max error':>11}")

    def line(name: str, model, weight_bytes: int, exact: np.ndarray) -> None:
        for rows in args.rows:
            x = np.random.default_rng(2).standard_normal((rows, args.size), np.float32)
            [ms] = measure.take_turns([lambda: model.run({"x": x})])
            error = np.abs(model.run({"x": x})["y"] - x @ exact).max()
            rate, flops = weight_bytes / ms / 1e6, 2 * rows * args.size**2 / ms / 1e6
            print(f"{name:20}{rows:6}{ms:10.3f}{rate:8.1f}{flops:9.1f}{error:11.1e}", flush=True)

    try:
        line("ONNX Runtime float", ev.Reference(path), weight.nbytes, weight)
    except ev.Missing as reason:
        print(reason)
    for name, rounding in ROUNDING.items():
        with ev.load(path, ev.SCHEMES[name], threads=args.threads) as model:
            exact = weight if rounding is None else ev.rounded(weight.T, *rounding).T
            line(f"Nibble {name}", model, model.weight_bytes, exact)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ev.Missing, nibble.NibbleError) as error:
        sys.exit(f"error: {error}")
