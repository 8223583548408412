#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the shell examples of the documentation.

    python3 scripts/check_docs.py [FILE.md ...]

A fenced block that starts with ```sh and is not preceded by <!-- not run --> is
run by bash with -e, all blocks of one file in order in one shell, in an empty
folder beside links to the checkout's `build` and `examples`. A block that is preceded by
<!-- output --> is what the block before it must have printed: every line of it
has to occur in that order; `...` stands for anything.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("NIBBLE_BUILD", ROOT / "build"))
LIMIT = 300


@dataclass
class Block:
    """A shell example, the line it starts at, and the output it promises."""

    line: int
    script: str
    output: str = ""


def blocks(path: Path) -> list[Block]:
    found: list[Block] = []
    mark = ""
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    for number, line in lines:
        if fence := re.fullmatch(r"```(\w*)", line.strip()):
            body = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            text = "\n".join(body) + "\n"
            if fence[1] == "sh" and mark != "not run":
                found.append(Block(number, text))
            elif mark == "output":
                if not found:
                    raise SystemExit(f"{path}:{number}: output without an example before it")
                found[-1].output = text
        if comment := re.fullmatch(r"<!-- (.*) -->", line.strip()):
            mark = comment[1]
        elif line.strip():
            mark = ""
    return found


def missing_line(promised: str, printed: str) -> str | None:
    """The first promised line that does not follow in what was printed."""
    rest = iter(printed.splitlines())
    for line in promised.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
        if line.strip() and not any(re.fullmatch(pattern, text.strip()) for text in rest):
            return line
    return None


def check(path: Path) -> list[str]:
    """Runs the examples of a file; returns what went wrong."""
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "build").symlink_to(BUILD)
        (folder / "examples").symlink_to(ROOT / "examples")
        environment = dict(os.environ)
        environment["PATH"] = f"{BUILD / 'bin'}:/usr/lib/llvm-22/bin:" + environment["PATH"]
        environment["PYTHONPATH"] = str(ROOT / "python")
        # What `python` means in an example: the one that runs this.
        tools = folder / ".tools"
        tools.mkdir()
        (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (tools / "python").chmod(0o755)
        environment["PATH"] = f"{tools}:" + environment["PATH"]
        state = folder / ".state"
        for block in blocks(path):
            before = f"set -eo pipefail\n[ ! -e {state} ] || . {state}\n"
            script = f"{before}{block.script}\nexport -p >{state}\n"
            try:
                run = subprocess.run(
                    ["bash", "-c", script], cwd=folder, env=environment, text=True, timeout=LIMIT,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                problems.append(f"{path}:{block.line}: not finished after {LIMIT} s")
                break
            if run.returncode:
                problems.append(f"{path}:{block.line}: status {run.returncode}\n{run.stdout}")
                break
            if (line := missing_line(block.output, run.stdout)) is not None:
                problems.append(f"{path}:{block.line}: {line!r} is not in\n{run.stdout}")
    return problems


def documents() -> list[Path]:
    """All pages that have examples to run."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in pages if page.exists() and blocks(page)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    problems = []
    for path in parser.parse_args().files or documents():
        found = check(path)
        print(f"{path}: {'failed' if found else 'ok'}, {len(blocks(path))} examples")
        problems += found
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
