# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the end-to-end tests share: everything of evaluation.py, and running tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from evaluation import *  # noqa: E402, F401, F403
from evaluation import tool  # noqa: E402


def run_tool(name: str, *args: object, **kwargs) -> subprocess.CompletedProcess:
    """Runs a tool and returns its status and output, whatever they are."""
    command = [tool(name), *map(str, args)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, text=True, timeout=300, **{**streams, **kwargs})
