"""What borrowing costs, layer by layer."""

from typing import Any

from anatomy_bench.report.drawing import BLUE, ORANGE, REFERENCE, draw, layer_ticks, legend, points
from anatomy_bench.report.figures import Evidence, Figure
from toy_paper.experiments.borrowed_norms.borrow import PARTS
from toy_paper.experiments.borrowed_norms.experiment import BorrowedNormsMeasurement
from toy_paper.findings.borrowed_norms import HARMLESS_PERCENT, MEASURED

_STYLES = {"norms": {"color": BLUE, "marker": "o"}, "matrices": {"color": ORANGE, "marker": "s"}}


def cost_by_layer(evidence: Evidence) -> Figure | None:
    """Degradation of every layer that borrows, or `None` if it was not measured."""
    measured = evidence.measurement(MEASURED, BorrowedNormsMeasurement)
    if measured is None:
        return None
    headers, rows = measured.table()
    return Figure(
        title="What a layer loses by borrowing",
        caption=f"Bars are 95 % intervals; below the dashed line ({HARMLESS_PERCENT} %) borrowing is harmless.",
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, measured),
            "Rise of perplexity in percent, by layer, with norms and with matrices borrowed",
            height=3.0,
        ),
        headers=headers,
        rows=rows,
    )


def _paint(canvas: Any, axes: Any, measured: BorrowedNormsMeasurement) -> None:
    layers = [each.layer for each in measured.layers]
    for parts in PARTS:
        variants = [each.variants[parts] for each in measured.layers]
        values = [each.degradation_percent for each in variants]
        points(axes, layers, values, [each.interval95_percent for each in variants], label=parts, **_STYLES[parts])
    axes.axhline(HARMLESS_PERCENT, **REFERENCE)
    axes.set_ylabel("rise of perplexity, %")
    layer_ticks(axes)
    legend(canvas, axes, len(PARTS))


FIGURES = (cost_by_layer,)
