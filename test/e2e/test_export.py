# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny random models saved by `transformers`, exported, against `transformers`.

Skipped without the packages torch and transformers, which nothing else needs.
"""

import copy
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import support as s
from nibble.export import DecoderOptions, export_model

try:
    import torch
    import transformers
except ImportError:
    torch = transformers = None

SIZES = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=67, max_position_embeddings=64,
)  # fmt: skip
TOKENS = np.random.default_rng(3).integers(3, 67, (2, 21))


def setUpModule():
    if torch is None:
        raise unittest.SkipTest("the Python packages torch and transformers are not installed")
    torch.set_num_threads(1)
    torch.manual_seed(5)


class Exported(unittest.TestCase):
    """Builds a model, saves it, exports it and compares."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def make(self, kind: str, **settings):
        """A random model; norms and biases are random too, so that none can be missed."""
        kind = getattr(transformers, kind)
        model = kind(kind.config_class(**settings)).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter) * 0.3)
                else:
                    parameter.copy_(torch.randn_like(parameter) * parameter.shape[-1] ** -0.5)
        return model

    def save(self, model, **options) -> Path:
        source = self.folder / "source"
        model.save_pretrained(source, **options)
        return source

    def export(self, source: Path, **options) -> s.Reference:
        path = export_model(source, self.folder / "out", DecoderOptions(**options))
        self.path = path
        return s.Reference(path)

    def close(self, got, want, tolerance: float = 1e-4):
        want = want.detach().numpy() if hasattr(want, "detach") else want
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)

    def check_decoder(self, model, length: int = 21, save=None, **options):
        """Whole texts, then the same in three steps over a cache."""
        compiled = self.export(self.save(model, **(save or {})), **options)
        tokens = np.random.default_rng(3).integers(3, 67, (2, length))
        with torch.no_grad():
            want = model(torch.tensor(tokens)).logits.numpy()
        cache = s.nibble.empty_cache(compiled, 2)
        self.close(s.nibble.step(compiled, tokens, cache)[0], want)
        begin = 0
        for end in (length - 4, length - 1, length):
            got, cache = s.nibble.step(compiled, tokens[:, begin:end], cache)
            self.close(got, want[:, begin:end])
            begin = end
        return compiled


class LlamaFamily(Exported):
    def test_llama(self):
        self.check_decoder(self.make("LlamaForCausalLM", **SIZES))

    def test_reference_evaluator_and_nibble(self):
        model = self.make("LlamaForCausalLM", **SIZES)
        compiled = self.check_decoder(model)
        tokens, cache = TOKENS[:, :9], s.nibble.empty_cache(compiled, 2)
        want = s.nibble.step(compiled, tokens, cache)[0]
        for other in (s.Evaluator(self.path), s.load(self.path)):
            self.close(s.nibble.step(other, tokens, cache)[0], want, 2e-5)

    def test_tied_head_and_biases(self):
        settings = SIZES | dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
        self.check_decoder(self.make("LlamaForCausalLM", **settings))

    def test_head_dim_and_activation(self):
        settings = SIZES | dict(head_dim=12, hidden_act="gelu_pytorch_tanh")
        self.check_decoder(self.make("LlamaForCausalLM", **settings))

    def test_rope_scalings(self):
        for kind, parameters in (
            ("linear", {"factor": 3.0}),
            ("llama3", {
                "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }),
            ("yarn", {"factor": 4.0, "original_max_position_embeddings": 32}),
            ("yarn", {
                "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8.0,
                "mscale": 0.7, "mscale_all_dim": 0.4, "truncate": False,
            }),
        ):  # fmt: skip
            with self.subTest(kind=kind, **parameters):
                scaling = {"rope_type": kind, "rope_theta": 5000.0, **parameters}
                self.check_decoder(self.make("LlamaForCausalLM", **SIZES, rope_parameters=scaling))

    def test_dynamic_rope_beyond_the_trained_length(self):
        scaling = {"rope_type": "dynamic", "rope_theta": 5000.0, "factor": 2.0}
        model = self.make("LlamaForCausalLM", **SIZES, rope_parameters=scaling)
        compiled = self.export(self.save(model))
        for length in (21, 100):
            tokens = np.random.default_rng(4).integers(3, 67, (2, length))
            got, _ = s.nibble.step(compiled, tokens, s.nibble.empty_cache(compiled, 2))
            with torch.no_grad():
                self.close(got, model(torch.tensor(tokens)).logits)

    def test_older_names_of_rope_settings(self):
        model = self.make("LlamaForCausalLM", **SIZES, rope_parameters={
            "rope_type": "linear", "rope_theta": 700.0, "factor": 2.5})  # fmt: skip
        source = self.save(model)
        settings = json.loads((source / "config.json").read_text())
        del settings["rope_parameters"]
        settings |= {"rope_theta": 700.0, "rope_scaling": {"type": "linear", "factor": 2.5}}
        (source / "config.json").write_text(json.dumps(settings))
        compiled = self.export(source)
        got, _ = s.nibble.step(compiled, TOKENS, s.nibble.empty_cache(compiled, 2))
        with torch.no_grad():
            self.close(got, model(torch.tensor(TOKENS)).logits)

    def test_mistral_sliding_window(self):
        model = self.make("MistralForCausalLM", **SIZES, sliding_window=5)
        model.config._attn_implementation = "eager"
        self.check_decoder(model)
        with self.subTest("window as an attribute"):
            path = export_model(
                self.folder / "source", self.folder / "25", DecoderOptions(opset=25)
            )
            compiled = s.load(path)
            got, _ = s.nibble.step(compiled, TOKENS, s.nibble.empty_cache(compiled, 2))
            with torch.no_grad():
                self.close(got, model(torch.tensor(TOKENS)).logits)

    def test_mistral_without_window(self):
        self.check_decoder(self.make("MistralForCausalLM", **SIZES, sliding_window=None))

    def test_qwen2(self):
        self.check_decoder(self.make("Qwen2ForCausalLM", **SIZES))

    def test_qwen2_window_in_some_layers(self):
        settings = dict(use_sliding_window=True, sliding_window=4, max_window_layers=1)
        model = self.make("Qwen2ForCausalLM", **SIZES, **settings)
        model.config._attn_implementation = "eager"
        self.check_decoder(model)

    def test_qwen3(self):
        self.check_decoder(self.make("Qwen3ForCausalLM", **SIZES, head_dim=16))

    def test_smollm3(self):
        settings = dict(no_rope_layers=[1, 0], pad_token_id=0, bos_token_id=1, eos_token_id=2)
        self.check_decoder(self.make("SmolLM3ForCausalLM", **SIZES, **settings))

    def test_left_padding(self):
        model = self.make("LlamaForCausalLM", **SIZES)
        compiled = self.export(self.save(model))
        short, pad = TOKENS[:1, :9], 4
        batch = np.concatenate([np.pad(short, ((0, 0), (pad, 0))), TOKENS[1:, : 9 + pad]])
        mask = np.ones_like(batch)
        mask[0, :pad] = 0
        cache = s.nibble.empty_cache(compiled, 2)
        _, cache = s.nibble.step(compiled, batch[:, :11], cache, mask=mask[:, :11])
        got, _ = s.nibble.step(compiled, batch[:, 11:], cache, mask=mask)
        with torch.no_grad():
            self.close(got[0], model(torch.tensor(short)).logits[0, -2:])
            self.close(got[1], model(torch.tensor(batch[1:])).logits[0, -2:])

    def test_graph_without_optional_inputs(self):
        model = self.make("LlamaForCausalLM", **SIZES)
        compiled = self.check_decoder(model, padding=False, select_logits=False)
        self.assertNotIn("attention_mask", compiled.input_shapes)
        self.assertNotIn("logit_positions", compiled.input_shapes)


class Gpt2(Exported):
    SIZES = dict(n_embd=32, n_layer=2, n_head=4, vocab_size=67, n_positions=64)

    def test_gpt2(self):
        self.check_decoder(self.make("GPT2LMHeadModel", **self.SIZES))

    def test_options(self):
        settings = dict(
            n_inner=50, activation_function="relu", scale_attn_by_inverse_layer_idx=True,
            scale_attn_weights=False, tie_word_embeddings=False,
        )  # fmt: skip
        self.check_decoder(self.make("GPT2LMHeadModel", **self.SIZES, **settings))


class Bert(Exported):
    SIZES = {k: v for k, v in SIZES.items() if k != "num_key_value_heads"}

    def check(self, kind: str, outputs: dict[str, str], **settings):
        model = self.make(kind, **self.SIZES, **settings)
        compiled = self.export(self.save(model))
        mask = np.ones_like(TOKENS)
        mask[0, 15:] = 0
        types = (np.arange(21) > 8).astype(np.int64)[None].repeat(2, 0)
        inputs = {"input_ids": TOKENS, "attention_mask": mask, "token_type_ids": types}
        with torch.no_grad():
            want = model(**{name: torch.tensor(value) for name, value in inputs.items()})
        got = compiled.run(inputs)
        for ours, theirs in outputs.items():
            # What stands at padding means nothing.
            valid = mask[..., None] if want[theirs].ndim == 3 else 1
            self.close(got[ours] * valid, want[theirs].numpy() * valid)
        self.inputs, self.got = inputs, got

    def test_encoder(self):
        names = {n: n for n in ("last_hidden_state", "pooler_output")}
        self.check("BertModel", names)
        compiled = s.load(self.path).run(self.inputs)
        for name in names:
            self.close(compiled[name], self.got[name], 2e-5)

    def test_masked_language_model(self):
        self.check("BertForMaskedLM", {"logits": "logits"})

    def test_classifier(self):
        self.check("BertForSequenceClassification", {"logits": "logits"}, num_labels=3)


class Files(Exported):
    """The same model in every format it may come in."""

    def check_same(self, source: Path):
        compiled = self.export(source)
        got, _ = s.nibble.step(compiled, TOKENS, s.nibble.empty_cache(compiled, 2))
        with torch.no_grad():
            self.close(got, self.model(torch.tensor(TOKENS)).logits)

    def setUp(self):
        super().setUp()
        self.model = self.make("LlamaForCausalLM", **SIZES)

    def test_sharded_safetensors(self):
        source = self.save(self.model, max_shard_size="20KB")
        self.assertTrue((source / "model.safetensors.index.json").exists())
        self.check_same(source)

    def write_pytorch(self, shards: int, legacy: bool = False) -> Path:
        source = self.save(self.model)
        (source / "model.safetensors").unlink()
        state = self.model.state_dict()
        # One tensor that is a transposed view, as some checkpoints have them.
        name = "model.layers.0.mlp.up_proj.weight"
        state[name] = state[name].T.contiguous().T
        names = list(state)
        places = {}
        for number in range(shards):
            file = "pytorch_model.bin" if shards == 1 else f"pytorch_model-{number}.bin"
            part = {n: state[n] for n in names[number::shards]}
            torch.save(part, source / file, _use_new_zipfile_serialization=not legacy)
            places |= dict.fromkeys(part, file)
        if shards > 1:
            index = source / "pytorch_model.bin.index.json"
            index.write_text(json.dumps({"weight_map": places}))
        return source

    def test_pytorch(self):
        self.check_same(self.write_pytorch(1))

    def test_sharded_pytorch(self):
        self.check_same(self.write_pytorch(3))

    def test_legacy_pytorch(self):
        self.check_same(self.write_pytorch(1, legacy=True))

    def test_half_precision(self):
        for dtype in (torch.bfloat16, torch.float16):
            with self.subTest(dtype=dtype):
                # The parameters only: tables of the model keep their precision.
                for parameter in self.model.parameters():
                    parameter.data = parameter.data.to(dtype).float()
                self.check_same(self.save(copy.deepcopy(self.model).to(dtype)))


if __name__ == "__main__":
    unittest.main()
