"""Published numbers as data: `published.toml` in a paper's room, read once."""

import hashlib
import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def load(room: str) -> dict[str, Any]:
    """The published numbers of a paper.

    Args:
        room: the paper's package, such as `anatomy_bench.papers.anatomical_heterogeneity`.
    """
    return tomllib.loads(_text(room))


def digest(room: str) -> str:
    """SHA-256 of the file of a paper's published numbers."""
    return hashlib.sha256(_text(room).encode()).hexdigest()


def _text(room: str) -> str:
    return resources.files(room).joinpath("published.toml").read_text(encoding="utf-8")
