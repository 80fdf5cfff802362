"""Mutations of what interventions cost: importance, anti-layers, manipulation."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import numpy as np
from ledgers import measured

from anatomy_bench.claim.claim import Need
from anatomy_bench.engine.interventions import NeighbourAverage, Skip
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.plan import plan
from anatomy_bench.papers.anatomical_heterogeneity.findings.manipulation.estimates import (
    REPLACING,
    RISING_ALPHAS,
    TOO_STRONG,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import categories, degradation_percent
from anatomy_bench.values.profile import Profile
from mutations import (
    LAYERS,
    SUBJECT,
    Chosen,
    Cost,
    Measurements,
    Mutation,
    Planted,
    contrast,
    cost_worlds,
    costs,
    least_cost,
    nats,
    scored,
    whatever_others_cost,
)

ABLATION, MANIPULATION = Need("ablation"), Need("manipulation")
ANTI_LAYERS = (14, 17)
ON_WIDE = Need("ablation", corpus="wide", layers=ANTI_LAYERS)
INTERIOR = tuple(range(1, LAYERS - 1))
AS_PRINTED = {layer: nats(degradation_percent()[layer]) for layer in INTERIOR}
CRITICAL = [layer for layer, name in categories().items() if name == "Critical"]


def by_layer(average: Mapping[int, float], skip: Mapping[int, float] | None = None) -> Cost:
    """What averaging and skipping each layer cost; nothing where it is not said."""
    return lambda unit: (average if isinstance(unit, NeighbourAverage) else skip or {}).get(unit.layer, 0.0)


def inverted(costs_of: Mapping[int, float]) -> dict[int, float]:
    """The same costs at other layers: the greatest where the least was."""
    order = sorted(costs_of, key=costs_of.__getitem__)
    return {layer: costs_of[other] for layer, other in zip(order, reversed(order), strict=True)}


def half_random(costs_of: Mapping[int, float]) -> dict[int, float]:
    """The same costs, every other layer's at another of these."""
    moved = sorted(costs_of)[::2]
    drawn = np.random.default_rng(0).permutation(moved).tolist()
    return {**costs_of, **{layer: costs_of[other] for layer, other in zip(moved, drawn, strict=True)}}


def anti_layers(layer: int) -> dict[str, Mutation]:
    averaged, skipped = [NeighbourAverage(layer)], [Skip(layer)]
    return {
        f"anti-layers.l{layer}": costs(ABLATION, averaged),
        f"anti-layers.l{layer}-family-wise": costs(ABLATION, averaged),
        f"anti-layers.l{layer}-wide": costs(ON_WIDE, averaged),
        f"anti-layers.l{layer}-skip": costs(ON_WIDE, skipped),
    }


def spread_of_layers() -> Planted:
    """All interior layers cost 10 %, one so many times as much."""

    def plant(ratio: float, spread: float) -> Iterator[Measurements]:
        for worst in (1, 20):
            average = dict.fromkeys(INTERIOR, nats(10.0)) | {worst: nats(10.0 * ratio)}
            yield (scored(ABLATION, by_layer(average), spread),)

    return Planted(plant, wide=0.02)


def most_fragile() -> Planted:
    """Layer 11 leads one rival by so many nats, and all others by more."""

    def plant(lead: float, spread: float) -> Iterator[Measurements]:
        for rival in (8, 28):
            yield (scored(ABLATION, by_layer({11: 3.0 + lead, rival: 3.0}), spread),)

    return Planted(plant)


def shares(mild: int, at_threshold: int) -> Cost:
    """So many interior layers cost 5 %, so many 30 %, where minor ends, and the rest 90 %."""
    percent = [5.0] * mild + [30.0] * at_threshold + [90.0] * (len(INTERIOR) - mild - at_threshold)
    return by_layer(dict(zip(INTERIOR, map(nats, percent), strict=True)))


def five_of_nine() -> dict[int, float]:
    """Five critical layers hurt most; the other four as much as any other layer."""
    return dict.fromkeys(INTERIOR, 1.0) | dict.fromkeys(CRITICAL[:5], 3.0)


def by_skip(skip: dict[int, float]) -> Cost:
    return by_layer({layer: 0.05 * layer for layer in INTERIOR}, skip)


RISING = {layer: 0.07 * layer for layer in INTERIOR}

IMPORTANCE: dict[str, Mutation] = {
    "importance-hierarchy.spread": spread_of_layers(),
    "importance-hierarchy.critical-core": least_cost(ABLATION, [NeighbourAverage(layer) for layer in (8, 9, 10, 11)]),
    "importance-hierarchy.most-fragile": most_fragile(),
    "importance-hierarchy.mild-majority": cost_worlds(ABLATION, shares(15, 0), shares(13, 0), shares(7, 14)),
    "importance-hierarchy.categories": cost_worlds(
        ABLATION, by_layer(AS_PRINTED), by_layer(inverted(AS_PRINTED)), by_layer(AS_PRINTED), wide=1.0
    ),
    "importance-hierarchy.order": cost_worlds(
        ABLATION, by_layer(AS_PRINTED), by_layer(inverted(AS_PRINTED)), by_layer(half_random(AS_PRINTED))
    ),
    "importance-hierarchy.top-set": cost_worlds(
        ABLATION, by_layer(AS_PRINTED), by_layer(inverted(AS_PRINTED)), by_layer(five_of_nine())
    ),
    "importance-hierarchy.average-ranks-as-skip": cost_worlds(
        ABLATION, by_skip(RISING), by_skip(inverted(RISING)), by_skip(half_random(RISING))
    ),
    "importance-hierarchy.first-average": costs(ABLATION, [NeighbourAverage(0)]),
    "importance-hierarchy.first-skip": costs(ABLATION, [Skip(0)]),
    "importance-hierarchy.last-average": costs(ABLATION, [NeighbourAverage(LAYERS - 1)]),
    "importance-hierarchy.last-skip": costs(ABLATION, [Skip(LAYERS - 1)]),
    **anti_layers(14),
    **anti_layers(17),
    "anti-layers.any": least_cost(ABLATION, [NeighbourAverage(layer) for layer in range(LAYERS)]),
}


@cache
def units() -> dict[tuple[str, str], Any]:
    """Interventions by set and strategy."""
    config = measured(MANIPULATION, SUBJECT, Profile.QUICK).config
    planned = plan(SUBJECT, config, 0).items()
    return {(name, strategy): unit for (name, _), units in planned for strategy, unit in units.items()}


def on(layer_set: str, strategy: str) -> Chosen:
    """Interventions by a strategy on a set; of numbered ones, such as `noise_*` or `random_*`, all."""
    return [unit for (name, by), unit in units().items() if fnmatchcase(name, layer_set) and fnmatchcase(by, strategy)]


def damage(layer_set: str, strategy: str) -> Planted:
    return costs(MANIPULATION, on(layer_set, strategy))


def least_damage(layer_set: str, strategies: tuple[str, ...]) -> Planted:
    return least_cost(MANIPULATION, [units()[layer_set, strategy] for strategy in strategies])


def steepness() -> Planted:
    """Each factor costs a nat less than the one before, but for one step."""

    def plant(fall: float, spread: float) -> Iterator[Measurements]:
        for flat in (0, len(RISING_ALPHAS) - 1):
            falls = np.ones(len(RISING_ALPHAS))
            falls[flat] = fall
            left = dict(
                zip((units()["paper", each] for each in RISING_ALPHAS), falls[::-1].cumsum()[::-1], strict=True)
            )
            yield from whatever_others_cost(MANIPULATION, left.get, spread)

    return Planted(plant)


def destroying(layer_set: str, prefix: str, strategies: tuple[str, ...]) -> dict[str, Mutation]:
    names = {each: each.removesuffix("_64").replace("_", "-").replace(".", "-") for each in strategies}
    return {f"manipulation.{prefix}{names[each]}": damage(layer_set, each) for each in strategies}


MANIPULATIONS: dict[str, Mutation] = {
    "manipulation.scale-0-9": damage("paper", "scale_0.9"),
    **destroying("paper", "", (*REPLACING, *TOO_STRONG)),
    **destroying("paper_interior", "interior-", REPLACING),
    "manipulation.only-viable": least_damage("paper", (*REPLACING, *TOO_STRONG)),
    "manipulation.monotone": steepness(),
    "manipulation.two-layers": least_damage("anti_layers", REPLACING),
    "manipulation.measured-scale-0-9": damage("redundant", "scale_0.9"),
    "manipulation.measured-only-viable": least_damage("redundant", (*REPLACING, *TOO_STRONG)),
    "manipulation.measured-interior-only-viable": least_damage("redundant_interior", (*REPLACING, *TOO_STRONG)),
    "manipulation.random-scale-0-9": damage("random_*", "scale_0.9"),
    "manipulation.every-layer-scale-0-9": damage("every_layer", "scale_0.9"),
    "manipulation.random-skip": contrast(MANIPULATION, on("random_*", "skip"), on("paper_interior", "skip")),
    "manipulation.noise": damage("paper", "noise_*"),
    "manipulation.noise-over-scaling": contrast(MANIPULATION, on("paper", "noise_*"), on("paper", "scale_0.9")),
    "manipulation.every-layer-noise-over-scaling": contrast(
        MANIPULATION, on("every_layer", "noise_*"), on("every_layer", "scale_0.9")
    ),
    "manipulation.written-scale-0-5": damage("paper", "scale_written_0.5"),
}
