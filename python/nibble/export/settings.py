# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""JSON configuration files, with messages that name the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import NibbleError


class Settings:
    """A JSON object in a file, such as `config.json`."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise NibbleError(f"{path}: cannot read: {error.strerror}") from error
        except ValueError as error:
            raise NibbleError(f"{path}: not JSON: {error}") from error
        if not isinstance(self.values, dict):
            raise NibbleError(f"{path}: expected a JSON object")

    def get(self, key: str, default: Any = None) -> Any:
        """A value, or the default when it is missing or null."""
        value = self.values.get(key)
        return default if value is None else value

    def number(self, key: str, default: int | float | None = None) -> Any:
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NibbleError(f"{self.path}: {key} is {value!r}, expected a number")
        return value
