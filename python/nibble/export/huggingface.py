# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads model folders as Hugging Face's libraries write them.

`config.json` says the architecture and its sizes; the weights are in
`model.safetensors` or `pytorch_model.bin`, or in shards that an index lists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NibbleError
from .bert import BertConfig
from .gpt2 import Gpt2Config
from .llama import LlamaConfig
from .lora import read_lora
from .names import listed
from .pytorch_file import read_pytorch
from .rope import Rope
from .safetensors_file import read_safetensors
from .settings import Settings
from .tensors import Weight

Config = LlamaConfig | Gpt2Config | BertConfig

# Files that later steps use: tokenizer, chat template, stop tokens.
COMPANIONS = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "chat_template.jinja", "vocab.txt",
)  # fmt: skip


@dataclass
class Checkpoint:
    """A model that was read: what `export_model` needs of any format."""

    config: Config
    weights: dict[str, Weight]
    files: dict[str, Path | bytes]
    """Files to put beside the model, by name."""


def _rope(settings: Settings) -> Rope:
    """From `rope_parameters`, or the older `rope_theta` and `rope_scaling`."""
    found = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    if not isinstance(found, dict) or any(isinstance(value, dict) for value in found.values()):
        raise NibbleError(f"{settings.path}: rope parameters per kind of layer are not supported")
    kind = found.get("rope_type") or found.get("type") or "default"
    share = found.get("partial_rotary_factor", settings.get("partial_rotary_factor", 1.0))
    if share != 1:
        raise NibbleError(f"{settings.path}: partial_rotary_factor {share} is not supported")
    theta = found.get("rope_theta") or settings.number("rope_theta", 10000.0)
    keys = {k: v for k, v in found.items() if k not in ("rope_type", "type", "rope_theta")}
    try:
        return Rope(float(theta), kind, keys)
    except NibbleError as error:
        raise NibbleError(f"{settings.path}: {error}") from error


def _windows(settings: Settings, kind: str, layers: int) -> tuple[int, ...]:
    window = settings.get("sliding_window")
    if kind == "llama" or not window:
        return ()
    if kind in ("qwen2", "qwen3", "smollm3") and not settings.get("use_sliding_window", False):
        return ()
    types = settings.get("layer_types")
    if types is None:
        first = settings.number("max_window_layers", 0) if kind.startswith("qwen") else 0
        types = ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    if not isinstance(window, int) or window < 0 or not isinstance(types, list):
        raise NibbleError(f"{settings.path}: malformed sliding_window or layer_types")
    if unknown := sorted(set(map(str, types)) - {"sliding_attention", "full_attention"}):
        raise NibbleError(f"{settings.path}: layer types that are not known: {listed(unknown)}")
    return tuple(window if kind == "sliding_attention" else 0 for kind in types)


def _llama_config(settings: Settings, kind: str) -> LlamaConfig:
    n, heads = settings.number, settings.number("num_attention_heads")
    layers = n("num_hidden_layers")
    bias = bool(settings.get("attention_bias", False))
    rotates = settings.get("no_rope_layers", []) if kind == "smollm3" else []
    if not isinstance(rotates, list):
        raise NibbleError(f"{settings.path}: no_rope_layers is {rotates!r}, expected a list")
    return LlamaConfig(
        dim=n("hidden_size"),
        hidden_dim=n("intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=n("num_key_value_heads", heads),
        vocabulary=n("vocab_size"),
        positions=n("max_position_embeddings", 2048),
        eps=n("rms_norm_eps", 1e-6),
        rope=_rope(settings),
        interleaved=False,
        head_size=n("head_dim", 0),
        qkv_bias=bias or kind == "qwen2",
        o_bias=bias,
        mlp_bias=bool(settings.get("mlp_bias", False)),
        qk_norm=kind == "qwen3",
        activation=settings.get("hidden_act", "silu"),
        windows=_windows(settings, kind, layers),
        # 1 says that a layer does rotate.
        without_rope=tuple(i for i, rotate in enumerate(rotates) if not rotate),
    )


def _gpt2_config(settings: Settings, kind: str) -> Gpt2Config:
    n = settings.number
    return Gpt2Config(
        dim=n("n_embd"),
        layers=n("n_layer"),
        heads=n("n_head"),
        vocabulary=n("vocab_size"),
        positions=n("n_positions", settings.get("n_ctx")),
        hidden_dim=n("n_inner", 0),
        eps=n("layer_norm_epsilon", 1e-5),
        activation=settings.get("activation_function", "gelu_new"),
        scale_attention=bool(settings.get("scale_attn_weights", True)),
        scale_by_layer=bool(settings.get("scale_attn_by_inverse_layer_idx", False)),
    )


def _bert_config(settings: Settings, kind: str) -> BertConfig:
    n = settings.number
    embedding = settings.get("position_embedding_type", "absolute")
    if embedding != "absolute" or settings.get("is_decoder", False):
        raise NibbleError(
            f"{settings.path}: a BERT with position_embedding_type '{embedding}'"
            f"{' as a decoder' if settings.get('is_decoder') else ''} is not supported"
        )
    labels = 0
    if "BertForSequenceClassification" in settings.get("architectures", []):
        labels = len(settings.get("id2label", {0: "", 1: ""}))
    return BertConfig(
        dim=n("hidden_size"),
        hidden_dim=n("intermediate_size"),
        layers=n("num_hidden_layers"),
        heads=n("num_attention_heads"),
        vocabulary=n("vocab_size"),
        positions=n("max_position_embeddings"),
        token_types=n("type_vocab_size", 2),
        eps=n("layer_norm_eps", 1e-12),
        activation=settings.get("hidden_act", "gelu"),
        labels=labels,
    )


@dataclass(frozen=True)
class _Family:
    """How one kind of model spells its config and its weights' names.

    `names` maps patterns of their names to ours, the first that matches; "" drops
    a tensor that follows from others. `tied` is what no tie_word_embeddings means.
    """

    config: Callable[[Settings, str], Config]
    names: tuple[tuple[str, str], ...]
    tied: bool = False


LLAMA_NAMES = (
    (r".*rotary_emb\.inv_freq", ""),
    (r"(?:model\.)?embed_tokens\.weight", "embed.weight"),
    (r"(?:model\.)?norm\.weight", "norm.weight"),
    (r"lm_head\.weight", "lm_head.weight"),
    (r"(?:model\.)?layers\.(\d+)\.input_layernorm\.weight", r"layers.\1.attention_norm.weight"),
    (r"(?:model\.)?layers\.(\d+)\.post_attention_layernorm\.weight", r"layers.\1.mlp_norm.weight"),
    (
        r"(?:model\.)?layers\.(\d+)\.self_attn\.([qkvo])_proj\.(weight|bias)",
        r"layers.\1.attention.\2.\3",
    ),
    (
        r"(?:model\.)?layers\.(\d+)\.self_attn\.([qk]_norm)\.weight",
        r"layers.\1.attention.\2.weight",
    ),
    (
        r"(?:model\.)?layers\.(\d+)\.mlp\.(gate|up|down)_proj\.(weight|bias)",
        r"layers.\1.mlp.\2.\3",
    ),
)
GPT2_NAMES = (
    (r".*\.attn\.(masked_)?bias", ""),
    (r"(?:transformer\.)?wte\.weight", "embed.weight"),
    (r"(?:transformer\.)?wpe\.weight", "positions.weight"),
    (r"(?:transformer\.)?ln_f\.(weight|bias)", r"norm.\1"),
    (r"lm_head\.weight", "lm_head.weight"),
    (r"(?:transformer\.)?h\.(\d+)\.ln_1\.(weight|bias)", r"layers.\1.attention_norm.\2"),
    (r"(?:transformer\.)?h\.(\d+)\.ln_2\.(weight|bias)", r"layers.\1.mlp_norm.\2"),
    (r"(?:transformer\.)?h\.(\d+)\.attn\.c_attn\.(weight|bias)", r"layers.\1.attention.qkv.\2"),
    (r"(?:transformer\.)?h\.(\d+)\.attn\.c_proj\.(weight|bias)", r"layers.\1.attention.o.\2"),
    (r"(?:transformer\.)?h\.(\d+)\.mlp\.c_fc\.(weight|bias)", r"layers.\1.mlp.up.\2"),
    (r"(?:transformer\.)?h\.(\d+)\.mlp\.c_proj\.(weight|bias)", r"layers.\1.mlp.down.\2"),
)
_BERT_LAYER = r"(?:bert\.)?encoder\.layer\.(\d+)\."
_BERT_NAMES = (
    (r".*position_ids|cls\.seq_relationship\..*|cls\.predictions\.decoder\.bias", ""),
    (r"(?:bert\.)?embeddings\.word_embeddings\.weight", "embed.weight"),
    (r"(?:bert\.)?embeddings\.position_embeddings\.weight", "positions.weight"),
    (r"(?:bert\.)?embeddings\.token_type_embeddings\.weight", "token_types.weight"),
    (r"(?:bert\.)?embeddings\.LayerNorm\.(?:(weight|bias))", r"embed_norm.\1"),
    (
        _BERT_LAYER + r"attention\.self\.(q|k|v)(?:uery|ey|alue)\.(\w+)",
        r"layers.\1.attention.\2.\3",
    ),
    (_BERT_LAYER + r"attention\.output\.dense\.(\w+)", r"layers.\1.attention.o.\2"),
    (_BERT_LAYER + r"attention\.output\.LayerNorm\.(\w+)", r"layers.\1.attention_norm.\2"),
    (_BERT_LAYER + r"intermediate\.dense\.(\w+)", r"layers.\1.mlp.up.\2"),
    (_BERT_LAYER + r"output\.dense\.(\w+)", r"layers.\1.mlp.down.\2"),
    (_BERT_LAYER + r"output\.LayerNorm\.(\w+)", r"layers.\1.mlp_norm.\2"),
    (r"(?:bert\.)?pooler\.dense\.(\w+)", r"pooler.\1"),
    (r"classifier\.(\w+)", r"classifier.\1"),
    (r"cls\.predictions\.transform\.dense\.(\w+)", r"lm_transform.\1"),
    (r"cls\.predictions\.transform\.LayerNorm\.(\w+)", r"lm_norm.\1"),
    (r"cls\.predictions\.decoder\.weight", "lm_head.weight"),
    (r"cls\.predictions\.bias", "lm_head.bias"),
)
_FAMILIES = {
    "llama": _Family(_llama_config, LLAMA_NAMES),
    "mistral": _Family(_llama_config, LLAMA_NAMES),
    "qwen2": _Family(_llama_config, LLAMA_NAMES),
    "qwen3": _Family(_llama_config, LLAMA_NAMES),
    "smollm3": _Family(_llama_config, LLAMA_NAMES, tied=True),
    "gpt2": _Family(_gpt2_config, GPT2_NAMES, tied=True),
    "bert": _Family(_bert_config, _BERT_NAMES, tied=True),
}


def our_names(
    path: Path | str, names: Iterable[str], patterns: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Our name for each of theirs, without those of tensors that are not needed.

    Raises NibbleError with all the names that no pattern matches.
    """
    found, unknown = {}, []
    for name in names:
        matches = (
            (match, ours) for pattern, ours in patterns if (match := re.fullmatch(pattern, name))
        )
        match, ours = next(matches, (None, ""))
        if match is None:
            unknown.append(name)
        elif ours:
            found[name] = match.expand(ours)
    if unknown:
        raise NibbleError(
            f"{path}: tensors that this architecture does not have: {listed(unknown)}"
        )
    return found


def rename(
    path: Path | str, weights: dict[str, Weight], patterns: tuple[tuple[str, str], ...]
) -> dict[str, Weight]:
    """Weights under our names, as `our_names` has them."""
    return {ours: weights[theirs] for theirs, ours in our_names(path, weights, patterns).items()}


def split_qkv(weights: dict[str, Weight], dim: int) -> dict[str, Weight]:
    """Replaces every `qkv` weight [3 * dim, ...] by its three parts."""
    split = {}
    for name, weight in weights.items():
        if ".attention.qkv." not in name:
            split[name] = weight
            continue
        if weight.shape[0] != 3 * dim:
            raise NibbleError(f"{name} has shape {list(weight.shape)}, expected [{3 * dim}, ...]")
        for number, part in enumerate("qkv"):
            key = name.replace(".qkv.", f".{part}.")
            split[key] = weight.part(number * dim, (number + 1) * dim)
    return split


def _read_weights(folder: Path) -> dict[str, Weight]:
    """The tensors of all files of a folder; safetensors are preferred."""
    for name, read in (
        ("model.safetensors", read_safetensors),
        ("pytorch_model.bin", read_pytorch),
    ):
        if (folder / name).exists():
            return read(folder / name)
        index = folder / f"{name}.index.json"
        if not index.exists():
            continue
        places = Settings(index).get("weight_map")
        if not isinstance(places, dict) or not all(
            isinstance(file, str) and Path(file).name == file for file in places.values()
        ):
            raise NibbleError(f"{index}: weight_map must name files of this folder")
        shards = {file: read(folder / file) for file in sorted(set(places.values()))}
        if absent := [tensor for tensor, file in places.items() if tensor not in shards[file]]:
            raise NibbleError(f"{index}: tensors that their files do not have: {listed(absent)}")
        return {tensor: shards[file][tensor] for tensor, file in places.items()}
    raise NibbleError(
        f"{folder}: no weights: expected model.safetensors or pytorch_model.bin, or their "
        "index.json"
    )


def adapt(
    path: Path | str,
    weights: dict[str, Weight],
    folder: str | os.PathLike[str],
    patterns: tuple[tuple[str, str], ...],
    merge: bool,
) -> None:
    """Adds the LoRA adapter of a folder to the weights that it names, or beside them."""
    adapters = read_lora(folder)
    for theirs, ours in our_names(folder, adapters, patterns).items():
        adapter, weight = adapters[theirs], weights.get(ours)
        wanted = (adapter.b.shape[0], adapter.a.shape[1])
        if weight is None or weight.shape != wanted or ours == "embed.weight":
            raise NibbleError(
                f"{folder}: the adapter of {theirs}, {list(wanted)}, does not fit {path}"
            )
        weights[ours] = weight.adapted(adapter, merge)


def read_huggingface(
    folder: Path, adapter: str | os.PathLike[str] | None = None, merge_adapter: bool = False
) -> Checkpoint:
    """Reads a folder with config.json and weights, and a LoRA adapter for it.

    Raises NibbleError for an architecture or tensors that are not known, for
    missing ones, and for damaged files.
    """
    settings = Settings(folder / "config.json")
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        raise NibbleError(
            f"{settings.path}: model_type '{kind}' is not supported; known are "
            f"{', '.join(_FAMILIES)}"
        )
    family = _FAMILIES[kind]
    try:
        config = family.config(settings, kind)
    except NibbleError as error:
        if str(settings.path) in str(error):
            raise
        raise NibbleError(f"{settings.path}: {error}") from error
    weights = rename(folder, _read_weights(folder), family.names)
    if isinstance(config, Gpt2Config):
        # Its linear layers are stored as [in, out].
        for name, weight in weights.items():
            if re.search(r"(qkv|\.o|up|down)\.weight$", name) and len(weight.shape) == 2:
                weights[name] = weight.transposed()
    if adapter:
        adapt(folder, weights, adapter, family.names, merge_adapter)
    if isinstance(config, Gpt2Config):
        weights = split_qkv(weights, config.dim)
    if settings.get("tie_word_embeddings", family.tied):
        weights.pop("lm_head.weight", None)
    elif "lm_head.weight" not in weights and not isinstance(config, BertConfig):
        raise NibbleError(
            f"{folder}: the output head lm_head.weight is missing and config.json does not tie "
            "it to the embedding; is this a model without a language head?"
        )
    files = {name: folder / name for name in COMPANIONS if (folder / name).exists()}
    return Checkpoint(config, weights, files)
