# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights under the names that the architectures of this package use.

Every file format has its own names. `NamedWeights` holds a model's weights under
ours, and checks that each one is there, has its shape, and that none is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import NibbleError
from .tensors import Weight


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, not more of them than a reader wants."""
    names = list(names)
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


# No model comes near these; a damaged file may.
_MOST = {"layers": 1 << 12, "positions": 1 << 24}


def check_sizes(config: Any, *names: str) -> None:
    """NibbleError when one of a config's sizes is no whole number above zero, or absurd."""
    for name in names:
        value, most = getattr(config, name), _MOST.get(name, 1 << 28)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            raise NibbleError(
                f"model config: {name} is {value}, expected a whole number from 1 to {most}"
            )
    if not config.eps > 0:
        raise NibbleError(f"model config: eps is {config.eps}, expected more than 0")


class NamedWeights:
    """The weights of one model, by name.

    Args:
      weights: arrays or `Weight`s by the names of the architecture.
      shapes: shape of every weight that the architecture may have.
      optional: names of those that may be missing.

    Raises:
      NibbleError: weights are missing, unknown or of another shape; all of them
        are listed.
    """

    def __init__(
        self,
        weights: Mapping[str, Weight | np.ndarray],
        shapes: Mapping[str, tuple[int, ...]],
        optional: Iterable[str] = (),
    ):
        self._weights = {
            name: weight if isinstance(weight, Weight) else Weight.of(weight)
            for name, weight in weights.items()
        }
        optional = set(optional)
        problems = []
        missing = [name for name in shapes if name not in weights and name not in optional]
        if missing:
            problems.append(f"weights are missing: {listed(missing)}")
        if unknown := [name for name in weights if name not in shapes]:
            problems.append(f"weights that no layer takes: {listed(unknown)}")
        for name, weight in self._weights.items():
            if name in shapes and weight.shape != tuple(shapes[name]):
                problems.append(
                    f"weight {name} has shape {list(weight.shape)}, expected {list(shapes[name])}"
                )
        if problems:
            raise NibbleError("; ".join(problems))

    def __getitem__(self, name: str) -> Weight:
        return self._weights[name]

    def __contains__(self, name: str) -> bool:
        return name in self._weights

    def get(self, name: str) -> Weight | None:
        return self._weights.get(name)
