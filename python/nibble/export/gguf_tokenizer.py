# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tokenizer inside a GGUF file as the files that `tokenizers` reads.

GGUF has the vocabulary, the merges or scores, and a name for how text is cut into
words before merging ("pre-tokenizer"). What the names mean is written here.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import NibbleError
from .gguf_file import GgufFile

# Words by regular expression, then bytes as letters: what byte-level BPE merges.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = {
    "llama-bpe": rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",
    "qwen2": rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_REST}",
}
_PLAIN_BYTES = ("gpt-2", "default")
_SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r")
# Token types of GGUF.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4


def tokenizer_files(file: GgufFile) -> dict[str, bytes]:
    """tokenizer.json, tokenizer_config.json and generation_config.json by name.

    Without a tokenizer in the file there are none. Raises NibbleError for a
    tokenizer of an unknown kind.
    """
    m = {k.removeprefix("tokenizer."): v for k, v in file.metadata.items() if "tokenizer." in k}
    kind, tokens = m.get("ggml.model"), m.get("ggml.tokens")
    if kind is None or tokens is None:
        return {}
    try:
        import tokenizers
    except ImportError as error:
        raise NibbleError(
            "the tokenizer of a GGUF file needs the Python package tokenizers: "
            "pip install tokenizers"
        ) from error
    makers = {"gpt2": _byte_level, "llama": _sentencepiece, "bert": _wordpiece}
    if kind not in makers:
        raise NibbleError(
            f"{file.path}: tokenizer model '{kind}' is not supported; known are {', '.join(makers)}"
        )
    for key, number in m.items():
        if key.endswith("_token_id") and not (
            isinstance(number, int) and 0 <= number < len(tokens)
        ):
            raise NibbleError(
                f"{file.path}: tokenizer.{key} is {number}, the vocabulary has {len(tokens)} tokens"
            )
    tokenizer = makers[kind](file.path, tokens, m)
    types = m.get("ggml.token_type") or [1] * len(tokens)
    special = [
        tokenizers.AddedToken(token, special=True, normalized=False)
        for token, kind in zip(tokens, types)
        if kind in (_CONTROL, _UNKNOWN)
    ]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(
        [
            tokenizers.AddedToken(token, normalized=False)
            for token, kind in zip(tokens, types)
            if kind == _USER_DEFINED
        ]
    )
    begin, end = m.get("ggml.bos_token_id"), m.get("ggml.eos_token_id")
    adds_begin = m.get("ggml.add_bos_token", kind == "llama")
    if kind != "bert" and adds_begin and begin is not None:
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{tokens[begin]} $A",
            pair=f"{tokens[begin]} $A {tokens[begin]} $B",
            special_tokens=[(tokens[begin], begin)],
        )
    settings: dict[str, Any] = {"add_bos_token": bool(adds_begin)}
    generation = {}
    for name, number in (("bos", begin), ("eos", end)):
        if number is not None:
            settings[f"{name}_token"] = tokens[number]
            generation[f"{name}_token_id"] = number
    if m.get("chat_template"):
        settings["chat_template"] = m["chat_template"]
    return {
        "tokenizer.json": tokenizer.to_str().encode("utf-8", "surrogateescape"),
        "tokenizer_config.json": json.dumps(settings, indent=1).encode(),
        "generation_config.json": json.dumps(generation, indent=1).encode(),
    }


def _byte_level(path: str, tokens: list[str], m: dict[str, Any]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    merges = [tuple(merge.split(" ", 1)) for merge in m.get("ggml.merges", [])]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    cut, name = pre_tokenizers, m.get("ggml.pre", "default")
    if name in _WORDS:
        parts = [
            cut.Split(Regex(_WORDS[name]), "isolated"),
            cut.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    elif name in _SINGLE_DIGITS or name in _PLAIN_BYTES:
        digits = [cut.Digits(individual_digits=True)] if name in _SINGLE_DIGITS else []
        parts = [*digits, cut.ByteLevel(add_prefix_space=False)]
    else:
        known = ", ".join([*_WORDS, *_SINGLE_DIGITS, *_PLAIN_BYTES])
        raise NibbleError(f"{path}: pre-tokenizer '{name}' is not supported; known are {known}")
    tokenizer.pre_tokenizer = cut.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(path: str, tokens: list[str], m: dict[str, Any]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = m.get("ggml.scores")
    if scores is None or len(scores) != len(tokens):
        raise NibbleError(f"{path}: a SentencePiece tokenizer needs a score for each token")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    # Merging the pair with the best score is merging by rank, where every way to
    # split a piece in two pieces is a merge with the rank of its result.
    ranked = []
    for token, score in zip(tokens, scores):
        for i in range(1, len(token)):
            left, right = token[:i], token[i:]
            if left in vocabulary and right in vocabulary:
                ranked.append((-score, vocabulary[left], vocabulary[right], left, right))
    merges = [(left, right) for *_, left, right in sorted(ranked)]
    unknown = m.get("ggml.unknown_token_id", 0)
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token=tokens[unknown], fuse_unk=True,
            byte_fallback=True,
        )
    )  # fmt: skip
    space = "\u2581"
    steps = [normalizers.Replace(" ", space)]
    undo = [decoders.Replace(space, " "), decoders.ByteFallback(), decoders.Fuse()]
    if m.get("ggml.add_space_prefix", True):
        steps.insert(0, normalizers.Prepend(space))
        undo.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence(undo)
    return tokenizer


def _wordpiece(path: str, tokens: list[str], m: dict[str, Any]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    # llama.cpp marks the beginning of a word, WordPiece its continuations.
    def piece(token: str) -> str:
        if token.startswith("[") and token.endswith("]"):
            return token
        return token[1:] if token.startswith("\u2581") else "##" + token

    names = [piece(token) for token in tokens]
    vocabulary = {token: number for number, token in enumerate(names)}
    unknown = m.get("ggml.unknown_token_id", 100)
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token=names[unknown]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    first = m.get("ggml.cls_token_id", m.get("ggml.bos_token_id", 101))
    last = m.get("ggml.seperator_token_id", m.get("ggml.eos_token_id", 102))
    tokenizer.post_processor = processors.BertProcessing((names[last], last), (names[first], first))
    return tokenizer
