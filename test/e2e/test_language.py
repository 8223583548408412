# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The front: compile and load from Python, generation, chat, perplexity."""

import contextlib
import gc
import io
import json
import math
import unittest
from unittest import mock

import numpy as np
import support as s
from nibble import (
    CompileError,
    LanguageModel,
    NibbleError,
    QuantizationConfig,
    Rule,
    Sampler,
    Sampling,
    load_codec,
    perplexities,
    perplexity,
)
from nibble.__main__ import main
from nibble.text import FolderCodec, TextStream
from test_python import Temporary

TOKENIZER = s.MODELS / "stories_tokenizer.bin"
PROMPT = "Anna has 3 red apples. Ben gives her 4 more."


class Compile(Temporary):
    def test_compile_and_load(self):
        out = self.folder / "glyphs.so"
        config = QuantizationConfig(
            "W4A16", group_size=32, symmetric=False,
            rules=[Rule(layers="stem", skip=True), Rule(operator=("Gemm",), scheme="W8A16")],
        )  # fmt: skip
        report = self.folder / "report.json"
        found = s.nibble.compile(s.MODELS / "glyphs.onnx", out, config, report=report)
        self.assertEqual(found, out)
        layers = {layer["name"]: layer for layer in json.loads(report.read_text())["layers"]}
        self.assertEqual(layers["stem"].get("scheme", "none"), "none")
        self.assertIn("W4A16", {layer.get("scheme") for layer in layers.values()})
        self.assertIn("W8A16", {layer.get("scheme") for layer in layers.values()})
        images, labels = s.glyphs_test()
        got = s.classify(s.nibble.load(out), images, 250)
        self.assertGreater(s.accuracy(got, labels), 0.9)

    def test_load_compiles(self):
        images, _ = s.glyphs_test()
        model = s.nibble.load(s.MODELS / "glyphs.onnx", "W8A16", threads=1)
        want = s.classify(s.load(s.MODELS / "glyphs.onnx"), images[:9], 9)
        np.testing.assert_allclose(s.classify(model, images[:9], 9), want, rtol=0, atol=0.5)

    def test_diagnostics(self):
        bad = self.folder / "bad.onnx"
        bad.write_bytes(b"this is not a model")
        with self.assertRaises(CompileError) as caught:
            s.nibble.compile(bad, self.folder / "bad.so")
        error = caught.exception
        self.assertEqual(error.status, 1)
        self.assertTrue(any("bad.onnx" in str(d) for d in error.diagnostics), error.diagnostics)
        self.assertIn("bad.onnx", str(error))
        with self.assertRaises(CompileError) as caught:
            s.nibble.compile(s.MODELS / "glyphs.onnx", self.folder / "x.so", "W7A16")
        self.assertEqual(caught.exception.status, 2)
        self.assertIn("W7A16", str(caught.exception))

    def test_no_compiler(self):
        with mock.patch.dict("os.environ", NIBBLE_COMPILE="/no/such/tool"):
            with self.assertRaisesRegex(NibbleError, "/no/such/tool"):
                s.nibble.compile("x.onnx", self.folder / "x.so")


class Memory(unittest.TestCase):
    """Arrays that are the model's memory, and the caller's."""

    def setUp(self):
        self.model = s.load(s.MODELS / "glyphs.onnx", threads=1)
        self.images, _ = s.glyphs_test()

    def test_views(self):
        first, second = self.images[:3], self.images[3:6]
        want = self.model.run({"images": first})["logits"]
        view = self.model.run({"images": first}, copy=False)["logits"]
        np.testing.assert_array_equal(view, want)
        # The next run may write to the same place; a copy stays.
        self.model.run({"images": second}, copy=False)
        np.testing.assert_array_equal(want, self.model.run({"images": first})["logits"])

    def test_a_view_keeps_the_model(self):
        view = self.model.run({"images": self.images[:3]}, copy=False)["logits"]
        want = view.copy()
        del self.model
        gc.collect()
        np.testing.assert_array_equal(view, want)

    def test_given_arrays(self):
        buffer = np.full(5 * 32, np.nan, np.float32)
        got = self.model.run({"images": self.images[:4]}, out={"logits": buffer})["logits"]
        self.assertTrue(np.shares_memory(got, buffer))
        np.testing.assert_array_equal(got, self.model.run({"images": self.images[:4]})["logits"])
        self.assertTrue(np.isnan(buffer[4 * 32 :]).all())
        for out, word in (
            ({"logits": np.zeros(7, np.float32)}, "logits"),
            ({"logits": np.zeros((4, 32))}, "float32"),
            ({"logit": buffer}, "logit"),
        ):
            with self.subTest(word=word), self.assertRaisesRegex(NibbleError, word):
                self.model.run({"images": self.images[:4]}, out=out)


class Choice(unittest.TestCase):
    LOGITS = np.log(np.asarray([0.1, 0.4, 0.2, 0.05, 0.25], np.float32))

    def chosen(self, count=400, **settings) -> set[int]:
        sampler = Sampler(Sampling(temperature=1, seed=0, **settings))
        return {sampler.choose(self.LOGITS) for _ in range(count)}

    def test_filters(self):
        self.assertEqual(self.chosen(), {0, 1, 2, 3, 4})
        self.assertEqual(self.chosen(top_k=2), {1, 4})
        self.assertEqual(self.chosen(top_p=0.6), {1, 4})
        self.assertEqual(self.chosen(top_p=0.66), {1, 2, 4})
        self.assertEqual(self.chosen(min_p=0.45), {1, 2, 4})
        self.assertEqual(self.chosen(top_p=0.01), {1})

    def test_frequencies(self):
        sampler = Sampler(Sampling(temperature=0.5, seed=1))
        counts = np.bincount([sampler.choose(self.LOGITS) for _ in range(4000)], minlength=5)
        want = np.exp(2 * self.LOGITS)
        np.testing.assert_allclose(counts / 4000, want / want.sum(), atol=0.03)

    def test_greedy_penalty_and_seed(self):
        self.assertEqual(Sampler().choose(np.asarray([1.0, 3.0, 3.0])), 1)
        penalty = Sampler(Sampling(repetition_penalty=2.0))
        self.assertEqual(penalty.choose(np.asarray([1.0, 3.0, 2.0]), [1, 1]), 2)
        self.assertEqual(penalty.choose(np.asarray([-1.0, -1.5]), [0, 0]), 1)
        draws = [
            [sampler.choose(self.LOGITS) for _ in range(20)]
            for sampler in (Sampler(Sampling(temperature=1, seed=seed)) for seed in (5, 5, 6))
        ]
        self.assertEqual(draws[0], draws[1])
        self.assertNotEqual(draws[0], draws[2])

    def test_messages(self):
        for settings in ({"temperature": -1}, {"top_p": 1.5}, {"repetition_penalty": 0}):
            with self.subTest(**settings), self.assertRaisesRegex(NibbleError, "expected"):
                Sampling(**settings)


class Letters:
    """A codec whose tokens are the bytes of UTF-8."""

    stops, context = frozenset([0]), None

    def encode(self, text, special=True):
        return list(text.encode())

    def decode(self, tokens):
        return bytes(tokens).decode(errors="replace")


class Streaming(unittest.TestCase):
    def stream(self, text: str, *stop: str) -> tuple[list[str], bool]:
        stream, pieces = TextStream(Letters(), stop=stop), []
        for token in text.encode():
            pieces.append(stream.put(token))
            if stream.stopped:
                break
        return [*filter(None, pieces), stream.finish()], stream.stopped

    def test_characters_come_whole(self):
        pieces, _ = self.stream("a\u00e9\u20ac!")
        self.assertEqual(pieces, ["a", "\u00e9", "\u20ac", "!", ""])

    def test_stop_strings(self):
        pieces, stopped = self.stream("one, two END three", "END", "xyz")
        self.assertEqual(("".join(pieces), stopped), ("one, two ", True))
        pieces, stopped = self.stream("an EN is no END", "END!")
        self.assertEqual(("".join(pieces), stopped), ("an EN is no END", False))
        self.assertNotIn("E", "".join(pieces[:3]))


class Stories(unittest.TestCase):
    def setUp(self):
        self.path = s.compile_model(s.MODELS / "stories.onnx", s.SCHEMES["W4A16 g32"])

    def test_cache_over_turns(self):
        lm = LanguageModel(self.path, TOKENIZER)
        first = "".join(lm.generate(PROMPT, 12))
        fed = lm.statistics.prompt_tokens
        self.assertEqual(fed, len(lm.codec.encode(PROMPT)))
        for prompt in (PROMPT + first, PROMPT, "Ben has 2 cups."):
            again = LanguageModel(self.path, TOKENIZER)
            self.assertEqual("".join(lm.generate(prompt, 9)), "".join(again.generate(prompt, 9)))
            # What the texts have in common is not read again.
            read = lm.statistics.prompt_tokens - fed
            fed = lm.statistics.prompt_tokens
            self.assertTrue(0 < read < again.statistics.prompt_tokens, read)

    def test_stop_and_limit(self):
        lm = LanguageModel(self.path, TOKENIZER)
        text = "".join(lm.generate(PROMPT, 30))
        word = text.split()[2]
        short = "".join(lm.generate(PROMPT, 30, stop=[word]))
        self.assertEqual(short, text[: text.index(word)])
        self.assertEqual(lm.model.weight_bytes, lm.memory()["weights"])

    def test_command_line(self):
        arguments = ["generate", str(self.path), "--tokenizer", str(TOKENIZER), "--prompt", PROMPT]
        outputs = []
        for extra in ([], ["--no-stream"], ["--temperature=1", "--seed=3", "--top-k=1"]):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.assertEqual(main([*arguments, "--tokens=8", *extra]), 0)
            self.assertRegex(err.getvalue(), r"8 tokens, .* tokens/s .* weights .* MB")
            outputs.append(out.getvalue())
        self.assertEqual(set(outputs), {outputs[0]})
        self.assertGreater(len(outputs[0]), 10)
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(main(["generate", "no-such-model", "--prompt", "a"]), 1)
        self.assertRegex(err.getvalue(), "no-such-model: no such file or folder")

    def test_schemes_when_nobody_chooses(self):
        wanted = {
            (): ("W4A16", "W8A16"),
            ("--quantize=W3A16",): ("W3A16", None),
            ("--head=W4A16",): ("W4A16", "W4A16"),
        }
        for options, (scheme, head) in wanted.items():
            arguments = ["generate", "m.onnx", "--prompt", "a", *options]
            stop = s.nibble.NibbleError("stop")
            with mock.patch("nibble.cli_text.prepare", side_effect=stop) as prepare:
                with contextlib.redirect_stderr(io.StringIO()):
                    self.assertEqual(main(arguments), 1)
            config = prepare.call_args.args[1]
            self.assertEqual((config.scheme, config.head), (scheme, head))

    def test_perplexity_against_plain_sums(self):
        model = s.load(s.MODELS / "stories.onnx")
        quantized = s.nibble.Model(self.path)
        tokens, _ = s.stories_test()
        text = tokens[:20].reshape(-1)
        got = perplexity(quantized, text, window=40, reference=model, windows=6)
        total, count, same, divergence = 0.0, 0, 0, 0.0
        for i in range(6):
            part = text[None, 40 * i : 40 * (i + 1)]
            p, q = (
                s.nibble.step(m, part, s.nibble.empty_cache(m))[0][0, :-1].astype(np.float64)
                for m in (model, quantized)
            )
            p, q = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (p, q))
            total -= np.take_along_axis(q, part[0, 1:, None], 1).sum()
            divergence += (np.exp(p) * (p - q)).sum()
            same += (p.argmax(1) == q.argmax(1)).sum()
            count += 39
        self.assertEqual((got.tokens, got.windows), (count, 6))
        self.assertAlmostEqual(got.perplexity, math.exp(total / count), places=4)
        self.assertAlmostEqual(got.kl_divergence, divergence / count, places=6)
        self.assertAlmostEqual(got.same_top, same / count)
        own = perplexity(model, text, window=40, reference=model, windows=2)
        self.assertEqual((own.kl_divergence, own.same_top), (0, 1))
        both = perplexities({"q": quantized, "f": model}, text, 40, s.load(s.MODELS / "stories.onnx"), 6)
        self.assertEqual(both["q"], got)
        self.assertEqual(both["f"].perplexity, got.reference_perplexity)
        with self.assertRaisesRegex(NibbleError, "fewer than a window"):
            perplexity(model, [1, 2, 3], window=40)

    def test_perplexity_command(self):
        text = self.path.with_suffix(".txt")
        text.write_text("Anna has 3 red apples. Ben gives her 4 more. " * 8)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            arguments = ["perplexity", str(self.path), "--tokenizer", str(TOKENIZER)]
            arguments += ["--text", str(text), "--window=32", "--windows=2", "--json", "--quiet"]
            self.assertEqual(main(arguments), 0)
        found = json.loads(out.getvalue())
        self.assertEqual(found["tokens"], 62)
        self.assertNotIn("same_top", found)


class Chat(Temporary):
    """A folder with tokenizer.json and a template, as Hugging Face writes them."""

    TEMPLATE = (
        "{% for m in messages %}\n<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}\n"
        "{% endfor %}\n{% if add_generation_prompt %}<assistant>{% endif %}"
    )

    def codec(self, template: str = TEMPLATE) -> FolderCodec:
        try:
            import tokenizers
        except ImportError:
            raise s.Missing("the Python package tokenizers is not installed") from None
        letters = {chr(c): c for c in range(128)}
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(letters, []))
        tokenizer.add_special_tokens([tokenizers.AddedToken("<end>", special=True)])
        (self.folder / "tokenizer.json").write_text(tokenizer.to_str())
        settings = {"eos_token": {"content": "<end>"}, "chat_template": template}
        (self.folder / "tokenizer_config.json").write_text(json.dumps(settings))
        (self.folder / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
        (self.folder / "config.json").write_text('{"max_position_embeddings": 99}')
        return load_codec(self.folder)

    def test_template(self):
        codec = self.codec()
        self.assertEqual((codec.stops, codec.context), (frozenset([5, 6, 128]), 99))
        messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
        text = codec.render(messages)
        self.assertEqual(text, "<user>Hi<end>\n<assistant>Yo<end>\n<assistant>")
        tokens = codec.chat(messages[:1])
        self.assertEqual(tokens.count(128), 1)

    def test_templates_reach_nothing(self):
        with self.assertRaisesRegex(NibbleError, "chat template"):
            self.codec("{{ ''.__class__.__mro__[1].__subclasses__() }}").chat([])
        with self.assertRaisesRegex(NibbleError, "roles must alternate"):
            self.codec("{{ raise_exception('roles must alternate') }}").chat([])
        with self.assertRaisesRegex(NibbleError, "no chat template"):
            self.codec("").chat([])
        with self.assertRaisesRegex(NibbleError, "no tokenizer"):
            (self.folder / "tokenizer.json").unlink()
            load_codec(self.folder)


if __name__ == "__main__":
    unittest.main()
