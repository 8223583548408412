# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the end-to-end tests share: everything of evaluation.py, and running tools."""

from __future__ import annotations

import os
import resource
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


def usage_of_tool(name: str, *args: object) -> resource.struct_rusage:
    """Runs a tool, which must succeed, and returns its time and its largest memory."""
    command = [tool(name), *map(str, args)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"{name} ended with status {process.returncode}")
    return usage


def has_tiles() -> bool:
    """Whether this machine multiplies bf16 in AMX tiles."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return all(flag in flags for flag in ("amx_tile", "amx_bf16", "avx512_bf16"))


class CalibrationReader:
    """Feeds, one for each sample, as ONNX Runtime's quantizer asks for them."""

    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def quantization_tests(folder: str) -> Path:
    """A folder for tests that need ONNX Runtime's quantizer; skips them without it."""
    onnxruntime()
    tool("nibble-compile")
    try:
        from onnxruntime import quantization  # noqa: F401
    except ImportError as error:
        raise Missing(f"onnxruntime.quantization: {error}") from None
    path = WORK / folder
    path.mkdir(parents=True, exist_ok=True)
    return path
