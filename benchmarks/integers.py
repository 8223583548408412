#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times integer products beside ONNX Runtime's, and beside the same product of floats.

    .venv/bin/python benchmarks/integers.py [--only matmul|conv] [--rows M ...] [--threads T]

Each line is one operator: MatMulInteger of uint8 activations and int8 weights, or
QLinearConv of shapes that ResNet-50 and MobileNet have. Milliseconds are medians of
calls that take turns; `of ORT` is how many times as fast as ONNX Runtime the integer
product is, `of float` how many times as fast as ours of floats. Results are compared
with ONNX Runtime's: sums must be equal, codes within one.
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

# Channels, outputs, size, kernel, stride, groups.
CONVOLUTIONS = {
    "stem 7x7/2": (3, 64, 224, 7, 2, 1),
    "1x1 56": (64, 256, 56, 1, 1, 1),
    "3x3 56": (64, 64, 56, 3, 1, 1),
    "3x3 28": (128, 128, 28, 3, 1, 1),
    "3x3/2 28": (256, 256, 28, 3, 2, 1),
    "3x3 14": (256, 256, 14, 3, 1, 1),
    "1x1 14": (1024, 256, 14, 1, 1, 1),
    "3x3 7": (512, 512, 7, 3, 1, 1),
    "1x1 7": (512, 2048, 7, 1, 1, 1),
    "1x1 112": (32, 16, 112, 1, 1, 1),
    "depthwise 112": (32, 32, 112, 3, 1, 32),
    "depthwise/2 112": (96, 96, 112, 3, 2, 96),
    "depthwise 28": (192, 192, 28, 3, 1, 192),
    "depthwise 14": (576, 576, 14, 3, 1, 576),
}


def save(name: str, nodes, inputs, outputs, weights) -> Path:
    import onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    path = ev.WORK / f"{name}.onnx"
    ev.WORK.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def matmul(size: int) -> tuple[Path, Path]:
    from onnx import TensorProto as t
    from onnx import helper

    weight = np.random.default_rng(1).integers(-128, 128, (size, size), np.int8)
    shape = ["rows", size]
    integer = save(
        f"matmulinteger{size}",
        [helper.make_node("MatMulInteger", ["x", "w", "xz"], ["y"], name="product")],
        [("x", t.UINT8, shape)],
        [("y", t.INT32, shape)],
        {"w": weight, "xz": np.array(119, np.uint8)},
    )
    plain = save(
        f"matmulfloat{size}",
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        [("x", t.FLOAT, shape)],
        [("y", t.FLOAT, shape)],
        {"w": weight.astype(np.float32)},
    )
    return integer, plain


def conv(name: str) -> tuple[Path, Path, tuple[int, ...]]:
    from onnx import TensorProto as t
    from onnx import helper

    channels, outputs, size, kernel, stride, groups = CONVOLUTIONS[name]
    random = np.random.default_rng(1)
    weight = random.integers(-127, 128, (outputs, channels // groups, kernel, kernel), np.int8)
    shape = (1, channels, size, size)
    out = (1, outputs, (size - 1) // stride + 1, (size - 1) // stride + 1)
    pad = kernel // 2
    attributes = dict(
        kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups, name="conv"
    )
    file = "".join(c if c.isalnum() else "_" for c in name)
    scale = 0.02 / np.sqrt(weight[0].size)
    integer = save(
        f"qlinearconv_{file}",
        [
            helper.make_node(
                "QLinearConv",
                ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"],
                ["y"],
                **attributes,
            )
        ],
        [("x", t.UINT8, shape)],
        [("y", t.UINT8, out)],
        {
            "xs": np.array(0.02, np.float32),
            "xz": np.array(114, np.uint8),
            "w": weight,
            "ws": np.full(outputs, scale, np.float32),
            "wz": np.zeros(outputs, np.int8),
            "ys": np.array(0.05, np.float32),
            "yz": np.array(128, np.uint8),
            "b": random.integers(-1000, 1000, outputs, np.int32),
        },
    )
    plain = save(
        f"convfloat_{file}",
        [helper.make_node("Conv", ["x", "w"], ["y"], **attributes)],
        [("x", t.FLOAT, shape)],
        [("y", t.FLOAT, out)],
        {"w": weight.astype(np.float32)},
    )
    return integer, plain, shape


def line(name, integer: Path, plain: Path, shape, work: float, most: int, threads: int) -> None:
    x = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    floats = x.astype(np.float32)
    with ev.load(integer, threads=threads) as ours, ev.load(plain, threads=threads) as real:
        reference = ev.Reference(integer, threads)
        got, want = ours.run({"x": x})["y"], reference.run({"x": x})["y"]
        error = int(np.abs(got.astype(np.int64) - want.astype(np.int64)).max())
        mine, theirs, slow = measure.take_turns(
            [
                lambda: ours.run({"x": x}),
                lambda: reference.run({"x": x}),
                lambda: real.run({"x": floats}),
            ]
        )
    note = "" if error <= most else f"  WRONG by {error}"
    print(
        f"{name:18}{mine:9.3f}{theirs:9.3f}{slow:9.3f}{2 * work / mine / 1e9:8.2f}"
        f"{theirs / mine:9.2f}{slow / mine:10.2f}{note}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["matmul", "conv"])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16, 128])
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    print(f"on {measure.machine()}")
    print(f"{'':18}{'ms':>9}{'ORT ms':>9}{'float ms':>9}{'TOP/s':>8}{'of ORT':>9}{'of float':>10}")
    if args.only != "conv":
        integer, plain = matmul(args.size)
        for rows in args.rows:
            shape, work = (rows, args.size), rows * args.size**2
            line(f"{rows} x {args.size}^2", integer, plain, shape, work, 0, args.threads)
    if args.only != "matmul":
        for name, (channels, outputs, size, kernel, stride, groups) in CONVOLUTIONS.items():
            integer, plain, shape = conv(name)
            work = ((size - 1) // stride + 1) ** 2 * outputs * channels // groups * kernel**2
            line(name, integer, plain, shape, work, 1, args.threads)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ev.Missing, nibble.NibbleError) as error:
        sys.exit(f"error: {error}")
