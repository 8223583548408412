#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes test/unit/Calibration/Inputs/ranges.txt: the ranges that ONNX Runtime's calibrators
choose for our random values.

    pip install onnxruntime onnx numpy
    scripts/golden_ranges.py

Arrays are written as `NAME TYPE DIMENSION...` and a line of hexadecimal numbers, bit patterns of
floats (f32) or integers (u32).
"""

import contextlib
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
from onnxruntime.quantization import calibrate

OUT = Path(__file__).resolve().parent.parent / "test/unit/Calibration/Inputs/ranges.txt"


def values(random) -> dict[str, np.ndarray]:
    """What activations look like, and what is hard to get right; [batches, elements]."""
    shape = (6, 300)
    outliers = random.standard_normal(shape)
    outliers[3, 7], outliers[5, 9] = 40, -25
    growing = random.standard_normal(shape) * np.geomspace(0.01, 10, 6)[:, None]
    return {
        "normal": random.standard_normal(shape),
        "relu": np.maximum(random.standard_normal(shape), 0),
        "laplace": random.laplace(0.3, 1, shape),
        "outliers": outliers,
        "growing": growing,
        "shrinking": growing[::-1],
        "positive": random.uniform(3, 5, shape),
        "negative": -random.exponential(1, shape),
        "tiny": random.standard_normal(shape) * 1e-30,
    }


def collect(method: str, batches, bins: int, percentile: float = 99.999, symmetric: bool = False):
    """The range for all values at once, as quantize_static calibrates, and the histogram."""
    collector = calibrate.HistogramCollector(method, symmetric, bins, 128, percentile, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        collector.collect({"x": [batch for batch in batches]})
        chosen = collector.compute_collection_result()["x"]
    counts, edges = collector.get_histogram_dict()["x"][:2]
    return np.float32(chosen[:2]), counts.astype(np.uint32), np.float32(edges[[0, -1]])


def moving_average(batches, constant: float) -> np.ndarray:
    """A calibrator that is given one batch after the other."""
    self = SimpleNamespace(moving_average=True, averaging_constant=constant)
    merged = None
    for batch in batches:
        now = {"x": (batch.min(), batch.max())}
        merged = calibrate.MinMaxCalibrater.merge_range(self, merged, now)
    return np.float32(merged["x"])


def main() -> int:
    random = np.random.default_rng(20261122)
    with open(OUT, "w", encoding="ascii") as file:

        def add(name: str, array: np.ndarray) -> None:
            kind = {"float32": "f32", "uint32": "u32"}[array.dtype.name]
            words = " ".join(f"{word:x}" for word in array.view(np.uint32).ravel())
            file.write(f"{name} {kind} {' '.join(map(str, array.shape))}\n{words}\n")

        file.write(f"# onnxruntime {onnxruntime.__version__}\n")
        for name, batches in values(random).items():
            batches = np.ascontiguousarray(batches, np.float32)
            add(name, batches)
            add(f"{name}.average", moving_average(batches, 0.01))
            for percentile in (99.9, 99.99, 99.999):
                for symmetric in (True, False):
                    key = f"{name}.percentile.{percentile}.{'s' if symmetric else 'a'}"
                    chosen, counts, ends = collect(
                        "percentile", batches, 2048, percentile, symmetric
                    )
                    add(key, chosen)
                    if percentile == 99.9:
                        add(f"{key}.counts", counts)
                        add(f"{key}.ends", ends)
            for bins in (128, 512, 2048):
                chosen, counts, ends = collect("entropy", batches, bins)
                add(f"{name}.entropy.{bins}", chosen)
                add(f"{name}.entropy.{bins}.counts", counts)
                add(f"{name}.entropy.{bins}.ends", ends)
    print(f"{OUT}: {OUT.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
