"""The budget of training that measured recovery gives each layer, beside Table 10."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.printed import table10
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import RECOVERY
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.budget import (
    TIGHTEST,
    Budget,
    Share,
    recovery_budget,
)
from anatomy_bench.report.drawing import BLUE, PUBLISHED, draw, legend, points
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.quantities import interval_text, quantity

Ranges = Mapping[int, tuple[float, float]]


def budget(evidence: Evidence) -> Figure | None:
    """Each layer's share of the training that all layers would otherwise get."""
    measured = evidence.measurement(RECOVERY, RecoveryMeasurement)
    if measured is None or not measured.layers():
        return None
    found = recovery_budget(measured)
    printed = table10(evidence.published, measured.subject.layers)
    limit, trained = measured.config.step_limit, measured.config.steps
    short = f" Only {trained} steps were trained: the interval of a layer that needs more is open up to 1."
    saved = f"{quantity(found.saved_percent)} % {interval_text(found.interval95)}".rstrip()
    return Figure(
        title="Budget of training by layer",
        caption=(
            f"Steps that each layer took to {TIGHTEST:g} times the baseline, over {limit}; 1 for a layer that did not "
            "get there. Bars are 95 % intervals over sentences and noises."
            f"{' Table 10 gives ranges to groups of layers.' if printed else ''}{short if trained < limit else ''}"
            f" Of {limit} steps for every layer tested, {saved} are saved."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, found, printed),
            f"Share of training by layer, for {len(found.shares)} layers",
            height=3.0,
        ),
        headers=("layer", "published ratio", "ratio [95 %]", f"steps of {limit}"),
        rows=[*(_row(share, printed, limit) for share in found.shares), _total(evidence.published, printed, found)],
    )


def _paint(canvas: Any, axes: Any, found: Budget, printed: Ranges) -> None:
    places = np.arange(len(found.shares))
    ratios, intervals = [share.ratio for share in found.shares], [share.interval95 for share in found.shares]
    points(axes, places - 0.12, ratios, intervals, label="measured", color=BLUE, marker="o", linestyle="none")
    known = [(place, printed[each.layer]) for place, each in enumerate(found.shares) if each.layer in printed]
    for number, (place, span) in enumerate(known):
        label = "published, from least to most" if number == 0 else None
        axes.plot([place + 0.12] * 2, span, label=label, **{**PUBLISHED, "linestyle": "-", "linewidth": 0.9})
    axes.set_xticks(places, [f"L{share.layer}" for share in found.shares])
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(-0.06, 1.06)
    axes.set_ylabel("share of a full budget")
    legend(canvas, axes, 2)


def _row(share: Share, printed: Ranges, limit: int) -> tuple[str, ...]:
    span = printed.get(share.layer)
    return (
        f"L{share.layer}",
        _range(span) if span else "–",
        f"{share.ratio:.2f} {interval_text(share.interval95)}",
        quantity(share.ratio * limit),
    )


def _range(span: tuple[float, float]) -> str:
    low, high = span
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def _total(published: Mapping[str, Any], printed: Ranges, found: Budget) -> tuple[str, ...]:
    saved = f"{published['budget']['steps_saved_percent']} % (all layers)" if printed else "–"
    return ("saved", saved, f"{quantity(found.saved_percent)} % {interval_text(found.interval95)}", "")
