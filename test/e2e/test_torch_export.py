# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What torch.onnx writes for tiny random models of `transformers`, by both exporters.

Skipped without the packages torch and transformers (and onnxscript, for the
exporter that is built on torch.export), which nothing else needs.
"""

import importlib.util
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import support as s
from test_decomposed import operators

try:
    import torch
    import transformers
except ImportError:
    torch = transformers = None

SIZES = dict(vocab_size=67, max_position_embeddings=64)
HIDDEN = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4)
KINDS = {
    "Llama": ("LlamaForCausalLM", SIZES | HIDDEN | dict(num_key_value_heads=2), 2),
    "Qwen2": ("Qwen2ForCausalLM", SIZES | HIDDEN | dict(num_key_value_heads=2), 2),
    "GPT2": (
        "GPT2LMHeadModel", dict(vocab_size=67, n_positions=64, n_embd=32, n_layer=2, n_head=4), 4,
    ),
    "Bert": ("BertModel", SIZES | HIDDEN, 4),
}  # fmt: skip
LAYERS, SIZE = 2, 8


def setUpModule():
    s.onnxruntime()
    s.tool("nibble-compile")
    if torch is None:
        raise unittest.SkipTest("the Python packages torch and transformers are not installed")
    torch.set_num_threads(1)


def wrap(model, cached: bool):
    """The model as a module of tensors only: tokens, mask and the past in a row."""

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, *past):
            options = {}
            if cached:
                cache = transformers.DynamicCache()
                for layer in range(LAYERS):
                    cache.update(past[2 * layer], past[2 * layer + 1], layer)
                options = {"past_key_values": cache, "use_cache": True}
            elif not isinstance(model, transformers.BertModel):
                options = {"use_cache": False}
            result = self.model(input_ids=input_ids, attention_mask=attention_mask, **options)
            present = []
            for layer in result.past_key_values.layers if cached else ():
                present += [layer.keys, layer.values]
            return (result[0], *present)

    return Plain().eval()


class TorchExport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "model.onnx"

    def export(self, kind: str, attention: str, cached: bool, dynamo: bool) -> None:
        if dynamo and importlib.util.find_spec("onnxscript") is None:
            self.skipTest("the Python package onnxscript is not installed")
        torch.manual_seed(7)
        name, settings, kv_heads = KINDS[kind]
        kind = getattr(transformers, name)
        config = kind.config_class(**settings)
        config._attn_implementation = attention
        model = kind(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
                else:
                    parameter.copy_(torch.randn_like(parameter) * parameter.shape[-1] ** -0.5)
        past = 3 if cached else 0
        names = ["input_ids", "attention_mask"]
        outputs = ["logits"]
        values = [torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 5 + past, dtype=torch.int64)]
        axes = [{0: "batch", 1: "length"}, {0: "batch", 1: "total"}]
        for layer in range(LAYERS if cached else 0):
            for part in ("key", "value"):
                names.append(f"past_key_values.{layer}.{part}")
                outputs.append(f"present.{layer}.{part}")
                values.append(torch.randn(2, kv_heads, past, SIZE))
                axes.append({0: "batch", 2: "past"})
        options = {"input_names": names, "output_names": outputs, "dynamo": dynamo}
        if dynamo:
            free = [{axis: torch.export.Dim.DYNAMIC for axis in axis_names} for axis_names in axes]
            options |= {
                "dynamic_shapes": (*free[:2], tuple(free[2:])) if cached else tuple(free),
                "external_data": False,
                "verbose": False,
            }
        else:
            options |= {
                "dynamic_axes": dict(zip(names, axes)),
                "opset_version": 17 if attention == "eager" else 18,
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(wrap(model, cached), tuple(values), str(self.path), **options)
        self.names, self.kv_heads = names, kv_heads

    def feeds(self, batch: int, length: int, past: int, padded: bool):
        rng = np.random.default_rng(length)
        mask = np.ones((batch, length + past), np.int64)
        if padded:
            mask[-1, :2] = 0
        tokens = rng.integers(0, SIZES["vocab_size"], (batch, length))
        shape = (batch, self.kv_heads, past, SIZE)
        cache = {name: rng.normal(size=shape).astype(np.float32) for name in self.names[2:]}
        return {"input_ids": tokens, "attention_mask": mask, **cache}

    def check(self, kind: str, attention: str, cached: bool, dynamo: bool, **expected: int):
        self.export(kind, attention, cached, dynamo)
        found = operators(self.path)
        expected = {"Attention": 2, "Softmax": 0, "Transpose": 0, "Erf": 0, "Tanh": 0, **expected}
        self.assertEqual({name: found.get(name, 0) for name in expected}, expected)
        reference, model = s.Reference(self.path), s.load(self.path)
        for batch, length, past, padded in ((2, 7, 4, False), (1, 1, 6, False), (3, 6, 2, True)):
            feeds = self.feeds(batch, length, past if cached else 0, padded)
            want, got = reference.run(feeds), model.run(feeds)
            for name in want:
                np.testing.assert_allclose(got[name], want[name], rtol=0, atol=1e-4, err_msg=name)

    def test_llama_script(self):
        self.check("Llama", "sdpa", True, False, RotaryEmbedding=4, RMSNormalization=5, Swish=2)

    def test_llama_dynamo(self):
        self.check("Llama", "sdpa", True, True, RotaryEmbedding=4, RMSNormalization=5, Swish=2)

    def test_qwen2_script(self):
        self.check("Qwen2", "eager", False, False, RotaryEmbedding=4, RMSNormalization=5, Swish=2)

    def test_qwen2_dynamo(self):
        self.check("Qwen2", "sdpa", False, True, RotaryEmbedding=4, RMSNormalization=5, Swish=2)

    def test_gpt2_script(self):
        self.check("GPT2", "eager", True, False, LayerNormalization=5, Gelu=2)

    def test_gpt2_dynamo(self):
        self.check("GPT2", "sdpa", True, True, LayerNormalization=5, Gelu=2)

    def test_bert_script(self):
        self.check("Bert", "sdpa", False, False, LayerNormalization=5, Gelu=2)

    def test_bert_dynamo(self):
        self.check("Bert", "eager", False, True, LayerNormalization=5, Gelu=2)


if __name__ == "__main__":
    unittest.main()
