"""Text that comes from outside, such as file names."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def as_utf8(text: str) -> str:
    """The text with a sign in place of every byte that was not UTF-8: file names may have such, JSON may not."""
    return _SURROGATE.sub("\ufffd", text)
