# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What demo.sh shows: two models before and after quantization in the compiler."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time

import evaluation as ev
import measure
import nibble

PROMPT = "Clara has 7 green stones. Felix gives her 5 more. She takes the stones to the harbor."
QUESTIONS = ("How many stones does Clara have now?", "Where are the stones now?")

COLOURS = sys.stdout.isatty()


def style(text: str, code: str) -> str:
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def heading(text: str) -> None:
    print("\n" + style(text, "1"))


def progress(text: str) -> None:
    if COLOURS:
        print(f"\r\033[K  {text} ...", end="", flush=True)


def show(cells: list[list[str]]) -> None:
    if COLOURS:
        print("\r\033[K", end="")
    if not cells:
        return
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for number, row in enumerate(cells):
        left, *others = row
        line = "  " + left.ljust(widths[0])
        line += "".join("  " + cell.rjust(width) for cell, width in zip(others, widths[1:]))
        print(style(line, "2") if number == 0 else line)


def change(rows: list[measure.Row]) -> str:
    """The last row against Nibble's own float one."""
    by_name = {row.name: row for row in rows}
    before, after = by_name["Nibble float"], by_name["Nibble W4A16 g32"]
    size = before.weight_bytes / after.weight_bytes
    speed = before.milliseconds / after.milliseconds
    points = 100 * (after.quality["accuracy"] - before.quality["accuracy"])
    pace = f"{speed:.1f} times as fast" if speed >= 1 else f"{1 / speed:.1f} times as slow"
    return f"4 bits against float: weights {size:.1f} times smaller, {pace}, {points:+.1f} points"


def answers(scheme: str) -> None:
    tokenizer = nibble.Tokenizer.load(ev.MODELS / "stories_tokenizer.bin")
    stop = tokenizer.pieces.index(b".")
    tokens = tokenizer.encode(PROMPT)
    told = len(tokens)
    with ev.load(ev.MODELS / "stories.onnx", ev.SCHEMES[scheme]) as model:
        for question in QUESTIONS:
            tokens += tokenizer.encode(question, bos=False)
            for token in nibble.generate(model, list(tokens), len(tokens) + 10):
                tokens.append(token)
                if token == stop:
                    break
    width = min(shutil.get_terminal_size().columns, 100) - 14
    said = textwrap.wrap(tokenizer.decode(tokens[told:]).strip(), width)
    print(f"  {scheme:10}", "\n             ".join(said))


def real_model() -> None:
    """SmolLM2 with 4-bit weights, if the package that carries it can be had."""
    scheme = nibble.QuantizationConfig("W4A16", group_size=32, symmetric=False)
    start = time.perf_counter()
    try:
        path = nibble.prepare("smollm2", scheme, report=progress)
        model = nibble.LanguageModel(path)
    except nibble.NibbleError as error:
        show([])
        print(f"  left out: {error}")
        return
    show([])
    seconds = time.perf_counter() - start
    print(f"  {path.stem}, 4-bit weights: ready after {seconds:.0f} s (kept for the next time)")
    messages = []
    for question in ("What is the capital of France?", "Name one river there."):
        messages.append({"role": "user", "content": question})
        print("  " + style("> " + question, "1") + "\n  ", end="", flush=True)
        said = ""
        for piece in model.chat(messages, tokens=40):
            said += piece
            print(piece.replace("\n", "\n  "), end="", flush=True)
        print()
        messages.append({"role": "assistant", "content": said})
    sizes = model.memory()
    weights, working = (f"{sizes[name] / 1e6:.0f} MB" for name in ("weights", "working"))
    print(style(f"  {model.statistics}; weights {weights}, working memory {working}", "32"))


def main() -> int:
    print(f"On this machine: {measure.machine()}. Everything below is measured now.")
    for case in (measure.GLYPHS, measure.STORIES):
        heading(case.title)
        rows = measure.measure(case, progress)
        show(measure.table(case, rows))
        print("  " + style(change(rows), "32"))
    heading("What the language model answers")
    print(textwrap.fill("Story: " + PROMPT, 98, initial_indent="  ", subsequent_indent="  "))
    for scheme in ("float", "W8A16", "W4A16 g32"):
        answers(scheme)
    heading("A real language model of 135 million parameters")
    real_model()
    print("\nThe same by hand:")
    print("  build/bin/nibble-compile examples/models/glyphs.onnx -o glyphs.so \\")
    print("      --quantize=W4A16 --group-size=32")
    print("  build/bin/nibble-run glyphs.so --info")
    print("  python -m nibble chat")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ev.Missing, nibble.NibbleError) as error:
        sys.exit(f"error: {error}")
