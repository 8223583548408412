# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A sample of ONNX's own operator tests; test/conformance runs all of them."""

import subprocess
import sys
import unittest

import support as s


class Operators(unittest.TestCase):
    def test_sample(self):
        data = s.shared("onnx-backend-tests")
        s.tool("nibble-compile")
        runner = s.ROOT / "test/conformance/run_node_tests.py"
        ran = subprocess.run(
            [sys.executable, runner, "--data", data, "--bin", s.BUILD / "bin", "--sample", "29"],
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
