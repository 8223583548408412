# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What methods_table.py asks of a peer, and how its answer is measured."""

from __future__ import annotations

import importlib
import os
import time
from dataclasses import dataclass

import evaluation as ev
import nibble
import numpy as np
from methods_models import CALIBRATION_WINDOW, Settings, Subject
from methods_torch import Exported


def require(*packages: str) -> None:
    """ev.Missing that names the first package that is not there."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            name = error.name or package
            raise ev.Missing(f"the Python package {name} is not installed") from None


def _peak_memory() -> int:
    """Largest memory of this process so far, in bytes.

    Not getrusage: that knows of the process that started this one.
    """
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise nibble.NibbleError("/proc/self/status has no VmHWM")


class Clock:
    """Seconds of this process, from its making to `stop`."""

    def __init__(self):
        self._start, self._processor = time.perf_counter(), self._used()

    @staticmethod
    def _used() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    def stop(self) -> dict[str, float]:
        return {
            "seconds": time.perf_counter() - self._start,
            "processor": self._used() - self._processor,
            "peak": _peak_memory(),
        }


@dataclass
class Request:
    subject: Subject
    recipe: dict
    settings: Settings

    def samples(self) -> np.ndarray:
        """Tokens to calibrate on, [samples, window]."""
        if not self.subject.tokens:
            raise ev.Missing("there is no text to calibrate on")
        return self.subject.tokens().reshape(-1, CALIBRATION_WINDOW)

    def judge(
        self, exported: Exported, weights: dict[str, np.ndarray], size: float, taken: dict
    ) -> dict:
        """The answer for linear layers that take `size` bytes and stand for `weights`."""
        bits = 8 * size / exported.count
        exported.linear.clear()
        quality = self.subject.quality(exported.torch_model(weights))
        return {"bits": bits, **taken, "quality": quality}
