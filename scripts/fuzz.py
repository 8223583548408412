#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fuzzes the readers of foreign input with libFuzzer, AddressSanitizer and UBSan.

    scripts/fuzz.py --seconds 3600              # builds, seeds, runs all at once
    scripts/fuzz.py onnx --seconds 600
    scripts/fuzz.py --seeds-only

Targets (test/Fuzz): `onnx`, the importer and phase onnx; `config`, the YAML of
--config; `weights`, tensors and sidecars as the runtime reads them; `ir`, the textual
dialects; `calibration`, statistics, safetensors and samples. Seeds come from the
tests. A find is a crash, a report of a sanitizer, a leak, more than 2 GB of memory or
25 seconds; it is kept in build-fuzz/fuzz/T/finds and the run goes on. After it is mended, the file goes to test/Fuzz/Inputs/T, where
lit replays it in every build. A corpus stays for the next run.

The last lines are a table: executions, coverage, processor time, finds.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-fuzz"
LLVM = Path("/usr/lib/llvm-22")
SHARED = Path(os.environ.get("NIBBLE_SHARED", ROOT.parent / "shared"))
# Longest input in bytes. Readers that recurse, as MLIR's own, fail at a depth that
# only longer ones have.
MAX_SIZE = {"onnx": 16384, "config": 2048, "weights": 4096, "ir": 8192, "calibration": 4096}


# Seeds.


def onnx_seeds():
    """The models of the importer's tests and, if they are there, ONNX's node tests."""
    schema = ROOT / "lib/Format/ONNX"
    encode = ["protoc", "--encode=nibble.onnx_schema.ModelProto", "-I", schema, "onnx.proto"]
    for path in sorted((ROOT / "test/Format/ONNX").glob("*.textproto")):
        run = subprocess.run(encode, input=path.read_bytes(), capture_output=True)
        if run.returncode == 0:
            yield path.stem, run.stdout
    for path in sorted((SHARED / "models/onnx-backend-tests").glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith("/model.onnx") and member.size <= 4096:
                    name = member.name.split("/")[-2]
                    yield name, archive.extractfile(member).read()


def config_seeds():
    """Raw strings of the reader's unit test."""
    text = (ROOT / "test/unit/Support/QuantizationConfigTest.cpp").read_text()
    for i, raw in enumerate(re.findall(r'R"\((.*?)\)"', text, re.DOTALL)):
        yield f"raw{i}", raw.encode()
    for i, line in enumerate(re.findall(r'"(version: .*?)"[,)]', text, re.DOTALL)):
        line = re.sub(r'"\s*"', "", line).replace('\\"', '"').replace("\\n", "\n")
        yield f"line{i}", line.encode()


def weights_seeds():
    """Arrays of every type in every kind of file; `y`, `z`, `p`, `s`, `e` come first."""
    import numpy as np

    types = ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "V2")
    for kind in types:
        file = io.BytesIO()
        np.save(file, np.zeros((2, 3), kind))
        yield f"npy-{kind.strip('?')}", b"y" + file.getvalue()
    for name, save in (("stored", np.savez), ("packed", np.savez_compressed)):
        file = io.BytesIO()
        save(file, x=np.arange(60, dtype=np.int64).reshape(3, 20), other=np.ones(2))
        yield "npz-" + name, b"z" + file.getvalue()
    file = io.BytesIO()
    np.save(file, np.asfortranarray(np.ones((2, 3, 2), np.float32)))
    yield "npy-fortran", b"y" + file.getvalue()
    try:
        from onnx import TensorProto, helper

        for kind in range(1, 24):
            for raw in (False, True):
                values = b"\0" * 64 if raw else [1, 0, 1, 1]
                try:
                    tensor = helper.make_tensor("x", kind, [2, 2], values, raw)
                except (TypeError, ValueError, KeyError):
                    continue
                size = helper.tensor_dtype_to_np_dtype(kind).itemsize * 4
                if raw and kind != TensorProto.STRING:
                    tensor.raw_data = tensor.raw_data[:size]
                yield f"pb-{kind}-{int(raw)}", b"p" + tensor.SerializeToString()
    except ImportError:
        print("the Python package onnx is not there: no seeds of TensorProto")
    header = struct.pack("<8sIIQQ", b"NIBBLEWT", 1, 0, 64, 0x0123456789ABCDEF)
    yield "sidecar", b"s" + header.ljust(4096, b"\0") + bytes(64)
    program = (BUILD / "bin/llvm-min-tblgen").resolve()
    for path in (program, Path("/bin/true")):
        if path.exists():
            yield "program", b"e" + path.read_bytes()[:4000]


def ir_seeds():
    """The modules of all lit tests."""
    for path in sorted((ROOT / "test").rglob("*.mlir")):
        lines = (x for x in path.read_text().splitlines() if not x.lstrip().startswith("//"))
        parts = re.split(r"^// -----", path.read_text(), flags=re.MULTILINE)
        for i, part in enumerate(parts):
            lines = [x for x in part.splitlines() if not x.lstrip().startswith("//")]
            text = "\n".join(lines).strip() + "\n"
            if 1 < len(text) <= MAX_SIZE["ir"]:
                yield f"{path.stem}-{i}", text.encode()


def calibration_seeds():
    """The texts of lit tests, and arrays as samples."""
    for path in sorted((ROOT / "test").rglob("*.yaml")):
        text = path.read_bytes()
        if b"\nmodel:" in text:
            yield "text-" + path.stem, b"t" + text
    for name, data in weights_seeds():
        if data[:1] in (b"y", b"z", b"p"):
            yield name, data


SEEDS = {
    "onnx": onnx_seeds,
    "config": config_seeds,
    "weights": weights_seeds,
    "ir": ir_seeds,
    "calibration": calibration_seeds,
}


def words(target: str) -> set[str]:
    """Texts that a reader looks for, as its source has them."""
    found: set[str] = set()
    if target in ("onnx", "ir"):
        for path in (ROOT / "include/nibble/Dialect").rglob("*.td"):
            text = path.read_text()
            found.update(re.findall(r'ONNX_Op<"(\w+)"', text))
            found.update(re.findall(r"\$(\w+)", text))
    if target == "ir":
        found.update(re.findall(r"#?nibble\.\w+", "\n".join(
            p.read_text() for p in (ROOT / "test/Dialect/Nibble").rglob("*.mlir"))))  # fmt: skip
        found.update(("dense<", "tensor<", "memref<", "loc(", "func.func", "->", "ui8", "f16"))
    if target == "config":
        text = (ROOT / "lib/Support/ConfigReader.cpp").read_text()
        found.update(re.findall(r'"([a-z][a-z0-9-]{2,})"', text))
        found.update(("W4A16", "W8A16", "rtn", "f16", "mse", "true", "- ", ": ", "'*'", "&a", "*a"))
    if target == "calibration":
        text = (ROOT / "lib/Calibration/StatisticsReader.cpp").read_text()
        found.update(re.findall(r'"([a-z][a-z0-9-]{2,})"', text))
        found.update(("minmax", "entropy", "data_offsets", "dtype", "shape", "F32", "BF16"))
    if target in ("weights", "calibration"):
        found.update(("'descr': '<f4'", "'fortran_order': True", "'shape': (", "PK\\x01\\x02",
                      "PK\\x03\\x04", "PK\\x05\\x06", "PK\\x06\\x06", "PK\\x06\\x07"))  # fmt: skip
    return found


def prepare(target: str) -> Path:
    """Writes seeds and dictionary; returns the target's folder."""
    folder = BUILD / "fuzz" / target
    for name in ("seeds", "corpus", "finds", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    count = 0
    for name, data in SEEDS[target]():
        if len(data) <= MAX_SIZE[target]:
            (folder / "seeds" / re.sub(r"\W", "_", name)).write_bytes(data)
            count += 1
    for path in (ROOT / "test/Fuzz/Inputs" / target).glob("*"):
        (folder / "seeds" / path.name).write_bytes(path.read_bytes())
    lines = (f'"{word}"' for word in sorted(words(target)))
    (folder / "words.dict").write_text("\n".join(lines) + "\n")
    print(f"{target}: {count} seeds", flush=True)
    return folder


# Runs.


@dataclass
class Run:
    target: str
    folder: Path
    process: subprocess.Popen
    start: float
    cpu: float = 0
    wall: float = 0

    def row(self) -> list[str]:
        log = (self.folder / "log").read_text(errors="replace")
        status = re.findall(r"#(\d+): cov: (\d+) ft: (\d+) corp: (\d+)", log)
        executions, coverage, _, corpus = status[-1] if status else ("0",) * 4
        kinds = re.findall(r"oom/timeout/crash: (\d+)/(\d+)/(\d+)", log)
        finds = sum(map(int, kinds[-1])) if kinds else 0
        kept = len(list((self.folder / "finds").iterdir()))
        return [self.target, f"{self.wall / 60:.0f}", f"{self.cpu / 60:.1f}",
                executions, coverage, corpus, str(finds), str(kept)]  # fmt: skip


def start(target: str, folder: Path, seconds: int, idle: bool) -> Run:
    # Copies, so that mending goes on, and building, while this runs.
    for path in (BUILD / f"test/fuzz/fuzz-{target}", BUILD / "lib/libNibble.so.0.1"):
        (folder / path.name).unlink(missing_ok=True)
        shutil.copy2(path, folder / path.name)
    command = [
        folder / f"fuzz-{target}", folder / "corpus", folder / "seeds",
        "-fork=1", "-ignore_crashes=1", "-ignore_ooms=1", "-ignore_timeouts=1",
        "-timeout=25", "-report_slow_units=25",
        "-rss_limit_mb=2048", "-malloc_limit_mb=2048",
        f"-max_len={MAX_SIZE[target]}", f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/finds/", f"-dict={folder}/words.dict",
    ]  # fmt: skip
    # LLVM's libraries are not instrumented; see test/lit.cfg.py.
    options = "allow_user_poisoning=0:detect_container_overflow=0"
    environment = dict(
        os.environ,
        TMPDIR=str(folder / "tmp"),
        LD_LIBRARY_PATH=str(folder),
        ASAN_OPTIONS=options,
        UBSAN_OPTIONS="print_stacktrace=1",
        ASAN_SYMBOLIZER_PATH=str(LLVM / "bin/llvm-symbolizer"),
    )

    def lower() -> None:
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment,
            preexec_fn=lower if idle else None,
        )  # fmt: skip
    return Run(target, folder, process, time.monotonic())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="of each target (default 60)")
    parser.add_argument("--normal-priority", action="store_true", help="default: idle")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--seeds-only", action="store_true")
    args = parser.parse_args()
    targets = args.targets or list(SEEDS)
    if unknown := [t for t in targets if t not in SEEDS]:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(SEEDS)}")
    if not args.no_build:
        if not (BUILD / "build.ninja").exists():
            subprocess.run(["cmake", "--preset", "fuzz"], cwd=ROOT, check=True)
        subprocess.run(["ninja", "-C", BUILD, "nibble-fuzzers"], check=True)
    folders = {target: prepare(target) for target in targets}
    if args.seeds_only:
        return 0
    runs = [start(t, folders[t], args.seconds, not args.normal_priority) for t in targets]
    for run in runs:
        _, _, usage = os.wait4(run.process.pid, 0)
        run.cpu = usage.ru_utime + usage.ru_stime
        run.wall = time.monotonic() - run.start
        for left in (run.folder / "tmp").rglob("*"):
            if left.is_file():
                left.unlink()
    titles = ["target", "minutes", "CPU min", "executions", "coverage", "corpus", "finds", "kept"]
    table = [titles] + [run.row() for run in runs]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("  ".join(text.rjust(width) for text, width in zip(row, widths)))
    return 1 if any(int(run.row()[-1]) for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
