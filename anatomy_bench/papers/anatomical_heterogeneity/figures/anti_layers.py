"""The layers that are closest to being anti-layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.experiments.scored import interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.findings.anti_layers import AVERAGE, ON_TEN, ON_WIDE
from anatomy_bench.report.drawing import BLUE, GREEN, ORANGE, PUBLISHED, REFERENCE, bars, draw, legend
from anatomy_bench.report.figures import Evidence, Figure, published_degradation
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

_SHOWN = 12
_SERIES = (
    ("on this text", ON_TEN, AVERAGE, {"color": BLUE, "marker": "o"}),
    ("on other text", ON_WIDE, AVERAGE, {"color": GREEN, "marker": "^"}),
    ("skipped, on other text", ON_WIDE, "skip", {"color": ORANGE, "marker": "s"}),
)

Point = tuple[float, Interval | None]


@dataclass(frozen=True)
class Candidates:
    """What the figure shows.

    Attributes:
        layers: those that hurt least, the least first.
        series: points by layer, by name of the series.
        family_wise: intervals by layer that hold for all layers at once.
        printed: degradation as published, by layer.
    """

    layers: Sequence[int]
    series: Mapping[str, Mapping[int, Point]]
    family_wise: Mapping[int, Interval | None]
    printed: Mapping[int, float]


def candidates(evidence: Evidence) -> Figure | None:
    """Degradation of the layers that hurt least."""
    measured = evidence.measurement(ON_TEN, AblationMeasurement)
    averaged = [each for each in measured.layers if AVERAGE in each.variants] if measured else []
    if measured is None or not averaged:
        return None
    ranked = sorted(averaged, key=lambda each: each.variants[AVERAGE].degradation_percent)
    layers = [each.layer for each in ranked[:_SHOWN]]
    series = {name: _points(evidence, need, variant) for name, need, variant, _ in _SERIES}
    series = {name: found for name, found in series.items() if found.keys() & set(layers)}
    printed = published_degradation(evidence.published, measured.subject.layers)
    shown = Candidates(layers, series, _family_wise(measured), printed)
    return Figure(
        title="Layers nearest to being anti-layers",
        caption=(
            f"The {len(layers)} layers that hurt least when averaged away; left of 0 the model is better without. "
            "Thick bars are 95 % intervals of one layer, thin ones hold for all layers at once."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, shown),
            f"Rise of perplexity without the {len(layers)} layers that hurt least, with intervals",
            height=1.1 + 0.29 * len(layers),
        ),
        headers=("layer", "published %", *(f"{name} % [95 %]" for name in series), "for all layers at once"),
        rows=[
            (
                f"L{layer}",
                quantity(printed.get(layer)),
                *(_cell(found.get(layer)) for found in series.values()),
                interval_text(shown.family_wise.get(layer)),
            )
            for layer in layers
        ],
    )


def _points(evidence: Evidence, need: Need, variant: str) -> dict[int, Point]:
    measured = evidence.measurement(need, AblationMeasurement)
    layers = measured.layers if measured else ()
    found = {each.layer: each.variants[variant] for each in layers if variant in each.variants}
    return {layer: (each.degradation_percent, each.interval95_percent) for layer, each in found.items()}


def _family_wise(measured: AblationMeasurement) -> dict[int, Interval | None]:
    layers = measured.layers_under(AVERAGE)
    intervals = measured.bootstrap(layers, AVERAGE).simultaneous_intervals()
    return {each.layer: interval_percent(interval) for each, interval in zip(layers, intervals, strict=True)}


def _paint(canvas: Any, axes: Any, shown: Candidates) -> None:
    places = {layer: place for place, layer in enumerate(shown.layers)}
    shifts = np.linspace(-0.22, 0.22, len(shown.series)) if len(shown.series) > 1 else np.zeros(1)
    styles = {name: style for name, _, _, style in _SERIES}
    for (name, found), shift in zip(shown.series.items(), shifts, strict=True):
        layers = [layer for layer in shown.layers if layer in found]
        values, heights = [found[layer][0] for layer in layers], [places[layer] + shift for layer in layers]
        if shift == shifts[0]:
            together = [shown.family_wise.get(layer) for layer in layers]
            bars(axes, values, heights, together, color=BLUE, alpha=0.5)
        intervals = [found[layer][1] for layer in layers]
        bars(axes, values, heights, intervals, label=name, **{**styles[name], "elinewidth": 2.2})
    known = [layer for layer in shown.layers if layer in shown.printed]
    if known:
        values = [shown.printed[layer] for layer in known]
        axes.plot(values, [places[layer] for layer in known], label="published", **PUBLISHED)
    axes.axvline(0, **REFERENCE)
    axes.set_yticks(range(len(places)), [f"L{layer}" for layer in places])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlabel("rise of perplexity, %")
    legend(canvas, axes, 4)


def _cell(point: Point | None) -> str:
    return "–" if point is None else f"{quantity(point[0])} {interval_text(point[1])}"


FIGURES = (candidates,)
