# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The verb quantize: export, calibration and compilation in one step."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from .calibration import calibrate, find_data
from .compiler import QuantizationConfig, compile
from .errors import NibbleError
from .export import DecoderOptions, export_model
from .fetch import PUBLISHED, fetch

#: Methods for which the compiler runs the model itself, block by block.
_RUN_BY_THE_COMPILER = {"awq", "smoothquant", "gptq", "autoround"}

#: What a tokenizer is made of, beside an exported model.
_TOKENIZER_FILES = (".json", ".jinja", ".bin", ".txt")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _find_onnx(source: str, folder: Path) -> tuple[Path, bool]:
    """The ONNX file of a source, exported to `folder` if it is a checkpoint; and whether it was."""
    path = Path(source)
    if not path.exists() and source in PUBLISHED:
        path = fetch(source)
    if not path.exists():
        names = ", ".join(PUBLISHED)
        raise NibbleError(f"{path}: no such file or folder, and no name of a model ({names})")
    if path.is_dir() and (path / "model.onnx").exists():
        return path / "model.onnx", False
    if path.suffix in (".onnx", ".mlir"):
        return path, False
    _say(f"exporting {path.name} to ONNX")
    return export_model(path, folder / "onnx", DecoderOptions(opset=25)), True


def _find_values(args: argparse.Namespace, key: str) -> set[str]:
    """What the rules of --config say for a key, in block form, flow form or JSON.

    nibble-compile reads and checks the file; here it matters only what data it will need.
    """
    if not args.config:
        return set()
    try:
        text = Path(args.config).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NibbleError(f"{args.config}: cannot read: {error.strerror}") from error
    text = re.sub(r"(^|\s)#.*", "", text)
    value = r"""\[[^\]]*\]|(?:\s*-\s+[\w"'-]+)+|["'][^"'\n]*["']|[\w,-]+"""
    pattern = rf"""(?:^|[\s,{{"'-]){key}["']?\s*:\s*({value})"""
    found = re.findall(pattern, text, re.MULTILINE)
    return {name for text in found for name in re.findall(r"\w[\w-]*", text)}


def _use_data(args: argparse.Namespace, model: Path, folder: Path) -> list[str]:
    """Options of nibble-compile that give it what --data says, which may be run here."""
    methods = {*(args.method or "").split(","), *_find_values(args, "method")}
    schemes = {args.quantize, *_find_values(args, "scheme")}
    opened = "auto" in {*schemes, args.head}
    if (opened or methods & _RUN_BY_THE_COMPILER) and "W8A8" not in schemes:
        # The compiler runs the model itself, block by block: the layers behind make up for the
        # errors of those before, and schemes are chosen by what they do to the outputs.
        found = [f"--data={path}" for path in find_data(model, args.data, folder)]
        return [*found, f"--samples={args.samples}"]
    # Static ranges are of the whole model, and GPTQ beside them takes its sums from the same file.
    _say(f"calibrating {model.name}")
    statistics = folder / "statistics.yaml"
    calibrate(
        model, args.data, statistics, method=args.ranges, samples=args.samples,
        hessian="gptq" in methods,
    )  # fmt: skip
    return [f"--calibration={statistics}"]


def _quantize(args: argparse.Namespace) -> None:
    if args.data and args.calibration:
        raise NibbleError("--data and --calibration exclude each other: statistics are either "
                          "made from data or given")  # fmt: skip
    config = QuantizationConfig(
        args.quantize,
        method=args.method,
        symmetric=False if args.asymmetric else None,
        budget=args.budget,
        max_error=args.max_error,
        candidates=args.candidates.split(",") if args.candidates else None,
        head=args.head,
        file=args.config,
        **({} if args.group_size is None else {"group_size": args.group_size}),
        **({} if args.scale_type is None else {"scale_type": args.scale_type}),
    )
    output = Path(args.output)
    with tempfile.TemporaryDirectory(prefix="nibble-") as place:
        model, exported = _find_onnx(args.model, Path(place))
        options = [f"--calibration={args.calibration}"] if args.calibration else []
        if args.data:
            options = _use_data(args, model, Path(place))
        _say(f"compiling {model.name}, {args.quantize}")
        if args.write_config:
            options.append(f"--write-config={args.write_config}")
        compile(model, output, config, report=args.report, options=[*options, *args.option])
        if exported:
            for file in model.parent.iterdir():
                if file.suffix in _TOKENIZER_FILES:
                    shutil.copyfile(file, output.parent / file.name)
    print(output)


def add_verb(verbs: argparse._SubParsersAction) -> None:
    """Adds the parser of the verb quantize."""
    parser = verbs.add_parser("quantize", help="compile a model with a quantization of choice")
    add = parser.add_argument
    add("model", help="an ONNX file or exported folder, a GGUF file, a Hugging Face folder, or a "
        f"name ({', '.join(PUBLISHED)})")  # fmt: skip
    add("-o", "--output", required=True, metavar="OUT.so")
    add("--quantize", required=True, metavar="SCHEME", help="W4A16, W8A8, NF4, Q4_K, auto, ...")
    add("--method", help="rtn, gptq, hqq, ..., or one after the other: awq,gptq")
    add("--group-size", type=int, metavar="N")
    add("--asymmetric", action="store_true", help="zero points")
    add("--budget", metavar="SIZE", help="of auto: 4.25bpw, or 60MB for all weights")
    add("--max-error", metavar="X", help="of auto: the smallest size with at most this error")
    add("--candidates", metavar="LIST", help="of auto: schemes to choose from, as W3A16,W4A16:32")
    add("--write-config", metavar="FILE.yaml", help="the rules that were found, for --config")
    add("--scale-type", choices=("f16", "bf16", "f32"))
    add("--head", metavar="SCHEME", help="of a language model's embedding and head")
    add("--config", metavar="FILE.yaml", help="rules per layer")
    add("--data", action="append", default=[], metavar="PATH",
        help="samples for calibration and methods: arrays, token files, or texts")  # fmt: skip
    add("--ranges", default="minmax", metavar="METHOD",
        help="how --data makes ranges: minmax, moving-average, percentile, entropy, mse")  # fmt: skip
    add("--samples", type=int, default=0, metavar="N", help="most samples of --data; 0: all")
    add("--calibration", metavar="STATS", help="statistics that there are already")
    add("--report", action="append", default=[], metavar="FILE", help="X.json, X.html or X.yaml")
    add("--option", action="append", default=[], metavar="--NAME=VALUE",
        help="any other option of nibble-compile, as --option=--march=x86-64-v3")  # fmt: skip
    parser.set_defaults(run=_quantize)
