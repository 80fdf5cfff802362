"""Importance of the layers of many models in one figure, at relative depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.registry import all_papers
from anatomy_bench.report.atlas import Atlas, Model
from anatomy_bench.report.drawing import MARKERS, PUBLISHED, REFERENCE, SERIES, brief, draw, finite, legend, signed_log
from anatomy_bench.report.figures import Figure, published_degradation
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

_PANELS = (("neighbour_average", "averaged away, as in the paper"), ("skip", "skipped"))
_LINES = ("solid", (0, (4, 2)), (0, (1, 1.5)))
"""Three of them, with seven colours, make 21 models look different."""
_LEGEND_COLUMNS = 2
"""Names of quantised files are long, and a third column would be cut off at the page's edge."""


@dataclass(frozen=True)
class Profile:
    """One model's importance by depth.

    Attributes:
        label: of the model.
        layer_count: of the model.
        layers: those measured.
        percent: rise of perplexity by kind of ablation, one value for each layer; NaN where it could not be done.
        intervals: of these values.
    """

    label: str
    layer_count: int
    layers: Sequence[int]
    percent: dict[str, Sequence[float]]
    intervals: dict[str, Sequence[Interval | None]]

    @property
    def depths(self) -> list[float]:
        """Relative depth of each layer: 0 is the first, 1 the last."""
        return [relative_depth(layer, self.layer_count) for layer in self.layers]


def relative_depth(layer: int, layer_count: int) -> float:
    """Relative depth of a layer: 0 for the first, 1 for the last."""
    return layer / (layer_count - 1)


def profiles_figure(atlas: Atlas) -> Figure | None:
    """All profiles, or `None` if no ledger has one.

    Raises:
        UsageError: a ledger's measurements are not of this version.
    """
    profiles = [found for model in atlas.models if (found := _profile(model)) is not None]
    if not profiles:
        return None
    published = _published(atlas)
    return Figure(
        title="Importance by relative depth",
        caption=(
            "Rise of perplexity without each layer, on a signed log scale that is linear within ±10 %. "
            "0 is a model's first layer, 1 its last. If the hierarchy generalises, the lines rise and fall together."
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, profiles, published),
            f"Rise of perplexity in percent without each layer, at relative depth, of {len(profiles)} models",
            height=5.6 + 0.2 * (len(profiles) // _LEGEND_COLUMNS),
            rows=len(_PANELS),
            sharex=True,
        ),
        headers=("model", "layer", "depth", *(f"{name} % [95 %]" for _, name in _PANELS)),
        rows=[row for profile in profiles for row in _rows(profile)],
    )


def _profile(model: Model) -> Profile | None:
    measured = model.ledger.measurement(Need("ablation"))
    if not isinstance(measured, AblationMeasurement) or not measured.layers:
        return None
    variants = {name: [each.variants.get(name) for each in measured.layers] for name, _ in _PANELS}
    return Profile(
        model.label,
        measured.subject.layers,
        [each.layer for each in measured.layers],
        {name: [each.degradation_percent if each else math.nan for each in found] for name, found in variants.items()},
        {name: [each.interval95_percent if each else None for each in found] for name, found in variants.items()},
    )


def _published(atlas: Atlas) -> dict[float, float]:
    """A published profile by relative depth: of the first paper shown that has an ablation of its own."""
    known = all_papers()
    for paper in dict.fromkeys(row.finding.paper for row in atlas.findings if row.finding.paper in known):
        numbers = known[paper].published
        count = numbers.get("ablation", {}).get("layer_count")
        if count is not None:
            found = published_degradation(numbers, count)
            return {relative_depth(layer, count): percent for layer, percent in found.items()}
    return {}


def _paint(canvas: Any, panels: Any, profiles: Sequence[Profile], published: dict[float, float]) -> None:
    for axes, (variant, name) in zip(panels, _PANELS, strict=True):
        shown: list[float] = []
        for place, profile in enumerate(profiles):
            values = profile.percent[variant]
            axes.plot(
                profile.depths,
                finite(values),
                color=SERIES[place % len(SERIES)],
                marker=MARKERS[place % len(MARKERS)],
                linestyle=_LINES[place // len(SERIES) % len(_LINES)],
                linewidth=1.0,
                label=f"{brief(profile.label)} ({profile.layer_count} layers)",
            )
            shown += values
        if published and variant == _PANELS[0][0]:
            axes.plot(list(published), list(published.values()), label="published (averaged away)", **PUBLISHED)
            shown += published.values()
        axes.axhline(0, **REFERENCE)
        axes.set_title(name)
        axes.set_xlim(-0.02, 1.02)
        signed_log(axes.yaxis, shown)
        axes.set_ylabel("rise of perplexity, %")
    panels[-1].set_xlabel("relative depth")
    legend(canvas, panels[0], _LEGEND_COLUMNS)


def _rows(profile: Profile) -> list[tuple[str, ...]]:
    return [
        (
            profile.label,
            f"L{layer}",
            f"{depth:.2f}",
            *(_cell(profile.percent[name][place], profile.intervals[name][place]) for name, _ in _PANELS),
        )
        for place, (layer, depth) in enumerate(zip(profile.layers, profile.depths, strict=True))
    ]


def _cell(percent: float, interval: Interval | None) -> str:
    return "–" if math.isnan(percent) else f"{quantity(percent)} {interval_text(interval)}"
