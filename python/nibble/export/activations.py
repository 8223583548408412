# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Activation functions by the names that Hugging Face configurations use."""

from __future__ import annotations

from ..errors import NibbleError
from .graph import GraphBuilder

_OPERATORS = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "gelu_python": ("Gelu", {"approximate": "none"}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_fast": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
}
_SIGMOID_PRODUCTS = ("silu", "swish")


def check_activation(name: str) -> None:
    """NibbleError for an activation that cannot be written."""
    if name not in _OPERATORS and name not in _SIGMOID_PRODUCTS:
        known = ", ".join(sorted([*_OPERATORS, *_SIGMOID_PRODUCTS]))
        raise NibbleError(f"activation function '{name}' is not supported; known are {known}")


def activation(graph: GraphBuilder, name: str, x: str, function: str) -> str:
    """Adds the function; SiLU is x * sigmoid(x), which opset 23 has no operator for."""
    check_activation(function)
    if function in _SIGMOID_PRODUCTS:
        sigmoid = graph.node("Sigmoid", name + ".sigmoid", [x])
        return graph.node("Mul", name, [x, sigmoid])
    operator, attributes = _OPERATORS[function]
    return graph.node(operator, name, [x], **attributes)
