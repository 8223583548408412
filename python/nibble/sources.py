# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From whatever a user calls a model to a compiled one, kept for the next time."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .compiler import QuantizationConfig, compile, find_tool
from .errors import NibbleError
from .export import DecoderOptions, export_model
from .fetch import PUBLISHED, cache_folder, fetch


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """What changes when a model does: names, sizes and times of its files."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
    elif path.suffix == ".onnx":
        files = sorted(path.parent.glob(path.name + "*"))
    found = [(str(file.resolve()), file.stat()) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def _compiler_stamp() -> list[tuple[str, int, int]]:
    tool = Path(find_tool())
    library = tool.parent.parent / "lib/libNibble.so"
    return _stamp(tool) + (_stamp(library) if library.exists() else [])


def prepare(
    source: str | os.PathLike[str],
    quantization: QuantizationConfig | None = None,
    *,
    adapter: str | os.PathLike[str] | None = None,
    merge_adapter: bool = False,
    options: Sequence[str] = (),
    report: Callable[[str], None] = lambda text: None,
) -> Path:
    """A compiled model (.so) of a source, with its tokenizer in the same folder.

    Args:
      source: a compiled model; an ONNX file or a folder with model.onnx; anything
        that `export_model` reads; or a name of `nibble.fetch`.
      quantization: how to quantize it; not for a compiled model.
      adapter: a LoRA adapter for a source that is exported.
      merge_adapter: add the adapter to the weights.
      options: further options of nibble-compile.
      report: told, in a line, what takes time.

    Raises:
      NibbleError, CompileError: as the steps do.
    """
    path = Path(source)
    if path.suffix == ".so":
        if quantization or options or adapter:
            raise NibbleError(f"{path}: a compiled model cannot be quantized or adapted again")
        return path
    if not path.exists() and str(source) in PUBLISHED:
        report(f"fetching {source}")
        path = fetch(str(source))
    if not path.exists():
        raise NibbleError(
            f"{path}: no such file or folder, and no name of a model ({', '.join(PUBLISHED)})"
        )
    if path.is_dir() and (path / "model.onnx").exists():
        path = path / "model.onnx"
    if path.suffix == ".onnx" and adapter:
        raise NibbleError(f"{path}: adapters are added when a checkpoint is exported")
    stamp = [_stamp(path), _compiler_stamp(), quantization, list(options), merge_adapter]
    stamp.append(_stamp(Path(adapter)) if adapter and Path(adapter).exists() else str(adapter))
    key = hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]
    out = cache_folder() / "compiled" / key / (path.stem + ".so")
    if out.exists():
        return out
    try:
        out.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent.parent, prefix=".") as place:
            # A folder becomes the result as a whole, or not at all.
            model, made = path, Path(place, "made")
            if path.suffix != ".onnx":
                report(f"exporting {path.name} to ONNX")
                exported = Path(place, "onnx")
                # Windows as attributes: the compiler knows them, and they need no mask.
                model = export_model(
                    path,
                    exported,
                    DecoderOptions(opset=25),
                    adapter=adapter,
                    merge_adapter=merge_adapter,
                )
            made.mkdir()
            scheme = quantization.scheme if quantization else "float"
            report(f"compiling {path.name}, {scheme}")
            compile(model, made / out.name, quantization, options=options)
            for file in model.parent.iterdir():
                if file.suffix in (".json", ".jinja", ".bin", ".txt") and file.is_file():
                    shutil.copyfile(file, made / file.name)
            if out.parent.exists():
                return out
            made.replace(out.parent)
    except OSError as error:
        raise NibbleError(f"{error.filename or out}: {error.strerror}") from error
    return out
