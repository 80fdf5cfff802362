"""Correlations of weight changes beside those of unrelated layers, and the similarity of layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentStructure,
    StructureMeasurement,
)
from anatomy_bench.report.drawing import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PUBLISHED,
    PURPLE,
    REFERENCE,
    SERIES,
    bars,
    brief,
    draw,
    finite,
    legend,
)
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

STRUCTURE = Need("structure")
_NULLS = (
    ("shuffled", "shuffled layers", {"color": ORANGE, "marker": "s"}),
    ("independent", "independent layers", {"color": GREEN, "marker": "^"}),
    ("random_walk", "random walk", {"color": PURPLE, "marker": "v"}),
)
_MOST = 0.9
"""Of the explained variance."""


def _measured(evidence: Evidence) -> StructureMeasurement | None:
    measured = evidence.measurement(STRUCTURE, StructureMeasurement)
    return measured if measured is not None and measured.components else None


def against_nulls(evidence: Evidence) -> Figure | None:
    """Delta correlation by component with its nulls, and the correlation of adjacent layers."""
    measured = _measured(evidence)
    if measured is None:
        return None
    table = evidence.published.get("delta_correlation", {})
    printed = {row["component"]: float(row["mean"]) for row in table.get("components", ())}
    return Figure(
        title="Delta correlation against its nulls",
        caption=(
            "Left: correlation of consecutive weight changes; small ticks are single layers, the dot is their mean, "
            "bars are 95 % of the draws of a null. Right: correlation of adjacent layers, which decides: at 0 layers "
            "are unrelated, and −0.5 follows from that alone."
        ),
        svg=draw(
            lambda canvas, axes: _paint_nulls(canvas, axes, measured.components, printed),
            "Correlation of consecutive weight changes by component, with null models",
            height=1.3 + 0.36 * len(measured.components),
            columns=2,
            sharey=True,
            width_ratios=(3, 2),
        ),
        headers=("component", "published", "measured", *(f"{name} [95 %]" for _, name, _ in _NULLS), "adjacent layers"),
        rows=[
            (
                component.component,
                quantity(printed.get(component.component)),
                f"{component.mean_delta_correlation:+.4f}",
                *(
                    f"{getattr(component, key).mean:+.4f} {interval_text(getattr(component, key).interval95)}"
                    for key, *_ in _NULLS
                ),
                f"{component.mean_adjacent_correlation:+.4f}",
            )
            for component in measured.components
        ],
    )


def _paint_nulls(
    canvas: Any, axes: Any, components: tuple[ComponentStructure, ...], printed: Mapping[str, float]
) -> None:
    left, right = axes
    places = np.arange(len(components))
    means = [component.mean_delta_correlation for component in components]
    for place, each in enumerate(components):
        _ticks(left, each.delta_correlations, place - 0.3)
        _ticks(right, each.adjacent_correlations, place)
    left.plot(finite(means), places - 0.3, "o", color=BLUE, label="measured")
    for (key, name, style), shift in zip(_NULLS, (-0.08, 0.12, 0.32), strict=True):
        nulls = [getattr(component, key) for component in components]
        intervals: list[Interval | None] = [null.interval95 for null in nulls]
        bars(left, [null.mean for null in nulls], places + shift, intervals, label=name, **style)
    known = [place for place, each in enumerate(components) if each.component in printed]
    if known:
        values = [printed[components[place].component] for place in known]
        left.plot(values, [place - 0.3 for place in known], label="published", **PUBLISHED)
    right.plot(finite([component.mean_adjacent_correlation for component in components]), places, "o", color=BLUE)
    left.axvline(-0.5, **REFERENCE)
    right.axvline(0, **REFERENCE)
    left.set_yticks(places, [brief(component.component) for component in components])
    left.set_ylim(len(components) - 0.45, -0.6)
    left.set_xlabel("correlation of Δ and next Δ")
    right.set_xlabel("correlation of adjacent layers")
    legend(canvas, left, 5)


def _ticks(axes: Any, values: tuple[float, ...], height: float) -> None:
    axes.plot(finite(values), np.full(len(values), height), "|", color=BLUE, alpha=0.55, markersize=6)


def cosine(evidence: Evidence) -> Figure | None:
    """Cosine of every two layers, one panel per component."""
    measured = _measured(evidence)
    if measured is None:
        return None
    strongest = {component.component: _strongest(component) for component in measured.components}
    columns = min(4, len(measured.components))
    rows = -(-len(measured.components) // columns)
    return Figure(
        title="Likeness of layers",
        caption=(
            "Cosine between the weights of every two layers, by component; the diagonal, 1 by definition, is left "
            "out. The colours reach as far as the strongest likeness of any two layers."
        ),
        svg=draw(
            lambda canvas, axes: _paint_cosine(canvas, axes, measured.components),
            "Heat maps of the cosine between the weights of every two layers, one a component",
            height=0.4 + 1.7 * rows,
            rows=rows,
            columns=columns,
            squeeze=False,
        ),
        headers=("component", "strongest cosine of two layers", "between"),
        rows=[(name, f"{value:+.4f}", f"L{one} and L{other}") for name, (value, one, other) in strongest.items()],
    )


def _without_diagonal(component: ComponentStructure) -> Any:
    matrix = finite(np.array(component.cosine)).copy()
    np.fill_diagonal(matrix, np.nan)
    return matrix


def _strongest(component: ComponentStructure) -> tuple[float, int, int]:
    matrix = np.nan_to_num(_without_diagonal(component))
    one, other = np.unravel_index(int(np.abs(matrix).argmax()), matrix.shape)
    return float(matrix[one, other]), int(one), int(other)


def _paint_cosine(canvas: Any, axes: Any, components: tuple[ComponentStructure, ...]) -> None:
    limit = max(abs(_strongest(component)[0]) for component in components) or 1.0
    image = None
    for panel, each in zip(axes.flat, components, strict=False):
        image = panel.imshow(_without_diagonal(each), cmap="PuOr", vmin=-limit, vmax=limit, interpolation="nearest")
        panel.set_title(brief(each.component))
        panel.grid(visible=False)
        panel.locator_params(nbins=4, integer=True)
    for panel in axes.flat[len(components) :]:
        panel.set_axis_off()
    for panel in axes[:, 0]:
        panel.set_ylabel("layer")
    for column in range(axes.shape[1]):
        lowest = (len(components) - 1 - column) // axes.shape[1]
        axes[lowest, column].set_xlabel("layer")
    canvas.colorbar(image, ax=axes, label="cosine", shrink=0.7, aspect=30)


def principal_components(evidence: Evidence) -> Figure | None:
    """Cumulative variance that the principal components of the layers explain."""
    measured = _measured(evidence)
    if measured is None:
        return None
    return Figure(
        title="Principal components of the layers",
        caption=(
            "Share of the variance between layers that the first principal components explain together, layers as "
            "samples. Dashed: layers of equal size that have nothing in common."
        ),
        svg=draw(
            lambda canvas, axes: _paint_components(canvas, axes, measured.components),
            "Cumulative share of variance by number of principal components, one line a component",
            height=3.4,
        ),
        headers=("component", "first, %", "first five, %", f"needed for {_MOST:.0%}"),
        rows=[
            (
                component.component,
                f"{100 * component.explained_variance[0]:.1f}",
                f"{100 * sum(component.explained_variance[:5]):.1f}",
                str(int(np.searchsorted(np.cumsum(component.explained_variance), _MOST)) + 1),
            )
            for component in measured.components
        ],
    )


def _paint_components(canvas: Any, axes: Any, components: tuple[ComponentStructure, ...]) -> None:
    count = max(len(component.explained_variance) for component in components)
    axes.plot([0, count], [0, 100], label="nothing in common", **REFERENCE)
    for place, each in enumerate(components):
        shares = 100 * np.cumsum([0.0, *finite(each.explained_variance)])
        axes.plot(
            range(len(shares)),
            shares,
            color=SERIES[place % len(SERIES)],
            marker=MARKERS[place % len(MARKERS)],
            markevery=(place, max(1, count // 4)),
            label=brief(each.component),
        )
    axes.set_xlim(0, count)
    axes.set_ylim(0, 102)
    axes.set_xlabel("principal components")
    axes.set_ylabel("explained variance, %")
    axes.locator_params(axis="x", integer=True)
    legend(canvas, axes, 4)


FIGURES = (against_nulls, cosine, principal_components)
