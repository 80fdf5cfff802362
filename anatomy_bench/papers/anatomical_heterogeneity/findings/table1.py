"""Table 1 of the paper, for the findings on ablation."""

from functools import cache

from anatomy_bench.papers.anatomical_heterogeneity.published import load

PLACE = "Table 1"


@cache
def layer_count() -> int:
    """Number of layers of the paper's model."""
    return int(load()["ablation"]["layer_count"])


@cache
def degradation_percent() -> dict[int, float]:
    """Degradation by layer, as printed."""
    return {row["layer"]: float(row["degradation_percent"]) for row in load()["ablation"]["layers"]}


@cache
def categories() -> dict[int, str]:
    """Category by layer, as printed."""
    return {row["layer"]: row["category"] for row in load()["ablation"]["layers"]}
