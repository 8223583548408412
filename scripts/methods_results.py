# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What methods_table.py measured: kept as JSON, shown as a page and a plot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import measure
import nibble

NIBBLE = "Nibble"
#: Tools by the names of methods_peers.py, in the order of their columns and colours.
TOOLS = {
    "nibble": NIBBLE,
    "onnxruntime": "ONNX Runtime",
    "bitsandbytes": "bitsandbytes",
    "gptqmodel": "GPTQModel",
    "hqq": "hqq",
    "autoround": "AutoRound",
    "llama.cpp": "llama.cpp",
}


@dataclass
class Figures:
    """What one tool makes of one model; `note` says why there is nothing, or ''."""

    bits: float | None = None
    quality: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    processor: float | None = None
    """Seconds of all threads together."""
    peak: int | None = None
    version: str | None = None
    note: str = ""


@dataclass
class Record:
    """A row."""

    key: str
    subject: str
    """Title of the model."""
    method: str
    tool: str
    """A key of TOOLS."""
    figures: Figures


def key_of(**parts: object) -> str:
    """A name for all that figures follow from."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Store:
    """The records beside a page, and the runs that they were measured in."""

    def __init__(self, path: Path, resume: bool):
        self._path = path
        self.records: dict[str, Record] = {}
        self.runs: list[dict[str, str]] = []
        self.remarks: dict[str, str] = {}
        """By title of a model."""
        if not resume or not path.exists():
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            for entry in found["records"]:
                record = Record(**{**entry, "figures": Figures(**entry["figures"])})
                self.records[record.key] = record
            self.runs, self.remarks = found["runs"], found["remarks"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise nibble.NibbleError(
                f"{path}: not the results of an earlier run ({error}); leave out --resume"
            ) from error

    def find(self, key: str, titles: Iterable[str]) -> Figures | None:
        """Figures that there are already, of all these titles."""
        record = self.records.get(key)
        if record and set(titles) <= record.figures.quality.keys():
            return record.figures
        return None

    def put(self, record: Record) -> None:
        known = self.records.get(record.key)
        if known and not record.figures.note:
            # Of other texts, for instance.
            record.figures.quality = known.figures.quality | record.figures.quality
        elif known and known.figures.quality:
            return
        self.records[record.key] = record
        temporary = self._path.with_suffix(".json.tmp")
        records = [dataclasses.asdict(record) for record in self.records.values()]
        whole = {"runs": self.runs, "remarks": self.remarks, "records": records}
        text = json.dumps(whole, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, self._path)

    def add_run(self, command: str) -> None:
        run = {"command": command, "machine": measure.machine()}
        if run not in self.runs:
            self.runs.append(run)


@dataclass
class Section:
    """All records of one model that have figures, sorted, and what there is to say."""

    title: str
    qualities: list[str]
    """Titles of the columns; the first one counts."""
    rows: list[Record]
    notes: dict[str, list[str]]
    remark: str = ""

    def value(self, record: Record) -> float | None:
        return record.figures.quality.get(self.qualities[0])

    def better(self, one: Record, other: Record) -> bool:
        """Better by more than is printed."""
        a, b = round(self.value(one), 4), round(self.value(other), 4)
        return a < b if lower_is_better(self.qualities[0]) else a > b

    def front(self) -> set[str]:
        """Keys of rows than which no row is both smaller, or as small, and better."""
        judged = [row for row in self.rows if self.value(row) is not None]
        found = set()
        for row in judged:
            if not any(self._beats(other, row) for other in judged):
                found.add(row.key)
        return found

    def _beats(self, one: Record, other: Record) -> bool:
        if one.figures.bits > other.figures.bits + _SAME_BITS:
            return False
        smaller = one.figures.bits < other.figures.bits - _SAME_BITS
        return self.better(one, other) or (smaller and not self.better(other, one))

    def ahead(self) -> list[tuple[Record, Record | None]]:
        """Rows of peers that no row of Nibble of at most their bits is as good as, with the
        best such row."""
        judged = [row for row in self.rows if self.value(row) is not None]
        found = []
        for row in judged:
            if row.tool == "nibble":
                continue
            ours = [
                other
                for other in judged
                if other.tool == "nibble" and other.figures.bits <= row.figures.bits + _SAME_BITS
            ]
            ours.sort(key=self.value, reverse=not lower_is_better(self.qualities[0]))
            if not ours or self.better(row, ours[0]):
                found.append((row, ours[0] if ours else None))
        return found


#: Differences of bits per weight that don't count.
_SAME_BITS = 0.005
#: Perplexities above this multiple of the float model's are not plotted.
_PLOTTED = 3


def lower_is_better(title: str) -> bool:
    return title.startswith(("perplexity", "nats"))


def sections(store: Store) -> list[Section]:
    """One for each model with figures."""
    found = []
    for name in dict.fromkeys(record.subject for record in store.records.values()):
        records = [r for r in store.records.values() if r.subject == name]
        rows = [r for r in records if r.figures.quality]
        if not rows:
            continue
        qualities = list(dict.fromkeys(title for r in rows for title in r.figures.quality))
        notes: dict[str, list[str]] = {}
        for r in records:
            if r.figures.note:
                notes.setdefault(f"{TOOLS[r.tool]}: {r.figures.note}", []).append(r.method)
        section = Section(name, qualities, rows, notes, store.remarks.get(name, ""))

        def place(record: Record) -> tuple:
            value = section.value(record)
            if value is None:
                return round(record.figures.bits, 2), 1, 0.0
            sign = 1 if lower_is_better(qualities[0]) else -1
            return round(record.figures.bits, 2), 0, sign * value

        rows.sort(key=place)
        found.append(section)
    return found


def _cells(record: Record, section: Section, front: set[str]) -> list[str]:
    figures = record.figures
    values = [
        measure.format_quality(title, figures.quality[title]) if title in figures.quality else ""
        for title in section.qualities
    ]
    if record.key in front:
        values[0] = f"**{values[0]}**"
    return [
        f"{figures.bits:.3f}",
        record.method,
        TOOLS[record.tool],
        *values,
        "" if figures.seconds is None else f"{figures.seconds:.1f}",
        "" if figures.processor is None else f"{figures.processor:.1f}",
        "" if figures.peak is None else f"{figures.peak / 1e6:.0f}",
    ]


def _markdown(section: Section) -> str:
    front = section.front()
    head = ["bits", "method", "tool", *section.qualities, "seconds", "processor s", "peak MB"]
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|---:|---|---|" + "---:|" * (len(head) - 3))
    lines += [
        "| " + " | ".join(_cells(record, section, front)) + " |" for record in section.rows
    ]
    parts = [f"## {section.title}"]
    if section.remark:
        parts.append(textwrap.fill(section.remark, 100))
    parts.append("\n".join(lines))
    if ahead := section.ahead():
        parts.append("Rows of peers that are better than all of Nibble's of at most their bits:")
        title = section.qualities[0]
        remarks = []
        for row, ours in ahead:
            best = "Nibble has none as small"
            if ours:
                value = measure.format_quality(title, section.value(ours))
                best = f"Nibble's best has {value} ({ours.method})"
            value = measure.format_quality(title, section.value(row))
            remarks.append(f"- {TOOLS[row.tool]}, {row.method}: {value}; {best}")
        parts.append("\n".join(remarks))
    elif any(row.tool != "nibble" for row in section.rows):
        parts.append(
            "Of the peers that are in this table, no row is better than the best of Nibble of at "
            "most its bits."
        )
    if section.notes:
        remarks = [f"- {text} ({', '.join(names)})" for text, names in section.notes.items()]
        parts += ["Not measured:", "\n".join(remarks)]
    return "\n\n".join(parts) + "\n"


PAGE = """# Methods of quantization, measured

Made by the commands at the end; do not edit. Embedding and head of a language model stay float.

- `bits`: those of a quantized weight in truth, scales, zero points and tables counted; layers
  that a method leaves float are not among them. Rows are in their order.
- **Bold**: no row is as small and better. g64 is a group of 64 weights; without `asymmetric` there
  are no zero points; without a method, weights are rounded to nearest.
- `seconds`, `processor s` (of all threads, user and system) and `peak MB` are from the float model
  to the result, calibration included: for Nibble that is a native binary, for ONNX Runtime an ONNX
  file, for llama.cpp a GGUF file, for the others tensors in a Python process, whose libraries count
  too. Seconds are those of a machine that may have had other work; processor seconds are less so.
- Weights of all peers but ONNX Runtime are judged inside of one float32 model of ours in torch;
  bitsandbytes' LLM.int8 runs its own layer there.
- GPTQ, AWQ, AutoRound and importance look at samples that are not scored, for language models at
  {samples}; peers get the same.
- Peers: {versions}.

{sections}
![Quality over bits per weight]({plot})

## Commands

{commands}
"""


def plot(found: list[Section]) -> str:
    panels = []
    for section in found:
        title, front = section.qualities[0], section.front()
        judged = [row for row in section.rows if section.value(row) is not None]
        base = next((section.value(r) for r in judged if r.figures.bits == 32), None)
        shown = [row for row in judged if row.figures.bits < 32]
        if base and lower_is_better(title):
            shown = [row for row in shown if section.value(row) < _PLOTTED * base]
        # Series in the order of TOOLS, in all panels.
        shown.sort(key=lambda row: list(TOOLS).index(row.tool))
        points = [
            measure.Point(row.method if row.key in front else "", TOOLS[row.tool],
                          row.figures.bits, section.value(row))
            for row in shown
        ]  # fmt: skip
        if points:
            logarithmic = lower_is_better(title)
            panels.append(measure.Panel(
                section.title, "bits per weight", title, points, logarithmic, base
            ))  # fmt: skip
    return measure.scatter(panels)


def write_page(store: Store, output: Path, samples: str) -> None:
    """Writes the page and its plot; nothing as long as there are no figures."""
    found = sections(store)
    if not found:
        return
    image = output.with_suffix(".svg")
    image.write_text(plot(found), encoding="utf-8")
    versions = {
        f"{TOOLS[r.tool]} {r.figures.version}" for r in store.records.values() if r.figures.version
    }
    commands = [f"- `{run['command']}`, on: {run['machine']}" for run in store.runs]
    output.write_text(
        PAGE.format(
            samples=samples,
            versions=", ".join(sorted(versions)) or "none",
            sections="\n".join(map(_markdown, found)),
            plot=image.name,
            commands="\n".join(commands),
        ),
        encoding="utf-8",
    )
