"""Importance of every layer, averaged away and skipped, beside Table 1."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.experiments.scored import THRESHOLDS_PERCENT, Variant
from anatomy_bench.report.drawing import (
    BLUE,
    ORANGE,
    PUBLISHED,
    REFERENCE,
    draw,
    ends,
    layer_ticks,
    legend,
    points,
    signed_log,
)
from anatomy_bench.report.figures import Evidence, Figure, published_degradation
from anatomy_bench.values.quantities import interval_text, quantity

_APART = 0.2
_VARIANTS = (
    ("neighbour_average", "averaged away", {"color": BLUE, "marker": "o", "linestyle": "none"}),
    ("skip", "skipped", {"color": ORANGE, "marker": "s", "linestyle": "none"}),
)


def importance(evidence: Evidence) -> Figure | None:
    """Degradation by layer on a signed log scale."""
    measured = evidence.measurement(Need("ablation"), AblationMeasurement)
    if measured is None or not measured.layers:
        return None
    printed = published_degradation(evidence.published, measured.subject.layers)
    return Figure(
        title="Importance by layer",
        caption=(
            "Rise of perplexity without each layer, on a signed log scale that is linear within ±10 %; bars are 95 % "
            "intervals over the sentences. Shaded: first and last layer, for which the paper prints 0.0. Dashed: the "
            "bounds of its categories."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, measured, printed),
            f"Rise of perplexity in percent without each of {len(measured.layers)} layers, averaged away and skipped",
            height=3.7,
        ),
        headers=("layer", "published %", *(f"{name} % [95 %]" for _, name, _ in _VARIANTS)),
        rows=_rows(measured, printed),
    )


def _paint(canvas: Any, axes: Any, measured: AblationMeasurement, printed: Mapping[int, float]) -> None:
    layers = [layer.layer for layer in measured.layers]
    shown = list(printed.values())
    for (key, name, style), shift in zip(_VARIANTS, (-_APART, _APART), strict=True):
        having = [each for each in measured.layers if key in each.variants]
        variants = [each.variants[key] for each in having]
        values = [each.degradation_percent for each in variants]
        intervals = [each.interval95_percent for each in variants]
        points(axes, np.array([each.layer for each in having]) + shift, values, intervals, label=name, **style)
        shown += ends(values, intervals)
    if printed:
        axes.plot(list(printed), list(printed.values()), label="published (averaged away)", **PUBLISHED)
    for _, bound in THRESHOLDS_PERCENT[:-1]:
        axes.axhline(bound, **REFERENCE)
    for layer in measured.layers:
        if layer.boundary:
            axes.axvspan(layer.layer - 0.5, layer.layer + 0.5, color="#020202", alpha=0.5, linewidth=0)
    axes.set_xlim(min(layers) - 0.7, max(layers) + 0.7)
    axes.grid(visible=False, axis="x")
    layer_ticks(axes)
    signed_log(axes.yaxis, shown)
    axes.set_ylabel("rise of perplexity, %")
    legend(canvas, axes, 3)


def _rows(measured: AblationMeasurement, printed: Mapping[int, float]) -> list[tuple[str, ...]]:
    return [
        (
            f"L{layer.layer}{' (boundary)' if layer.boundary else ''}",
            quantity(printed.get(layer.layer)),
            *(_cell(layer.variants.get(key)) for key, _, _ in _VARIANTS),
        )
        for layer in measured.layers
    ]


def _cell(variant: Variant | None) -> str:
    if variant is None:
        return "–"
    return f"{quantity(variant.degradation_percent)} {interval_text(variant.interval95_percent)}"


FIGURES = (importance,)
