# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rotary position embedding (Su et al., arXiv:2104.09864) and its scalings.

Component pair i of a head turns by position * frequency[i]. A scaling changes
the frequencies, so that a model reads longer texts than it was trained on:

    linear   all frequencies divided by a factor (Chen et al., arXiv:2306.15595)
    dynamic  a larger base, by the length of the text ("NTK-aware")
    llama3   low frequencies divided, high ones kept, a ramp between (Llama 3.1)
    yarn     a ramp over the number of turns, and larger scores
             (Peng et al., arXiv:2309.00071)
    factors  a divisor for each pair, as GGUF files have them

All of them but `dynamic` give tables; that one is computed in the graph, because
it depends on the text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Mapping

import numpy as np

from ..errors import NibbleError
from .graph import GraphBuilder

KINDS = ("default", "linear", "dynamic", "llama3", "yarn", "factors")

_OPTIONAL = (
    "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor", "mscale",
    "mscale_all_dim",
)  # fmt: skip


@dataclass(frozen=True)
class Rope:
    """How a model turns its queries and keys.

    Args of `parameters` are those of Hugging Face's `rope_parameters`: `factor`,
    `original_max_position_embeddings` and so on.
    """

    theta: float = 10000.0
    kind: str = "default"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise NibbleError(
                f"rope scaling '{self.kind}' is not supported; known are {', '.join(KINDS)}"
            )
        if not self._is_positive(self.theta) or self.theta == 1:
            raise NibbleError(f"rope theta is {self.theta}, expected a number above 0, not 1")
        wanted = () if self.kind in ("default", "factors") else ("factor",)
        if self.kind == "llama3":
            wanted += ("low_freq_factor", "high_freq_factor")
        for name in (*wanted, *_OPTIONAL):
            value = self.parameters.get(name)
            if (name in wanted or value is not None) and not self._is_positive(value):
                raise NibbleError(
                    f"rope scaling '{self.kind}': {name} is {value}, expected a number above 0"
                )
        if self.kind == "llama3" and not (
            self.parameters["low_freq_factor"] < self.parameters["high_freq_factor"]
        ):
            raise NibbleError(
                "rope scaling 'llama3': low_freq_factor is not below high_freq_factor"
            )

    @staticmethod
    def _is_positive(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0

    def frequencies(self, dim: int, positions: int) -> np.ndarray:
        """Radians per position of each pair, float64 [dim / 2].

        `positions` is the model's longest text, which some scalings refer to.
        """
        plain = self.theta ** -(np.arange(0, dim, 2, dtype=np.float64) / dim)
        p = self.parameters
        if self.kind == "linear":
            return plain / p["factor"]
        if self.kind == "factors":
            return plain / p["factors"]
        trained = p.get("original_max_position_embeddings") or positions
        if self.kind == "llama3":
            turns = trained * plain / (2 * math.pi)
            low, high = p["low_freq_factor"], p["high_freq_factor"]
            keep = np.clip((turns - low) / (high - low), 0, 1)
            return plain * (keep + (1 - keep) / p["factor"])
        if self.kind == "yarn":
            keep = 1 - self._yarn_ramp(dim, trained)
            return plain * (keep + (1 - keep) / p["factor"])
        return plain

    def _yarn_ramp(self, dim: int, trained: int) -> np.ndarray:
        """0 for pairs that turn often within the trained length, 1 for those that do not."""

        def pair_that_turns(times: float) -> float:
            return dim * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(self.theta))

        low = pair_that_turns(self.parameters.get("beta_fast") or 32)
        high = pair_that_turns(self.parameters.get("beta_slow") or 1)
        if self.parameters.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, dim - 1)
        if low == high:
            high += 0.001
        return np.clip((np.arange(dim // 2) - low) / (high - low), 0, 1)

    @property
    def amplitude(self) -> float:
        """What cosines and sines are multiplied by; only `yarn` has one but 1."""
        if self.kind != "yarn":
            return 1.0
        p = self.parameters
        if p.get("attention_factor") is not None:
            return float(p["attention_factor"])

        def growth(weight: float) -> float:
            return 0.1 * weight * math.log(p["factor"]) + 1 if p["factor"] > 1 else 1.0

        if p.get("mscale") and p.get("mscale_all_dim"):
            return growth(p["mscale"]) / growth(p["mscale_all_dim"])
        return growth(1)

    def tables(self, dim: int, positions: int) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and sines, float32 [positions, dim / 2]."""
        angles = np.outer(np.arange(positions), self.frequencies(dim, positions))
        return tuple((self.amplitude * f(angles)).astype(np.float32) for f in (np.cos, np.sin))


def rope_inputs(graph: GraphBuilder, rope: Rope, dim: int, positions: int) -> list[str]:
    """Adds what `RotaryEmbedding` takes after its first input, once for all layers."""
    if rope.kind != "dynamic":
        for name, table in zip(("rope.cos", "rope.sin"), rope.tables(dim, positions)):
            graph.weight(name, table)
        return ["rope.cos", "rope.sin", "position_ids"]
    return _dynamic_inputs(graph, rope, dim, positions)


def _dynamic_inputs(g: GraphBuilder, rope: Rope, dim: int, positions: int) -> list[str]:
    """theta * (factor * n / positions - (factor - 1)) ^ (dim / (dim - 2)) as the base, where
    n is the length of the text, at least `positions`."""

    def number(name: str, value: float | list[float]) -> str:
        return g.constant("rope." + name, np.asarray(value, np.float32))

    factor = float(rope.parameters["factor"])
    last = g.node("ReduceMax", "rope.last", ["position_ids"], keepdims=0)
    last = g.node("Cast", "rope.last_float", [last], to=1)
    length = g.node("Add", "rope.length", [last, number("one", 1)])
    length = g.node("Max", "rope.trained_or_longer", [length, number("trained", positions)])
    stretch = g.node("Mul", "rope.scaled", [length, number("slope", factor / positions)])
    stretch = g.node("Sub", "rope.stretch", [stretch, number("offset", factor - 1)])
    stretch = g.node("Pow", "rope.growth", [stretch, number("power", dim / (dim - 2))])
    base = g.node("Mul", "rope.base", [stretch, number("theta", rope.theta)])
    exponents = number("exponents", list(-np.arange(0, dim, 2) / dim))
    frequencies = g.node("Pow", "rope.frequencies", [base, exponents])
    axis = g.constant("rope.axis", np.asarray([-1], np.int64))
    where = g.node("Cast", "rope.positions", ["position_ids"], to=1)
    where = g.node("Unsqueeze", "rope.column", [where, axis])
    angles = g.node("Mul", "rope.angles", [where, frequencies])
    return [g.node("Cos", "rope.cos", [angles]), g.node("Sin", "rope.sin", [angles]), ""]
