# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Command line of the package: python -m nibble VERB ..."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from .errors import NibbleError
from .llama import build_llama
from .llama2c import read_llama2c
from .tokenizer import Tokenizer


def _export(args: argparse.Namespace) -> None:
    import onnx

    source, out = Path(args.source), Path(args.output)
    if source.suffix != ".bin":
        raise NibbleError(f"{source}: expected a llama2.c checkpoint (.bin)")
    if args.tokenizer:
        Tokenizer.load(args.tokenizer)
    config, weights = read_llama2c(source)
    model = build_llama(config, weights)
    try:
        out.mkdir(parents=True, exist_ok=True)
        temporary = out / f".model.onnx.{os.getpid()}"
        try:
            onnx.save(model, temporary)
            temporary.replace(out / "model.onnx")
        finally:
            temporary.unlink(missing_ok=True)
        if args.tokenizer:
            shutil.copyfile(args.tokenizer, out / "tokenizer.bin")
    except OSError as error:
        raise NibbleError(f"{out}: cannot write: {error.strerror}") from error
    print(out / "model.onnx")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nibble", description="The front of Nibble.")
    verbs = parser.add_subparsers(dest="verb", required=True)

    export = verbs.add_parser("export", help="turn a checkpoint into ONNX")
    export.add_argument("source", help="a checkpoint in llama2.c's format (.bin)")
    export.add_argument("-o", "--output", required=True, help="folder for model.onnx")
    export.add_argument("--tokenizer", help="llama2.c tokenizer to check and copy beside it")
    export.set_defaults(run=_export)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns the exit status (2 for an unknown option, by argparse)."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except NibbleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
