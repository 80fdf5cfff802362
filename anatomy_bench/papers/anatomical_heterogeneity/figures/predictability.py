"""R² of each component under each reading, and the damage of predicted weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment import (
    PredictabilityMeasurement,
    Replacement,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import Predictors
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    DEFAULT_READING,
    READINGS,
    Reading,
)
from anatomy_bench.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PUBLISHED,
    PURPLE,
    REFERENCE,
    SKY,
    brief,
    draw,
    ends,
    finite,
    legend,
    points,
    signed_log,
)
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

NEED = Need("predictability")
_NAMES: dict[Reading, str] = {"elementwise": "elementwise", "sorted": "sorted", "in_sample": "in sample"}
_PREDICTORS = (
    ("ridge", "ridge on depth", {"color": BLUE, "marker": "o"}),
    ("mean_of_earlier", "mean of earlier layers", {"color": ORANGE, "marker": "s"}),
    ("shuffled", "shuffled layers", {"color": GREEN, "marker": "^"}),
    ("independent", "independent layers", {"color": PURPLE, "marker": "v"}),
)

Series = dict[str, tuple[Replacement, ...]]


def r2_by_reading(evidence: Evidence) -> Figure | None:
    """Mean R² by component, one panel per reading."""
    measured = evidence.measurement(NEED, PredictabilityMeasurement)
    if measured is None or not measured.components:
        return None
    table = evidence.published.get("predictability", {})
    printed = {row["component"]: float(row["mean_r2"]) for row in table.get("components", ())}
    names = [_NAMES[reading] for reading in READINGS]
    return Figure(
        title="R² by component and reading",
        caption=(
            "Average R² of predicting each component's weights from depth, under three readings of the paper's "
            "regression, beside predictors that know less. Where these do as well, depth explains nothing. R² of the "
            "sorted reading is of a layer's distribution, not of its weights."
        ),
        svg=draw(
            lambda canvas, axes: _paint_r2(canvas, axes, measured, printed),
            "Average R² by component under each reading of the regression, with null models",
            height=1.3 + 0.36 * len(measured.components),
            columns=len(READINGS),
            sharey=True,
        ),
        headers=("component", "published", *names, *(f"{name}, independent layers" for name in names)),
        rows=[
            (
                component.component,
                quantity(printed.get(component.component)),
                *(f"{component.readings[reading].ridge.mean_r2:+.3f}" for reading in READINGS),
                *(f"{component.readings[reading].independent.mean_r2:+.3f}" for reading in READINGS),
            )
            for component in measured.components
        ],
    )


def _paint_r2(canvas: Any, axes: Any, measured: PredictabilityMeasurement, printed: Mapping[str, float]) -> None:
    names = [component.component for component in measured.components]
    places = np.arange(len(names))
    for panel, reading in zip(axes, READINGS, strict=True):
        predictors: list[Predictors] = [component.readings[reading] for component in measured.components]
        for (key, name, style), shift in zip(_PREDICTORS, (-0.3, -0.1, 0.1, 0.3), strict=True):
            values = [getattr(predictor, key).mean_r2 for predictor in predictors]
            panel.plot(finite(values), places + shift, label=name, linestyle="none", **style)
        known = [place for place in places if names[place] in printed]
        if known:
            panel.plot([printed[names[place]] for place in known], known, label="published", **PUBLISHED)
        panel.axvline(0, **REFERENCE)
        panel.set_title(_NAMES[reading])
        panel.set_xlabel("mean R²")
        panel.set_yticks(places, [brief(name) for name in names])
    axes[0].set_ylim(len(names) - 0.45, -0.55)
    legend(canvas, axes[0], 3)


def put_back(evidence: Evidence) -> Figure | None:
    """Degradation by number of layers replaced by their predictions."""
    measured = evidence.measurement(NEED, PredictabilityMeasurement)
    if measured is None:
        return None
    series: Series = {
        _series_name(reading, choice): measured.replaced(reading, choice)
        for reading in READINGS
        for choice in measured.config.choices
        if measured.replaced(reading, choice)
    }
    if not series:
        return None
    printed = _printed_degradations(evidence.published)
    counts = sorted({len(replacement.layers) for found in series.values() for replacement in found})
    return Figure(
        title="Damage of predicted weights",
        caption=(
            "Rise of perplexity by the number of layers replaced by their predictions, on a signed log scale; bars are "
            "95 % intervals over the sentences."
        ),
        svg=draw(
            lambda canvas, axes: _paint_damage(canvas, axes, series, counts, printed),
            "Rise of perplexity by number of layers replaced by their predictions, under each reading",
            height=3.5,
        ),
        headers=("layers replaced", "published %", *(f"{name}, %" for name in series)),
        rows=[
            (str(count), quantity(printed.get(count)), *(_cell(found, count) for found in series.values()))
            for count in counts
        ],
    )


def _series_name(reading: Reading, choice: str) -> str:
    return f"{_NAMES[reading]}, {choice}" if reading == DEFAULT_READING else _NAMES[reading]


def _printed_degradations(published: Mapping[str, Any]) -> dict[int, float]:
    """The published damage, which section 4.2 states for one layer and for nine."""
    text = published.get("text", {}).get("4.2")
    if text is None:
        return {}
    return {
        1: float(text["one_layer_degradation_percent"]),
        9: float(text["nine_layers_degradation_above_percent"]),
    }


def _cell(found: tuple[Replacement, ...], count: int) -> str:
    variant = next((replacement.variant for replacement in found if len(replacement.layers) == count), None)
    if variant is None:
        return "–"
    return f"{quantity(variant.degradation_percent)} {interval_text(variant.interval95_percent)}"


def _paint_damage(canvas: Any, axes: Any, series: Series, counts: list[int], printed: Mapping[int, float]) -> None:
    places = {count: place for place, count in enumerate(counts)}
    styles = ((BLUE, "o"), (SKY, "P"), (ORANGE, "s"), (GREEN, "^"))
    shown = list(printed.values())
    shifts = np.linspace(-0.15, 0.15, len(series)) if len(series) > 1 else np.zeros(1)
    for (name, found), (colour, marker), shift in zip(series.items(), styles, shifts, strict=False):
        values = [replacement.variant.degradation_percent for replacement in found]
        intervals: list[Interval | None] = [replacement.variant.interval95_percent for replacement in found]
        x = [places[len(replacement.layers)] + shift for replacement in found]
        points(axes, x, values, intervals, label=name, color=colour, marker=marker, linestyle=":")
        shown += ends(values, intervals)
    known = [count for count in printed if count in places]
    if known:
        axes.plot(
            [places[count] for count in known], [printed[count] for count in known], label="published", **PUBLISHED
        )
    axes.axhline(0, **REFERENCE)
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set_xlabel("layers replaced")
    signed_log(axes.yaxis, shown)
    axes.set_ylabel("rise of perplexity, %")
    legend(canvas, axes, 3)


FIGURES = (r2_by_reading, put_back)
