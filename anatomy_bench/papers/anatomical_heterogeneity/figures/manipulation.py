"""Scaling by a factor, and every strategy on every set of layers, beside Table 4."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.scored import Variant
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.experiment import (
    LayerSet,
    ManipulationMeasurement,
)
from anatomy_bench.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PUBLISHED,
    PURPLE,
    REFERENCE,
    SKY,
    bars,
    draw,
    ends,
    legend,
    points,
    signed_log,
)
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

NEED = Need("manipulation")
_BEYOND_PERCENT = 1e9
"""End of the axis: the perplexity of a model that guesses is far below it, and larger values mean nothing more."""
_SCALED = re.compile(r"scale_(written_)?(\d[\d.]*)")
_NOISE = "noise"
_FAMILIES = {"zero": "skip", "clone": "clone", "blend": "blend", "low-rank blend": "low_rank_blend_64"}
_SETS = {
    "paper": ("paper's nine", {"color": BLUE, "marker": "o"}),
    "paper_interior": ("its seven interior", {"color": ORANGE, "marker": "s"}),
    "anti_layers": ("anti-layers", {"color": GREEN, "marker": "^"}),
    "every_layer": ("every layer", {"color": PURPLE, "marker": "v"}),
    "given": ("given layers", {"color": BLUE, "marker": "o"}),
}


@dataclass(frozen=True)
class Curve:
    """Damage by factor.

    Attributes:
        name: of the set, and of what is scaled.
        style: of the line.
        variants: by factor.
    """

    name: str
    style: Mapping[str, Any]
    variants: Mapping[float, Variant]


def alpha_curve(evidence: Evidence) -> Figure | None:
    """Degradation by factor of scaling, on each set."""
    measured = evidence.measurement(NEED, ManipulationMeasurement)
    curves = _curves(measured.sets) if measured else []
    if not curves:
        return None
    printed = (
        {float(row["alpha"]): float(row["degradation_percent"]) for row in _table(evidence) if "alpha" in row}
        if any(curve.name == _SETS["paper"][0] for curve in curves)
        else {}
    )
    alphas = sorted({alpha for curve in curves for alpha in curve.variants})
    return Figure(
        title="Damage by factor of scaling",
        caption=(
            "Rise of perplexity when all matrices of some layers are scaled by a factor, or only those that write to "
            "the residual stream; on a signed log scale, with 95 % intervals over the sentences. At 1 the model is "
            "intact."
        ),
        svg=draw(
            lambda canvas, axes: _paint_curves(canvas, axes, curves, printed),
            "Rise of perplexity by scaling factor for several sets of layers",
            height=3.7,
        ),
        headers=("factor", "published %", *(f"{curve.name}, %" for curve in curves)),
        rows=[
            (f"{alpha:g}", quantity(printed.get(alpha)), *(_cell(curve.variants.get(alpha)) for curve in curves))
            for alpha in alphas
        ],
    )


def _table(evidence: Evidence) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = evidence.published.get("manipulation", {}).get("rows", ())
    return rows


def _curves(sets: Sequence[LayerSet]) -> list[Curve]:
    curves: list[Curve] = []
    for layer_set in sets:
        if layer_set.name not in _SETS:
            continue
        name, style = _SETS[layer_set.name]
        matches = [(found, variant) for key, variant in layer_set.variants.items() if (found := _SCALED.fullmatch(key))]
        whole = {float(found[2]): variant for found, variant in matches if not found[1]}
        written = {float(found[2]): variant for found, variant in matches if found[1]}
        if whole:
            curves.append(Curve(name, {**style, "linestyle": "-"}, whole))
        if written and layer_set.name != "paper_interior":
            curves.append(Curve(f"{name}, written only", {"color": SKY, "marker": "P", "linestyle": "--"}, written))
    return curves


def _paint_curves(canvas: Any, axes: Any, curves: Sequence[Curve], printed: Mapping[float, float]) -> None:
    shown = list(printed.values())
    for curve in curves:
        alphas = sorted(curve.variants)
        values = [curve.variants[alpha].degradation_percent for alpha in alphas]
        intervals: list[Interval | None] = [curve.variants[alpha].interval95_percent for alpha in alphas]
        points(axes, alphas, values, intervals, label=curve.name, **curve.style)
        shown += [min(end, _BEYOND_PERCENT) for end in ends(values, intervals)]
    if printed:
        axes.plot(list(printed), list(printed.values()), label="published", **PUBLISHED)
    axes.axvline(1, **REFERENCE)
    axes.axhline(0, **REFERENCE)
    axes.set_xlabel("factor α")
    axes.set_ylabel("rise of perplexity, %")
    signed_log(axes.yaxis, shown)
    legend(canvas, axes, 3)


def strategies(evidence: Evidence) -> Figure | None:
    """Degradation of every strategy but scaling, by set."""
    measured = evidence.measurement(NEED, ManipulationMeasurement)
    sets = [layer_set for layer_set in measured.sets if layer_set.name in _SETS] if measured else []
    if not sets:
        return None
    names = list(dict.fromkeys(name for layer_set in sets for name in layer_set.variants if _is_strategy(name)))
    printed = {
        _FAMILIES[row["family"]]: float(row["degradation_percent"])
        for row in _table(evidence)
        if row["family"] in _FAMILIES and any(layer_set.name == "paper" for layer_set in sets)
    }
    kinds = list(dict.fromkeys(map(_kind, names)))
    return Figure(
        title="Damage by strategy and set",
        caption=(
            "Rise of perplexity when some layers are skipped, replaced, blended or disturbed at once, on a signed log "
            "scale, with 95 % intervals over the sentences. Noises are shown draw by draw, without intervals. What "
            "lies beyond 1G stands at the edge."
        ),
        svg=draw(
            lambda canvas, axes: _paint_strategies(canvas, axes, sets, kinds, printed),
            "Rise of perplexity by strategy for several sets of layers",
            height=1.4 + 0.36 * len(kinds),
        ),
        headers=("strategy", "published %", *(f"{_SETS[layer_set.name][0]}, %" for layer_set in sets)),
        rows=[
            (_plain(name), quantity(printed.get(name)), *(_cell(layer_set.variants.get(name)) for layer_set in sets))
            for name in names
        ],
    )


def _is_strategy(name: str) -> bool:
    return _SCALED.fullmatch(name) is None or name == "scale_0.9"


def _kind(name: str) -> str:
    """The strategy of a variant; all draws of noise are the same strategy."""
    return _NOISE if name.startswith(f"{_NOISE}_") else name


def _paint_strategies(
    canvas: Any, axes: Any, sets: Sequence[LayerSet], kinds: Sequence[str], printed: Mapping[str, float]
) -> None:
    shifts = np.linspace(-0.27, 0.27, len(sets)) if len(sets) > 1 else np.zeros(1)
    shown = list(printed.values())
    for each, shift in zip(sets, shifts, strict=True):
        label, style = _SETS[each.name]
        variants = {name: variant for name, variant in each.variants.items() if _is_strategy(name)}
        values = [min(variant.degradation_percent, _BEYOND_PERCENT) for variant in variants.values()]
        intervals = [None if _kind(name) == _NOISE else found.interval95_percent for name, found in variants.items()]
        places = np.array([kinds.index(_kind(name)) for name in variants])
        bars(axes, values, places + shift, intervals, label=label, **style)
        shown += [min(end, _BEYOND_PERCENT) for end in ends(values, intervals)]
    known = [place for place, kind in enumerate(kinds) if kind in printed]
    if known:
        axes.plot([printed[kinds[place]] for place in known], known, label="published", **PUBLISHED)
    axes.axvline(0, **REFERENCE)
    axes.set_yticks(range(len(kinds)), [_plain(kind) for kind in kinds])
    axes.set_ylim(len(kinds) - 0.45, -0.55)
    signed_log(axes.xaxis, shown)
    axes.set_xlabel("rise of perplexity, %")
    legend(canvas, axes, 3)


def _plain(name: str) -> str:
    return name.replace("low_rank", "low-rank").replace("_", " ").replace("scale", "scale by")


def _cell(variant: Variant | None) -> str:
    if variant is None:
        return "–"
    return f"{quantity(variant.degradation_percent)} {interval_text(variant.interval95_percent)}"


FIGURES = (alpha_curve, strategies)
