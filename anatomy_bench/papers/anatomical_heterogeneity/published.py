"""The paper's id and its published numbers, as its experiments, findings and figures read them."""

from typing import Any

from anatomy_bench.values import published

PAPER = "anatomical-heterogeneity"


def load() -> dict[str, Any]:
    """The published numbers: those of the text by section, and the tables."""
    return published.load(__package__)
