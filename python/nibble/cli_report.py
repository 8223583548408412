# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The verb report: shows what nibble-compile --report wrote."""

from __future__ import annotations

import argparse
import json
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import NibbleError

Layer = dict[str, Any]


def _find(layer: Layer, *path: str) -> Any:
    """A figure inside of a layer's entry, None if it is not there."""
    value: Any = layer
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True)
class _Column:
    """A column of the table; `worst_last` says that larger figures are better."""

    title: str
    value: Callable[[Layer], Any]
    format: str = "{}"
    worst_last: bool = False


_COLUMNS = {
    "name": _Column("layer", lambda layer: layer["name"]),
    "scheme": _Column("scheme", lambda layer: layer["scheme"]),
    "method": _Column("method", lambda layer: layer.get("method")),
    "bits": _Column("bits", lambda layer: layer["bits_per_weight"], "{:.3f}"),
    "bytes": _Column("bytes", lambda layer: layer["bytes"], "{:d}"),
    "sqnr": _Column("SQNR dB", lambda layer: layer.get("sqnr_db"), "{:.2f}", True),
    "output": _Column(
        "output dB", lambda layer: _find(layer, "output_error", "sqnr_db"), "{:.2f}", True
    ),
    "measured": _Column(
        "measured dB",
        lambda layer: _find(layer, "measured_output", "sqnr_db", "mean"),
        "{:.2f}",
        True,
    ),
    "cosine": _Column(
        "cosine", lambda layer: _find(layer, "measured_output", "cosine", "mean"), "{:.5f}", True
    ),
}
#: What may be asked for with --sort: figures, of which the worst come first.
SORT_KEYS = ("bits", "bytes", "sqnr", "output", "measured", "cosine")


def load_report(path: Path) -> dict[str, Any]:
    """Reads a report in JSON form; NibbleError for anything else."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NibbleError(f"{path}: cannot read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NibbleError(f"{path}: not a report in JSON form: {error}") from error
    layers = report.get("layers") if isinstance(report, dict) else None
    needed = ("name", "scheme", "bits_per_weight", "bytes")
    if not isinstance(layers, list) or not isinstance(report.get("totals"), dict):
        raise NibbleError(f"{path}: not a report: it has no 'totals' and 'layers'")
    for number, layer in enumerate(layers, 1):
        if not isinstance(layer, dict) or any(key not in layer for key in needed):
            raise NibbleError(
                f"{path}: not a report: layer {number} lacks one of {', '.join(needed)}"
            )
    return report


def _sorted(layers: list[Layer], key: str) -> list[Layer]:
    column = _COLUMNS[key]
    known = [layer for layer in layers if column.value(layer) is not None]
    if not known:
        raise NibbleError(f"--sort {key}: no layer of this report has that figure")
    return sorted(known, key=column.value, reverse=not column.worst_last)


def _table(layers: Sequence[Layer]) -> list[list[str]]:
    """Cells as text; columns that no layer has are left out."""
    columns = [c for c in _COLUMNS.values() if any(c.value(layer) is not None for layer in layers)]
    rows = [[column.title for column in columns] + ["note"]]
    for layer in layers:
        note = layer.get("reason", "")
        if "shared_with" in layer:
            note = f"the weight of {layer['shared_with']}" + (f"; {note}" if note else "")
        values = [column.value(layer) for column in columns]
        rows.append(
            ["" if v is None else c.format.format(v) for c, v in zip(columns, values)] + [note]
        )
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return rows


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = {"layer", "scheme", "method", "note"}
    for row in rows:
        cells = [
            cell.ljust(width) if title in text else cell.rjust(width)
            for cell, width, title in zip(row, widths, rows[0])
        ]
        print("  ".join(cells).rstrip())


def show(args: argparse.Namespace) -> None:
    path = Path(args.report)
    if path.suffix in (".html", ".htm"):
        if not path.is_file():
            raise NibbleError(f"{path}: cannot read: no such file")
        if not webbrowser.open(path.resolve().as_uri()):
            raise NibbleError(f"{path}: no browser was found to open it with")
        return
    if path.suffix != ".json":
        raise NibbleError(f"{path}: expected a report named X.json, or X.html to open in a browser")
    report = load_report(path)
    layers, totals = report["layers"], report["totals"]
    print(
        f"{report.get('model', path.stem)}: {totals.get('quantized_layers')} of "
        f"{totals.get('layers')} layers quantized, {totals.get('bits_per_weight', 0):.3f} bits per "
        f"weight, {totals.get('bytes', 0) / 1e6:.2f} of {totals.get('float_bytes', 0) / 1e6:.2f} MB"
    )
    for output in report.get("outputs", []):
        measured = output["measured_output"]
        print(
            f"output {output['name']}: {measured['sqnr_db']['mean']:.2f} +- "
            f"{measured['sqnr_db']['standard_deviation']:.2f} dB, cosine "
            f"{measured['cosine']['mean']:.5f} over {measured['samples']} samples"
        )
    shown = _sorted(layers, args.sort) if args.sort else layers
    if args.count is not None:
        shown = shown[: args.count]
    if shown:
        _print_table(_table(shown))


def add_verb(verbs: argparse._SubParsersAction) -> None:
    """Adds the parser of the verb report."""
    parser = verbs.add_parser("report", help="show what nibble-compile --report wrote")
    parser.add_argument(
        "report", help="X.json is printed as a table, X.html is opened in a browser"
    )
    parser.add_argument("--sort", choices=SORT_KEYS, help="the worst first, instead of in order")
    parser.add_argument("--count", type=int, metavar="N", help="most layers to print")
    parser.set_defaults(run=show)
