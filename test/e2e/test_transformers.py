# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operators of transformers in com.microsoft, one at a time, beside ONNX Runtime."""

import unittest

import numpy as np
import support as s
from test_microsoft import Case


def constant(array):
    return array, True


def given(array):
    return array, False


class Attention(Case):
    def mask(self, *shape):
        """Integers 0 and 1 of which every row has a 1."""
        mask = (self.rng.random(shape) < 0.7).astype(np.int32)
        mask[..., 0] = 1
        return mask

    def test_group_query(self):
        """Prompts and steps of texts of different lengths, in caches of all kinds."""
        steps = [
            (5, 0, [5, 5]),  # a prompt
            (5, 0, [5, 3]),  # padded on the right
            (5, 9, [5, 4]),  # in a buffer with room
            (1, 6, [7, 7]),  # a step behind a past of its length
            (1, 6, [7, 4]),  # of different lengths
            (1, 11, [7, 4]),  # in a buffer with room
            (4, 6, [10]),  # more tokens than one, which is defined for one text
            (4, 12, [10]),
        ]
        for packed, label, attributes in [
            (False, "plain", {}),
            (True, "rotary", {"do_rotary": 1}),
            (False, "interleaved", {"do_rotary": 1, "rotary_interleaved": 1}),
            (True, "window", {"local_window_size": 3}),
            (True, "scaled", {"scale": 0.7, "softcap": 2.0}),
            (False, "smooth", {"smooth_softmax": 1}),
            (True, "all", {"causal": 0}),
        ]:
            self.group_query(label, attributes, packed, 4, 2, 16, steps)

    def test_group_query_windowed(self):
        """Caches that keep some of the last positions, with and without slack."""
        window = 4
        steps = [
            (5, 7, [5, 5]),  # a prompt
            (9, 7, [9, 9]),  # more than there is room for
            (1, 7, [8, 6]),  # full
            (1, 7, [12, 9]),
            (1, 4, [12, 9]),  # without slack
            (3, 7, [10]),
            (9, 7, [14]),
        ]

        def kept(tokens, past):
            run = past - window + 1
            return tokens - run * max(0, -((past - tokens) // run))

        attributes = {"local_window_size": window, "sliding_window_cache": 1, "do_rotary": 1}
        self.group_query("windowed", attributes, True, 4, 2, 16, steps, kept)

    def group_query(self, label, attributes, packed, heads, kv_heads, size, steps,
                    kept=lambda tokens, past: tokens):  # fmt: skip
        caches = [constant(self.floats(16, size // 2)) for _ in range(2)]

        def inputs(length, past, ends):
            batch = len(ends)
            width = (heads + 2 * kv_heads if packed else heads) * size
            values = [given(self.floats(batch, length, width))]
            values += [None if packed else given(self.floats(batch, length, kv_heads * size))
                       for _ in range(2)]  # fmt: skip
            values += [given(self.floats(batch, kv_heads, past, size)) for _ in range(2)]
            values += [given(np.array(ends, np.int32) - 1), given(np.array(max(ends), np.int32))]
            return values + (caches if attributes.get("do_rotary") else [])

        attributes = attributes | {"num_heads": heads, "kv_num_heads": kv_heads}
        results = ["y", "k", "v"]
        # Sizes of which each stands for one dimension.
        path, _ = self.save("GroupQueryAttention", inputs(7, 9, [3, 3, 3]), results, 21, label,
                            "com.microsoft", {3, 7, 9}, attributes)  # fmt: skip
        reference, model = s.Reference(path), s.load(path)
        for length, past, ends in steps:
            prompt = max(ends) == length

            def defined(name, array):
                # Not what stands behind the end of a text, or belongs to its padding.
                parts = []
                for text, end in enumerate(ends):
                    rows = end if name == "y" else kept(end, past)
                    stop = None if name == "y" and not prompt else rows
                    parts.append(array[text, :stop] if name == "y" else array[text, :, :stop])
                return np.concatenate([part.ravel() for part in parts])

            with self.subTest(label, length=length, past=past, ends=ends):
                values = inputs(length, past, ends)
                feeds = {f"x{i}": v[0] for i, v in enumerate(values) if v and not v[1]}
                self.compare(reference, model, feeds, defined=defined)

    def test_group_query_without_past(self):
        q, k, v = (given(self.floats(1, 6, n * 16)) for n in (4, 2, 2))
        ends, total = given(np.array([5], np.int32)), given(np.array(6, np.int32))
        self.check("GroupQueryAttention", [q, k, v, None, None, ends, total], ["y", "k", "v"],
                   num_heads=4, kv_num_heads=2)  # fmt: skip

    def test_group_query_bias(self):
        q, k, v = (given(self.floats(2, 5, n * 16)) for n in (4, 2, 2))
        past = [given(self.floats(2, 2, 0, 16)) for _ in range(2)]
        ends, total = given(np.array([4, 4], np.int32)), given(np.array(5, np.int32))
        bias, sink = given(self.floats(1, 4, 5, 5)), constant(self.floats(4))
        common = [q, k, v, *past, ends, total, None, None, None]
        self.check("GroupQueryAttention", [*common, bias], ["y", "k", "v"], num_heads=4,
                   kv_num_heads=2)  # fmt: skip
        self.check("GroupQueryAttention", [*common, None, sink], ["y", "k", "v"], label="sink",
                   num_heads=4, kv_num_heads=2)  # fmt: skip

    def test_multi_head(self):
        q, k, v = (given(self.floats(2, n, 32)) for n in (5, 7, 7))
        wide, bias = given(self.floats(2, 7, 48)), constant(self.floats(96))
        attention_bias = given(self.floats(1, 4, 5, 7))
        op, dynamic = "MultiHeadAttention", {5, 7}

        def check(label, *inputs, **attributes):
            self.check(op, inputs, label=label, dynamic=dynamic, num_heads=4, **attributes)

        check("plain", q, k, v)
        check("values", q, k, wide)
        check("scaled", q, k, v, bias, scale=0.3)
        check("causal", q, given(self.floats(2, 5, 32)), given(self.floats(2, 5, 32)),
              unidirectional=1)  # fmt: skip
        check("bias", q, k, v, None, None, attention_bias)
        check("mask", q, k, v, bias, given(self.mask(2, 7)))
        check("mask3", q, k, v, None, given(self.mask(2, 5, 7)))
        check("both", q, k, v, None, given(self.mask(2, 7)), attention_bias)
        check("filter", q, k, v, None, given(self.mask(2, 7)), mask_filter_value=-2.0)
        check("lengths", q, k, v, None, given(np.array([7, 4], np.int32)))
        ready = [given(self.floats(2, 4, 7, 8)) for _ in range(2)]
        check("ready", q, *ready)

    def test_multi_head_past(self):
        q, k, v = (given(self.floats(2, 3, 32)) for _ in range(3))
        past = [given(self.floats(2, 4, 5, 8)) for _ in range(2)]
        for label, mask in [("", None), ("mask", given(self.mask(2, 8)))]:
            self.check("MultiHeadAttention", [q, k, v, None, mask, None, *past], ["y", "k", "v"],
                       label=label, dynamic={3, 5, 8}, num_heads=4, unidirectional=1)  # fmt: skip

    def test_attention(self):
        x, w, b = given(self.floats(2, 5, 24)), constant(self.floats(24, 96)), self.floats(96)
        b = constant(b)
        bias = given(self.floats(2, 1, 5, 5))
        for label, mask in [
            ("plain", None),
            ("mask", self.mask(2, 5)),
            ("mask3", self.mask(2, 5, 5)),
            ("ends", np.array([5, 3], np.int32)),
            ("starts", np.array([5, 4, 0, 2], np.int32)),
        ]:
            mask = None if mask is None else given(mask)
            for causal in (0, 1):
                self.check("Attention", [x, w, b, mask], label=f"{label}{causal}", dynamic={5},
                           num_heads=4, unidirectional=causal)  # fmt: skip
        self.check("Attention", [x, w, b, None, None, bias], label="bias", num_heads=4, scale=0.4)
        w, b = constant(self.floats(24, 80)), constant(self.floats(80))
        self.check("Attention", [x, w, b], label="widths", num_heads=4,
                   qkv_hidden_sizes=[32, 32, 16])  # fmt: skip

    def test_attention_past(self):
        x, w, b = given(self.floats(2, 3, 24)), constant(self.floats(24, 96)), self.floats(96)
        past = given(self.floats(2, 2, 4, 5, 8))
        for label, mask in [("", None), ("mask", given(self.mask(2, 8)))]:
            self.check("Attention", [x, w, constant(b), mask, past], ["y", "p"], label=label,
                       dynamic={3, 5}, num_heads=4, unidirectional=1)  # fmt: skip


class Others(Case):
    def test_rotary(self):
        caches = [constant(self.floats(20, 4)) for _ in range(2)]
        flat, heads = given(self.floats(2, 3, 32)), given(self.floats(2, 4, 3, 8))
        some = given(self.rng.integers(0, 20, (2, 3)))
        first = given(np.array([7]))
        for label, x, positions, attributes in [
            ("flat", flat, some, {}),
            ("heads", heads, some, {}),
            ("first", flat, first, {}),
            ("first4", heads, first, {}),
            ("interleaved", flat, some, {"interleaved": 1}),
            ("partial", flat, some, {"num_heads": 2, "rotary_embedding_dim": 8}),
        ]:
            self.check("RotaryEmbedding", [x, positions, *caches], label=label, dynamic={3},
                       **attributes)  # fmt: skip

    def test_rms_norm(self):
        x, scale = given(self.floats(2, 3, 16)), constant(self.floats(16))
        self.check("SimplifiedLayerNormalization", [x, scale], domain="", epsilon=1e-3, axis=-1,
                   results=["y", "inverse"], stash_type=1)  # fmt: skip

    def test_embed_norm(self):
        tables = [constant(self.floats(n, 16)) for n in (30, 9, 2)]
        gamma, beta = constant(self.floats(16)), constant(self.floats(16))
        ids = given(self.rng.integers(0, 30, (2, 5)).astype(np.int32))
        kinds = given(self.rng.integers(0, 2, (2, 5)).astype(np.int32))
        places = given(self.rng.integers(0, 9, (2, 5)).astype(np.int32))
        mask = given(np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32))
        op, results = "EmbedLayerNormalization", ["y", "n", "sum"]
        self.check(op, [ids, kinds, *tables, gamma, beta, mask], results, dynamic={5})
        self.check(op, [ids, None, *tables[:2], None, gamma, beta], results, label="words")
        self.check(op, [ids, kinds, *tables, gamma, beta, None, places], results, label="places",
                   epsilon=1e-3)  # fmt: skip


if __name__ == "__main__":
    unittest.main()
