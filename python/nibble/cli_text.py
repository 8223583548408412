# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The verbs about text: generate, chat, perplexity."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from .compiler import QuantizationConfig, Rule
from .errors import NibbleError
from .fetch import PUBLISHED
from .language import LanguageModel
from .perplexity import perplexity
from .runtime import Model
from .sampling import Sampling
from .sources import prepare
from .text import Message, load_codec

_MODEL_HELP = (
    "a compiled model (.so), or what becomes one first: an ONNX file or exported folder, a GGUF "
    f"file, a Hugging Face folder, or a name ({', '.join(PUBLISHED)})"
)

#: Of embedding and head when nobody chooses.
DEFAULT_HEAD = "W8A16"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _quantization(args: argparse.Namespace, default: str) -> QuantizationConfig | None:
    """From the options, or None when they ask for nothing."""
    scheme, head = args.quantize or default, args.head
    if scheme == "none" and not head:
        return None
    if not args.quantize and not head:
        # A float table is read for each token, and larger than all else in 4 bits.
        head = DEFAULT_HEAD
    # bitsandbytes' types have defaults of their own, and no zero points.
    is_table = scheme in ("NF4", "FP4")
    return QuantizationConfig(
        scheme,
        group_size=args.group_size or (None if is_table else 32),
        symmetric=args.symmetric or is_table,
        scale_type=args.scale_type,
        double_quant=args.double_quant,
        head=head,
        # The adapter's own matrices are small, and quantizing them loses most.
        rules=[Rule(layers="*.lora_*", skip=True)] if args.adapter else [],
    )


def _is_compiled(args: argparse.Namespace) -> bool:
    return args.model.endswith(".so")


def _compiled(args: argparse.Namespace, default: str) -> Path:
    if _is_compiled(args) and not args.quantize and not args.head and not args.adapter:
        return Path(args.model)
    return prepare(
        args.model,
        _quantization(args, default),
        adapter=args.adapter,
        merge_adapter=args.merge_adapter,
        report=_say,
    )


def _language_model(args: argparse.Namespace) -> LanguageModel:
    path = _compiled(args, "W4A16")
    return LanguageModel(path, args.tokenizer, threads=args.threads)


def _sampling(args: argparse.Namespace) -> Sampling:
    return Sampling(
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
        seed=args.seed,
    )


def _print_pieces(pieces: Iterable[str], stream: bool) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if stream:
            print(piece, end="", flush=True)
    print("" if stream else text, flush=True)
    return text


def _print_statistics(model: LanguageModel) -> None:
    sizes = {name: f"{size / 1e6:.1f} MB" for name, size in model.memory().items()}
    _say(
        f"{model.statistics}; weights {sizes['weights']}, working memory {sizes['working']}, "
        f"peak of the process {sizes['peak']}"
    )


def _generate(args: argparse.Namespace) -> None:
    model = _language_model(args)
    prompt = args.prompt
    stream = not args.no_stream
    if args.echo:
        print(prompt, end="", flush=True)
    pieces = model.generate(prompt, args.tokens, _sampling(args), args.stop)
    _print_pieces(pieces, stream)
    if not args.quiet:
        _print_statistics(model)


def _chat(args: argparse.Namespace) -> None:
    model = _language_model(args)
    messages: list[Message] = []
    if args.system:
        messages.append({"role": "system", "content": args.system})
    interactive = args.message is None
    if interactive and sys.stdin.isatty():
        _say("An empty line ends the conversation.")
    turns = iter(args.message or [])
    while True:
        if interactive:
            if sys.stdin.isatty():
                print("> ", end="", flush=True)
            said = sys.stdin.readline().strip()
        else:
            said = next(turns, "")
        if not said:
            break
        messages.append({"role": "user", "content": said})
        pieces = model.chat(messages, args.tokens, _sampling(args), args.stop)
        answer = _print_pieces(pieces, not args.no_stream)
        messages.append({"role": "assistant", "content": answer})
    if not args.quiet:
        _print_statistics(model)


def _perplexity(args: argparse.Namespace) -> None:
    path = _compiled(args, "none")
    codec = load_codec(args.tokenizer or path.resolve().parent)
    try:
        text = Path(args.text).read_text(encoding="utf-8")
    except OSError as error:
        raise NibbleError(f"{args.text}: cannot read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NibbleError(f"{args.text}: not UTF-8 text: {error}") from error
    reference = None
    if args.reference:
        reference = Model(prepare(args.reference, report=_say), threads=args.threads)

    def progress(done: int, count: int, value: float) -> None:
        if sys.stderr.isatty():
            print(f"\rwindow {done} of {count}: {value:.3f}", end="", file=sys.stderr, flush=True)
            if done == count:
                print(file=sys.stderr)
        else:
            _say(f"window {done} of {count}: {value:.3f}")

    result = perplexity(
        Model(path, threads=args.threads),
        codec.encode(text, special=False),
        args.window,
        reference,
        args.windows,
        None if args.quiet else progress,
    )
    if args.json:
        print(json.dumps(result.as_dict(), indent=2))
        return
    print(f"perplexity {result.perplexity:.4f} ({result.nll:.5f} +- {result.error:.5f} nats/token)")
    print(f"{result.tokens} tokens in {result.windows} windows of {result.window}")
    if reference is not None:
        print(f"reference perplexity {result.reference_perplexity:.4f}")
        print(
            f"KL divergence {result.kl_divergence:.6f} nats (99th percentile "
            f"{result.kl_divergence_99:.6f})"
        )
        print(f"same most likely token {100 * result.same_top:.2f} %")


def _add_model(parser: argparse.ArgumentParser, default: str | None, scheme: str) -> None:
    if default:
        parser.add_argument("model", nargs="?", default=default, help=f"{_MODEL_HELP}; {default}")
    else:
        parser.add_argument("model", help=_MODEL_HELP)
    parser.add_argument("--tokenizer", help="its file or folder (default: beside the model)")
    parser.add_argument("--threads", type=int, default=0, help="threads of a step; 0: all")
    group = parser.add_argument_group("for a model that is not compiled yet")
    group.add_argument("--quantize", metavar="SCHEME", help=f"default: {scheme}")
    group.add_argument(
        "--group-size", type=int, metavar="N", help="default: 32, of NF4 and FP4 64"
    )
    group.add_argument("--symmetric", action="store_true", help="no zero points")
    group.add_argument(
        "--scale-type", choices=("f16", "bf16", "f32"), help="default: f16, of NF4 and FP4 f32"
    )
    group.add_argument("--double-quant", action="store_true", help="scales in 8 bits")
    chosen = "float" if scheme == "none" else f"{DEFAULT_HEAD}, float with --quantize"
    group.add_argument(
        "--head", metavar="SCHEME", help=f"of embedding and head (default: {chosen})"
    )
    group.add_argument("--adapter", metavar="DIR", help="a LoRA adapter in PEFT's format")
    group.add_argument("--merge-adapter", action="store_true", help="add it to the weights")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    d = Sampling()
    add = parser.add_argument_group("choice of tokens").add_argument
    add("--temperature", type=float, default=d.temperature, help="0: the most likely (default)")
    add("--top-k", type=int, default=d.top_k, help="most tokens to choose from; 0: all")
    add("--top-p", type=float, default=d.top_p, help="probability that they reach together")
    add("--min-p", type=float, default=d.min_p, help="least share of the best one's probability")
    add("--repetition-penalty", type=float, default=d.repetition_penalty)
    add("--seed", type=int, help="of the random numbers")
    add("--stop", action="append", default=[], metavar="TEXT", help="end before it; repeatable")
    parser.add_argument("--no-stream", action="store_true", help="print the text when it is done")
    parser.add_argument("--quiet", action="store_true", help="no times and memory at the end")


def add_verbs(verbs: argparse._SubParsersAction) -> None:
    """Adds the parsers of this file's verbs."""
    text = verbs.add_parser("generate", help="continue a text")
    _add_model(text, None, "W4A16, asymmetric")
    text.add_argument("--prompt", default="", help="text to continue; default: an empty one")
    text.add_argument("--tokens", type=int, default=256, help="most tokens to add")
    text.add_argument("--echo", action="store_true", help="print the prompt too")
    _add_sampling(text)
    text.set_defaults(run=_generate)

    chat = verbs.add_parser("chat", help="talk with a model, a line each")
    _add_model(chat, "smollm2", "W4A16, asymmetric")
    chat.add_argument("--system", help="what the model is told before the conversation")
    chat.add_argument(
        "--message", action="append", metavar="TEXT", help="say this instead of reading lines"
    )
    chat.add_argument("--tokens", type=int, default=512, help="most tokens of an answer")
    _add_sampling(chat)
    chat.set_defaults(run=_chat)

    score = verbs.add_parser("perplexity", help="how well a model predicts a text")
    _add_model(score, None, "none")
    score.add_argument("--text", required=True, metavar="FILE", help="UTF-8 text")
    score.add_argument("--window", type=int, default=512, help="tokens of a window")
    score.add_argument("--windows", type=int, help="most windows to use")
    score.add_argument("--reference", metavar="MODEL", help="compare with this, e.g. the float one")
    score.add_argument("--json", action="store_true", help="print the result as JSON")
    score.add_argument("--quiet", action="store_true", help="no progress")
    score.set_defaults(run=_perplexity)
