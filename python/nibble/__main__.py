# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Command line of the package: python -m nibble VERB ..."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from . import cli_quantize, cli_report
from .calibration import calibrate
from .cli_text import add_verbs
from .errors import CompileError, NibbleError
from .export import DecoderOptions, export_model
from .runtime import Model
from .tokenizer import Tokenizer


def _export(args: argparse.Namespace) -> None:
    if args.tokenizer:
        Tokenizer.load(args.tokenizer)
    options = DecoderOptions(
        padding=not args.no_padding, select_logits=not args.all_logits, opset=args.opset
    )
    print(
        export_model(
            args.source,
            args.output,
            options,
            args.tokenizer,
            args.rope_theta,
            args.adapter,
            args.merge_adapter,
        )
    )


def _calibrate(args: argparse.Namespace) -> None:
    options = [f"--threads={args.threads}", *args.option]
    options += [f"--window={args.window}"] if args.window else []
    options += ["--layers-only"] if args.layers_only else []
    options += ["--resume"] if args.resume else []
    try:
        calibrate(
            args.model,
            args.data,
            args.output,
            method=args.method,
            hessian=args.hessian,
            samples=args.samples,
            tokenizer=args.tokenizer,
            options=options,
            show=True,
        )
    except CompileError as error:
        # The tool has said what is wrong.
        raise SystemExit(error.status) from None


def _load_inputs(pairs: list[str]) -> dict[str, np.ndarray]:
    inputs = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not name or not path:
            raise NibbleError(f"--input {pair}: expected NAME=FILE.npy")
        try:
            inputs[name] = np.load(path, allow_pickle=False)
        except OSError as error:
            raise NibbleError(f"{path}: cannot read: {error.strerror or error}") from error
        except ValueError as error:
            raise NibbleError(f"{path}: not a .npy file: {error}") from error
        if not isinstance(inputs[name], np.ndarray):
            raise NibbleError(f"{path}: expected one array (.npy), found an archive")
    return inputs


def _run(args: argparse.Namespace) -> None:
    model = Model(args.model, threads=args.threads)
    outputs = model.run(_load_inputs(args.input))
    for name, array in outputs.items():
        print(f"{name}: {array.dtype}{list(array.shape)}")
        if args.output_dir:
            try:
                Path(args.output_dir).mkdir(parents=True, exist_ok=True)
                np.save(Path(args.output_dir) / (name.replace("/", "_") + ".npy"), array)
            except OSError as error:
                raise NibbleError(f"{args.output_dir}: cannot write: {error.strerror}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nibble", description="The front of Nibble.")
    verbs = parser.add_subparsers(dest="verb", required=True)

    export = verbs.add_parser("export", help="turn a checkpoint into ONNX")
    export.add_argument(
        "source",
        help="a GGUF file, a folder with config.json and weights (Hugging Face), or a checkpoint "
        "in llama2.c's format (.bin)",
    )
    export.add_argument("-o", "--output", required=True, help="folder for model.onnx")
    export.add_argument("--adapter", metavar="DIR", help="a LoRA adapter in PEFT's format")
    export.add_argument(
        "--merge-adapter",
        action="store_true",
        help="add the adapter to the weights, instead of computing it beside them",
    )
    export.add_argument(
        "--no-padding", action="store_true", help="leave out the input attention_mask"
    )
    export.add_argument(
        "--all-logits",
        action="store_true",
        help="compute the logits of all positions, without the input logit_positions",
    )
    export.add_argument(
        "--rope-theta",
        type=float,
        metavar="BASE",
        help="base of the rotary frequencies, instead of the checkpoint's",
    )
    export.add_argument(
        "--opset",
        type=int,
        choices=(23, 25),
        default=23,
        help="25 writes sliding windows as attributes, which ONNX Runtime 1.31 cannot read",
    )
    export.add_argument("--tokenizer", help="llama2.c tokenizer to check and copy beside it")
    export.set_defaults(run=_export)

    run = verbs.add_parser("run", help="run a compiled model on arrays in files")
    run.add_argument("model", help="what nibble-compile wrote (.so)")
    run.add_argument("--input", action="append", default=[], metavar="NAME=FILE.npy")
    run.add_argument("--output-dir", help="write every output there as NAME.npy")
    run.add_argument("--threads", type=int, default=0)
    run.set_defaults(run=_run)

    cli_quantize.add_verb(verbs)
    cli_report.add_verb(verbs)
    calibration = verbs.add_parser(
        "calibrate",
        help="run a model over data or texts and keep statistics of its values",
    )
    calibration.add_argument("model", help="an ONNX file")
    calibration.add_argument("--data", action="append", required=True, metavar="PATH")
    calibration.add_argument("-o", "--output", required=True, metavar="STATS")
    calibration.add_argument("--method", default="minmax")
    calibration.add_argument("--hessian", action="store_true")
    calibration.add_argument("--samples", type=int, default=0, metavar="N")
    calibration.add_argument("--tokenizer", help="file or folder; default: beside the model")
    calibration.add_argument("--window", type=int, metavar="N", help="tokens of a sample")
    calibration.add_argument("--layers-only", action="store_true", help="no ranges of tensors")
    calibration.add_argument("--resume", action="store_true")
    calibration.add_argument("--threads", type=int, default=0, metavar="N")
    calibration.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="OPTION",
        help="any other option of nibble-calibrate, as --option=--bins=2048",
    )
    calibration.set_defaults(run=_calibrate)

    add_verbs(verbs)
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
