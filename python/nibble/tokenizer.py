# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads and writes tokenizers in llama2.c's binary format.

The file is a little-endian `int32` with the length of the longest piece, then
for every token a `float32` score, an `int32` length and that many bytes.
Encoding is byte-pair merging: of all neighbouring pieces whose concatenation is
a piece too, the one with the highest score is merged first.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Iterable, Sequence

from .errors import NibbleError

BOS = 1
"""Token that starts a text and, when a model produces it, ends one."""

_FIRST_BYTE = 3


class Tokenizer:
    """A vocabulary of byte strings with merge scores.

    Args:
      pieces: the bytes of each token, by token number.
      scores: as many floats; a higher score is merged earlier.
    """

    def __init__(self, pieces: Sequence[bytes], scores: Sequence[float]):
        if len(pieces) != len(scores):
            raise NibbleError(
                f"a tokenizer needs one score per piece, got {len(pieces)} pieces "
                f"and {len(scores)} scores"
            )
        self.pieces = list(pieces)
        self.scores = list(scores)
        self._ids: dict[bytes, int] = {}
        for number, piece in enumerate(self.pieces):
            self._ids.setdefault(piece, number)
        # Vocabularies with byte fallback spell byte b as the piece <0xbb>.
        self._has_bytes = (
            len(self.pieces) >= _FIRST_BYTE + 256 and self.pieces[_FIRST_BYTE] == b"<0x00>"
        )

    def __len__(self) -> int:
        return len(self.pieces)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Tokenizer":
        """Reads a file; raises NibbleError when it is missing or malformed."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise NibbleError(f"{path}: cannot read tokenizer: {error.strerror}") from error
        if len(data) < 4:
            raise NibbleError(f"{path}: not a llama2.c tokenizer: only {len(data)} bytes")
        longest = struct.unpack_from("<i", data)[0]
        pieces: list[bytes] = []
        scores: list[float] = []
        offset = 4
        while offset < len(data):
            if offset + 8 > len(data):
                raise NibbleError(f"{path}: truncated in token {len(pieces)}")
            score, length = struct.unpack_from("<fi", data, offset)
            offset += 8
            if not 0 <= length <= longest or offset + length > len(data):
                raise NibbleError(
                    f"{path}: token {len(pieces)} has length {length}, expected at "
                    f"most {longest} and inside the file; is this a llama2.c tokenizer?"
                )
            pieces.append(data[offset : offset + length])
            scores.append(score)
            offset += length
        if len(pieces) <= BOS:
            raise NibbleError(f"{path}: a tokenizer needs at least two tokens")
        return cls(pieces, scores)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that `load` reads."""
        out = bytearray(struct.pack("<i", max(len(piece) for piece in self.pieces)))
        for piece, score in zip(self.pieces, self.scores):
            out += struct.pack("<fi", score, len(piece)) + piece
        Path(path).write_bytes(bytes(out))

    def encode(self, text: str, bos: bool = True) -> list[int]:
        """Splits `text` into tokens, by default after a start token.

        A space is put before a non-empty text, as the vocabulary's words carry
        their leading space. Raises NibbleError for a character that is no piece
        in a vocabulary without byte fallback.
        """
        tokens: list[int] = []
        for character in (" " + text) if text else "":
            encoded = character.encode("utf-8")
            if encoded in self._ids:
                tokens.append(self._ids[encoded])
            elif self._has_bytes:
                tokens.extend(byte + _FIRST_BYTE for byte in encoded)
            else:
                raise NibbleError(f"character {character!r} is not in the vocabulary of this model")
        while True:
            best = None
            for i in range(len(tokens) - 1):
                pair = self.pieces[tokens[i]] + self.pieces[tokens[i + 1]]
                number = self._ids.get(pair)
                if number is not None and (best is None or self.scores[number] > best[0]):
                    best = (self.scores[number], i, number)
            if best is None:
                break
            tokens[best[1] : best[1] + 2] = [best[2]]
        return ([BOS] if bos else []) + tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Joins tokens to text; bytes that are no UTF-8 become U+FFFD.

        The space in front of a text's first word is dropped, and so are start
        tokens.
        """
        out = bytearray()
        previous = BOS
        for token in tokens:
            if not 0 <= token < len(self.pieces):
                raise NibbleError(f"token {token} is outside the vocabulary of {len(self.pieces)}")
            piece = self.pieces[token]
            if token != BOS:
                if previous == BOS and piece.startswith(b" "):
                    piece = piece[1:]
                if self._has_bytes and _FIRST_BYTE <= token < _FIRST_BYTE + 256:
                    piece = bytes([token - _FIRST_BYTE])
                out += piece
            previous = token
        return out.decode("utf-8", errors="replace")
