"""Steps to recover against importance: hypothesis H3 in one figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.printed import table5
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import ABLATION, RECOVERY
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.budget import TIGHTEST, tells_spread
from anatomy_bench.report.drawing import (
    BLUE,
    ORANGE,
    PUBLISHED,
    REFERENCE,
    draw,
    finite,
    legend,
    points,
    short,
    signed_log,
)
from anatomy_bench.report.figures import Evidence, Figure, published_degradation
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.statistics import percentile_interval

_LINEAR_STEPS = 10
_TICKS = (0, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Layer:
    """Importance and recovery of a layer.

    Attributes:
        layer: its number.
        importance: rise of perplexity without it, in percent.
        steps: mean over noises of the steps to recover; one more than were trained if it never did.
        interval95: of the steps.
        printed: importance and steps as published.
    """

    layer: int
    importance: float
    steps: float
    interval95: Interval | None
    printed: tuple[float, float] | None


def speed(evidence: Evidence) -> Figure | None:
    """Steps to 1.1 times the baseline against the rise of perplexity without the layer."""
    recovery = evidence.measurement(RECOVERY, RecoveryMeasurement)
    ablation = evidence.measurement(ABLATION, AblationMeasurement)
    layers = _layers(evidence, recovery, ablation) if recovery and ablation else []
    if recovery is None or not layers:
        return None
    trained = recovery.config.steps
    never = (
        f"The paper prints {recovery.config.step_limit} for never. " if any(layer.printed for layer in layers) else ""
    )
    return Figure(
        title="Steps to recover against importance",
        caption=(
            f"Steps of training until perplexity is below {TIGHTEST:g} times the intact model's, against the rise of "
            "perplexity when the layer is averaged away; one mark a layer, the mean over its noises with its 95 % "
            f"interval. Above the dashed line: layers that did not recover within {trained} steps, at one step more. "
            f"{never}Both scales are logarithmic but for their first ten."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, layers, trained),
            f"Steps to recover against importance for {len(layers)} layers",
            height=4.0,
        ),
        headers=("layer", "published importance %", "importance %", "published steps", "steps [95 %]"),
        rows=[_row(layer, trained) for layer in layers],
    )


def _layers(evidence: Evidence, recovery: RecoveryMeasurement, ablation: AblationMeasurement) -> list[Layer]:
    depth = recovery.subject.layers
    importance = published_degradation(evidence.published, depth)
    rows = table5(evidence.published, depth)
    tells = tells_spread(recovery)

    def layer(index: int) -> Layer:
        row = rows.get(index)
        return Layer(
            index,
            ablation.layer(index).variants["neighbour_average"].degradation_percent,
            recovery.steps_below(index, TIGHTEST),
            percentile_interval(recovery.resampled_steps(index, TIGHTEST)) if tells else None,
            (importance[index], float(row.steps_below[f"{TIGHTEST:g}"])) if row else None,
        )

    return [layer(each) for each in recovery.layers() if "neighbour_average" in ablation.layer(each).variants]


def _paint(canvas: Any, axes: Any, layers: Sequence[Layer], trained: int) -> None:
    for name, style, chosen in (
        ("recovered", {"color": BLUE, "marker": "o"}, [layer for layer in layers if layer.steps <= trained]),
        ("not recovered", {"color": ORANGE, "marker": "^"}, [layer for layer in layers if layer.steps > trained]),
    ):
        if chosen:
            steps, intervals = [point.steps for point in chosen], [point.interval95 for point in chosen]
            x = finite([point.importance for point in chosen])
            points(axes, x, steps, intervals, label=name, linestyle="none", **style)
    _name_layers(axes, layers)
    printed = [layer.printed for layer in layers if layer.printed]
    if printed:
        axes.plot(*zip(*printed, strict=True), label="published", **PUBLISHED)
    signed_log(axes.xaxis, [*(layer.importance for layer in layers), *(importance for importance, _ in printed)])
    axes.set_xlabel("importance: rise of perplexity without the layer, %")
    _step_axis(axes, max([trained, *(steps for _, steps in printed)]))
    axes.axhline(trained + 0.5, **REFERENCE)
    legend(canvas, axes, 3)


def _name_layers(axes: Any, layers: Sequence[Layer]) -> None:
    """Put names alternately right and left of the marks, so that neighbours have room."""
    named = sorted((layer for layer in layers if math.isfinite(layer.importance)), key=lambda each: each.importance)
    for number, each in enumerate(named):
        offset, side = ((5, 4), "left") if number % 2 else ((-5, 4), "right")
        place = (each.importance, each.steps)
        axes.annotate(f"L{each.layer}", place, offset, textcoords="offset points", fontsize=8, ha=side)


def _step_axis(axes: Any, most: float) -> None:
    axes.set_yscale("symlog", linthresh=_LINEAR_STEPS, linscale=1.0)
    axes.set_yticks([tick for tick in _TICKS if tick <= most], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.set_ylim(-1, 1.35 * most + 1)
    axes.set_ylabel(f"steps to {TIGHTEST:g} times the baseline")


def _row(found: Layer, trained: int) -> tuple[str, ...]:
    importance, steps = found.printed or (None, None)
    never = " (never)" if found.steps > trained else ""
    return (
        f"L{found.layer}",
        quantity(importance),
        quantity(found.importance),
        quantity(steps),
        f"{quantity(found.steps)}{never} {interval_text(found.interval95)}",
    )
