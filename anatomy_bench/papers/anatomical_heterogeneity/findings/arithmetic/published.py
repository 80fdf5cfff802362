"""The paper's numbers for its arithmetic, read at every call, so that other data give other estimates."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity import published

Row = dict[str, Any]


def table(name: str) -> dict[str, Any]:
    """One of the paper's tables, by its name in the data file."""
    found: dict[str, Any] = published.load()[name]
    return found


def text(section: str) -> dict[str, Any]:
    """The numbers in a section's text, by the section's number."""
    found: dict[str, Any] = published.load()["text"][section]
    return found


def printed(section: str, key: str) -> Printed:
    """A number of the running text."""
    return Printed.parse(text(section)[key])


def count(section: str, key: str) -> int:
    """A count in the text, which is exact."""
    return int(text(section)[key])


def numbered(section: str, key: str) -> list[int]:
    """Layers or phases that the running text names by their numbers."""
    found: list[int] = text(section)[key]
    return found


def rows(name: str, key: str) -> list[Row]:
    """The rows of a table, under the name that they have there."""
    found: list[Row] = table(name)[key]
    return found


def layer_count() -> int:
    """Layers of the paper's model."""
    return int(table("ablation")["layer_count"])


def by_layer(name: str) -> dict[int, Row]:
    """The rows of a table that has one row per layer, by layer."""
    return {row["layer"]: row for row in rows(name, "layers")}


def degradations() -> dict[int, Printed]:
    """Table 1: what ablating each layer does to perplexity, in percent."""
    return {layer: Printed.parse(row["degradation_percent"]) for layer, row in by_layer("ablation").items()}


def labels() -> dict[int, str]:
    """Table 1: the category printed beside each layer."""
    return {layer: row["category"] for layer, row in by_layer("ablation").items()}


def thresholded() -> dict[int, str]:
    """The category that section 3.2's thresholds give each layer of Table 1."""
    return {layer: _category(degradation) for layer, degradation in degradations().items()}


def _category(degradation: Printed) -> str:
    bounds: dict[str, str] = table("ablation")["thresholds_percent"]
    below = (name.capitalize() for name, bound in bounds.items() if degradation.value < Fraction(bound))
    return next(below, "Critical")


def percent_above(changed: Printed, baseline: Printed) -> Printed:
    """Section 3.2's degradation, (changed / baseline − 1) · 100 %."""
    return (changed / baseline - 1) * 100


def layer_names(layers: Iterable[int]) -> str:
    """Layers as the paper writes them, such as `L3, L27`."""
    return ", ".join(f"L{layer}" for layer in sorted(layers)) or "none"
