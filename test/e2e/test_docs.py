# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The shell examples of README.md and docs/ do what the pages say; one test a page."""

import re
import tempfile
import unittest
from pathlib import Path

import check_docs
import support as s


class Examples(unittest.TestCase):
    """Has a test for every page, made below."""


def add(page: Path) -> None:
    def test(self):
        s.tool("nibble-compile")
        self.assertEqual("\n".join(check_docs.check(page)), "")

    name = "test_" + re.sub(r"\W", "_", page.stem.lower())
    setattr(Examples, name, test)


for page in check_docs.documents():
    add(page)


class Checker(unittest.TestCase):
    """The checker notices examples that do not work."""

    def problems(self, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text(text)
            return check_docs.check(page)

    def test_failing_command(self):
        found = self.problems("```sh\ntrue\n```\ntext\n```sh\nfalse\n```\n")
        self.assertEqual(len(found), 1)
        self.assertIn("page.md:5: status 1", found[0])

    def test_output(self):
        page = "```sh\necho one; echo two 17 ms\n```\n<!-- output -->\n```\n%s\n```\n"
        self.assertEqual(self.problems(page % "one\ntwo ... ms"), [])
        self.assertIn("'three'", self.problems(page % "one\nthree")[0])

    def test_marked_block_is_not_run(self):
        self.assertEqual(self.problems("<!-- not run -->\n```sh\nfalse\n```\n"), [])


if __name__ == "__main__":
    unittest.main()
