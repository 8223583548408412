# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys and values in the context of a model: appended, updated in place, cut off."""

import json
import threading
import unittest
from types import SimpleNamespace

import numpy as np
import support as s
from nibble import (
    Context,
    ContextOverflowError,
    Decoder,
    LlamaConfig,
    NibbleError,
    build_llama,
    empty_cache,
    step,
)
from test_python import Temporary

TOKENS = np.random.default_rng(5).integers(3, 380, (2, 90))


class Stories(unittest.TestCase):
    def setUp(self):
        self.model = s.load(s.MODELS / "stories.onnx", threads=1)
        self.want, self.cache = step(self.model, TOKENS, empty_cache(self.model, 2))

    def close(self, got, want):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)

    def test_any_pieces_give_the_same(self):
        for chunk, ends in ((512, [90]), (7, [90]), (512, [31, 32, 33, 34, 80, 90])):
            decoder = Decoder(self.model, 2, chunk=chunk)
            begins = [0, *ends[:-1]]
            got = [decoder.feed(TOKENS[:, a:b]) for a, b in zip(begins, ends)]
            self.close(np.concatenate(got, 1), self.want)
            self.assertEqual(decoder.cache_state.length, 90)

    def test_both_ways_keep_the_same(self):
        context = self.model.context()
        self.assertIsInstance(context, Context)
        decoder = Decoder(self.model, 2)
        decoder.feed(TOKENS)
        for name, array in self.cache.items():
            np.testing.assert_array_equal(decoder._context.read_cache(name), array)
        last = Decoder(self.model, 2).feed(TOKENS, last_only=True)
        self.close(last, self.want[:, -1:])

    def test_truncate_and_reset(self):
        decoder = Decoder(self.model, 2)
        decoder.feed(TOKENS[:, :50])
        decoder.truncate(20)
        self.close(decoder.feed(TOKENS[:, 20:]), self.want[:, 20:])
        decoder.reset(1)
        self.close(decoder.feed(TOKENS[1:]), self.want[1:])

    def test_goes_on_after_an_interrupt(self):
        decoder = Decoder(self.model, 2)
        decoder.feed(TOKENS[:, :50])
        decoder.feed(TOKENS[:, 10:20])
        # As when the interrupt comes between the run and the count.
        decoder.length = 50
        self.close(decoder.feed(TOKENS[:, 50:]), self.want[:, 50:])

    def test_arrays_again_when_nothing_is_kept(self):
        context = self.model.context()
        context.keep_caches()
        with self.assertRaises(NibbleError):
            context.keep_caches(reserve=1 << 40)
        cache = empty_cache(self.model)
        dense = SimpleNamespace(input_shapes=self.model.input_shapes, run=context.run)
        _, present = step(dense, TOKENS[:1], cache)
        self.assertEqual(set(present), set(cache))

    def test_overflow_and_bad_tokens(self):
        context = self.model.context()
        context.keep_caches(limit=40)
        known = set(self.model.input_shapes)

        def feed(tokens):
            count = tokens.shape[1]
            total = context.cache_state.length + count
            inputs = {
                "input_ids": tokens,
                "attention_mask": np.ones((1, total), np.int64),
                "position_ids": np.arange(total - count, total)[None],
                "logit_positions": np.arange(count),
            }
            return context.run({name: inputs[name] for name in known & set(inputs)})["logits"]

        self.close(feed(TOKENS[:1, :38]), self.want[:1, :38])
        with self.assertRaisesRegex(ContextOverflowError, "41 positions do not fit .* 40"):
            feed(TOKENS[:1, 38:41])
        with self.assertRaisesRegex(NibbleError, "table of 384 rows, got 999"):
            feed(np.asarray([[999]]))
        # Neither left anything behind.
        self.close(feed(TOKENS[:1, 38:40]), self.want[:1, 38:40])
        with self.assertRaisesRegex(ContextOverflowError, "90 tokens do not fit .* 64"):
            Decoder(self.model, 2, limit=64).feed(TOKENS)

    def test_texts_side_by_side(self):
        """Contexts of one model in turns, and one that goes from thread to thread."""
        decoders = [Decoder(self.model), Decoder(self.model)]
        for i in range(0, 60, 20):
            for row, decoder in enumerate(decoders):
                got = decoder.feed(TOKENS[row : row + 1, i : i + 20])
                self.close(got, self.want[row : row + 1, i : i + 20])
        found = []
        thread = threading.Thread(target=lambda: found.append(decoders[0].feed(TOKENS[:1, 60:])))
        thread.start()
        thread.join()
        self.close(found[0], self.want[:1, 60:])

    def test_info(self):
        path = s.compile_model(s.MODELS / "stories.onnx", [])
        info = json.loads(s.run_tool("nibble-run", path, "--info").stdout)
        self.assertEqual(len(info["caches"]), len(self.model.caches))
        self.assertEqual(info["caches"][0]["axis"], 2)
        self.assertEqual(info["caches"][0]["input"], self.model.caches[0].input)


class Padding(Temporary):
    def test_left_padding(self):
        config = LlamaConfig(32, 64, 2, 4, 2, 50, 128)
        random = np.random.default_rng(3)
        weights = {
            name: (0.2 * random.normal(size=shape)).astype(np.float32)
            for name, shape in config.weight_shapes().items()
        }
        path = self.folder / "llama.onnx"
        path.write_bytes(build_llama(config, weights).SerializeToString())
        model, tokens = s.load(path), TOKENS % 50
        mask = np.ones(tokens.shape, np.int64)
        mask[0, :9] = 0
        for chunk in (512, 16):
            padded = Decoder(model, 2, chunk=chunk)
            got = [padded.feed(tokens[:, :40], mask=mask[:, :40]), padded.feed(tokens[:, 40:])]
            for row, pad in ((0, 9), (1, 0)):
                alone = Decoder(model).feed(tokens[row : row + 1, pad:])[0]
                found = np.concatenate(got, 1)[row, pad:]
                np.testing.assert_allclose(found, alone, rtol=0, atol=1e-4)


class Scatter(Temporary):
    """TensorScatter into a cache of fixed size, read with the number of valid keys."""

    SIZES = batch, heads, room, width = 2, 2, 16, 4

    def build(self, mode="linear", room=None):
        import onnx
        from onnx import TensorProto as t
        from onnx import helper as h

        def value(name, *shape):
            return h.make_tensor_value_info(name, t.FLOAT, shape)

        cache = ("b", self.heads, room or self.room, self.width)
        fresh = ("b", self.heads, "s", self.width)
        nodes = [
            h.make_node("TensorScatter", [f"past_{x}", x, "at"], [f"present_{x}"], mode=mode)
            for x in "kv"
        ]
        nodes.append(
            h.make_node(
                "Attention", ["q", "present_k", "present_v", "", "", "", "valid"], ["y"],
                is_causal=int(mode == "linear"),
            )
        )  # fmt: skip
        integers = [h.make_tensor_value_info(name, t.INT64, ["b"]) for name in ("at", "valid")]
        inputs = [value("q", *fresh), value("k", *fresh), value("v", *fresh), *integers]
        inputs += [value("past_k", *cache), value("past_v", *cache)]
        outputs = [value("y", *fresh), value("present_k", *cache), value("present_v", *cache)]
        graph = h.make_graph(nodes, "scatter", inputs, outputs)
        path = self.folder / f"{mode}.onnx"
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 24)]), path)
        return path

    def steps(self):
        random = np.random.default_rng(1)
        at = np.asarray([0, 3])
        for count in (4, 1, 2, 1):
            fresh = (self.batch, self.heads, count, self.width)
            feed = {name: random.normal(size=fresh).astype(np.float32) for name in "qkv"}
            yield {**feed, "at": at, "valid": at + count}
            at = at + count

    def test_in_place(self):
        from onnx.reference import ReferenceEvaluator

        path = self.build()
        model, reference = s.load(path), ReferenceEvaluator(str(path))
        self.assertEqual([cache.grows for cache in model.caches], [False, False])
        shape = (self.batch, self.heads, self.room, self.width)
        want = given = {f"past_{x}": np.zeros(shape, np.float32) for x in "kv"}
        given = {name: array.copy() for name, array in want.items()}
        context = model.context()
        context.keep_caches(self.batch)
        for feed in self.steps():
            y, *present = reference.run(None, {**feed, **want})
            before = {name: array.copy() for name, array in want.items()}
            dense = model.run({**feed, **want})
            np.testing.assert_allclose(dense["y"], y, rtol=0, atol=1e-5)
            for name, array in want.items():  # An input of its own is not changed.
                np.testing.assert_array_equal(array, before[name])
            want = dict(zip(want, present))
            # One array for past and present.
            out = {name.replace("past", "present"): array for name, array in given.items()}
            np.testing.assert_array_equal(model.run({**feed, **given}, out=out)["y"], dense["y"])
            # No array at all.
            np.testing.assert_array_equal(context.run(feed)["y"], dense["y"])
            for name, array in want.items():
                np.testing.assert_array_equal(given[name], array)
                np.testing.assert_array_equal(context.read_cache(name), array)

    def test_circular(self):
        from onnx.reference import ReferenceEvaluator

        path = self.build("circular")
        context, reference = s.load(path).context(), ReferenceEvaluator(str(path))
        context.keep_caches(self.batch)
        want = {f"past_{x}": np.zeros((2, 2, 16, 4), np.float32) for x in "kv"}
        for number, feed in enumerate(self.steps()):
            feed = {**feed, "at": feed["at"] + 11, "valid": np.asarray([16, 16])}
            y, *present = reference.run(None, {**feed, **want})
            want = dict(zip(want, present))
            np.testing.assert_allclose(context.run(feed)["y"], y, rtol=0, atol=1e-5)
        with self.assertRaisesRegex(NibbleError, "does not fit in the cache"):
            context.run({**feed, "at": np.asarray([-1, 0])})


    def test_positions_that_do_not_fit(self):
        feed = next(self.steps())
        past = {f"past_{x}": np.zeros((2, 2, 16, 4), np.float32) for x in "kv"}
        model = s.load(self.build())
        for at in ([13, 0], [0, np.iinfo(np.int64).max], [-1, 0]):
            with self.assertRaisesRegex(NibbleError, "does not fit in the cache"):
                model.run({**feed, **past, "at": np.asarray(at)})
        empty = {name: array[:, :, :0] for name, array in past.items()}
        with self.assertRaisesRegex(NibbleError, "does not fit in the cache"):
            s.load(self.build("circular", room="room")).run({**feed, **empty})


class Concat(Temporary):
    """A cache that an exporter without Attention writes."""

    def test_concat(self):
        import onnx
        from onnx import TensorProto as t
        from onnx import helper as h

        shape = ["b", 2, "s", 4]
        nodes = [
            h.make_node("Neg", ["x"], ["k"]),
            h.make_node("Concat", ["past", "k"], ["present"], axis=2),
            h.make_node("ReduceSum", ["present", "axes"], ["y"], keepdims=0),
        ]
        axes = h.make_tensor("axes", t.INT64, [1], [2])
        graph = h.make_graph(
            nodes, "concat",
            [h.make_tensor_value_info("x", t.FLOAT, shape),
             h.make_tensor_value_info("past", t.FLOAT, ["b", 2, "p", 4])],
            [h.make_tensor_value_info("y", t.FLOAT, ["b", 2, 4]),
             h.make_tensor_value_info("present", t.FLOAT, ["b", 2, "t", 4])],
            [axes],
        )  # fmt: skip
        path = self.folder / "concat.onnx"
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 20)]), path)
        context = s.load(path).context()
        context.keep_caches(3)
        x = np.random.default_rng(2).normal(size=(3, 2, 70, 4)).astype(np.float32)
        for begin, end in ((0, 5), (5, 6), (6, 70)):
            y = context.run({"x": x[:, :, begin:end]})["y"]
            np.testing.assert_allclose(y, -x[:, :, :end].sum(2), rtol=0, atol=1e-4)
        np.testing.assert_array_equal(context.read_cache("present"), -x)


if __name__ == "__main__":
    unittest.main()
