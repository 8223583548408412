# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The verb `export`: any checkpoint that is known, to a folder with model.onnx."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from ..errors import NibbleError
from .bert import build_bert
from .decoder import DecoderOptions
from .gguf_model import read_gguf_model
from .gpt2 import Gpt2Config, build_gpt2
from .graph import DATA_SUFFIX, DataFile, require_onnx
from .huggingface import Checkpoint, read_huggingface
from .llama import LlamaConfig, build_llama
from .llama2c import read_llama2c


def read_checkpoint(
    source: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    merge_adapter: bool = False,
) -> Checkpoint:
    """Reads a GGUF file, a Hugging Face folder or a llama2.c file, by what it is.

    `adapter` is a folder with a LoRA adapter of PEFT, added beside the weights
    that it names or, with `merge_adapter`, to them.

    Raises NibbleError when it is none of them, or not one that is supported.
    """
    path = Path(source)
    if path.is_dir():
        return read_huggingface(path, adapter, merge_adapter)
    if not path.exists():
        raise NibbleError(f"{path}: no such file or folder")
    if path.suffix == ".gguf":
        return read_gguf_model(path, adapter, merge_adapter)
    if path.suffix == ".bin":
        if adapter:
            raise NibbleError(f"{path}: LoRA adapters for llama2.c checkpoints are not supported")
        config, weights = read_llama2c(path)
        return Checkpoint(config, weights, {})
    raise NibbleError(
        f"{path}: expected a folder with config.json, a GGUF file (.gguf), or a checkpoint in "
        "llama2.c's format (.bin)"
    )


def _build(checkpoint: Checkpoint, data: DataFile, options: DecoderOptions):
    if isinstance(checkpoint.config, LlamaConfig):
        return build_llama(checkpoint.config, checkpoint.weights, data, options)
    if isinstance(checkpoint.config, Gpt2Config):
        return build_gpt2(checkpoint.config, checkpoint.weights, data, options)
    return build_bert(checkpoint.config, checkpoint.weights, data, options.opset)


def export_model(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DecoderOptions = DecoderOptions(),
    tokenizer: str | os.PathLike[str] | None = None,
    rope_theta: float | None = None,
    adapter: str | os.PathLike[str] | None = None,
    merge_adapter: bool = False,
) -> Path:
    """Writes OUTPUT/model.onnx, its weights in model.onnx.data, and the tokenizer's files.

    Weights are read and written one after the other: the memory that it takes is
    that of the largest tensor, twice at most.

    Args:
      source: a GGUF file, a Hugging Face folder, or a llama2.c checkpoint.
      output: folder, made if it is not there.
      options: which inputs a decoder gets.
      tokenizer: a file in llama2.c's format to put beside the model.
      rope_theta: base of the rotary frequencies, instead of the checkpoint's.
      adapter: folder with a LoRA adapter in PEFT's format.
      merge_adapter: add it to the weights, instead of computing it beside them.

    Returns:
      The path of model.onnx.

    Raises:
      NibbleError: see `read_checkpoint`; or the folder cannot be written.
    """
    require_onnx()
    out = Path(output)
    checkpoint = read_checkpoint(source, adapter, merge_adapter)
    if rope_theta is not None:
        if not isinstance(checkpoint.config, LlamaConfig) or rope_theta <= 0:
            raise NibbleError(
                f"rope theta {rope_theta} for {source}: it must be above 0, and only models of the "
                "Llama architecture have one"
            )
        rope = replace(checkpoint.config.rope, theta=float(rope_theta))
        checkpoint.config = replace(checkpoint.config, rope=rope)
    path = out / "model.onnx"
    temporary = out / f".model.onnx.{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with DataFile(out / ("model.onnx" + DATA_SUFFIX)) as data:
            model = _build(checkpoint, data, options)
            temporary.write_bytes(model.SerializeToString())
            data.commit()
            temporary.replace(path)
        for name, content in checkpoint.files.items():
            if isinstance(content, bytes):
                (out / name).write_bytes(content)
            elif content.resolve() != (out / name).resolve():
                shutil.copyfile(content, out / name)
        if tokenizer:
            shutil.copyfile(tokenizer, out / "tokenizer.bin")
    except OSError as error:
        raise NibbleError(f"{error.filename or out}: cannot write: {error.strerror}") from error
    except NibbleError as error:
        if str(source) in str(error):
            raise
        raise NibbleError(f"{source}: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
