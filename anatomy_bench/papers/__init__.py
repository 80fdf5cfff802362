"""Published numbers as data: one TOML file a paper, read once."""

import hashlib
import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def load(paper: str) -> dict[str, Any]:
    """The published numbers of a paper.

    Args:
        paper: id, such as `anatomical-heterogeneity`; its file bears the same name.
    """
    return tomllib.loads(_text(paper))


def digest(paper: str) -> str:
    """SHA-256 of a paper's published numbers, as they stand in its file."""
    return hashlib.sha256(_text(paper).encode()).hexdigest()


def _text(paper: str) -> str:
    return resources.files(__name__).joinpath(f"{paper}.toml").read_text(encoding="utf-8")
