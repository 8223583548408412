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

import importlib.metadata
import json
import os
import sys
import tempfile
from pathlib import Path

import evaluation as ev
import methods_llama_cpp
import methods_models
import numpy as np
from methods_request import Clock, Request, require
from methods_torch import Exported, TorchLlama, transformers_name
from static_table import quantize_with_onnxruntime


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


def run_onnxruntime(request: Request) -> dict:
    ev.onnxruntime()
    subject, recipe = request.subject, request.recipe
    source = subject.path()
    if recipe["kind"] == "static" and not subject.calibration:
        return {"absent": "static ranges of language models are not tried"}
    if recipe["kind"] == "float":
        return {"bits": 32.0, "quality": subject.quality(ev.Reference(source))}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "model.onnx")
        clock = Clock()
        ONNX_RUNTIME[recipe["kind"]](source, out, recipe, subject)
        taken = clock.stop()
        bits = bits_per_weight(source, out)
        if bits is None:
            return {"absent": "it has nothing to quantize here"}
        return {"bits": bits, **taken, "quality": subject.quality(ev.Reference(out))}


# bitsandbytes


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


def run_bitsandbytes(request: Request) -> dict:
    require("bitsandbytes", "torch")
    recipe, exported = request.recipe, Exported(request.subject.path())
    if recipe["kind"] == "float":
        model = exported.torch_model(exported.linear)
        return {"bits": 32.0, "quality": request.subject.quality(model)}
    import torch

    products, size = {}, 0
    clock = Clock()
    for name, array in exported.linear.items():
        make = make_int8 if recipe["kind"] == "int8" else make_4bit
        products[name], taken = make(torch.from_numpy(array), recipe)
        size += taken
    answer = {"bits": 8 * size / exported.count, **clock.stop()}
    exported.linear.clear()
    return answer | {"quality": request.subject.quality(TorchLlama(exported, products))}


# GPTQModel, hqq and AutoRound


def run_gptqmodel(request: Request) -> dict:
    # It wants two at the least, and takes half of the cores.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", str(max(2, (os.cpu_count() or 1) // 2)))
    require("gptqmodel", "torch", "transformers")
    exported, recipe = Exported(request.subject.path()), request.recipe
    with tempfile.TemporaryDirectory() as place:
        exported.save_transformers(Path(place))
        samples = request.samples()
        import gptqmodel
        import torch

        clock = Clock()
        config = gptqmodel.QuantizeConfig(
            bits=recipe["bits"], group_size=64, sym=recipe["symmetric"], desc_act=recipe["order"],
            # Zeros as they are, not less one, and tensors in memory.
            format="gptq_v2", offload_to_disk=False,
        )  # fmt: skip
        model = gptqmodel.GPTQModel.load(place, config, dtype=torch.float32, device="cpu")
        model.quantize([
            {"input_ids": sample.tolist(), "attention_mask": [1] * len(sample)}
            for sample in samples
        ])  # fmt: skip
        taken = clock.stop()
        layers = dict(model.model.named_modules())
    weights, size = {}, 0
    for name in exported.linear:
        layer = layers[transformers_name(name)]
        weights[transformers_name(name)] = layer.dequantize_weight().T.float().numpy()
        kept = [layer.qweight, layer.qzeros, layer.scales]
        if recipe["order"]:
            kept.append(layer.g_idx)
        size += sum(tensor.nbytes for tensor in kept)
    return request.judge(exported, exported.from_transformers(weights), size, taken)


def run_hqq(request: Request) -> dict:
    require("hqq", "torch")
    import torch
    from hqq.core.quantize import Quantizer

    exported, recipe = Exported(request.subject.path()), request.recipe
    weights, size = {}, 0
    clock = Clock()
    for name, array in exported.linear.items():
        codes, meta = Quantizer.quantize(
            torch.from_numpy(array), nbits=recipe["bits"], group_size=64, axis=1,
            device="cpu", compute_dtype=torch.float32,
        )  # fmt: skip
        values = Quantizer.dequantize(codes, meta)
        weights[name] = values.reshape(array.shape).numpy()
        # It keeps scale and zero in the type of its products: here counted as halves.
        size += array.size * recipe["bits"] / 8 + 2 * (meta["scale"].numel() + meta["zero"].numel())
    return request.judge(exported, weights, size, clock.stop())


def run_autoround(request: Request) -> dict:
    require("auto_round", "torch", "transformers")
    exported, recipe = Exported(request.subject.path()), request.recipe
    with tempfile.TemporaryDirectory() as place:
        exported.save_transformers(Path(place))
        import auto_round
        import torch
        from transformers import AutoTokenizer, LlamaForCausalLM

        clock = Clock()
        model = LlamaForCausalLM.from_pretrained(place, dtype=torch.float32)
        samples = torch.from_numpy(request.samples().astype(np.int64))
        rounder = auto_round.AutoRound(
            model, AutoTokenizer.from_pretrained(place), bits=recipe["bits"], group_size=64,
            sym=recipe["symmetric"], iters=recipe["iterations"], device_map="cpu",
            nsamples=len(samples), seqlen=samples.shape[1], dataset=list(samples.split(8)),
        )  # fmt: skip
        model, _ = rounder.quantize()
        taken = clock.stop()
    layers = dict(model.named_modules())
    weights, size = {}, 0
    for name in exported.linear:
        layer = layers[transformers_name(name)]
        weights[transformers_name(name)] = layer.weight.detach().float().numpy()
        # As its own format keeps them: scales in half precision, zeros like codes.
        groups = layer.scale.numel()
        size += (layer.weight.numel() * recipe["bits"] + groups * (16 + recipe["bits"])) / 8
    return request.judge(exported, exported.from_transformers(weights), size, taken)


PEERS = {
    "onnxruntime": run_onnxruntime,
    "bitsandbytes": run_bitsandbytes,
    "gptqmodel": run_gptqmodel,
    "hqq": run_hqq,
    "autoround": run_autoround,
    "llama.cpp": methods_llama_cpp.run,
}
#: The packages whose versions are said.
PACKAGES = {
    "onnxruntime": "onnxruntime",
    "bitsandbytes": "bitsandbytes",
    "gptqmodel": "gptqmodel",
    "hqq": "hqq",
    "autoround": "auto-round",
}


def main() -> int:
    given = json.loads(sys.argv[1])
    settings = methods_models.Settings(**given["settings"])
    peer = given["peer"]
    # What packages print to stdout is not the answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = Request(methods_models.find(given["subject"], settings), given["recipe"], settings)
    try:
        if peer != "onnxruntime" and not request.subject.language:
            raise ev.Missing("it has no layers of this model's kinds")
        answer = PEERS[peer](request)
        if peer in PACKAGES:
            answer["version"] = importlib.metadata.version(PACKAGES[peer])
    except ev.Missing as reason:
        answer = {"absent": str(reason)}
    print(json.dumps(answer), file=out, flush=True)
    # Without what packages do at the end of a process.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
