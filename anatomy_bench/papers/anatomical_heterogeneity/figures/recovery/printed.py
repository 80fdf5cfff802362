"""Tables 5 and 10 as numbers by layer; empty for a model of another depth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PrintedRow:
    """A row of Table 5.

    Attributes:
        noised: perplexity after noise.
        final: perplexity after training.
        noised_percent: its rise over the printed baseline.
        final_percent: its rise over the printed baseline.
        steps_below: by multiple of the baseline, as printed; the step limit means never.
    """

    noised: float
    final: float
    noised_percent: float
    final_percent: float
    steps_below: Mapping[str, int]


def table5(published: Mapping[str, Any], layer_count: int) -> dict[int, PrintedRow]:
    """Rows of Table 5 by layer."""
    if not _is_of(published, layer_count):
        return {}
    baseline = float(published["text"]["3.1"]["baseline_perplexity"])

    def row(printed: Mapping[str, Any]) -> PrintedRow:
        noised, final = float(printed["noise_perplexity"]), float(printed["final_perplexity"])
        steps = {multiple: int(step) for multiple, step in printed["steps_below"].items()}
        return PrintedRow(noised, final, 100 * (noised / baseline - 1), 100 * (final / baseline - 1), steps)

    return {table_row["layer"]: row(table_row) for table_row in published["recovery"]["layers"]}


def table10(published: Mapping[str, Any], layer_count: int) -> dict[int, tuple[float, float]]:
    """The least and the greatest ratio of a layer in Table 10."""
    if not _is_of(published, layer_count):
        return {}
    groups = published["budget"]["groups"]
    return {
        layer: (float(group["ratio_low"]), float(group["ratio_high"])) for group in groups for layer in group["layers"]
    }


def _is_of(published: Mapping[str, Any], layer_count: int) -> bool:
    depth: object = published.get("ablation", {}).get("layer_count")
    return depth == layer_count
