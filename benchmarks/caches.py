#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a token over its position: keys and values kept by the model, or passed.

    .venv/bin/python benchmarks/caches.py [MODEL.so] [--positions LENGTH ...]
        [--tokens N] [--rounds 3] [--threads T]

Without a model: one of random weights in the shape of --heads, --width and
--layers, by default that of SmolLM2-135M with few channels elsewhere, so that what
grows with the position is most of the time. The text has as many tokens as
--positions says, and N more are fed one by one. `kept`: the context of the model
keeps keys and values, and a token writes its own. `passed`: they are inputs and
outputs, as arrays in the model's memory, so that each token copies them all. Both
take turns; a figure is the median over tokens and rounds, in milliseconds.
`rest` is what is left of `kept` without attention itself, which reads all keys and
values and so takes as long as there are: it does not grow with the position.
`copied` is what the past takes at that position, in MB.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import evaluation as ev  # noqa: E402
import nibble  # noqa: E402


def make_model(args: argparse.Namespace) -> Path:
    heads, kv_heads = args.heads
    config = nibble.LlamaConfig(
        64, 64, args.layers, heads, kv_heads, 256, 16384, head_size=args.width
    )
    random = np.random.default_rng(0)
    weights = {
        name: (0.1 * random.normal(size=shape)).astype(np.float32)
        for name, shape in config.weight_shapes().items()
    }
    ev.WORK.mkdir(parents=True, exist_ok=True)
    path = ev.WORK / f"caches{heads}_{kv_heads}_{args.width}_{args.layers}.onnx"
    path.write_bytes(nibble.build_llama(config, weights).SerializeToString())
    return ev.compile_model(path, [])


class Kept:
    def __init__(self, model: nibble.Model):
        self._decoder = nibble.Decoder(model)

    def prepare(self, tokens: np.ndarray) -> None:
        self._decoder.reset()
        self._decoder.feed(tokens, last_only=True)

    def feed(self, tokens: np.ndarray) -> None:
        self._decoder.feed(tokens, last_only=True)

    def attention(self) -> float:
        """Seconds in attention up to now."""
        layers = self._decoder.context.profile()
        return sum(layer.seconds for layer in layers if layer.name.endswith("attention"))


class Passed:
    def __init__(self, model: nibble.Model):
        self._model, self._cache = model, {}

    def prepare(self, tokens: np.ndarray) -> None:
        self._cache = nibble.empty_cache(self._model)
        for begin in range(0, tokens.shape[1], 512):
            self.feed(tokens[:, begin : begin + 512])

    def feed(self, tokens: np.ndarray) -> None:
        _, self._cache = nibble.step(self._model, tokens, self._cache, last_only=True, copy=False)

    def megabytes(self) -> float:
        return sum(array.nbytes for array in self._cache.values()) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--heads", type=int, nargs=2, default=[9, 3], metavar=("Q", "KV"))
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--positions", type=int, nargs="*", default=[64, 256, 1024, 4096])
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    model = nibble.Model(args.model or make_model(args), threads=args.threads, profile=True)
    ways = {"kept": Kept(model), "passed": Passed(model)}
    print(f"{'position':>8} {'kept':>8} {'rest':>8} {'passed':>8} {'ratio':>6} {'copied':>7}")
    for position in args.positions:
        text = np.random.default_rng(1).integers(3, 250, (1, position + args.tokens))
        for way in ways.values():
            way.prepare(text[:, :position])
        times = {name: [] for name in [*ways, "rest"]}
        for number in range(args.rounds * args.tokens):
            token = text[:, position + number % args.tokens, None]
            for name, way in ways.items():
                before = ways["kept"].attention()
                start = time.perf_counter()
                way.feed(token)
                times[name].append(time.perf_counter() - start)
                if name == "kept":
                    inside = ways["kept"].attention() - before
                    times["rest"].append(times["kept"][-1] - inside)
        kept, passed, rest = (statistics.median(found) * 1e3 for found in times.values())
        size = ways["passed"].megabytes()
        print(
            f"{position:>8} {kept:>8.2f} {rest:>8.2f} {passed:>8.2f} {passed / kept:>6.2f} "
            f"{size:>7.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
