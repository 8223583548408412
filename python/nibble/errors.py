# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The one exception type that this package raises for a user's mistake."""


class NibbleError(Exception):
    """A file, an argument or a model that cannot be used.

    The text names the thing, says what is wrong with it and what to do, as the
    messages of the command-line tools do.
    """
