#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints what quantization costs a language model: memory, quality and speed.

    python3 scripts/language_table.py --text FILE [--model smollm2] [--windows 4]
        [--plot table.svg]

Each scheme is compiled, scored on the text (perplexity, KL divergence from the
float model, equal most likely tokens), and generates some tokens. The plot shows
perplexity over the bytes of the weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
import nibble  # noqa: E402
from nibble.fetch import PUBLISHED  # noqa: E402

SCHEMES = {
    "float": None,
    "W8 per channel": nibble.QuantizationConfig("W8A16", group_size=-1, scale_type="f32"),
    "W4 g32": nibble.QuantizationConfig("W4A16", group_size=32, symmetric=False),
    "W4 g64": nibble.QuantizationConfig("W4A16", group_size=64, symmetric=False),
    "W4 g128 (ragged)": nibble.QuantizationConfig("W4A16", group_size=128, symmetric=False),
    "W4 g64 symmetric": nibble.QuantizationConfig("W4A16", group_size=64),
    "W3 g64": nibble.QuantizationConfig("W3A16", group_size=64, symmetric=False),
}


@dataclass
class Row:
    """One scheme's figures."""

    name: str
    weights: int
    """Bytes."""
    memory: int
    """Bytes of keys, values and intermediate results."""
    score: nibble.Perplexity
    rate: float
    """New tokens per second, one text."""


def measure(name: str, path: Path, tokens: list[int], args, reference) -> tuple[Row, nibble.Model]:
    model = nibble.Model(path)
    score = nibble.perplexity(model, tokens, args.window, reference, args.windows)
    prompt, count = tokens[:32], 16
    steps = nibble.generate(model, prompt, len(prompt) + count, stops=())
    next(steps)  # Reads the prompt.
    start = time.perf_counter()
    for _ in range(count):
        next(steps)
    rate = count / (time.perf_counter() - start)
    return Row(name, model.weight_bytes, model.context_memory, score, rate), model


def cells(row: Row) -> list[str]:
    s = row.score
    compared = s.kl_divergence is not None
    return [
        row.name,
        f"{row.weights / 1e6:.1f}",
        f"{row.memory / 1e6:.1f}",
        f"{s.perplexity:.3f}",
        f"{s.kl_divergence:.4f}" if compared else "",
        f"{100 * s.same_top:.1f}" if compared else "",
        f"{row.rate:.1f}",
    ]


HEAD = ["scheme", "weights MB", "working MB", "perplexity", "KL nats", "same top %", "tokens/s"]


def plot(rows: list[Row]) -> str:
    """Perplexity over megabytes as SVG, both on logarithmic axes."""
    width, height, margin = 640, 400, 60
    xs = [math.log(row.weights) for row in rows]
    ys = [math.log(row.score.perplexity) for row in rows]

    def place(values: list[float], value: float, low: int, high: int) -> float:
        first, last = min(values), max(values)
        share = (value - first) / (last - first) if last > first else 0.5
        return low + share * (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<path d="M{margin} 20V{height - 40}H{width - 20}" fill="none" stroke="gray"/>',
        f'<text x="{width // 2}" y="{height - 10}">weights, MB</text>',
        f'<text transform="rotate(-90) translate({-height // 2} 15)">perplexity</text>',
    ]
    for row, x, y in zip(rows, xs, ys):
        at = place(xs, x, margin + 20, width - 140), place(ys, y, height - 60, 40)
        label = f"{row.name}: {row.weights / 1e6:.0f} MB, {row.score.perplexity:.2f}"
        parts.append(f'<circle cx="{at[0]:.0f}" cy="{at[1]:.0f}" r="4" fill="steelblue"/>')
        parts.append(f'<text x="{at[0] + 7:.0f}" y="{at[1] + 4:.0f}">{label}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="what `nibble export` reads, or a name")
    parser.add_argument("--text", required=True, type=Path, help="UTF-8 text")
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--windows", type=int, default=4, help="most windows (default: 4)")
    parser.add_argument("--rope-theta", type=float, help="as for export")
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES), choices=list(SCHEMES))
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place:
        source = nibble.fetch(args.model) if args.model in PUBLISHED else Path(args.model)
        print(f"exporting {source.name}", file=sys.stderr)
        exported = nibble.export_model(
            source, Path(place, "onnx"), nibble.DecoderOptions(opset=25), rope_theta=args.rope_theta
        )
        codec = nibble.load_codec(exported.parent)
        tokens = codec.encode(args.text.read_text(encoding="utf-8"), special=False)
        reference = None
        for name in dict.fromkeys(["float", *args.schemes]):
            print(f"compiling and scoring {name}", file=sys.stderr)
            binary = Path(place, "model.so")
            nibble.compile(exported, binary, SCHEMES[name], weights="embedded")
            row, model = measure(name, binary, tokens, args, reference)
            reference = reference or model
            rows.append(row)
            binary.unlink()
    table = [HEAD, *map(cells, rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    for line in table:
        print("  ".join(cell.rjust(w) if i else cell.ljust(w)
                        for i, (cell, w) in enumerate(zip(line, widths))))  # fmt: skip
    if args.plot:
        args.plot.write_text(plot(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (nibble.NibbleError, OSError) as error:
        sys.exit(f"error: {error}")
