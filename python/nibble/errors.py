# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The exceptions that this package raises for a user's mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NibbleError(Exception):
    """A file, an argument or a model that cannot be used.

    The text names the thing, says what is wrong with it and what to do, as the
    messages of the command-line tools do.
    """


class ContextOverflowError(NibbleError):
    """A text has more tokens than the limit of a context's keys and values."""


@dataclass(frozen=True)
class Diagnostic:
    """One message of the compiler."""

    severity: str
    """error, warning, remark or note."""
    message: str
    location: str
    """File, line, layer or option, as the compiler wrote it; "" for none."""

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        return f"{place}{self.severity}: {self.message}"


class CompileError(NibbleError):
    """nibble-compile refused a model.

    Attributes:
      command: the command with its arguments.
      status: its exit status: 1 for the model, 2 for an option, negative for the
        number of a signal.
      diagnostics: its messages, in order.
    """

    def __init__(
        self,
        command: Sequence[str],
        status: int,
        diagnostics: Sequence[Diagnostic],
        output: str,
    ):
        self.command, self.status = list(command), status
        self.diagnostics = list(diagnostics)
        errors = [str(d) for d in self.diagnostics if d.severity == "error"]
        told = "\n".join(errors) or output.strip()[-2000:] or "no message"
        super().__init__(f"nibble-compile ended with status {status}: {told}")
