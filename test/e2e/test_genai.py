# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny random models as ONNX Runtime's tools write them, beside ONNX Runtime: the model builder
of ONNX Runtime GenAI, and the transformer optimizer, which Optimum uses.

Skipped without the packages onnxruntime_genai, torch and transformers, which nothing else
needs.
"""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import support as s

SIZES = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=96, max_position_embeddings=64, bos_token_id=1,
    eos_token_id=2, pad_token_id=0,
)  # fmt: skip


def setUpModule():
    s.onnxruntime()
    for package in ("onnxruntime_genai", "torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise unittest.SkipTest(f"the Python package {package} is not installed")
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(5)


class Runner:
    """Feeds texts of different lengths, padded on the right, and keeps their caches."""

    def __init__(self, model, inputs: dict, batch: int, room: int, windows=()):
        """`windows`: layers whose caches have 9 positions, and always the same."""
        self.model, self.inputs = model, inputs
        self.ends = np.zeros(batch, int)
        self.cache = {}
        for name, shape in inputs.items():
            if name.startswith("past_key_values."):
                size = 9 if int(name.split(".")[1]) in windows else room
                self.cache[name] = np.zeros((batch, shape[1], size, shape[3] or 16), np.float32)

    def feed(self, tokens: np.ndarray, counts: list[int]) -> np.ndarray:
        """Logits of the last token of each text, of which `counts` are new."""
        begin, self.ends = self.ends, self.ends + counts
        columns = np.arange(self.ends.max())
        feeds = {
            "input_ids": np.ascontiguousarray(tokens),
            "attention_mask": (columns < self.ends[:, None]).astype(np.int64),
            **self.cache,
        }
        if "position_ids" in self.inputs:
            feeds["position_ids"] = begin[:, None] + np.arange(tokens.shape[1])
        out = self.model.run(feeds)
        self.cache = {name: out[name.replace("past_key_values", "present")] for name in self.cache}
        return np.stack([out["logits"][i, n - 1] for i, n in enumerate(counts)])


class Builder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def build(self, kind: str, precision: str = "fp32", *options: str, **settings) -> Path:
        """The path of model.onnx, in a folder that also has the tokenizer."""
        import tokenizers
        import torch
        import transformers

        kind = getattr(transformers, kind)
        model = kind(kind.config_class(**(SIZES | settings))).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                scale = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.1
                parameter.copy_(torch.randn_like(parameter) * scale + (parameter.ndim == 1))
        source, out = self.folder / "source", self.folder / "out"
        words = {"<s>": 1, "</s>": 2, "<unk>": 0} | {f"w{i}": i for i in range(3, 96)}
        text = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
        text.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        with contextlib.redirect_stderr(io.StringIO()):
            model.save_pretrained(source)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=text, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
        ).save_pretrained(source)
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source,
                   "-o", out, "-p", precision, "-e", "cpu", "-c", self.folder / "hub"]  # fmt: skip
        if options:
            command += ["--extra_options", *options]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        ran = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=environment
        )
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        return out / "model.onnx"

    def check(self, path: Path, tolerance: float = 1e-4, windows=()):
        """Prompts and steps, in caches that grow and in caches with room."""
        reference, model = s.Reference(path), s.load(path)
        random = np.random.default_rng(3)
        runs = [
            (0, [(7, [7, 7]), (1, [1, 1]), (1, [1, 1]), (1, [1, 1])]),
            (0, [(7, [7, 4]), (1, [1, 1]), (1, [1, 1])]),
            (24, [(7, [4, 7]), (1, [1, 1]), (1, [1, 1])]),
            (0, [(5, [5]), (4, [4]), (1, [1])]),
            (24, [(5, [5]), (4, [4]), (1, [1])]),
        ]
        if windows:
            # ONNX Runtime refuses padded prompts, then; the last run has more than is kept.
            runs = [runs[0], *runs[3:], (0, [(5, [5]), *[(1, [1])] * 9])]
        for room, steps in runs:
            batch = len(steps[0][1])
            want = Runner(reference, model.input_shapes, batch, room, windows)
            got = Runner(model, model.input_shapes, batch, room, windows)
            for length, counts in steps:
                tokens = random.integers(3, 96, (batch, length))
                expected = want.feed(tokens, counts)
                np.testing.assert_allclose(
                    got.feed(tokens, counts), expected, rtol=0,
                    atol=tolerance * max(1, np.abs(expected).max()), err_msg=f"{room} {steps}",
                )  # fmt: skip

    def exact(self, path: Path) -> Path:
        """The model without the leave to round activations, which ONNX Runtime takes."""
        import onnx

        model = onnx.load(path, load_external_data=False)
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "accuracy_level":
                    attribute.i = 1
        onnx.save(model, path)
        return path

    def test_llama(self):
        self.check(self.build("LlamaForCausalLM"))

    def test_llama_int4(self):
        path = self.build("LlamaForCausalLM", "int4")
        self.check(self.exact(path))
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=quantized")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertNotIn("nibble.dequantize", out.read_text())

    def test_tied_int4(self):
        """The head's codes are the table of the embedding, too."""
        path = self.build("LlamaForCausalLM", "int4", tie_word_embeddings=True)
        self.check(self.exact(path))
        out = path.with_suffix(".mlir")
        ran = s.run_tool("nibble-compile", path, "-o", out, "--compile-to=quantized")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("nibble.gather", out.read_text())
        self.assertNotIn("tensor<96x64xf32>", out.read_text())

    def test_asymmetric_int4(self):
        path = self.build("LlamaForCausalLM", "int4", "int4_is_symmetric=false",
                          "int4_block_size=16", tie_word_embeddings=True)  # fmt: skip
        self.check(self.exact(path))

    def test_tied(self):
        self.check(self.build("LlamaForCausalLM", tie_word_embeddings=True))

    def test_qwen2(self):
        self.check(self.build("Qwen2ForCausalLM"))

    def test_qwen3(self):
        self.check(self.build("Qwen3ForCausalLM", head_dim=32))

    def test_phi(self):
        self.check(self.build("PhiForCausalLM", hidden_size=128))

    def test_phi3(self):
        self.check(self.build("Phi3ForCausalLM", original_max_position_embeddings=64))

    def test_gemma(self):
        self.check(self.build("GemmaForCausalLM", head_dim=16))

    def test_gemma2(self):
        self.check(self.build("Gemma2ForCausalLM", "fp32", "windowed_kv_cache=false", head_dim=16,
                              sliding_window=6))  # fmt: skip

    def test_windowed_caches(self):
        path = self.build("Gemma2ForCausalLM", head_dim=16, sliding_window=6)
        config = json.loads((path.parent / "genai_config.json").read_text())
        layers = config["model"]["decoder"]["sliding_window"]["layers"]
        self.assertEqual(layers, [0])
        self.check(path, windows=layers)

    def test_generates(self):
        path = self.build("LlamaForCausalLM", "int4")
        names = json.loads((path.parent / "genai_config.json").read_text())
        self.assertEqual(names["model"]["decoder"]["filename"], "model.onnx")
        ran = subprocess.run(
            [sys.executable, "-m", "nibble", "generate", str(path.parent), "--prompt", "w5 w6 w7",
             "--tokens", "5", "--temperature", "0"],
            capture_output=True, text=True, cwd=s.ROOT,
            env=os.environ | {"PYTHONPATH": str(s.ROOT / "python"),
                              "NIBBLE_CACHE": str(self.folder / "cache")},
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("w", ran.stdout)


class Optimizer(unittest.TestCase):
    """BERT, exported by PyTorch and optimized."""

    def optimize(self, folder: Path, multi_head: bool):
        import torch
        import transformers
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions

        config = transformers.BertConfig(
            vocab_size=67, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=48, max_position_embeddings=32, attn_implementation="eager",
        )  # fmt: skip

        class States(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = transformers.BertModel(config).eval()

            def forward(self, ids, mask, kinds):
                out = self.model(input_ids=ids, attention_mask=mask, token_type_ids=kinds)
                return out.last_hidden_state

        names = ["input_ids", "attention_mask", "token_type_ids"]
        ones = torch.ones(2, 7, dtype=torch.int64)
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                States(), (ones, ones, ones), folder / "plain.onnx", input_names=names,
                output_names=["states"], opset_version=17, dynamo=False,
                dynamic_axes={name: {0: "batch", 1: "length"} for name in [*names, "states"]},
            )  # fmt: skip
        options = FusionOptions("bert")
        options.use_multi_head_attention = multi_head
        model = optimizer.optimize_model(
            str(folder / "plain.onnx"), "bert", num_heads=4, hidden_size=32, opt_level=0,
            optimization_options=options,
        )  # fmt: skip
        path = folder / f"optimized{multi_head:d}.onnx"
        model.save_model_to_file(str(path))
        return path, {node.op_type for node in model.model.graph.node}

    def test_bert(self):
        with tempfile.TemporaryDirectory() as folder:
            for multi_head in (False, True):
                path, types = self.optimize(Path(folder), multi_head)
                wanted = {"MultiHeadAttention" if multi_head else "Attention", "BiasGelu",
                          "EmbedLayerNormalization", "SkipLayerNormalization"}  # fmt: skip
                self.assertLessEqual(wanted, types)
                reference, model = s.Reference(path), s.load(path)
                random = np.random.default_rng(3)
                for batch, length in ((1, 1), (2, 7), (3, 20)):
                    mask = (np.arange(length) < random.integers(1, length + 1, (batch, 1))) * 1
                    feeds = {
                        "input_ids": random.integers(0, 67, (batch, length)),
                        "attention_mask": mask.astype(np.int64),
                        "token_type_ids": random.integers(0, 2, (batch, length)),
                    }
                    want = reference.run(feeds)["states"]
                    got = model.run(feeds)["states"]
                    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
