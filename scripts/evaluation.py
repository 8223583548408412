# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the test models and measures them: for tests, demo and results.

Two models are ours (examples/models); the others are read in place from the
folder NIBBLE_SHARED, or `shared` beside the checkout, if there is one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("NIBBLE_BUILD", ROOT / "build"))
WORK = BUILD / "e2e"
MODELS = ROOT / "examples/models"
SHARED = Path(os.environ.get("NIBBLE_SHARED") or ROOT.parent / "shared") / "models"

sys.path.insert(0, str(ROOT / "python"))
import nibble  # noqa: E402


class Missing(unittest.SkipTest):
    """Something that only some machines have; a test that needs it is skipped."""


# Options of nibble-compile for the columns of every table.
SCHEMES = {
    "float": [],
    "W8A16": ["--quantize=W8A16", "--group-size=-1"],
    "W4A16 g32": ["--quantize=W4A16", "--group-size=32"],
    "W8A8-dynamic": ["--quantize=W8A8-dynamic"],
}


def tool(name: str) -> str:
    """Path of an executable of the build; NibbleError when it is not there."""
    path = BUILD / "bin" / name
    if not path.exists():
        raise nibble.NibbleError(f"{path}: not built: run ninja -C {BUILD}")
    return str(path)


def shared(path: str) -> Path:
    """A file of the folder of other people's models, or a skip."""
    if not (SHARED / path).exists():
        raise Missing("the folder of shared models is not there (NIBBLE_SHARED)")
    return SHARED / path


def onnxruntime():
    try:
        import onnxruntime as module
    except ImportError:
        raise Missing("the Python package onnxruntime is not installed") from None
    return module


def compile_model(
    model: Path, options: list[str], suffix: str = ".so", fresh: bool = False
) -> Path:
    """Compiles with the options and returns the binary.

    Done once per model, options and build of the compiler, or always if `fresh`.
    Raises nibble.CompileError with what the compiler said.
    """
    library = BUILD / "lib/libNibble.so"
    stamp = library.stat().st_mtime_ns if library.exists() else 0
    key = repr((str(model), model.stat().st_mtime_ns, options, stamp))
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    folder = WORK / digest
    out = folder / (model.stem + suffix)
    if fresh or not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        nibble.compile(model, out, options=options)
    return out


def load(model: Path, options: list[str] = (), **kwargs) -> nibble.Model:
    return nibble.Model(compile_model(model, list(options)), **kwargs)


class Reference:
    """An ONNX file (or its bytes) in ONNX Runtime, with the interface of nibble.Model."""

    def __init__(self, model: Path | bytes, threads: int = 0):
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
        )
        self.input_shapes = {
            i.name: tuple(d if isinstance(d, int) else None for d in i.shape)
            for i in self._session.get_inputs()
        }

    def run(self, inputs):
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs))))


class Evaluator:
    """An ONNX file in the reference evaluator of onnx, with the interface of nibble.Model."""

    def __init__(self, path: Path):
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(str(path))
        inputs = zip(self._evaluator.input_names, self._evaluator.input_types)
        self.input_shapes = {
            name: tuple(
                d.dim_value if d.HasField("dim_value") else None for d in kind.tensor_type.shape.dim
            )
            for name, kind in inputs
        }

    def run(self, inputs):
        names = self._evaluator.output_names
        return dict(zip(names, self._evaluator.run(names, dict(inputs))))


def classify(model, images: np.ndarray, batch: int) -> np.ndarray:
    """Outputs [n, classes] of a model with one input, fed `batch` images at a time."""
    name = next(iter(model.input_shapes))
    parts = []
    for i in range(0, len(images), batch):
        out = model.run({name: images[i : i + batch]})
        parts.append(next(iter(out.values())).reshape(-1, *next(iter(out.values())).shape[1:]))
    return np.concatenate(parts)


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(-1) == labels).mean())


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two arrays, seen as vectors."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def rounded(rows: np.ndarray, bits: int, group: int) -> np.ndarray:
    """Rows [n, k] rounded to nearest on symmetric grids of `group` weights along k (-1: all
    of a row), scales in f16: what quantization without calibration makes of a weight. With at
    most 4 bits the largest weight becomes the lowest code, else the highest or its negative."""
    top = 2 ** (bits - 1) - 1
    result = np.empty_like(rows)
    step = rows.shape[1] if group < 0 else group
    for first in range(0, rows.shape[1], step):
        part = rows[:, first : first + step]
        high, low = part.max(-1, keepdims=True), part.min(-1, keepdims=True)
        if bits <= 4:
            scale = np.where(high > -low, high, low) / np.float32(-top - 1)
        else:
            scale = np.maximum(high, -low) / np.float32(top)
        scale = scale.astype(np.float16).astype(np.float32)
        scale[scale == 0] = 1
        result[:, first : first + step] = np.clip(np.round(part / scale), -top - 1, top) * scale
    return result


def rounded_model(path: Path, bits: int, group: int) -> bytes:
    """A float model whose Conv and Gemm weights are rounded, for ONNX Runtime."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        tensor = weights.pop(node.input[1])
        array = numpy_helper.to_array(tensor)
        across = node.op_type == "Gemm" and not any(
            a.name == "transB" and a.i for a in node.attribute
        )
        rows = array.T if across else array.reshape(len(array), -1)
        rows = rounded(rows, bits, group)
        rows = np.ascontiguousarray(rows.T if across else rows.reshape(array.shape))
        tensor.CopyFrom(numpy_helper.from_array(rows, tensor.name))
    return model.SerializeToString()


def glyphs_test() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [1000, 1, 24, 24], 0 to 1, and labels [1000]."""
    data = np.load(MODELS / "glyphs_test.npz")
    return data["images"].astype(np.float32) / 15, data["labels"].astype(np.int64)


def stories_test() -> tuple[np.ndarray, np.ndarray]:
    """Tokens int64 [200, n] and a mask [200, n] of those that are answers."""
    data = np.load(MODELS / "stories_test.npz")
    return data["tokens"].astype(np.int64), data["answers"]


def stories_logits(model, tokens: np.ndarray, batch: int = 50) -> np.ndarray:
    """Logits [n, length, vocabulary] of whole texts."""
    parts = []
    for i in range(0, len(tokens), batch):
        part = tokens[i : i + batch]
        cache = nibble.empty_cache(model, len(part))
        parts.append(nibble.step(model, part, cache)[0])
    return np.concatenate(parts)


def answer_accuracy(logits: np.ndarray, tokens: np.ndarray, answers: np.ndarray) -> float:
    """Share of the answers whose every token is the most likely one."""
    first = answers & ~np.pad(answers, ((0, 0), (1, 0)))[:, :-1]
    number = np.cumsum(first.ravel()).reshape(first.shape)[:, 1:]
    wrong = (logits[:, :-1].argmax(-1) != tokens[:, 1:]) & answers[:, 1:]
    return 1 - len(np.unique(number[wrong])) / int(first.sum())


def answer_loss(logits: np.ndarray, tokens: np.ndarray, answers: np.ndarray) -> float:
    """Mean negative log probability of the answers' tokens, in nats."""
    shifted = logits[:, :-1] - logits[:, :-1].max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, tokens[:, 1:, None], -1)[..., 0]
    return float(-picked[answers[:, 1:]].mean())


# The models of others: what is fed to them and what they must reach.


def mnist_test(count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [count, 1, 28, 28], 0 to 255, and labels."""
    data = np.load(shared("mnist/mnist_test_10k.npz"))
    images = data["images"][:count].reshape(count, 1, 28, 28).astype(np.float32)
    return images, data["labels"][:count].astype(np.int64)


def cifar_test() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [368, 3, 32, 32], normalised as the ResNets want them, and labels."""
    data = np.load(shared("cifar10-resnet/derived/cifar10_test_subset_u8.npz"))
    mean = np.float32([0.485, 0.456, 0.406])[:, None, None]
    deviation = np.float32([0.229, 0.224, 0.225])[:, None, None]
    images = (data["images"].astype(np.float32) / 255 - mean) / deviation
    return images, data["labels"].astype(np.int64)


def stories260k(work: Path = WORK) -> tuple[Path, nibble.Tokenizer, str]:
    """The exported model, its tokenizer and the text that its author published."""
    import onnx

    source = shared("stories260K/stories260K.bin")
    out = work / "stories260K.onnx"
    if not out.exists():
        work.mkdir(parents=True, exist_ok=True)
        temporary = out.with_suffix(f".{os.getpid()}")
        onnx.save(nibble.build_llama(*nibble.read_llama2c(source)), temporary)
        temporary.replace(out)
    tokenizer = nibble.Tokenizer.load(shared("stories260K/tok512.bin"))
    page = shared("stories260K/stories260K.md").read_text()
    text = page.split("-t 0.0\n", 1)[1].split("\n```", 1)[0]
    return out, tokenizer, text


def gpt_nano_sort(work: Path = WORK) -> tuple[Path, np.ndarray, np.ndarray]:
    """The exported model, tokens int64 [3, 11], and the logits [3, 11, 3] of its author.

    The checkpoint is JSON: name -> shape and base64 of float32, with the names of
    minGPT, which stores matrices as [out, in].
    """
    import onnx

    def read(path: str) -> dict:
        return json.loads(shared(f"gpt-nano-sort/{path}").read_text())

    def array(entry: dict) -> np.ndarray:
        data = base64.b64decode(entry["data"])
        return np.frombuffer(data, "<f4").reshape(entry["shape"])

    found = read("gpt-nano-sort-t0-partials.json")
    out = work / "gpt-nano-sort.onnx"
    if not out.exists():
        checkpoint = read("gpt-nano-sort-model.json")
        sizes = checkpoint["config"]
        config = nibble.Gpt2Config(
            dim=sizes["n_embd"], layers=sizes["n_layer"], heads=sizes["n_head"],
            vocabulary=sizes["vocab_size"], positions=sizes["block_size"],
        )  # fmt: skip
        names = {"embed": "transformer.wte", "positions": "transformer.wpe"}
        names |= {"norm": "transformer.ln_f", "lm_head": "lm_head"}
        parts = {"attention_norm": "ln_1", "attention.o": "attn.c_proj", "mlp_norm": "ln_2"}
        parts |= {"mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj"}
        weights = {}
        for i in range(config.layers):
            names |= {f"layers.{i}.{k}": f"transformer.h.{i}.{v}" for k, v in parts.items()}
            for kind in ("weight", "bias"):
                qkv = array(checkpoint[f"transformer.h.{i}.attn.c_attn.{kind}"])
                for part, piece in zip("qkv", np.split(qkv, 3)):
                    weights[f"layers.{i}.attention.{part}.{kind}"] = piece
        for name, theirs in names.items():
            for kind in ("weight", "bias"):
                if f"{theirs}.{kind}" in checkpoint:
                    weights[f"{name}.{kind}"] = array(checkpoint[f"{theirs}.{kind}"])
        work.mkdir(parents=True, exist_ok=True)
        temporary = out.with_suffix(f".{os.getpid()}")
        onnx.save(nibble.build_gpt2(config, weights), temporary)
        temporary.replace(out)
    return out, array(found["idx"]).astype(np.int64), array(found["lm_head"])


def tinystories(count: int = 115) -> list[str]:
    """The first stories of the text that stories260K was trained on."""
    text = shared("stories260K/tinystories_train_sample_2MiB.txt").read_text(errors="replace")
    return [story.strip() for story in text.split("<|endoftext|>")[:count]]


def text_loss(model, tokenizer: nibble.Tokenizer, texts: list[str], longest: int = 512) -> float:
    """Mean negative log probability per token, in nats; texts are cut at `longest` tokens."""
    total, count = 0.0, 0
    for text in texts:
        tokens = np.asarray([tokenizer.encode(text)[:longest]])
        logits = nibble.step(model, tokens, nibble.empty_cache(model))[0][0, :-1]
        shifted = logits - logits.max(-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        total -= float(np.take_along_axis(log_p, tokens[0, 1:, None], -1).sum())
        count += tokens.shape[1] - 1
    return total / count
