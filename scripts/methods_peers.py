#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantizes and judges one model with another project's tools, for methods_table.py.

    python methods_peers.py REQUEST      (JSON; the answer is JSON on the last line)

A process of its own for each figure: its largest memory is that of the quantization,
and what a package does to a process stays there. The packages are those of
requirements-methods.txt.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import evaluation as ev
import methods_models
import nibble
import numpy as np
from static_table import quantize_with_onnxruntime


def peak_memory() -> int:
    """Largest memory of this process so far, in bytes.

    Not getrusage: that knows of the process that started this one.
    """
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise nibble.NibbleError("/proc/self/status has no VmHWM")


def load_weights(path: Path) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    # Copies: torch wants memory that it may write to.
    return {t.name: np.array(numpy_helper.to_array(t)) for t in model.graph.initializer}


# ONNX Runtime


def tensor_sizes(path: Path) -> dict[str, tuple[int, int, bool]]:
    """Elements, bytes, and whether they are floats, of a model's constants."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    found = {}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        # Four-bit types take a byte each in NumPy, and half of one in a file.
        half = tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
        size = (array.size + 1) // 2 if half else array.nbytes
        found[tensor.name] = array.size, size, array.dtype == np.float32
    return found


def bits_per_weight(before: Path, after: Path) -> float | None:
    """Bits of all that replaced the float constants that went away, for each of them."""
    old, new = tensor_sizes(before), tensor_sizes(after)
    weights = sum(count for name, (count, _, real) in old.items() if real and name not in new)
    size = sum(size for name, (_, size, _) in new.items() if name not in old)
    return 8 * size / weights if weights else None


def make_nbits(source: Path, out: Path, recipe: dict, subject: methods_models.Subject) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        str(source),
        bits=recipe["bits"],
        block_size=recipe["block"],
        is_symmetric=recipe["symmetric"],
        nodes_to_exclude=subject.kept_float,
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(out), True)


def make_dynamic(source: Path, out: Path, recipe: dict, subject: methods_models.Subject) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        out,
        op_types_to_quantize=["MatMul", "Gemm", "Conv"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=subject.kept_float,
        use_external_data_format=subject.language,
        extra_options={"MatMulConstBOnly": True},
    )


def make_static(source: Path, out: Path, recipe: dict, subject: methods_models.Subject) -> None:
    samples = next(iter(subject.calibration().values()))
    made = quantize_with_onnxruntime(source, samples, recipe["calibrate"], out.parent)
    made.rename(out)


ONNX_RUNTIME = {"nbits": make_nbits, "dynamic": make_dynamic, "static": make_static}


def run_onnxruntime(subject: methods_models.Subject, recipe: dict) -> dict:
    ev.onnxruntime()
    source = subject.path()
    if recipe["kind"] == "static" and not subject.calibration:
        return {"absent": "static ranges of language models are not tried"}
    if recipe["kind"] == "float":
        return {"bits": 32.0, "quality": subject.quality(ev.Reference(source))}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "model.onnx")
        start = time.perf_counter()
        ONNX_RUNTIME[recipe["kind"]](source, out, recipe, subject)
        seconds, peak = time.perf_counter() - start, peak_memory()
        bits = bits_per_weight(source, out)
        if bits is None:
            return {"absent": "it has nothing to quantize here"}
        return {
            "bits": bits,
            "seconds": seconds,
            "peak": peak,
            "quality": subject.quality(ev.Reference(out)),
        }


# bitsandbytes


class TorchLlama:
    """A Llama that nibble exported, in torch, with the interface of nibble.Model.

    `products` has a function for each linear layer, by its name, from [n, K] to
    [n, N]. All else is float32.
    """

    def __init__(self, path: Path, weights: dict[str, np.ndarray], products: dict):
        import onnx
        import torch

        model = onnx.load(path, load_external_data=False)
        nodes = {node.name: node for node in model.graph.node}

        def attributes(name: str) -> dict:
            return {a.name: onnx.helper.get_attribute_value(a) for a in nodes[name].attribute}

        attention = attributes("layers.0.attention")
        self._heads, self._pairs = attention["q_num_heads"], attention["kv_num_heads"]
        self._interleaved = attributes("layers.0.attention.q_rope").get("interleaved", 0)
        self._epsilon = attributes("norm")["epsilon"]
        self._products = products
        self._torch = torch
        self._weights = {
            name: torch.from_numpy(array)
            for name, array in weights.items()
            if name.endswith("norm.weight") or name in ("embed.weight", "rope.cos", "rope.sin")
        }
        self._layers = sum(name.endswith("attention_norm.weight") for name in weights)
        self.input_shapes = {
            value.name: tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
            for value in model.graph.input
        }

    def _norm(self, x, name: str):
        scale = self._torch.rsqrt((x * x).mean(-1, keepdim=True) + self._epsilon)
        return x * scale * self._weights[name]

    def _split(self, x, heads: int):
        """[tokens, heads * size] as [heads, tokens, size]."""
        return x.reshape(len(x), heads, -1).transpose(0, 1)

    def _rotate(self, x, positions):
        cos, sin = (self._weights[f"rope.{part}"][positions] for part in ("cos", "sin"))
        # Pairs are neighbours, or lie half a head apart.
        axis = -1 if self._interleaved else -2
        pairs = x.unflatten(-1, (-1, 2) if self._interleaved else (2, -1))
        first, second = pairs.unbind(axis)
        turned = first * cos - second * sin, first * sin + second * cos
        return self._torch.stack(turned, axis).flatten(-2)

    def run(self, inputs):
        torch = self._torch
        with torch.no_grad():
            tokens = torch.from_numpy(inputs["input_ids"])[0]
            positions = torch.from_numpy(inputs["position_ids"])[0]
            x, present = self._weights["embed.weight"][tokens], {}
            for i in range(self._layers):
                x = x + self._attend(i, x, positions, inputs, present)
                h = self._norm(x, f"layers.{i}.mlp_norm.weight")
                gate = torch.nn.functional.silu(self._products[f"layers.{i}.mlp.gate"](h))
                product = gate * self._products[f"layers.{i}.mlp.up"](h)
                x = x + self._products[f"layers.{i}.mlp.down"](product)
            wanted = torch.from_numpy(inputs["logit_positions"])
            x = self._norm(x, "norm.weight")[wanted]
            logits = x @ self._weights["embed.weight"].T
        return {"logits": logits[None].numpy(), **present}

    def _attend(self, i: int, x, positions, inputs, present):
        torch, name = self._torch, f"layers.{i}.attention"
        h = self._norm(x, f"layers.{i}.attention_norm.weight")
        q, k, v = (self._products[f"{name}.{part}"](h) for part in "qkv")
        q = self._rotate(self._split(q, self._heads), positions)
        k = self._rotate(self._split(k, self._pairs), positions)
        kept = []
        for part, fresh in (("key", k), ("value", self._split(v, self._pairs))):
            past = torch.from_numpy(inputs[f"past_key_values.{i}.{part}"])[0]
            kept.append(torch.cat([past, fresh], 1))
            present[f"present.{i}.{part}"] = kept[-1][None].numpy()
        k, v = (t.repeat_interleave(self._heads // self._pairs, 0) for t in kept)
        sees = torch.arange(k.shape[1])[None] <= positions[:, None]
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees)
        return self._products[f"{name}.o"](y.transpose(0, 1).reshape(len(x), -1))


def _is_linear(name: str) -> bool:
    return name.startswith("layers.") and name.endswith(".weight") and "norm" not in name


def make_4bit(weight, recipe: dict):
    """The product with what NF4 or FP4 make of a weight [N, K], and its bytes."""
    from bitsandbytes import functional

    codes, state = functional.quantize_4bit(
        weight, blocksize=recipe["block"], compress_statistics=recipe["double"],
        quant_type=recipe["kind"],
    )  # fmt: skip
    size = codes.nbytes + state.absmax.nbytes
    if state.nested:
        size += state.state2.absmax.nbytes + state.offset.nbytes
    return lambda x: x @ functional.dequantize_4bit(codes, state).T, size


def make_int8(weight, recipe: dict):
    """LLM.int8's layer of a weight [N, K], as the package runs it on a CPU; its bytes."""
    import bitsandbytes
    import torch

    rows, cols = weight.shape
    layer = bitsandbytes.nn.Linear8bitLt(
        cols, rows, bias=False, has_fp16_weights=False, threshold=recipe["threshold"]
    )
    layer.weight = bitsandbytes.nn.Int8Params(
        weight, has_fp16_weights=False, requires_grad=False
    ).to("cpu")
    layer.eval()
    # The first product quantizes.
    with torch.no_grad():
        layer(torch.zeros(1, cols, dtype=torch.float16))
    size = layer.weight.data.nbytes + layer.state.SCB.nbytes
    return lambda x: layer(x.half()).float(), size


def run_bitsandbytes(subject: methods_models.Subject, recipe: dict) -> dict:
    try:
        import bitsandbytes  # noqa: F401
        import torch
    except ImportError as error:
        raise ev.Missing(f"the Python package {error.name} is not installed") from None
    if not subject.language:
        return {"absent": "it has no layers of this model's kinds"}
    source = subject.path()
    weights = load_weights(source)
    linear = {name: weights.pop(name) for name in list(weights) if _is_linear(name)}
    products, size, count = {}, 0, 0
    start = time.perf_counter()
    for name, array in linear.items():
        # Exported [K, N]; torch's layers hold [N, K].
        weight = torch.from_numpy(np.ascontiguousarray(array.T))
        if recipe["kind"] == "float":
            product, taken = lambda x, w=weight: x @ w.T, weight.nbytes
        else:
            make = make_int8 if recipe["kind"] == "int8" else make_4bit
            product, taken = make(weight, recipe)
        products[name.removesuffix(".weight")] = product
        size, count = size + taken, count + array.size
    answer = {"bits": 8 * size / count}
    if recipe["kind"] != "float":
        answer |= {"seconds": time.perf_counter() - start, "peak": peak_memory()}
    del linear
    answer["quality"] = subject.quality(TorchLlama(source, weights, products))
    return answer


PEERS = {"onnxruntime": run_onnxruntime, "bitsandbytes": run_bitsandbytes}


def main() -> int:
    request = json.loads(sys.argv[1])
    subject = methods_models.find(request["subject"], methods_models.Settings(**request["settings"]))
    try:
        answer = PEERS[request["peer"]](subject, request["recipe"])
    except ev.Missing as reason:
        answer = {"absent": str(reason)}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
