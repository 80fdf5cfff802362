"""Damage of noise in single layers before any training, beside Table 5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy_bench.experiments.scored import interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.experiments.perturbation.experiment import PerturbationMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.printed import PrintedRow, table5
from anatomy_bench.papers.anatomical_heterogeneity.findings.draws import mean_contrast
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import NOISE, NOISE_ON_WIDE
from anatomy_bench.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PUBLISHED,
    PURPLE,
    REFERENCE,
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
from anatomy_bench.values.statistics import percent

_SERIES = (
    ("σ of each matrix", NOISE, "matrix", {"color": BLUE, "marker": "o"}),
    ("σ of the layer", NOISE, "layer", {"color": ORANGE, "marker": "s"}),
    ("σ of each parameter", NOISE, "parameter", {"color": GREEN, "marker": "^"}),
    ("σ of each matrix, other text", NOISE_ON_WIDE, "matrix", {"color": PURPLE, "marker": "v"}),
)


@dataclass(frozen=True)
class Noised:
    """A layer under some noises.

    Attributes:
        draws: rise of perplexity under each noise, in percent.
        mean: geometric mean of these.
        interval95: of the mean, over noises and sentences.
        perplexity: geometric mean over the noises.
    """

    draws: Sequence[float]
    mean: float
    interval95: Interval | None
    perplexity: float


@dataclass(frozen=True)
class Series:
    """Layers under noise of one kind, on one text.

    Attributes:
        name: of the kind.
        style: of its marks.
        layers: by number.
    """

    name: str
    style: Mapping[str, Any]
    layers: Mapping[int, Noised]


def noised(evidence: Evidence) -> Figure | None:
    """Rise of perplexity by layer, under each noise and on average."""
    measured = evidence.measurement(NOISE, PerturbationMeasurement)
    if measured is None or not measured.layers:
        return None
    series = [found for kind in _SERIES if (found := _series(evidence, *kind)).layers]
    layers = [layer.layer for layer in measured.layers]
    printed = {
        layer: row for layer, row in table5(evidence.published, measured.subject.layers).items() if layer in layers
    }
    return Figure(
        title="Damage of noise, before training",
        caption=(
            f"Rise of perplexity over the intact model's {quantity(measured.baseline_perplexity)} with Gaussian noise "
            f"of {measured.config.deviations:g} standard deviations in one layer, on a signed log scale that is linear "
            "within ±10 %. Small marks are single noises, large ones their geometric mean with its 95 % interval over "
            "noises and sentences. Below 0 noise improves the model."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, layers, series, printed),
            f"Rise of perplexity in percent under noise in each of {len(layers)} layers",
            height=3.9,
        ),
        headers=(
            "layer",
            "published perplexity",
            "perplexity",
            "published %",
            *(f"{kind.name}, % [95 %]" for kind in series),
        ),
        rows=[_row(layer, series, printed.get(layer)) for layer in layers],
    )


def _series(evidence: Evidence, name: str, need: Any, reading: str, style: Mapping[str, Any]) -> Series:
    measured = evidence.measurement(need, PerturbationMeasurement)
    layers = measured.layers if measured else ()
    return Series(
        name,
        style,
        {
            layer.layer: _noised(measured, layer.layer, reading)
            for layer in layers
            if measured and reading in layer.readings
        },
    )


def _noised(measured: PerturbationMeasurement, layer: int, reading: str) -> Noised:
    draws = measured.layer(layer).readings[reading]
    mean, interval = mean_contrast(measured.bootstrap(draws), np.eye(len(draws)))
    return Noised(
        [variant.degradation_percent for variant in draws],
        float(percent(mean)),
        interval_percent(interval),
        float(measured.baseline_perplexity * np.exp(mean)),
    )


def _paint(
    canvas: Any, axes: Any, layers: Sequence[int], series: Sequence[Series], printed: Mapping[int, PrintedRow]
) -> None:
    shifts = np.linspace(-0.3, 0.3, len(series)) if len(series) > 1 else np.zeros(1)
    shown = [row.noised_percent for row in printed.values()]
    for each, shift in zip(series, shifts, strict=True):
        found = list(each.layers.values())
        places = np.array([layers.index(layer) for layer in each.layers]) + shift
        spread = [(place, value) for place, noise in zip(places, found, strict=True) for value in noise.draws]
        axes.plot(*finite(np.array(spread)).T, **{**each.style, "linestyle": "none", "markersize": 2, "alpha": 0.55})
        means, intervals = [noise.mean for noise in found], [noise.interval95 for noise in found]
        points(axes, places, means, intervals, label=each.name, linestyle="none", **each.style)
        shown += [*ends(means, intervals), *(value for _, value in spread)]
    if printed:
        places = np.array([layers.index(layer) for layer in printed])
        axes.plot(places, [row.noised_percent for row in printed.values()], label="published", **PUBLISHED)
    axes.axhline(0, **REFERENCE)
    axes.set_xticks(range(len(layers)), [f"L{layer}" for layer in layers])
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.grid(visible=False, axis="x")
    signed_log(axes.yaxis, shown)
    axes.set_ylabel("rise of perplexity, %")
    legend(canvas, axes, 3)


def _row(layer: int, series: Sequence[Series], printed: PrintedRow | None) -> tuple[str, ...]:
    first = series[0].layers.get(layer) if series else None
    return (
        f"L{layer}",
        quantity(printed.noised if printed else None),
        quantity(first.perplexity if first else None),
        quantity(printed.noised_percent if printed else None),
        *(_cell(kind.layers.get(layer)) for kind in series),
    )


def _cell(found: Noised | None) -> str:
    return "–" if found is None else f"{quantity(found.mean)} {interval_text(found.interval95)}"
