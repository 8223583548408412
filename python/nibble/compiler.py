# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles models: the command-line tool nibble-compile, from Python."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import CompileError, Diagnostic, NibbleError
from .runtime import Model


@dataclass(frozen=True)
class Rule:
    """What to do with the layers that it selects; what is None stays as it was.

    A rule selects layers with a name that one of `layers` (globs) or `regex`
    matches as a whole, and an ONNX operator type in `operator`; one that is None
    selects all.
    """

    layers: str | Sequence[str] | None = None
    regex: str | Sequence[str] | None = None
    operator: str | Sequence[str] | None = None
    scheme: str | None = None
    method: str | Sequence[str] | None = None
    group_size: int | None = None
    symmetric: bool | None = None
    scale_type: str | None = None
    scale_rule: str | None = None
    outlier_threshold: float | None = None
    double_quant: bool | None = None
    skip: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The rule with the names of the YAML form."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }


@dataclass(frozen=True)
class QuantizationConfig:
    """How weights are quantized: the options of nibble-compile and its YAML file.

    The defaults are those of the command line: scale types f16 and groups of 128
    weights that share a scale (of NF4 and FP4 f32 and 64), symmetric codes,
    rounding to nearest. Rules are
    applied in order, and later ones win.

    Example:
      QuantizationConfig("W4A16", group_size=64, symmetric=False,
                         rules=[Rule(layers="*.mlp.down", scheme="W8A16")])
    """

    scheme: str = "none"
    """none, W8A16, W4A16, W3A16, W2A16, NF4, ...: bits of weights and activations."""
    method: str | Sequence[str] | None = None
    """How codes are found: rtn, ..., or one after the other: ("awq", "gptq"); None for the
    compiler's choice."""
    group_size: int | None = None
    """Weights along the contraction that share a scale; -1 for an output channel.
    None is 128, and 64 for NF4 and FP4."""
    symmetric: bool | None = None
    """False for an integer zero point in every group; None for the compiler's choice,
    which is none, and where it chooses schemes one."""
    scale_type: str | None = None
    """f16, bf16 or f32; None is f16, and f32 for NF4 and FP4."""
    scale_rule: str = "default"
    outlier_threshold: float = 6.0
    """LLM.int8: activations of at least this magnitude stay floats; 0 for none."""
    double_quant: bool = False
    """Scales in 8 bits, with a float32 scale for 256 of them."""
    budget: str | None = None
    """Of the scheme auto: bits per quantized weight ("4.25bpw") or a size ("60MB")."""
    max_error: str | float | None = None
    """Of auto, instead: the largest error, a part of the outputs' power."""
    candidates: Sequence[str] | None = None
    """Of auto: schemes to choose from, as "W4A16" or "W4A16:32"; None for the usual."""
    head: str | None = None
    """Scheme of a language model's embedding and output head; None keeps them float."""
    rules: Sequence[Rule] = field(default_factory=tuple)
    file: str | os.PathLike[str] | None = None
    """A YAML file with rules, instead of `rules`."""

    def to_yaml(self) -> str:
        """The rules as a file for --config. JSON is YAML, and needs no package."""
        document = {"version": 1, "rules": [rule.to_dict() for rule in self.rules]}
        return json.dumps(document, indent=2) + "\n"

    def options(self) -> list[str]:
        """Options of nibble-compile, without those for `rules` and `file`."""
        found = [
            f"--quantize={self.scheme}",
            f"--scale-rule={self.scale_rule}",
            f"--outlier-threshold={self.outlier_threshold}",
        ]
        if self.symmetric is not None:
            found.append("--symmetric" if self.symmetric else "--asymmetric")
        if self.group_size is not None:
            found.append(f"--group-size={self.group_size}")
        if self.scale_type:
            found.append(f"--scale-type={self.scale_type}")
        if self.double_quant:
            found.append("--double-quant")
        if self.method:
            names = [self.method] if isinstance(self.method, str) else self.method
            found.append(f"--method={','.join(names)}")
        if self.budget:
            found.append(f"--budget={self.budget}")
        if self.max_error is not None:
            found.append(f"--max-error={self.max_error}")
        if self.candidates:
            found.append(f"--candidates={','.join(self.candidates)}")
        if self.head:
            found.append(f"--head={self.head}")
        return found


def find_tool(name: str = "nibble-compile") -> str:
    """Path of a command-line tool: $NIBBLE_COMPILE, in this package, in the build
    of this checkout, or on the PATH.

    Raises NibbleError when it is nowhere.
    """
    variable = name.upper().replace("-", "_")
    if wanted := os.environ.get(variable):
        return wanted
    here = Path(__file__).resolve().parent
    build = Path(os.environ.get("NIBBLE_BUILD", here.parents[1] / "build"))
    for place in (here / "bin", build / "bin"):
        if (place / name).is_file():
            return str(place / name)
    if found := shutil.which(name):
        return found
    raise NibbleError(f"{name} was not found: build Nibble, or set {variable} to its path")


_DIAGNOSTIC = re.compile(
    r"(?:(?P<place>.*?): )?(?P<severity>error|warning|remark|note): (?P<text>.*)"
)


def _diagnostics(text: str) -> list[Diagnostic]:
    """The compiler's messages; further lines of one belong to it."""
    found: list[Diagnostic] = []
    for line in text.splitlines():
        if match := _DIAGNOSTIC.fullmatch(line):
            found.append(Diagnostic(match["severity"], match["text"], match["place"] or ""))
        elif found and line.strip():
            last = found[-1]
            found[-1] = Diagnostic(last.severity, last.message + "\n" + line, last.location)
    return found


def compile(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    quantization: QuantizationConfig | str | None = None,
    *,
    dims: Mapping[str, int] | None = None,
    march: str | None = None,
    threads: int | None = None,
    weights: str | None = None,
    compile_to: str | None = None,
    report: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    options: Sequence[str] = (),
) -> Path:
    """Compiles an ONNX model (or .mlir) into a binary.

    Args:
      model: .onnx or .mlir file.
      output: X.so to load with `nibble.load`; also X.o, X.mlir, X.onnx, or X for
        an executable.
      quantization: a `QuantizationConfig`, or the name of a scheme such as "W4A16".
      dims: sizes for symbolic dimensions, by name.
      march: the CPU to compile for, e.g. "x86-64-v3"; default: this one.
      threads: threads of the compiler and of the model; default: all.
      weights: "embedded" in the binary or in a "sidecar" file.
      compile_to: stop after this phase and write its IR.
      report: files (.json, .html, .yaml) that say what became of each layer.
      options: further options of nibble-compile.

    Returns:
      The path `output`.

    Raises:
      CompileError: the compiler refused the model or an option; it has the
        compiler's messages in `diagnostics` and the exit status.
      NibbleError: there is no compiler.
    """
    if isinstance(quantization, str):
        quantization = QuantizationConfig(quantization)
    command = [find_tool(), os.fspath(model), "-o", os.fspath(output)]
    for name, value in (
        ("march", march), ("threads", threads), ("weights", weights), ("compile-to", compile_to),
    ):  # fmt: skip
        if value is not None:
            command.append(f"--{name}={value}")
    command += [f"--dim={name}={size}" for name, size in (dims or {}).items()]
    reports = [report] if isinstance(report, (str, os.PathLike)) else report
    command += [f"--report={os.fspath(path)}" for path in reports]
    with contextlib.ExitStack() as stack:
        if quantization:
            command += quantization.options()
            if quantization.file is not None:
                command.append(f"--config={os.fspath(quantization.file)}")
            if quantization.rules:
                if quantization.file is not None:
                    raise NibbleError("a QuantizationConfig has rules or a file, not both")
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                path = Path(folder, "config.yaml")
                path.write_text(quantization.to_yaml(), encoding="utf-8")
                command.append(f"--config={path}")
        command += options
        try:
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
            )
        except OSError as error:
            raise NibbleError(f"{command[0]}: cannot run: {error.strerror}") from error
    if result.returncode:
        raise CompileError(command, result.returncode, _diagnostics(result.stderr), result.stderr)
    return Path(output)


def load(
    model: str | os.PathLike[str],
    quantization: QuantizationConfig | str | None = None,
    *,
    threads: int = 0,
    profile: bool = False,
    **compile_options: Any,
) -> Model:
    """Loads a compiled model (.so); compiles it first when it is ONNX.

    Args:
      model: what `compile` wrote, or an .onnx or .mlir file.
      quantization: for `compile`; not for a compiled model.
      threads: threads of one run, 0 for all.
      profile: measure every layer, see `Model.profile`.
      compile_options: further arguments of `compile`.

    Raises:
      NibbleError, CompileError: as `Model` and `compile` do.

    Example:
      model = nibble.load("glyphs.onnx", "W8A16")
      logits = model.run({"images": images})["logits"]
    """
    path = Path(model)
    if path.suffix not in (".onnx", ".mlir"):
        if quantization or compile_options:
            raise NibbleError(f"{path}: a compiled model cannot be compiled again")
        return Model(path, threads=threads, profile=profile)
    # The file may go when it is loaded: its pages stay mapped.
    with tempfile.TemporaryDirectory(prefix="nibble-") as folder:
        out = Path(folder, path.stem + ".so")
        compile(path, out, quantization, weights="embedded", **compile_options)
        return Model(out, threads=threads, profile=profile)
