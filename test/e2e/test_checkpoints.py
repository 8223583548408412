# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Readers of checkpoints: GGUF, safetensors, PyTorch; damaged and unknown ones."""

import io
import json
import os
import pickle
import struct
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import support as s
from nibble import NibbleError
from nibble.export import export_model, read_checkpoint
from nibble.export.gguf_file import _BLOCKS, GgufFile, read_gguf
from nibble.export.gguf_tokenizer import tokenizer_files
from nibble.export.pytorch_file import read_pytorch
from nibble.export.safetensors_file import read_safetensors
from test_python import Temporary, reference_logits, small_model

try:
    import gguf
except ImportError:
    gguf = None

GGUF_NAMES = {
    "attention_norm": "attn_norm", "attention.q": "attn_q", "attention.k": "attn_k",
    "attention.v": "attn_v", "attention.o": "attn_output", "mlp_norm": "ffn_norm",
    "mlp.gate": "ffn_gate", "mlp.up": "ffn_up", "mlp.down": "ffn_down",
    "embed": "token_embd", "norm": "output_norm", "lm_head": "output",
}  # fmt: skip


def need_gguf():
    if gguf is None:
        raise s.Missing("the Python package gguf is not installed")


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], kind: str = "F32") -> None:
    header, data = {}, b""
    for name, array in tensors.items():
        begin = len(data)
        data += array.tobytes()
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Gguf(Temporary):
    def write(self, quantize=None, extra=(), drop=(), architecture="llama") -> Path:
        """small_model as llama.cpp stores it, whose rows of q and k pair neighbours."""
        config, weights = self.model = small_model(tied=True)
        path = self.folder / "small.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        for key, value in (
            ("context_length", config.positions), ("embedding_length", config.dim),
            ("feed_forward_length", config.hidden_dim), ("block_count", config.layers),
            ("attention.head_count", config.heads), ("attention.head_count_kv", config.kv_heads),
        ):  # fmt: skip
            writer.add_uint32(f"{architecture}.{key}", value)
        writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", config.eps)
        for name, array in [*weights.items(), *extra]:
            part = name.removesuffix(".weight")
            if part.startswith("layers."):
                layer, part = part.removeprefix("layers.").split(".", 1)
                name = f"blk.{layer}.{GGUF_NAMES[part]}.weight"
            else:
                name = GGUF_NAMES.get(part, part) + ".weight"
            if name in drop:
                continue
            if quantize and array.ndim == 2 and array.shape[1] % 32 == 0:
                kind = gguf.GGMLQuantizationType[quantize]
                writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
            else:
                writer.add_tensor(name, array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def setUp(self):
        need_gguf()
        super().setUp()

    def test_logits(self):
        path = export_model(self.write(), self.folder / "out")
        model, tokens = s.Reference(path), [1, 7, 49, 3, 3, 20]
        got, _ = s.nibble.step(model, np.asarray([tokens]), s.nibble.empty_cache(model))
        np.testing.assert_allclose(got[0], reference_logits(*self.model, tokens), rtol=0, atol=2e-5)

    def test_every_type(self):
        """Random bytes as each type, read in pieces, against the package's own reading."""
        rng = np.random.default_rng(0)
        plain = {"F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}
        sizes = {name: (elements, size) for name, elements, size in _BLOCKS.values()}
        sizes |= {name: (1, size) for name, (_, size) in plain.items()}
        for name, (elements, size) in sizes.items():
            with self.subTest(type=name):
                kind = gguf.GGMLQuantizationType[name]
                raw = rng.integers(0, 0x38, (7, 2 * size * (256 // elements)), dtype=np.uint8)
                path = self.folder / f"{name}.gguf"
                writer = gguf.GGUFWriter(path, "llama")
                dtype = {"F32": np.float32, "F16": np.float16}.get(name)
                array = raw.view(dtype) if dtype else raw
                writer.add_tensor("t", array, raw_dtype=None if dtype else kind)
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_tensors_to_file()
                writer.close()
                found = read_gguf(path).tensors["t"]
                self.assertEqual(found.shape, (7, 512))
                want = gguf.dequantize(array, kind)
                self.assertTrue(np.isfinite(want).all())
                got = np.concatenate([found.rows(0, 2), found.rows(2, 7)])
                np.testing.assert_array_equal(got, want)

    def test_unknown_and_missing_tensors_are_listed(self):
        extra = [("blk.0.attn_sinks", np.ones(4, np.float32)), ("v.patch", np.ones(4, np.float32))]
        with self.assertRaisesRegex(NibbleError, "blk.0.attn_sinks.weight, v.patch.weight"):
            read_checkpoint(self.write(extra=extra))
        path = self.write(drop=["blk.1.ffn_up.weight", "output_norm.weight"])
        with self.assertRaisesRegex(NibbleError, "missing: layers.1.mlp.up.weight, norm.weight"):
            export_model(path, self.folder / "out")
        self.assertEqual(os.listdir(self.folder / "out"), [])

    def test_unknown_architecture(self):
        with self.assertRaisesRegex(NibbleError, "architecture 'mamba' is not supported; known"):
            read_checkpoint(self.write(architecture="mamba"))

    def test_truncated(self):
        data = self.write().read_bytes()
        path = self.folder / "cut.gguf"
        for size in (3, 30, 400, 1000, len(data) - 200):
            path.write_bytes(data[:size])
            with self.subTest(size=size), self.assertRaisesRegex(NibbleError, "cut.gguf"):
                read_checkpoint(path)


class GgufTokenizers(unittest.TestCase):
    """Tokenizers rebuilt from GGUF metadata, against the ones that they were made of."""

    def setUp(self):
        try:
            import tokenizers
        except ImportError:
            raise s.Missing("the Python package tokenizers is not installed") from None
        self.tokenizers = tokenizers

    def build(self, kind: str, tokens: list[str], **metadata):
        found = {"tokenizer.ggml.model": kind, "tokenizer.ggml.tokens": tokens}
        found |= {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
        files = tokenizer_files(GgufFile("m.gguf", found, {}))
        self.files = {name: json.loads(data) for name, data in files.items()}
        return self.tokenizers.Tokenizer.from_str(files["tokenizer.json"].decode())

    def test_sentencepiece(self):
        ours = s.nibble.Tokenizer.load(s.MODELS / "stories_tokenizer.bin")
        pieces = [piece.decode().replace(" ", "\u2581") for piece in ours.pieces]
        types = [2, 3, 3] + [1] * (len(pieces) - 3)
        tokenizer = self.build(
            "llama", pieces, scores=ours.scores, token_type=types, bos_token_id=1, eos_token_id=2
        )
        self.assertEqual(self.files["generation_config.json"]["eos_token_id"], 2)
        for text in ("Anna has 12 red apples. Ben gives her 3 more.", "Where are the stones now?"):
            self.assertEqual(tokenizer.encode(text).ids, ours.encode(text))
            self.assertEqual(tokenizer.decode(ours.encode(text)), text)

    def test_byte_level(self):
        t = self.tokenizers
        made = t.Tokenizer(t.models.BPE())
        parts = [t.pre_tokenizers.Digits(individual_digits=True)]
        parts.append(t.pre_tokenizers.ByteLevel(add_prefix_space=False))
        made.pre_tokenizer = t.pre_tokenizers.Sequence(parts)
        alphabet = t.pre_tokenizers.ByteLevel.alphabet()
        trainer = t.trainers.BpeTrainer(
            vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"],
            show_progress=False,
        )  # fmt: skip
        text = (s.ROOT / "README.md").read_text()
        made.train_from_iterator(text.splitlines(), trainer)
        model = json.loads(made.to_str())["model"]
        tokens = sorted(model["vocab"], key=model["vocab"].get)
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        types = [3 if token == "<|end|>" else 1 for token in tokens]
        tokenizer = self.build(
            "gpt2", tokens, merges=merges, token_type=types, pre="smollm",
            eos_token_id=tokens.index("<|end|>"),
        )  # fmt: skip
        for line in [*text.splitlines()[:40], "a<|end|>b 2024 \u00e9\u20ac"]:
            self.assertEqual(tokenizer.encode(line).ids, made.encode(line).ids)
        self.assertEqual(tokenizer.decode(tokenizer.encode("2 \u20ac").ids), "2 \u20ac")
        with self.assertRaisesRegex(NibbleError, "pre-tokenizer 'new' is not supported"):
            self.build("gpt2", tokens, merges=merges, pre="new")

    def test_wordpiece(self):
        # llama.cpp marks the beginnings of words, not their continuations.
        tokens = [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "\u2581un",
            "able",
            "\u2581run",
            "s",
            "\u2581,",
        ]
        tokenizer = self.build(
            "bert", tokens, unknown_token_id=1, cls_token_id=2, seperator_token_id=3
        )
        encoded = tokenizer.encode("Unable, RUNS xyz")
        self.assertEqual(encoded.ids, [2, 4, 5, 8, 6, 7, 1, 3])
        self.assertEqual(encoded.tokens[1:3], ["un", "##able"])

    def test_unknown_kind(self):
        with self.assertRaisesRegex(NibbleError, "tokenizer model 'rwkv' is not supported"):
            self.build("rwkv", ["a"])


class FolderCase(Temporary):
    """Folders as Hugging Face writes them."""

    def write(self, **changes) -> Path:
        config, weights = self.model = small_model(tied=False)
        settings = dict(
            model_type="llama", hidden_size=24, intermediate_size=40, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, vocab_size=50,
            max_position_embeddings=32, rms_norm_eps=1e-5, tie_word_embeddings=False,
        )  # fmt: skip
        settings |= changes
        (self.folder / "config.json").write_text(json.dumps(settings))
        names = {"embed": "model.embed_tokens", "norm": "model.norm", "lm_head": "lm_head"}
        parts = {
            "attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm",
            **{f"attention.{p}": f"self_attn.{p}_proj" for p in "qkvo"},
            **{f"mlp.{p}": f"mlp.{p}_proj" for p in ("gate", "up", "down")},
        }  # fmt: skip
        for i in range(2):
            names |= {f"layers.{i}.{k}": f"model.layers.{i}.{v}" for k, v in parts.items()}
        self.tensors = {
            names[name.removesuffix(".weight")] + ".weight": array
            for name, array in weights.items()
        }
        self.file = self.folder / "model.safetensors"
        write_safetensors(self.file, self.tensors)
        return self.folder


class Folders(FolderCase):
    def fails(self, pattern: str, source: Path):
        with self.assertRaisesRegex(NibbleError, pattern):
            export_model(source, self.folder / "out")

    def test_messages(self):
        self.write()
        export_model(self.folder, self.folder / "good")
        self.fails("model_type 'gemma2' is not supported; known are llama", self.write(
            model_type="gemma2"))  # fmt: skip
        self.fails("hidden_size is None, expected a number", self.write(hidden_size=None))
        self.fails("rope scaling 'magic' is not supported", self.write(
            rope_scaling={"type": "magic", "factor": 2.0}))  # fmt: skip
        self.fails("activation function 'mish'", self.write(hidden_act="mish"))
        self.fails("weights are missing: layers.2.", self.write(num_hidden_layers=3))
        self.fails(r"layers.0.mlp.gate.weight has shape \[40, 24\], expected \[44, 24\]",
                   self.write(intermediate_size=44))  # fmt: skip
        self.write()
        (self.folder / "config.json").write_text("{")
        self.fails("config.json: not JSON", self.folder)
        self.write()
        self.file.unlink()
        self.fails("no weights: expected model.safetensors", self.folder)
        index = {"weight_map": {"a": "../../etc/passwd"}}
        (self.folder / "model.safetensors.index.json").write_text(json.dumps(index))
        self.fails("must name files of this folder", self.folder)

    def test_absurd_settings(self):
        yarn = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": -4}
        low = {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 2, "high_freq_factor": 1}
        for settings in (
            {"hidden_size": 24.5}, {"num_hidden_layers": 10**9}, {"num_hidden_layers": -1},
            {"max_position_embeddings": 10**12}, {"num_attention_heads": 0}, {"head_dim": -2},
            {"head_dim": 7}, {"num_key_value_heads": 3}, {"rope_scaling": yarn},
            {"rope_scaling": low}, {"rope_theta": -1}, {"rms_norm_eps": 0}, {"model_type": []},
            {"model_type": "smollm3", "no_rope_layers": 5},
        ):  # fmt: skip
            with self.subTest(**settings):
                self.fails("config.json: ", self.write(**settings))

    def test_missing_head(self):
        self.write()
        del self.tensors["lm_head.weight"]
        write_safetensors(self.file, self.tensors)
        self.fails("lm_head.weight is missing", self.folder)

    def test_unknown_tensors_are_listed(self):
        self.write()
        for name in ("visual.patch", "model.layers.0.mlp.experts"):
            self.tensors[name] = np.ones(3, np.float32)
        write_safetensors(self.file, self.tensors)
        self.fails("does not have: visual.patch, model.layers.0.mlp.experts", self.folder)

    def test_damaged_safetensors(self):
        self.write()
        data = self.file.read_bytes()
        broken = [data[:4], data[:100], data[:-4], b"\xff" * 64, struct.pack("<Q", 2) + b"[]"]
        broken.append(data.replace(b'"F32"', b'"F99"', 1))
        for content in broken:
            self.file.write_bytes(content)
            with self.subTest(size=len(content)), self.assertRaises(NibbleError):
                read_safetensors(self.file)

    def test_memory_stays_below_two_tensors(self):
        """A model of 40 MB, whose largest tensor has 8 MB, with a limit on new memory."""
        import tracemalloc

        rng = np.random.default_rng(0)
        self.write(hidden_size=512, intermediate_size=1024, num_attention_heads=8,
                   num_key_value_heads=8, vocab_size=4000)  # fmt: skip
        shapes = read_checkpoint(self.folder).config.weight_shapes()
        named = dict(zip(self.model[1], self.tensors))
        tensors = {named[n]: rng.random(shape, np.float32) for n, shape in shapes.items()}
        largest = max(array.nbytes for array in tensors.values())
        write_safetensors(self.file, tensors)
        del tensors
        export_model(self.folder, self.folder / "warm")
        tracemalloc.start()
        export_model(self.folder, self.folder / "out")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.assertLess(peak, 2 * largest + (1 << 20))


class Adapters(FolderCase):
    """LoRA in PEFT's format, in the weights and beside them."""

    def adapter(self, extra: dict = {}, **settings) -> Path:
        rng, folder = np.random.default_rng(8), self.folder / "lora"
        folder.mkdir(exist_ok=True)
        config = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, "bias": "none"} | settings
        (folder / "adapter_config.json").write_text(json.dumps(config))
        tensors, self.deltas = dict(extra), {}
        for layer, (out, into) in (
            ("layers.0.self_attn.q_proj", (24, 24)), ("layers.1.mlp.down_proj", (24, 40)),
        ):  # fmt: skip
            a, b = (rng.normal(0, 0.3, n).astype(np.float32) for n in ((3, into), (out, 3)))
            name = "base_model.model.model." + layer
            tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
            self.deltas[f"model.{layer}.weight"] = b @ a
        write_safetensors(folder / "adapter_model.safetensors", tensors)
        return folder

    def logits(self, **options) -> np.ndarray:
        path = export_model(self.folder, self.folder / "out", **options)
        model = s.Reference(path)
        return s.nibble.step(model, np.asarray([[1, 7, 49, 3]]), s.nibble.empty_cache(model))[0]

    def test_merged_and_beside(self):
        self.write()
        for settings, scale in (({}, 2), ({"use_rslora": True}, 6 / 3**0.5),
                                ({"alpha_pattern": {"q_proj": 3, "down_proj": 3}}, 1)):  # fmt: skip
            adapter = self.adapter(**settings)
            merged, beside = (
                self.logits(adapter=adapter, merge_adapter=merge) for merge in (True, False)
            )
            changed = dict(self.tensors)
            for name, delta in self.deltas.items():
                changed[name] = changed[name] + np.float32(scale) * delta
            write_safetensors(self.file, changed)
            want = self.logits()
            write_safetensors(self.file, self.tensors)
            self.assertGreater(np.abs(want - self.logits()).max(), 0.05)
            for got in (merged, beside):
                np.testing.assert_allclose(got, want, rtol=0, atol=2e-5)

    def test_adapter_messages(self):
        self.write()
        for pattern, arguments in (
            ("peft_type 'IA3'", {"peft_type": "IA3"}),
            ("not supported: use_dora", {"use_dora": True}),
            ("no LoRA of a matrix: x.y", {"extra": {"x.y": np.ones(2, np.float32)}}),
        ):
            with self.subTest(pattern), self.assertRaisesRegex(NibbleError, pattern):
                self.logits(adapter=self.adapter(**arguments))
        layer = "base_model.model.model.layers.7.mlp.up_proj"
        shapes = {f"{layer}.lora_A.weight": (3, 24), f"{layer}.lora_B.weight": (40, 3)}
        extra = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
        with self.assertRaisesRegex(NibbleError, "layers.7.mlp.up_proj.weight.* does not fit"):
            self.logits(adapter=self.adapter(extra))


class Pickles(Temporary):
    """Pickles that are no dictionaries of tensors run nothing."""

    def zipped(self, content: bytes) -> Path:
        path = self.folder / "pytorch_model.bin"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
        return path

    def test_code_is_refused(self):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(target),)

        target = self.folder / "made"
        for content in (pickle.dumps({"w": Evil()}), pickle.dumps(Evil(), protocol=0)):
            for path in (self.zipped(content), self.folder / "legacy.bin"):
                if path.name == "legacy.bin":
                    path.write_bytes(content)
                with self.assertRaisesRegex(NibbleError, "posix.mkdir"):
                    read_pytorch(path)
        self.assertFalse(target.exists())
        with mock.patch("builtins.eval") as called:
            with self.assertRaisesRegex(NibbleError, "builtins.eval"):
                read_pytorch(self.zipped(b"cbuiltins\neval\n(V1\ntR."))
        called.assert_not_called()

    def test_damaged(self):
        for content in (b"", b"\x80\x02", pickle.dumps([1]), pickle.dumps({"w": 1})):
            with self.subTest(content=content), self.assertRaises(NibbleError):
                read_pytorch(self.zipped(content))
        path = self.folder / "cut.bin"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("archive/data/0", bytes(100))
        for size in (0, 10, 60, len(buffer.getvalue())):
            path.write_bytes(buffer.getvalue()[:size])
            with self.subTest(size=size), self.assertRaises(NibbleError):
                read_pytorch(path)


if __name__ == "__main__":
    unittest.main()
