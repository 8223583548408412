#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes everything in examples/models: two trained models and their test data.

    python3 -m venv build/train-venv
    build/train-venv/bin/pip install -r scripts/requirements-train.txt
    build/train-venv/bin/python scripts/train_embedded_models.py

Training takes about half an hour on two cores and is seeded. All data is
generated here, so that all of it may be shipped. Each model is checked against
ONNX Runtime before it is written.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "python")]

from embedded import classifier, glyphs, language, stories  # noqa: E402
from nibble.export import DecoderOptions, LlamaConfig, build_llama  # noqa: E402
from nibble.tokenizer import BOS, Tokenizer  # noqa: E402

START = time.monotonic()


def report(text: str) -> None:
    print(f"[{time.monotonic() - START:6.0f} s] {text}", flush=True)


class Adam:
    """Adam with decoupled weight decay (arXiv:1711.05101), warm-up and cosine decay."""

    BETA1, BETA2, EPS, DECAY, CLIP = 0.9, 0.98, 1e-8, 0.02, 1.0

    @staticmethod
    def rate(step: int, steps: int, peak: float) -> float:
        warm = min(1.0, (step + 1) / 100)
        return peak * warm * 0.5 * (1 + np.cos(np.pi * step / steps))

    @staticmethod
    def start(params):
        zeros = jax.tree.map(np.zeros_like, params)
        return zeros, zeros, 0

    @classmethod
    def step(cls, params, grads, state, rate):
        first, second, count = state
        count += 1
        norm = jnp.sqrt(sum((g * g).sum() for g in jax.tree.leaves(grads)))
        grads = jax.tree.map(lambda g: g * jnp.minimum(1, cls.CLIP / (norm + 1e-6)), grads)
        first = jax.tree.map(lambda m, g: cls.BETA1 * m + (1 - cls.BETA1) * g, first, grads)
        second = jax.tree.map(lambda v, g: cls.BETA2 * v + (1 - cls.BETA2) * g * g, second, grads)

        def update(p, m, v):
            m = m / (1 - cls.BETA1**count)
            v = v / (1 - cls.BETA2**count)
            decay = cls.DECAY if p.ndim > 1 else 0
            return p - rate * (m / (jnp.sqrt(v) + cls.EPS) + decay * p)

        return jax.tree.map(update, params, first, second), (first, second, count)


def check(model: onnx.ModelProto, inputs: dict, expected: np.ndarray) -> np.ndarray:
    """Runs the ONNX model; its `logits` must be `expected` up to float32 rounding."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    logits = session.run(["logits"], inputs)[0]
    error = np.abs(logits - expected).max()
    if error > 1e-3:
        raise SystemExit(f"exported model differs from the trained one by {error}")
    return logits


def make_classifier(out: Path, steps: int) -> dict:
    report("drawing glyphs")
    rng = np.random.default_rng(1)
    parts = [glyphs.make_glyphs(500, rng) for _ in range(80)]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    test, test_labels = glyphs.make_glyphs(1000, np.random.default_rng(2))
    params, stats = classifier.train(images, labels, steps, 3, Adam, report)
    model = classifier.export(params, stats)
    expected, _ = classifier.forward(params, stats, jnp.asarray(test), False)
    logits = check(model, {"images": test}, np.asarray(expected))
    onnx.save(model, out / "glyphs.onnx")
    np.savez_compressed(
        out / "glyphs_test.npz",
        images=np.round(test * 15).astype(np.uint8), labels=test_labels.astype(np.uint8),
    )  # fmt: skip
    accuracy = float((logits.argmax(-1) == test_labels).mean())
    report(f"classifier: {accuracy:.1%} of {len(test)} test images right")
    return {"accuracy": accuracy}


def make_language_model(out: Path, steps: int) -> dict:
    rng = random.Random(4)
    train = [stories.make_story(rng) for _ in range(20000)]
    seen = {stories.story_text(story) for story in train}
    test: list[stories.Story] = []
    rng = random.Random(5)
    while len(test) < 200:
        story = stories.make_story(rng)
        if stories.story_text(story) not in seen:
            test.append(story)
    pieces, scores = stories.learn_pieces(
        [stories.story_text(story) for story in train[:4000]], 384
    )
    tokenizer = Tokenizer(pieces, scores)
    report("tokenizing stories")

    @functools.cache
    def word_tokens(word: str) -> list[int]:
        return tokenizer.encode(word, bos=False)

    def tokenize(text: str) -> list[int]:
        # No piece reaches across a blank, so that words can be split one by one.
        return [token for word in text.split(" ") for token in word_tokens(word)]

    encoded = [[BOS, *tokenize(stories.story_text(story))] for story in train]
    assert encoded[0] == tokenizer.encode(stories.story_text(train[0]))
    text = np.concatenate([np.asarray(tokens, np.int32) for tokens in encoded])
    starts = np.cumsum([0] + [len(tokens) for tokens in encoded[:-1]])

    config = LlamaConfig(
        dim=96, hidden_dim=256, layers=3, heads=6, kv_heads=3,
        vocabulary=len(tokenizer), positions=256,
    )  # fmt: skip
    weights = language.train(config, text, starts, 128, steps, 6, Adam, report)
    plain = DecoderOptions(padding=False, select_logits=False)
    model = build_llama(config, weights, options=plain)

    # Answers are marked token by token; what pads a row is the start token.
    rows = []
    for story in test:
        tokens, marks = [BOS], [False]
        for piece, is_answer in story:
            # The pieces begin with the blank that encode() adds itself.
            part = tokenize(piece.removeprefix(" "))
            tokens += part
            marks += [is_answer] * len(part)
        rows.append((tokens, marks))
    longest = max(len(tokens) for tokens, _ in rows)
    tokens = np.full((len(rows), longest), BOS, np.int16)
    answers = np.zeros((len(rows), longest), bool)
    for i, (row, marks) in enumerate(rows):
        tokens[i, : len(row)], answers[i, : len(row)] = row, marks

    shape = (len(rows), config.kv_heads, 0, config.head_dim)
    inputs = {
        f"past_key_values.{i}.{kind}": np.zeros(shape, np.float32)
        for i in range(config.layers) for kind in ("key", "value")
    }  # fmt: skip
    inputs["input_ids"] = tokens.astype(np.int64)
    inputs["position_ids"] = np.broadcast_to(np.arange(longest), tokens.shape).copy()
    expected = language.forward(config, weights, tokens.astype(np.int32))
    logits = check(model, inputs, np.asarray(expected))
    onnx.save(model, out / "stories.onnx")
    tokenizer.save(out / "stories_tokenizer.bin")
    np.savez_compressed(out / "stories_test.npz", tokens=tokens, answers=answers)

    wrong = (logits[:, :-1].argmax(-1) != tokens[:, 1:]) & answers[:, 1:]
    first = answers & ~np.pad(answers, ((0, 0), (1, 0)))[:, :-1]
    total = int(first.sum())
    # An answer is wrong when one of its tokens is.
    number = np.cumsum(first.ravel()).reshape(first.shape)[:, 1:]
    accuracy = 1 - len(np.unique(number[wrong])) / total
    report(f"language model: {accuracy:.1%} of {total} answers right")
    return {"accuracy": accuracy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "examples/models")
    parser.add_argument("--only", choices=["glyphs", "stories"])
    parser.add_argument("--steps", type=int, help="training steps, for a quick trial")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    facts = args.out / "accuracy.json"
    result = json.loads(facts.read_text()) if facts.exists() else {}
    if args.only != "stories":
        result["glyphs"] = make_classifier(args.out, args.steps or 2000)
    if args.only != "glyphs":
        result["stories"] = make_language_model(args.out, args.steps or 4000)
    facts.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
