#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints what quantization costs a language model: memory, quality and speed.

    python3 scripts/language_table.py --text FILE [--model smollm2] [--windows 4]
        [--plot table.svg] [--markdown table.md]

Each scheme is compiled; all are scored on the text (perplexity, KL divergence
from the float model, equal most likely tokens), window by window in turn; then
they take turns in generating some tokens. The plot shows perplexity over the bytes
of the weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
import nibble  # noqa: E402
from measure import Panel, Point, machine, markdown, scatter  # noqa: E402
from nibble.fetch import PUBLISHED  # noqa: E402

SCHEMES = {
    "float": None,
    "W8 per channel": nibble.QuantizationConfig("W8A16", group_size=-1, scale_type="f32"),
    "W4 g32": nibble.QuantizationConfig("W4A16", group_size=32, symmetric=False),
    "W4 g64": nibble.QuantizationConfig("W4A16", group_size=64, symmetric=False),
    "W4 g128": nibble.QuantizationConfig("W4A16", group_size=128, symmetric=False),
    "W4 g192": nibble.QuantizationConfig("W4A16", group_size=192, symmetric=False),
    "W4 g64 symmetric": nibble.QuantizationConfig("W4A16", group_size=64),
    "W3 g64": nibble.QuantizationConfig("W3A16", group_size=64, symmetric=False),
}


ROUNDS, NEW_TOKENS = 3, 16


@dataclass
class Row:
    """One scheme's figures."""

    name: str
    weights: int
    """Bytes."""
    memory: int
    """Bytes of keys, values and intermediate results, after a window."""
    score: nibble.Perplexity
    rate: float
    """New tokens per second, one text."""


def working_memory(model: nibble.Model, tokens: list[int]) -> int:
    decoder = nibble.Decoder(model)
    decoder.feed([tokens], last_only=True)
    return decoder.memory


def seconds_per_token(model: nibble.Model, prompt: list[int]) -> float:
    steps = nibble.generate(model, prompt, len(prompt) + NEW_TOKENS, stops=())
    next(steps)  # Reads the prompt.
    start = time.perf_counter()
    for _ in range(NEW_TOKENS):
        next(steps)
    return (time.perf_counter() - start) / NEW_TOKENS


def measure(models: dict[str, nibble.Model], tokens: list[int], args) -> list[Row]:
    """All schemes, in turns: a machine whose speed drifts is fair to all."""

    def progress(done: int, count: int, value: float) -> None:
        passed = time.perf_counter() - start
        left = passed / done * (count - done)
        print(f"window {done} of {count}, {left:.0f} s left", file=sys.stderr)

    start = time.perf_counter()
    scores = nibble.perplexities(
        models, tokens, args.window, models["float"], args.windows, progress
    )
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            times[name].append(seconds_per_token(model, tokens[:32]))
    return [
        Row(name, model.weight_bytes, working_memory(model, tokens[: args.window]), scores[name],
            1 / statistics.median(times[name]))
        for name, model in models.items()
    ]  # fmt: skip


def cells(row: Row) -> list[str]:
    s = row.score
    return [
        row.name,
        f"{row.weights / 1e6:.1f}",
        f"{row.memory / 1e6:.1f}",
        f"{s.perplexity:.3f}",
        f"{s.kl_divergence:.4f}",
        f"{100 * s.same_top:.1f}",
        f"{row.rate:.1f}",
    ]


HEAD = ["scheme", "weights MB", "working MB", "perplexity", "KL nats", "same top %", "tokens/s"]


def plot(rows: list[Row]) -> str:
    """Perplexity over megabytes as SVG, both on logarithmic axes."""
    points = []
    for row in rows:
        label = f"{row.name}: {row.weights / 1e6:.0f} MB, {row.score.perplexity:.2f}"
        points.append(Point(label, "Nibble", row.weights, row.score.perplexity))
    return scatter([Panel("", "weights, MB", "perplexity", points, logarithmic=True)])


PAGE = """# What quantization costs SmolLM2-135M

Made by `{command}`; do not edit. Measured in that run on: {machine}.

{title}: {tokens} tokens of {text} in {windows} windows of {window}; weights rounded to nearest,
without calibration; embedding and head stay float. Groups of 128 weights are ragged here: the
model is 576 wide. `symmetric` has no zero points. KL is the divergence of the distributions from
the float model's, in nats per token; `same top` is how often both have the same most likely token;
`tokens/s` is for one text, the median of {rounds} rounds in turn. Weights include the float
embedding.

{table}

![Perplexity over the size of the weights]({plot})
"""


def write_page(rows: list[Row], table: list[list[str]], args) -> None:
    image = args.plot or args.markdown.with_suffix(".svg")
    image.write_text(plot(rows), encoding="utf-8")
    given = f" --rope-theta={args.rope_theta:g}" if args.rope_theta else ""
    given += f" --scale-type={args.scale_type}" if args.scale_type else ""
    score = rows[0].score
    args.markdown.write_text(
        PAGE.format(
            command=f"python scripts/language_table.py --text={args.text.name} "
            f"--windows={args.windows}{given} --markdown={args.markdown.name}",
            machine=machine(),
            title=args.model,
            tokens=score.tokens,
            text=args.text.name,
            windows=score.windows,
            window=score.window,
            rounds=ROUNDS,
            table=markdown(table),
            plot=image.name,
        ),
        encoding="utf-8",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="what `nibble export` reads, or a name")
    parser.add_argument("--text", required=True, type=Path, help="UTF-8 text")
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--windows", type=int, default=4, help="most windows (default: 4)")
    parser.add_argument("--rope-theta", type=float, help="as for export")
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES), choices=list(SCHEMES))
    parser.add_argument("--scale-type", choices=("f16", "bf16", "f32"), help="of all schemes")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="write a page, and a plot")
    args = parser.parse_args()
    for path in (args.plot, args.markdown):
        if path and not path.parent.is_dir():
            parser.error(f"{path.parent}: no such folder")
    with tempfile.TemporaryDirectory() as place:
        source = nibble.fetch(args.model) if args.model in PUBLISHED else Path(args.model)
        print(f"exporting {source.name}", file=sys.stderr)
        exported = nibble.export_model(
            source, Path(place, "onnx"), nibble.DecoderOptions(opset=25), rope_theta=args.rope_theta
        )
        codec = nibble.load_codec(exported.parent)
        tokens = codec.encode(args.text.read_text(encoding="utf-8"), special=False)
        models = {}
        for name in dict.fromkeys(["float", *args.schemes]):
            print(f"compiling {name}", file=sys.stderr)
            binary = Path(place, f"{len(models)}.so")
            config = SCHEMES[name]
            if config and args.scale_type:
                config = dataclasses.replace(config, scale_type=args.scale_type)
            nibble.compile(exported, binary, config, weights="embedded")
            models[name] = nibble.Model(binary)
            binary.unlink()
        rows = measure(models, tokens, args)
    table = [HEAD, *map(cells, rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD))]
    for line in table:
        print("  ".join(cell.rjust(w) if i else cell.ljust(w)
                        for i, (cell, w) in enumerate(zip(line, widths))))  # fmt: skip
    if args.markdown:
        write_page(rows, table, args)
    elif args.plot:
        args.plot.write_text(plot(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (nibble.NibbleError, OSError) as error:
        sys.exit(f"error: {error}")
