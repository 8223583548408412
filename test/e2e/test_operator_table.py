# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""docs/operators.md is what scripts/operator_table.py writes."""

import importlib.metadata
import subprocess
import sys
import unittest

import support as s

# Another version of ONNX has other operators.
VERSION = "1.23"


class OperatorTable(unittest.TestCase):
    def test_up_to_date(self):
        data = s.shared("onnx-backend-tests")
        if not importlib.metadata.version("onnx").startswith(VERSION):
            raise unittest.SkipTest(f"the table is of ONNX {VERSION}")
        script = s.ROOT / "scripts/operator_table.py"
        ran = subprocess.run(
            [sys.executable, script, "--data", data, "--check"],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
