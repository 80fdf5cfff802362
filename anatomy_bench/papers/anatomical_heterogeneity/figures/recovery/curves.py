"""Perplexity by step of training, one panel per layer, beside Table 5."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import (
    MULTIPLES,
    Recovery,
    RecoveryMeasurement,
)
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.printed import PrintedRow, table5
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import RECOVERY
from anatomy_bench.report.drawing import BLUE, GREEN, ORANGE, PUBLISHED, REFERENCE, draw, finite, signed_log
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.quantities import quantity

_COLUMNS = 4
_STYLES: dict[tuple[str, bool], tuple[str, dict[str, Any]]] = {
    ("recovery", True): ("noised, trained on other text", {"color": BLUE, "marker": "o"}),
    ("scored", True): ("noised, trained on the scored", {"color": ORANGE, "marker": "s", "linestyle": "--"}),
    ("recovery", False): ("intact, trained on other text", {"color": GREEN, "marker": "^", "linestyle": ":"}),
}
_MARKS = 4


def curves(evidence: Evidence) -> Figure | None:
    """Rise of perplexity by step for every layer, noise and text."""
    measured = evidence.measurement(RECOVERY, RecoveryMeasurement)
    if measured is None or not measured.layers():
        return None
    printed = table5(evidence.published, measured.subject.layers)
    layers = measured.layers()
    rows = math.ceil(len(layers) / _COLUMNS)
    multiples = ", ".join(f"{multiple:g}" for multiple in sorted(MULTIPLES))
    return Figure(
        title="Recovery from noise by layer",
        caption=(
            "Rise of perplexity of the scored sentences by step of training one noised layer alone, a line a noise, on "
            "a signed log scale that is linear within ±10 %. The lowest dashed line is the intact model, of perplexity "
            f"{quantity(measured.baseline_perplexity)}; those above are {multiples} times as much."
            f"{' Table 5 prints where a layer starts and where it ends.' if printed else ''}"
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, measured, printed),
            f"Rise of perplexity by step of training for {len(layers)} noised layers, a panel a layer",
            height=1.0 + 1.35 * rows,
            rows=rows,
            columns=min(_COLUMNS, len(layers)),
            sharex=True,
            sharey=True,
            squeeze=False,
        ),
        headers=_headers(),
        rows=[
            _row(recovery, printed.get(recovery.layer) if recovery.deviations else None)
            for recovery in measured.recoveries
        ],
    )


def _paint(canvas: Any, axes: Any, measured: RecoveryMeasurement, printed: Mapping[int, PrintedRow]) -> None:
    layers, panels = measured.layers(), list(axes.flat)
    handles: dict[str, Any] = {}
    shown: list[float] = []
    for layer, panel in zip(layers, panels, strict=False):
        found = [recovery for recovery in measured.recoveries if recovery.layer == layer]
        shown += _paint_layer(panel, found, measured, printed.get(layer))
        panel.set_title(f"L{layer}", pad=2)
        handles |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    for panel in panels[len(layers) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(layers) - axes.shape[1]) : len(layers)]:
        panel.tick_params(labelbottom=True)
    signed_log(panels[0].yaxis, shown)
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    canvas.supxlabel("step of training", fontsize=9)
    canvas.supylabel("rise of perplexity, %", fontsize=9)
    canvas.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=2, columnspacing=1.4)


def _paint_layer(
    panel: Any, recoveries: Sequence[Recovery], measured: RecoveryMeasurement, printed: PrintedRow | None
) -> list[float]:
    """Paint a layer; return the values that its axis must include."""
    shown: list[float] = []
    for recovery in recoveries:
        name, style = _STYLES[recovery.text, recovery.deviations > 0]
        rises = [100 * (perplexity / measured.baseline_perplexity - 1) for perplexity in recovery.perplexity]
        every = max(1, (len(rises) - 1) // _MARKS)
        panel.plot(finite(rises), label=name, linewidth=1.0, markersize=3, markevery=every, **style)
        shown += rises
    if printed:
        # If training is shorter than the paper's, the paper's end is outside the axis.
        limit = measured.config.step_limit
        known = {0: printed.noised_percent, limit: printed.final_percent}
        known = {step: value for step, value in known.items() if step <= measured.config.steps}
        panel.plot(list(known), list(known.values()), label="published", **{**PUBLISHED, "clip_on": False})
        shown += known.values()
    for multiple in (1.0, *MULTIPLES):
        panel.axhline(100 * (multiple - 1), **{**REFERENCE, "linewidth": 0.9 if multiple == 1 else 0.5})
    return shown


def _headers() -> tuple[str, ...]:
    thresholds = [
        name for multiple in MULTIPLES for name in (f"published steps to {multiple:g}×", f"steps to {multiple:g}×")
    ]
    return (
        "layer",
        "trained on",
        "σ/std",
        "published noised",
        "noised perplexity",
        *thresholds,
        "published final",
        "final perplexity",
    )


def _row(found: Recovery, printed: PrintedRow | None) -> tuple[str, ...]:
    steps = [
        cell
        for multiple, step in found.steps_below.items()
        for cell in (
            str(printed.steps_below[multiple]) if printed else "–",
            "never" if step is None else str(step),
        )
    ]
    return (
        f"L{found.layer}",
        found.text,
        f"{found.deviations:g}",
        quantity(printed.noised if printed else None),
        quantity(found.perplexity[0]),
        *steps,
        quantity(printed.final if printed else None),
        quantity(found.perplexity[-1]),
    )
