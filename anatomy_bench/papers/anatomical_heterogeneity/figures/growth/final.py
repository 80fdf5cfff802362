"""Final loss of every arm at every learning rate, beside Table 8."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import Arm, GrowthMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained
from anatomy_bench.papers.anatomical_heterogeneity.figures.growth.printed import PrintedArm, table8
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth import NEED
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth.estimates import (
    coherent,
    held_out_loss,
    mean_over_seeds,
    seen_loss,
)
from anatomy_bench.report.drawing import BLUE, ORANGE, PUBLISHED, bars, draw, ends, finite, legend, log_scale
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import interval_text, quantity

Of = Callable[[Trained], float]

_SERIES: tuple[tuple[str, Of, float, dict[str, Any]], ...] = (
    ("on sentences trained on", seen_loss, -0.16, {"color": BLUE, "marker": "o"}),
    ("on sentences held out", held_out_loss, 0.16, {"color": ORANGE, "marker": "s"}),
)


def final_losses(evidence: Evidence) -> Figure | None:
    """Loss after the last step, seed by seed."""
    measured = evidence.measurement(NEED, GrowthMeasurement)
    if measured is None or not measured.arms:
        return None
    default = measured.config.learning_rate
    arms = sorted(measured.arms, key=lambda arm: (arm.learning_rate != default, measured.config.arms.index(arm.name)))
    names = [_name(arm, default) for arm in arms]
    printed = {_name_of(name): row for name, row in table8(evidence.published).items() if measured.arm(name)}
    prompts = measured.config.setup.prompts
    return Figure(
        title="Final loss by arm",
        caption=(
            "Validation loss after the last step in nats a token, on a log scale: small marks are single seeds, large "
            f"ones their geometric mean with its 95 % interval over {measured.config.seeds} seeds. Learning rate "
            f"{default:g} where none is named.{_cut(measured, printed)}"
        ),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, arms, names, printed),
            f"Final validation loss of {len(arms)} arms, on sentences seen and held out",
            height=1.3 + 0.36 * len(arms),
        ),
        headers=(
            "arm",
            "published loss",
            *(f"{name} [95 %]" for name, _, _, _ in _SERIES),
            "steps",
            "10¹² operations",
            "published seconds",
            "seconds",
            f"coherent of {len(prompts)} prompts",
        ),
        rows=[_row(arm, name, printed.get(name), prompts) for arm, name in zip(arms, names, strict=True)],
    )


def _name(arm: Arm, default: float) -> str:
    name = _name_of(arm.name)
    return name if arm.learning_rate == default else f"{name}, rate {arm.learning_rate:g}"


def _name_of(arm: str) -> str:
    return arm.replace("_", " ")


def _cut(measured: GrowthMeasurement, printed: Mapping[str, PrintedArm]) -> str:
    most = max((row.steps for row in printed.values()), default=0)
    taken = measured.config.full_steps
    return f" The paper's arms take up to {most} steps, these {taken}." if 0 < most != taken else ""


def _mean(arm: Arm, of: Of) -> tuple[float, Interval | None]:
    mean, interval = mean_over_seeds([float(np.log(of(run))) for run in arm.runs])
    return float(np.exp(mean)), interval and Interval(float(np.exp(interval.low)), float(np.exp(interval.high)))


def _paint(
    canvas: Any, axes: Any, arms: Sequence[Arm], names: Sequence[str], printed: Mapping[str, PrintedArm]
) -> None:
    places = np.arange(len(arms))
    shown = [row.loss for row in printed.values()]
    for label, of, shift, style in _SERIES:
        seeds = [(of(run), place + shift) for place, arm in enumerate(arms) for run in arm.runs]
        axes.plot(*finite(np.array(seeds)).T, **{**style, "linestyle": "none", "markersize": 2.5, "alpha": 0.6})
        means = [_mean(arm, of) for arm in arms]
        values, intervals = [mean for mean, _ in means], [interval for _, interval in means]
        bars(axes, values, places + shift, intervals, label=label, **style)
        shown += [*ends(values, intervals), *(value for value, _ in seeds)]
    if printed:
        at = [names.index(name) for name in printed]
        axes.plot([row.loss for row in printed.values()], at, label="published", **PUBLISHED)
    axes.set_yticks(places, names)
    axes.set_ylim(len(arms) - 0.45, -0.55)
    axes.set_xlabel("validation loss, nats/token")
    log_scale(axes.xaxis, shown)
    legend(canvas, axes, 3)


def _row(arm: Arm, name: str, printed: PrintedArm | None, prompts: Sequence[str]) -> tuple[str, ...]:
    means = [_mean(arm, of) for _, of, _, _ in _SERIES]
    return (
        name,
        quantity(printed.loss if printed else None),
        *(f"{quantity(mean)} {interval_text(interval)}" for mean, interval in means),
        str(arm.runs[0].steps),
        quantity(arm.runs[0].flops / 10**12),
        quantity(printed.seconds if printed else None),
        quantity(float(np.mean([run.seconds for run in arm.runs]))),
        quantity(float(np.mean([coherent(run, prompts) for run in arm.runs]))),
    )
