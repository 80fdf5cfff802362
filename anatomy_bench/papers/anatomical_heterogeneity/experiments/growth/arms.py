"""The arms of the growth experiment as phases: the paper's schedule (Tables 6 and 7), its baseline and its controls."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    LayerClone,
    Phase,
    Setup,
    step_flops,
    with_steps,
)
from anatomy_bench.papers.anatomical_heterogeneity.published import load

RELATIVE_NOISE = 0.1
"""Of clones, in standard deviations of each matrix. The paper adds noise and does not say how much: enough to part the
copy from its source, too little to undo the copying."""


def ffn_multipliers() -> tuple[int, ...]:
    """Of each layer (Table 6)."""
    return tuple(int(row["ffn_multiplier"]) for row in load()["growth_architecture"]["layers"])


def published_parameters() -> int:
    """Of the whole model (Table 6)."""
    return int(load()["growth_architecture"]["total_parameters"])


def published_steps(configuration: str) -> int:
    """Steps of a configuration (Table 8), such as `growth_50`."""
    return int(load()["growth_results"][configuration]["steps"])


def prompts() -> tuple[str, ...]:
    """The twelve prompts (Table 9)."""
    return tuple(row["prompt"] for row in load()["growth_generation"]["completions"])


def growth(steps: int) -> tuple[Phase, ...]:
    """The six phases of Table 7, its epochs in proportion as steps; layers not yet grown are skipped."""
    phases: list[Phase] = []
    grown: set[int] = set()
    for row in load()["growth_schedule"]["phases"]:
        clones = tuple(_clones(row, grown))
        grown |= set(row["layers"])
        phases.append(Phase(int(row["epochs"]), tuple(sorted(grown)), tuple(row["layers"]), clones))
    return with_steps(phases, steps)


def _clones(row: dict[str, Any], grown: set[int]) -> Sequence[LayerClone]:
    """As Table 7 names them; where it names none but scales them, each layer's nearest grown neighbour.

    Of two neighbours as near, the source is a core layer, or the one before (L3 from L4, L6 from L5).
    """
    if row["clones"]:
        return [LayerClone(each["source"], each["target"], RELATIVE_NOISE) for each in row["clones"]]
    if "clone_ffn_scale" not in row:
        return []
    core = set(load()["text"]["4.6.2"]["core_layers"])
    scale = float(row["clone_ffn_scale"])
    nearest = {
        target: min(grown, key=lambda source: (abs(source - target), source not in core, source))
        for target in row["layers"]
    }
    return [LayerClone(source, target, RELATIVE_NOISE, scale) for target, source in nearest.items()]


def growth_fresh(steps: int) -> tuple[Phase, ...]:
    """Growth without cloning: layers begin with the weights that they were drawn with."""
    return tuple(replace(phase, clones=()) for phase in growth(steps))


def growth_all_running(steps: int) -> tuple[Phase, ...]:
    """The other reading of growth: layers not yet grown run, frozen at their first weights."""
    every = growth(steps)[-1].running
    return tuple(replace(phase, running=every) for phase in growth(steps))


def growth_embedding_frozen(steps: int) -> tuple[Phase, ...]:
    """The other reading of "freezing others": the embedding learns with the core and with all layers only."""
    first, *between, last = growth(steps)
    return (first, *(replace(phase, trains_embedding=False) for phase in between), last)


def uniform(steps: int) -> tuple[Phase, ...]:
    """The baseline: all layers of the same model at once."""
    every = growth(steps)[-1].running
    return (Phase(steps, every, every),)


def uniform_restarted(steps: int) -> tuple[Phase, ...]:
    """All layers at once, with a new optimiser wherever growth has one."""
    every = growth(steps)[-1].running
    return tuple(Phase(phase.steps, every, every) for phase in growth(steps))


def uniform_equal_compute(steps: int, setup: Setup) -> tuple[Phase, ...]:
    """The baseline with the floating-point operations that growth takes for so many steps, to the nearest step."""
    spent = sum(phase.steps * step_flops(setup, phase) for phase in growth(steps))
    (whole,) = uniform(1)
    return uniform(max(1, round(spent / step_flops(setup, whole))))


BY_NAME: dict[str, Callable[[int], tuple[Phase, ...]]] = {
    "growth": growth,
    "growth_fresh": growth_fresh,
    "growth_all_running": growth_all_running,
    "growth_embedding_frozen": growth_embedding_frozen,
    "uniform": uniform,
    "uniform_restarted": uniform_restarted,
}
"""Arms that take as many steps as the whole budget."""
