# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention: all float types against float64, and memory that does not grow with scores."""

import json
import os
import subprocess
import sys
import unittest

import ml_dtypes
import numpy as np
import onnx
import support as s
from nibble import Model, NibbleError
from onnx import TensorProto as T
from onnx import helper as h

HEADS, KV_HEADS, WIDTH = 6, 2, 20

# Prints by how many kB the most memory that the process has had grows in a run.
PROGRAM = """
import json, resource, sys, numpy as np, nibble
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model, tokens = nibble.Model(sys.argv[1], threads=2), int(sys.argv[2])
x = np.random.default_rng(1).standard_normal((1, tokens, 32), np.float32)
out = np.empty_like(x)
before = most()
y = model.run({"q": x, "k": x, "v": x})["y"]
print(json.dumps({"growth": most() - before, "finite": bool(np.isfinite(y).all())}))
"""


def compile_attention(name: str, inputs, outputs, options=(), **attributes):
    node = h.make_node("Attention", [i[0] for i in inputs], [o[0] for o in outputs], name="attn",
                       **attributes)  # fmt: skip
    values = [[h.make_tensor_value_info(*v) for v in side if v[0]] for side in (inputs, outputs)]
    model = h.make_model(
        h.make_graph([node], name, *values), opset_imports=[h.make_opsetid("", 24)], ir_version=12
    )
    s.WORK.mkdir(parents=True, exist_ok=True)
    path = s.WORK / f"{name}.onnx"
    onnx.save(model, path)
    return s.compile_model(path, list(options), fresh=True)


def exact(q, k, v, mask, past: int) -> np.ndarray:
    """Causal attention in float64; keys and values are repeated for their group."""
    q, k, v, mask = (x.astype(np.float64) for x in (q, k, v, mask))
    k, v = (np.repeat(x, HEADS // KV_HEADS, axis=1) for x in (k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(WIDTH)
    hidden = np.full(scores.shape, -np.inf)
    covered = mask.shape[-1]
    hidden[..., :covered] = np.broadcast_to(mask, (*scores.shape[:-1], covered))
    rows, columns = np.indices(scores.shape[-2:])
    scores = np.where(columns <= rows + past, scores + hidden, -np.inf)
    most = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(most), 0, most))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total) @ v


class Attention(unittest.TestCase):
    def check_type(self, kind: int, dtype, tolerance: float, options=()):
        def value(name, heads, tokens):
            return name, kind, ["b", heads, tokens, WIDTH]

        binary = compile_attention(
            f"attention_{np.dtype(dtype).name}",
            [value("q", HEADS, "s"), value("k", KV_HEADS, "s"), value("v", KV_HEADS, "s"),
             ("mask", kind, ["s", "m"]), value("pk", KV_HEADS, "p"), value("pv", KV_HEADS, "p")],
            [value("y", HEADS, "s"), value("K", KV_HEADS, "t"), value("V", KV_HEADS, "t")],
            options, is_causal=1,
        )  # fmt: skip
        rng = np.random.default_rng(3)
        with Model(binary, threads=2) as model:
            for batch, new, past in [(2, 1, 70), (1, 5, 0), (2, 50, 0), (1, 40, 37)]:
                def draw(heads, tokens):
                    return rng.standard_normal((batch, heads, tokens, WIDTH)).astype(dtype)

                given = {"q": draw(HEADS, new), "pk": draw(KV_HEADS, past),
                         "pv": draw(KV_HEADS, past), "k": draw(KV_HEADS, new),
                         "v": draw(KV_HEADS, new)}  # fmt: skip
                # Shorter than the keys; the first row sees nothing.
                mask = rng.standard_normal((new, past + new - (new > 1)))
                mask[0] = -np.inf if new > 1 else mask[0]
                found = model.run({**given, "mask": mask.astype(dtype)})
                keys, values = (
                    np.concatenate([given["p" + n], given[n]], 2) for n in ("k", "v")
                )
                np.testing.assert_array_equal(found["K"], keys)
                wanted = exact(given["q"], keys, values, mask.astype(dtype), past)
                np.testing.assert_allclose(
                    found["y"].astype(np.float64), wanted, atol=tolerance, rtol=tolerance,
                    err_msg=f"batch {batch}, {new} tokens after {past}",
                )  # fmt: skip

    def test_float32(self):
        self.check_type(T.FLOAT, np.float32, 3e-6)

    def test_float32_without_vector_instructions(self):
        self.check_type(T.FLOAT, np.float32, 3e-6, ["--march=x86-64"])

    def test_float64(self):
        self.check_type(T.DOUBLE, np.float64, 1e-13)

    def test_float16(self):
        self.check_type(T.FLOAT16, np.float16, 2e-3)

    def test_bfloat16(self):
        self.check_type(T.BFLOAT16, ml_dtypes.bfloat16, 2e-2)

    def test_memory_of_a_long_prompt(self):
        """Scores of 8192 tokens and 2 heads would take 512 MiB."""

        def value(name):
            return name, T.FLOAT, [1, "s", 32]

        binary = compile_attention(
            "attention_long", [value("q"), value("k"), value("v")], [value("y")],
            is_causal=1, q_num_heads=2, kv_num_heads=2,
        )  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(s.ROOT / "python")}
        for tokens in (1024, 8192):
            command = [sys.executable, "-c", PROGRAM, str(binary), str(tokens)]
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=120, env=environment
            )
            self.assertEqual(run.returncode, 0, run.stderr)
            found = json.loads(run.stdout)
            self.assertTrue(found["finite"])
            # The result, and stacks of threads.
            self.assertLess(found["growth"], tokens * 32 * 4 / 1024 + 3000, f"kB, {tokens} tokens")

    def test_mask_that_is_too_long(self):
        def value(name):
            return name, T.FLOAT, [1, 1, "s", 8]

        binary = compile_attention(
            "attention_mask", [value("q"), value("k"), value("v"), ("m", T.BOOL, ["m"])],
            [value("y")],
        )  # fmt: skip
        x = np.zeros((1, 1, 3, 8), np.float32)
        with Model(binary, threads=1) as model:
            with self.assertRaisesRegex(NibbleError, "attn: the mask is longer than the keys"):
                model.run({"q": x, "k": x, "v": x, "m": np.ones(4, bool)})


if __name__ == "__main__":
    unittest.main()
