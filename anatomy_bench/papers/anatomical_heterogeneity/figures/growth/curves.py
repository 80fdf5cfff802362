"""Validation loss by step: the paper's arms in one row, the controls in another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import Arm, GrowthMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Phase, Validation
from anatomy_bench.papers.anatomical_heterogeneity.figures.growth.printed import PrintedArm, table8
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth import NEED
from anatomy_bench.report.drawing import (
    BLUE,
    GREEN,
    INK,
    MARKERS,
    ORANGE,
    PUBLISHED,
    PURPLE,
    SKY,
    YELLOW,
    draw,
    finite,
    log_scale,
)
from anatomy_bench.report.figures import Evidence, Figure
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.statistics import Floats

_OF: tuple[tuple[str, Callable[[Validation], float]], ...] = (
    ("on sentences trained on", lambda validation: validation.seen_nats),
    ("on sentences held out", lambda validation: validation.held_out_nats),
)
_ROWS = (
    {"growth": BLUE, "growth_half": GREEN, "uniform": ORANGE},
    {
        "growth": BLUE,
        "growth_fresh": GREEN,
        "growth_all_running": PURPLE,
        "growth_embedding_frozen": SKY,
        "uniform_restarted": YELLOW,
        "uniform_equal_compute": ORANGE,
    },
)
_MARKS = 5


@dataclass(frozen=True)
class Line:
    """An arm's losses by step.

    Attributes:
        name: of the arm.
        style: of the line.
        steps: of its validations.
        losses: of each seed, by what the sentences are; shape (seeds, steps).
    """

    name: str
    style: Mapping[str, Any]
    steps: Sequence[int]
    losses: Sequence[Floats]


def losses(evidence: Evidence) -> Figure | None:
    """Loss by step on sentences seen and held out."""
    measured = evidence.measurement(NEED, GrowthMeasurement)
    rows = _rows(measured) if measured else []
    if measured is None or not rows:
        return None
    printed = {name: row for name, row in table8(evidence.published).items() if row.steps == _steps(measured.arm(name))}
    growth = measured.arm("growth")
    lines = list({line.name: line for row in rows for line in row}.values())
    return Figure(
        title="Validation loss by step",
        caption=(
            f"Validation loss in nats a token, on a log scale; lines are geometric means over {measured.config.seeds} "
            "seeds, bands reach from the least to the greatest. Vertical lines: where the phases of growth begin. "
            f"{_below(rows)}Learning rate {measured.config.learning_rate:g} throughout."
        ),
        svg=draw(
            lambda _, axes: _paint(axes, rows, growth.phases if growth else (), printed),
            f"Validation loss by step for {len(lines)} ways of training, on sentences seen and held out",
            height=0.7 + 2.75 * len(rows),
            rows=len(rows),
            columns=len(_OF),
            sharex=True,
            sharey=True,
            squeeze=False,
        ),
        headers=("step", *(f"{_plain(line.name)}, {where}" for line in lines for where in ("seen", "held out"))),
        rows=_table(lines),
    )


def _rows(measured: GrowthMeasurement) -> list[list[Line]]:
    rows = [
        [
            _line(arm, {"color": color, "marker": marker})
            for (name, color), marker in zip(colors.items(), MARKERS, strict=False)
            if (arm := measured.arm(name)) is not None
        ]
        for colors in _ROWS
    ]
    paper, controls = rows
    # `quick` trains no controls, so there is nothing to draw beside growth in the second row.
    return [row for row in (paper, controls if {line.name for line in controls} - {"growth"} else []) if row]


def _line(arm: Arm, style: Mapping[str, Any]) -> Line:
    losses = [np.array([[of(validation) for validation in run.validations] for run in arm.runs]) for _, of in _OF]
    return Line(arm.name, style, [validation.step for validation in arm.runs[0].validations], losses)


def _steps(arm: Arm | None) -> int | None:
    return arm.runs[0].steps if arm else None


def _below(rows: Sequence[Sequence[Line]]) -> str:
    return "Below: growth beside its controls. " if len(rows) > 1 else ""


def _paint(
    axes: Any,
    rows: Sequence[Sequence[Line]],
    phases: Sequence[Phase],
    printed: Mapping[str, PrintedArm],
) -> None:
    shown = [row.loss for row in printed.values()]
    for row, panels in zip(rows, axes, strict=True):
        for which, ((title, _), panel) in enumerate(zip(_OF, panels, strict=True)):
            for start in accumulate(phase.steps for phase in phases[:-1]):
                panel.axvline(start, color=INK, linewidth=0.5, alpha=0.45, zorder=1)
            for line in row:
                shown += _paint_line(panel, line, which)
            panel.set_title(title)
            panel.grid(visible=False, axis="x")
        known = [printed[line.name] for line in row if line.name in printed]
        if known:
            panels[0].plot([row.steps for row in known], [row.loss for row in known], label="published", **PUBLISHED)
        panels[0].set_ylabel("loss, nats/token")
        panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.0, 0.5))
    for panel in axes[-1]:
        panel.set_xlabel("step")
    log_scale(axes.flat[0].yaxis, shown)


def _paint_line(panel: Any, line: Line, which: int) -> list[float]:
    """Paint a line with its band; return the values that the axis must include."""
    values = finite(line.losses[which])
    mean = np.exp(np.log(values).mean(axis=0))
    every = max(1, len(mean) // _MARKS)
    panel.plot(line.steps, mean, label=_plain(line.name).replace(" ", "\n", 1), markevery=every, **line.style)
    panel.fill_between(line.steps, values.min(axis=0), values.max(axis=0), color=line.style["color"], alpha=0.13, lw=0)
    return [float(value) for value in values.ravel()]


def _table(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """One row for each step at which any arm was validated; a dash for arms without a validation there."""
    means = [
        [dict(zip(line.steps, np.exp(np.log(loss).mean(axis=0)).tolist(), strict=True)) for loss in line.losses]
        for line in lines
    ]
    steps = sorted({step for line in lines for step in line.steps})
    return [(str(step), *(quantity(each.get(step)) for of_line in means for each in of_line)) for step in steps]


def _plain(name: str) -> str:
    return name.replace("_", " ")
