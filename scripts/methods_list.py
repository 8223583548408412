# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The methods that methods_table.py compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """A row for each tool that has it."""

    name: str
    options: tuple[str, ...] | None
    """Of nibble-compile; None: Nibble has no such method."""
    peers: dict[str, dict] = field(default_factory=dict)
    """By tool, what methods_peers.py takes as a recipe."""
    statistics: tuple[str, ...] | None = None
    """Options of nibble-calibrate, for methods that need its file."""
    samples: bool = False
    """Whether the compiler is given the samples themselves."""
    language: bool | None = None
    """For language models only, or for others only; None: for all."""


def _nbits(bits: int, block: int, symmetric: bool) -> dict[str, dict]:
    recipe = {"kind": "nbits", "bits": bits, "block": block, "symmetric": symmetric}
    return {"onnxruntime": recipe}


def _four_bit(kind: str, double: bool = False) -> dict[str, dict]:
    return {"bitsandbytes": {"kind": kind, "block": 64, "double": double}}


def _static(calibrate: str) -> dict[str, dict]:
    return {"onnxruntime": {"kind": "static", "calibrate": calibrate}}


def _llama_cpp(kind: str, importance: bool = False, pure: bool = True) -> dict[str, dict]:
    return {"llama.cpp": {"type": kind, "importance": importance, "pure": pure}}


#: Steps of AutoRound for a block, of Nibble and of its own package, whose default is 200.
_ITERATIONS = 100


def _groups(bits: int, symmetric: bool) -> Iterator[Method]:
    """All methods for integers in groups of 64."""
    name = f"W{bits}A16 g64" + ("" if symmetric else " asymmetric")
    options = (f"--quantize=W{bits}A16", "--group-size=64")
    if not symmetric:
        options += ("--asymmetric",)

    def gptq(order: bool) -> dict[str, dict]:
        return {"gptqmodel": {"bits": bits, "symmetric": symmetric, "order": order}}

    # ONNX Runtime has no products of 3 bits.
    yield Method(name, options, {} if bits == 3 else _nbits(bits, 64, symmetric))
    if not symmetric:
        # Its zeros are floats, whatever is said.
        theirs = {"hqq": {"bits": bits}}
        yield Method(f"W{bits}A16 g64, HQQ", (*options, "--method=hqq"), theirs)
    yield Method(f"{name}, GPTQ", (*options, "--method=gptq"), gptq(False), samples=True)
    yield Method(
        f"{name}, GPTQ with activation order",
        (*options, "--method=gptq", "--activation-order"),
        gptq(True),
        samples=True,
    )
    yield Method(
        f"{name}, GPTQ on statistics", (*options, "--method=gptq"), statistics=("--hessian",)
    )
    if bits == 8:
        # Nothing is left to win.
        return
    yield Method(f"{name}, AWQ", (*options, "--method=awq"), samples=True)
    yield Method(f"{name}, AWQ then GPTQ", (*options, "--method=awq,gptq"), samples=True)
    yield Method(
        f"{name}, AutoRound",
        (*options, "--method=autoround", f"--iterations={_ITERATIONS}"),
        {"autoround": {"bits": bits, "symmetric": symmetric, "iterations": _ITERATIONS}},
        samples=True,
        language=True,
    )


def _gguf() -> Iterator[Method]:
    for kind in ("Q2_K", "Q3_K", "Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "Q8_0"):
        # What llama.cpp calls Q3_K and the like are mixes.
        theirs = f"{kind}_S" if kind in ("Q3_K", "Q4_K", "Q5_K") else kind
        yield Method(kind, (f"--quantize={kind}",), _llama_cpp(theirs))
        if kind != "Q8_0":
            yield Method(
                f"{kind} with importance",
                (f"--quantize={kind}", "--method=imatrix"),
                _llama_cpp(theirs, True),
                statistics=("--layers-only",),
            )
    for kind in ("IQ4_NL", "IQ4_XS"):
        yield Method(kind, None, _llama_cpp(kind))
        yield Method(f"{kind} with importance", None, _llama_cpp(kind, True))
    for kind in ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M"):
        yield Method(f"mix {kind}", None, _llama_cpp(kind, pure=False))
        yield Method(f"mix {kind} with importance", None, _llama_cpp(kind, True, pure=False))


def _budgets() -> Iterator[Method]:
    for budget in ("3.5bpw", "4.25bpw", "5bpw"):
        options = ("--quantize=auto", f"--budget={budget}", "--group-size=64", "--asymmetric")
        yield Method(f"auto, {budget}", options, samples=True)
        yield Method(f"auto, {budget}, GPTQ", (*options, "--method=gptq"), samples=True)


_FLOAT = {"kind": "float"}

METHODS = [
    Method("float", ("--quantize=none",), {"onnxruntime": _FLOAT, "bitsandbytes": _FLOAT}),
    Method("W8A16 per channel", ("--quantize=W8A16", "--group-size=-1")),
    Method("W8A16 g128", ("--quantize=W8A16",), _nbits(8, 128, True)),
    Method("W4A16 g128", ("--quantize=W4A16",), _nbits(4, 128, True)),
    Method("W4A16 g128 asymmetric", ("--quantize=W4A16", "--asymmetric"), _nbits(4, 128, False)),
    # No larger than what other tools make of groups of 64, whose zeros have the bits of a code.
    *(
        Method(
            f"W{bits}A16 g96 asymmetric, GPTQ",
            (f"--quantize=W{bits}A16", "--group-size=96", "--asymmetric", "--method=gptq"),
            samples=True,
        )
        for bits in (4, 3)
    ),
    *(m for bits in (8, 4, 3, 2) for symmetric in (True, False) for m in _groups(bits, symmetric)),
    *_gguf(),
    *_budgets(),
    Method("NF4", ("--quantize=NF4", "--group-size=64"), _four_bit("nf4")),
    Method(
        "NF4, double quantization",
        ("--quantize=NF4", "--group-size=64", "--double-quant"),
        _four_bit("nf4", True),
    ),
    Method("FP4", ("--quantize=FP4", "--group-size=64"), _four_bit("fp4")),
    Method(
        "LLM.int8", ("--quantize=LLM.int8",), {"bitsandbytes": {"kind": "int8", "threshold": 6.0}}
    ),
    Method("W8A8-dynamic", ("--quantize=W8A8-dynamic",), {"onnxruntime": {"kind": "dynamic"}}),
    Method(
        "W8A8-dynamic, SmoothQuant",
        ("--quantize=W8A8-dynamic", "--method=smoothquant"),
        samples=True,
    ),
    *(
        Method(
            f"W8A8, {name}",
            ("--quantize=W8A8",),
            _static(calibrator),
            statistics=(f"--method={calibrator}",),
            language=False,
        )
        for name, calibrator in (("min-max", "minmax"), ("percentile", "percentile"))
    ),
    Method(
        "W8A8, squared error", ("--quantize=W8A8",), statistics=("--method=mse",), language=False
    ),
]
