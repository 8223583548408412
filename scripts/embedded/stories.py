# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Short stories with questions whose answers follow from the story.

A story is drawn from a small grammar: somebody has some things, gets or loses
a few, carries them somewhere. The questions ask for what was said (colour,
place, name) and for the sum, so that a language model's answers are simply
right or wrong.
"""

from __future__ import annotations

import random

_GIRLS = "Anna Clara Dora Ella Fiona Greta Hilda Ida Julia Lena Mona Nora".split()
_BOYS = "Adam Ben Carl David Emil Felix Georg Hugo Jonas Karl Leo Max".split()
_THINGS = (
    "apples balls books boxes buttons candles cards coins cups flowers hats keys "
    "lamps nuts pears pens plums rings shells spoons stones toys"
).split()
_COLOURS = "red blue green yellow brown black white golden silver orange".split()
_PLACES = (
    "market garden school river forest station kitchen castle village harbor library bakery"
).split()
_WEATHER = (
    "It is a warm and sunny morning.",
    "The rain has just stopped.",
    "The wind blows from the sea.",
    "It is late and the moon is out.",
    "Snow covers all the roofs.",
)
_WALK = (
    "{She} walks slowly and sings a song.",
    "On the way {she} meets an old dog.",
    "The way is long, but {she} likes it.",
    "A small bird follows {her} all the way.",
)
_END = (
    "Everybody is happy.",
    "Then it is time to go home.",
    "{Name} smiles and waves to {friend}.",
    "That was a good day for {Name} and {friend}.",
)

# A story is a list of (text, is_answer) pieces.
Story = list[tuple[str, bool]]


def make_story(rng: random.Random) -> Story:
    """Draws one story; the pieces with True are the answers, each ends in a full stop."""
    girl = rng.random() < 0.5
    name = rng.choice(_GIRLS if girl else _BOYS)
    friend = rng.choice([n for n in _GIRLS + _BOYS if n != name])
    colour, place = rng.choice(_COLOURS), rng.choice(_PLACES)
    things, others = rng.sample(_THINGS, 2)
    more = rng.random() < 0.6
    first = rng.randint(2 if more else 4, 12)
    change = rng.randint(1, 8) if more else rng.randint(1, min(8, first - 1))
    total = first + change if more else first - change
    words = {
        "Name": name, "friend": friend,
        "She": "She" if girl else "He", "she": "she" if girl else "he",
        "her": "her" if girl else "him",
    }  # fmt: skip

    def say(text: str) -> str:
        return text.format(**words)

    text = []
    if rng.random() < 0.5:
        text.append(rng.choice(_WEATHER))
    text.append(f"{name} has {first} {colour} {things}.")
    if more:
        text.append(say(f"{{friend}} gives {{her}} {change} more."))
    else:
        text.append(say(f"{{She}} gives {change} to {{friend}}."))
    text.append(say(f"{{She}} takes the {things} to the {place}."))
    if rng.random() < 0.5:
        text.append(say(rng.choice(_WALK)))
    if rng.random() < 0.3:
        text.append(say(f"{{friend}} would rather have {others}."))

    questions = [
        (f"How many {things} does {name} have now?", f"{total}."),
        (f"What color are the {things}?", f"{colour.capitalize()}."),
        (f"Where are the {things} now?", f"At the {place}."),
        (f"Who {'gives' if more else 'gets'} {things}?", f"{friend}."),
    ]
    rng.shuffle(questions)
    pieces: Story = [(" ".join(text), False)]
    for question, answer in questions[: rng.randint(2, 4)]:
        pieces += [(" " + question, False), (" " + answer, True)]
    pieces.append((" " + say(rng.choice(_END)), False))
    return pieces


def story_text(story: Story) -> str:
    return "".join(text for text, _ in story)


def learn_pieces(texts: list[str], size: int) -> tuple[list[bytes], list[float]]:
    """Byte-pair encoding (Gage 1994; Sennrich et al., arXiv:1508.07909).

    Returns `size` pieces and their scores for nibble.Tokenizer: three special
    ones, the characters, then merges in the order in which they were found.
    Merges stay inside a word with its leading space; digits stay alone.
    """
    counts: dict[tuple[str, ...], int] = {}
    for text in texts:
        for word in (" " + text).replace(" ", "\0 ").split("\0")[1:]:
            counts[tuple(word)] = counts.get(tuple(word), 0) + 1
    characters = sorted({c for word in counts for c in word})
    pieces = ["<unk>", "<s>", "</s>", *characters]
    merges = 0
    while len(pieces) < size:
        pairs: dict[tuple[str, str], int] = {}
        for word, count in counts.items():
            for pair in zip(word, word[1:]):
                if not any(c.isdigit() or c in ".,?" for c in "".join(pair)):
                    pairs[pair] = pairs.get(pair, 0) + count
        if not pairs:
            break
        left, right = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges += 1
        pieces.append(left + right)
        counts = {_merge(word, left, right): count for word, count in counts.items()}
    scores = [0.0] * (len(pieces) - merges) + [-float(i) for i in range(1, merges + 1)]
    return [piece.encode() for piece in pieces], scores


def _merge(word: tuple[str, ...], left: str, right: str) -> tuple[str, ...]:
    out: list[str] = []
    for part in word:
        if out and out[-1] == left and part == right:
            out[-1] = left + right
        else:
            out.append(part)
    return tuple(out)
