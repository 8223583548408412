#!/usr/bin/env python3
# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs every test of a built tree and ends with one line, `N passed, N failed, N skipped`.

    lit    what lit finds in the build tree; unsupported tests count as skipped
    unit   every case of the GoogleTest executables in build/test/unit
    e2e    every test method in test/e2e/test_*.py, each file in a process of its
           own, so that a crash is a failure of one test

Exit status 1 when a test failed or none ran.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import unittest
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("NIBBLE_BUILD", ROOT / "build"))
LOGS = BUILD / "logs"
LIT = os.environ.get("NIBBLE_LIT", "/usr/lib/llvm-22/bin/lit")
# Longest time in seconds for lit, one unit-test executable, or one e2e file.
LIMIT = 600


@dataclass
class Totals:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, outcome: str, text: str = "") -> None:
        if outcome == "pass":
            self.passed += 1
        elif outcome == "skip":
            self.skipped += 1
            self.reasons[text] = self.reasons.get(text, 0) + 1
        else:
            self.failed += 1
            print(f"FAILED {name}")
            print("\n".join("    " + line for line in text.strip().splitlines()), flush=True)


def run_lit(totals: Totals, pattern: str | None) -> None:
    out = LOGS / "lit.json"
    out.unlink(missing_ok=True)
    # One worker per CPU this process may use, which lit does not look at.
    workers = len(os.sched_getaffinity(0))
    command = [LIT, "-q", f"-j{workers}", "-o", str(out), str(BUILD / "test")]
    if pattern:
        command += ["--filter", pattern, "--allow-empty-runs"]
    try:
        log = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        totals.add("lit", "fail", f"not finished after {LIMIT} s")
        return
    (LOGS / "lit.log").write_text(log.stdout)
    try:
        tests = json.loads(out.read_text())["tests"]
    except (OSError, ValueError, KeyError):
        totals.add("lit", "fail", log.stdout or f"lit ended with status {log.returncode}")
        return
    for test in tests:
        code, name = test["code"], "lit " + test["name"]
        if code in ("PASS", "XFAIL", "FLAKYPASS"):
            totals.add(name, "pass")
        elif code in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            if code != "EXCLUDED":
                totals.add(name, "skip", "a lit feature is not available")
        else:
            totals.add(name, "fail", f"{code}\n{test.get('output', '')}")


def run_unit(totals: Totals, pattern: str | None) -> None:
    for program in sorted((BUILD / "test/unit").glob("*Tests")):
        out = LOGS / f"{program.name}.json"
        out.unlink(missing_ok=True)
        try:
            run = subprocess.run(
                [program, f"--gtest_output=json:{out}"], cwd=program.parent,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            totals.add(program.name, "fail", f"not finished after {LIMIT} s")
            continue
        try:
            suites = json.loads(out.read_text())["testsuites"]
        except (OSError, ValueError, KeyError):
            # It crashed before it could write its results.
            totals.add(program.name, "fail", f"status {run.returncode}\n{run.stdout[-4000:]}")
            continue
        for suite in suites:
            for case in suite["testsuite"]:
                name = f"unit {suite['name']}.{case['name']}"
                if pattern and not re.search(pattern, name):
                    continue
                if failures := case.get("failures"):
                    totals.add(name, "fail", "\n".join(f["failure"] for f in failures))
                elif case.get("result") == "SKIPPED" or case["status"] != "RUN":
                    totals.add(name, "skip", "a unit test that does not apply here")
                else:
                    totals.add(name, "pass")


def run_e2e(totals: Totals, pattern: str | None) -> None:
    for path in sorted((ROOT / "test/e2e").glob("test_*.py")):
        log = LOGS / f"{path.stem}.jsonl"
        command = [sys.executable, __file__, "--worker", str(path), "--log", str(log)]
        if pattern:
            command += ["--filter", pattern]
        log.unlink(missing_ok=True)
        with open(LOGS / f"{path.stem}.log", "w") as output:
            try:
                status = subprocess.run(
                    command, stdout=output, stderr=subprocess.STDOUT, timeout=LIMIT
                ).returncode
            except subprocess.TimeoutExpired:
                status = f"not finished after {LIMIT} s"
        lines = log.read_text().splitlines() if log.exists() else []
        running = None
        for event in map(json.loads, lines):
            if event["outcome"] == "start":
                running = event["name"]
            else:
                running = None
                totals.add(event["name"], event["outcome"], event["text"])
        if status != 0:
            tail = (LOGS / f"{path.stem}.log").read_text()[-4000:]
            totals.add(running or f"e2e {path.stem}", "fail", f"process ended: {status}\n{tail}")


class Recorder(unittest.TestResult):
    """Writes one JSON line per event, so that a crash loses nothing."""

    def __init__(self, log) -> None:
        super().__init__()
        self._log = log
        self._bad: list[str] = []
        self._skipped: str | None = None

    def _write(self, test, outcome: str, text: str = "") -> None:
        module, _, rest = test.id().partition(".")
        name = f"e2e {module}.{rest.split('.')[-1]}"
        self._log.write(json.dumps({"name": name, "outcome": outcome, "text": text}) + "\n")
        self._log.flush()

    def startTest(self, test) -> None:
        super().startTest(test)
        self._bad, self._skipped = [], None
        self._write(test, "start")

    def stopTest(self, test) -> None:
        super().stopTest(test)
        if self._bad:
            self._write(test, "fail", "\n".join(self._bad))
        elif self._skipped is not None:
            self._write(test, "skip", self._skipped)
        else:
            self._write(test, "pass")

    def _broken(self, test, error) -> None:
        text = self._exc_info_to_string(error, test)
        if isinstance(test, unittest.TestCase):
            self._bad.append(text)
        else:  # setUpClass or setUpModule
            self._write(test, "fail", text)

    def addError(self, test, err) -> None:
        super().addError(test, err)
        self._broken(test, err)

    def addFailure(self, test, err) -> None:
        super().addFailure(test, err)
        self._broken(test, err)

    def addSubTest(self, test, subtest, err) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad.append(f"{subtest._subDescription()}\n{self._exc_info_to_string(err, test)}")

    def addSkip(self, test, reason) -> None:
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self._skipped = reason
        else:
            self._write(test, "skip", reason)


def worker(path: Path, log: str, pattern: str | None) -> None:
    sys.path[:0] = [str(path.parent), str(ROOT / "python"), str(ROOT / "scripts")]
    loader = unittest.TestLoader()
    tests = loader.discover(str(path.parent), path.name)

    def flat(suite):
        for item in suite:
            yield from flat(item) if isinstance(item, unittest.TestSuite) else [item]

    chosen = [t for t in flat(tests) if not pattern or re.search(pattern, t.id())]
    with open(log, "w") as file:
        unittest.TestSuite(chosen).run(Recorder(file))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["lit", "unit", "e2e"], action="append")
    parser.add_argument("--filter", help="regular expression that names must match")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, args.log, args.filter)
        return 0
    LOGS.mkdir(parents=True, exist_ok=True)
    totals = Totals()
    for name, run in (("lit", run_lit), ("unit", run_unit), ("e2e", run_e2e)):
        if args.only and name not in args.only:
            continue
        start, before = time.monotonic(), (totals.passed, totals.failed, totals.skipped)
        run(totals, args.filter)
        counts = [a - b for a, b in zip((totals.passed, totals.failed, totals.skipped), before)]
        ok, bad, off = counts
        print(
            f"{name}: {ok} ok, {bad} not ok, {off} left out, {time.monotonic() - start:.0f} s",
            flush=True,
        )
    for reason, count in sorted(totals.reasons.items()):
        print(f"left out, {count}: {reason}")
    summary = f"{totals.passed} passed, {totals.failed} failed"
    print(summary + (f", {totals.skipped} skipped" if totals.skipped else ""))
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
