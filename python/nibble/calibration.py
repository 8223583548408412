# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statistics of a model's values: the command-line tool nibble-calibrate, from Python."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .compiler import _diagnostics, find_tool
from .errors import CompileError, NibbleError
from .text import TextCodec, load_codec

#: Endings of files that are read as text.
TEXTS = (".txt", ".md")


def _save_tokens(texts: Sequence[Path], codec: TextCodec, path: Path) -> None:
    """All texts' tokens one after the other, int32 [n]."""
    parts = []
    for text in texts:
        try:
            parts.append(codec.encode(text.read_text(encoding="utf-8")))
        except OSError as error:
            raise NibbleError(f"{text}: cannot read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise NibbleError(f"{text}: not UTF-8: {error.reason}") from error
    np.save(path, np.concatenate([np.asarray(part, np.int32) for part in parts]))


def find_data(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, np.ndarray],
    folder: str | os.PathLike[str],
    tokenizer: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Files for --data of the tools. Arrays, and tokens of texts, are written to `folder`.

    Args and errors are those of `calibrate`.
    """
    if isinstance(data, Mapping):
        paths = [Path(folder, "data.npz")]
        np.savez(paths[0], **data)
        return paths
    single = isinstance(data, (str, os.PathLike))
    paths = [Path(path) for path in ([data] if single else data)]
    texts = [path for path in paths if path.suffix in TEXTS]
    if not texts:
        return paths
    codec = load_codec(tokenizer or Path(model).resolve().parent)
    tokens = Path(folder, "tokens.npy")
    _save_tokens(texts, codec, tokens)
    return [path for path in paths if path not in texts] + [tokens]


def calibrate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, np.ndarray],
    output: str | os.PathLike[str],
    *,
    method: str = "minmax",
    hessian: bool = False,
    samples: int = 0,
    tokenizer: str | os.PathLike[str] | None = None,
    options: Sequence[str] = (),
    show: bool = False,
) -> Path:
    """Runs a model over data and writes statistics for `nibble.compile(calibration=...)`.

    Args:
      model: an ONNX file.
      data: arrays by the names of the inputs, whose first dimension counts samples;
        or files and folders as `nibble-calibrate --data` takes them, and texts
        (.txt, .md), which are split into tokens.
      output: the statistics file; Hessians go to OUTPUT.hessians.safetensors.
      method: minmax, moving-average, percentile, entropy or mse.
      hessian: also sum X^T X of every layer, for one-shot GPTQ.
      samples: most samples to run, 0 for all.
      tokenizer: a tokenizer's file or folder, for texts; default: where the model is.
      options: further options of nibble-calibrate.
      show: let the tool write its messages and progress to standard error.

    Returns:
      The path of the statistics.

    Raises:
      CompileError: the tool refused the model or the data; it has the messages.
      NibbleError: a text or its tokenizer cannot be read.

    Example:
      nibble.calibrate("resnet.onnx", {"input": images}, "stats.yaml", method="percentile")
    """
    with tempfile.TemporaryDirectory(prefix="nibble-") as folder:
        paths = find_data(model, data, folder, tokenizer)
        command = [find_tool("nibble-calibrate"), os.fspath(model), "-o", os.fspath(output)]
        command += [f"--data={path}" for path in paths]
        command += [f"--method={method}", f"--samples={samples}"]
        command += ["--hessian"] if hessian else []
        command += options
        try:
            result = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stderr=None if show else subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise NibbleError(f"{command[0]}: cannot run: {error.strerror}") from error
    if result.returncode:
        text = result.stderr or ""
        raise CompileError(command, result.returncode, _diagnostics(text), text)
    if not show and result.stderr:
        sys.stderr.write(result.stderr)
    return Path(output)
