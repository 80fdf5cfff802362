"""Mutations of what the weights are like: correlations of their changes, and how well depth predicts them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ledgers import COMPONENTS, measured

from anatomy_bench.claim.claim import Need
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment import chosen_layers
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.predicted import Predicted
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import (
    Predictors,
    RegressionUnit,
    Scores,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    DEFAULT_READING,
    FIRST_TARGET,
    READINGS,
    Reading,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import ComponentUnit, Null
from anatomy_bench.papers.anatomical_heterogeneity.findings.predictability.r2_paradox import TABLE_2
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import Record
from mutations import (
    LAYERS,
    STEADY,
    SUBJECT,
    WHATEVER,
    Cost,
    Measurements,
    Mutation,
    Planted,
    Worlds,
    cost_worlds,
    costs,
    frozen,
    nats,
    scores,
    unlike,
)

STRUCTURE, PREDICTABILITY = Need("structure"), Need("predictability")
ENDS = (COMPONENTS[0], COMPONENTS[-1])
"""Components that stand out, in turn."""

Fields = dict[str, Any]


def around(mean: float, spread: float, count: int, key: str = "series") -> tuple[float, ...]:
    return tuple(mean + spread * unlike(key, count))


def structured(by_component: dict[str, Fields], others: Fields) -> Measurements:
    """The structure with some fields of each component changed."""

    def invent(unit: ComponentUnit) -> Record:
        return replace(frozen(unit), **by_component.get(unit.component, others))

    return (measured(STRUCTURE, SUBJECT, Profile.QUICK, invent),)


def deltas(mean: float, spread: float = STEADY) -> Fields:
    """Delta correlations of a component."""
    return {"delta_correlations": around(mean, spread, LAYERS - 2), "mean_delta_correlation": mean}


def adjacent(mean: float, spread: float = STEADY) -> Fields:
    """Correlations of a component's neighbouring layers."""
    return {"adjacent_correlations": around(mean, spread, LAYERS - 1), "mean_adjacent_correlation": mean}


def beside_null(kind: str, excess: float, spread: float) -> Fields:
    """Delta correlations that exceed those of a null."""
    return deltas(-0.5 + excess) | {kind: Null(-0.5, Interval(-0.5 - spread, -0.5 + spread))}


def delta_correlation(name: str) -> Planted:
    """Of one component, whatever it is in the others."""

    def plant(mean: float, spread: float) -> Iterator[Measurements]:
        for others in (-0.9, 0.3):
            yield structured({name: deltas(mean, spread)}, deltas(others))

    return Planted(plant, wide=0.05)


def furthest_delta_correlation() -> Planted:
    """Of the component that is furthest from −0.5."""

    def plant(mean: float, spread: float) -> Iterator[Measurements]:
        for name in ENDS:
            yield structured({name: deltas(mean, spread)}, deltas(-0.5))

    return Planted(plant, wide=0.05)


def excess_over_null(kind: str) -> Planted:
    """Of delta correlations, for the component where it is the most negative."""

    def plant(excess: float, spread: float) -> Iterator[Measurements]:
        for name in ENDS:
            yield structured({name: beside_null(kind, excess, spread)}, beside_null(kind, excess + 0.2, spread))

    return Planted(plant)


def least_adjacent() -> Planted:
    """Correlation of neighbouring layers, for the component where it is the most negative."""

    def plant(mean: float, spread: float) -> Iterator[Measurements]:
        for name in ENDS:
            yield structured({name: adjacent(mean, spread)}, adjacent(mean + 0.2))

    return Planted(plant)


def component_claims(finding: str, planted: Callable[[str], Planted]) -> dict[str, Mutation]:
    return {f"{finding}.{name.rpartition('.')[2].replace('_', '-')}": planted(name) for name in COMPONENTS}


STRUCTURES: dict[str, Mutation] = {
    **component_claims("delta-correlation", delta_correlation),
    "delta-correlation.universal": furthest_delta_correlation(),
    "delta-correlation.beyond-independent-layers": excess_over_null("independent"),
    "delta-correlation.depends-on-order": excess_over_null("shuffled"),
    "delta-correlation.adjacent-layers-oppose": least_adjacent(),
}


R2 = Callable[[str, Reading, str], float]
"""By component, reading and predictor."""

NULLS = ("mean_of_earlier", "shuffled", "independent")
ANY_R2 = (-2.0, 0.99)
"""Of predictors that a claim is not about: it must not matter which."""


def fit(r2: float, spread: float, key: str) -> Scores:
    series = around(r2, spread, LAYERS - FIRST_TARGET, key)
    return Scores(series, (spread,) * len(series), series, r2, max(series), r2)


def predicted(r2: R2, spread: float = STEADY, cost: Cost = lambda _: 0.0) -> Measurements:
    """Predictability with each predictor this good, and replaced layers this costly, give or take a spread."""

    def invent(unit: Any) -> Record:
        if not isinstance(unit, RegressionUnit):
            return scores(cost, spread, unit)
        readings = {
            reading: Predictors(
                *(fit(r2(unit.component, reading, each), spread, reading + each) for each in ("ridge", *NULLS))
            )
            for reading in READINGS
        }
        return replace(frozen(unit), readings=readings)

    return (measured(PREDICTABILITY, SUBJECT, Profile.QUICK, invent),)


def average_r2(name: str) -> Planted:
    """Of one component in the default reading, whatever other predictors do."""

    def plant(mean: float, spread: float) -> Iterator[Measurements]:
        by_predictor = {(name, DEFAULT_READING, "ridge"): mean}
        for others in ANY_R2:
            yield predicted(lambda *key, others=others: by_predictor.get(key, others), spread)

    return Planted(plant)


def excess(more: tuple[Reading, str], less: tuple[Reading, str]) -> Planted:
    """Of one predictor over another, whatever the others do."""

    def plant(beyond: float, spread: float) -> Iterator[Measurements]:
        by_predictor = {more: 0.3 + beyond, less: 0.3}
        for others in ANY_R2:
            yield predicted(lambda _, *key, others=others: by_predictor.get(key, others), spread)

    return Planted(plant)


def least_best() -> Planted:
    """The best layer's R², for the component where that is least."""

    def plant(best: float, spread: float) -> Iterator[Measurements]:
        mean = best - spread * max(unlike(f"{DEFAULT_READING}ridge", LAYERS - FIRST_TARGET))
        for name in ENDS:
            yield predicted(lambda component, *_, name=name: mean + 0.5 * (component != name), spread)

    return Planted(plant)


def ranked(components: list[str]) -> Measurements:
    """The first predicted best."""
    return predicted(lambda component, *_: 0.9 - 0.1 * components.index(component))


def order_of_components() -> Worlds:
    table = list(TABLE_2)
    return Worlds(ranked, [table], [table[::-1]], [[*table[:2], *table[4:], *table[2:4]]])


def replaced(count: int, choice: Any, reading: Reading = DEFAULT_READING) -> Predicted:
    return Predicted(chosen_layers(LAYERS, count, choice), reading, alpha=1.0)


SINGLES = tuple(Predicted((layer,), DEFAULT_READING, alpha=1.0) for layer in range(FIRST_TARGET, LAYERS))


def damage_at_high_r2() -> Planted:
    """Of nine layers in the one reading that predicts them with an R² of 0.95, whatever the others cost."""

    def plant(percent: float, spread: float) -> Iterator[Measurements]:
        for reading in READINGS:
            for others in (-0.4, 12.0):
                by_unit = {replaced(9, "spread", reading): nats(percent)}
                yield predicted(
                    lambda _, found, __, reading=reading: 0.95 if found == reading else 0.5,
                    spread,
                    lambda unit, others=others, by_unit=by_unit: by_unit.get(unit, others),
                )

    return Planted(plant, wide=0.01)


def compounding() -> Planted:
    """Of nine layers together over the sum of each alone, whatever others cost."""
    together = replaced(9, "spread")
    alone = [single for single in SINGLES if set(single.layers) <= set(together.layers)]

    def plant(beyond: float, spread: float) -> Iterator[Measurements]:
        by_unit = dict.fromkeys(alone, 0.1) | {together: 0.1 * len(alone) + beyond}
        for others in WHATEVER:
            yield predicted(lambda *_: 0.5, spread, lambda unit, others=others: by_unit.get(unit, others))

    return Planted(plant)


def acceptable(layers: int, at_threshold: int = 0) -> Cost:
    """So many layers alone cost 20 %, so many 30 %, which is no longer acceptable, and the rest 40 %."""
    percent = [20.0] * layers + [30.0] * at_threshold + [40.0] * (len(SINGLES) - layers - at_threshold)
    by_unit = dict(zip(SINGLES, map(nats, percent), strict=True))
    return lambda unit: by_unit.get(unit, 0.0)


RIDGE, SORTED = (DEFAULT_READING, "ridge"), ("sorted", "ridge")

PREDICTIONS: dict[str, Mutation] = {
    **component_claims("predictability", average_r2),
    "predictability.order": order_of_components(),
    "predictability.best": least_best(),
    "predictability.one-layer": costs(PREDICTABILITY, [replaced(1, "spread")]),
    "predictability.nine-layers": costs(PREDICTABILITY, [replaced(9, "spread")]),
    "predictability.beyond-mean-of-earlier": excess(RIDGE, (DEFAULT_READING, "mean_of_earlier")),
    "predictability.beyond-independent-layers": excess(RIDGE, (DEFAULT_READING, "independent")),
    "predictability.depends-on-order": excess(RIDGE, (DEFAULT_READING, "shuffled")),
    "predictability.weights-in-place": excess(SORTED, RIDGE),
    "predictability.sorted-beyond-mean": excess(SORTED, ("sorted", "mean_of_earlier")),
    "predictability.high-r2-fails": damage_at_high_r2(),
    "predictability.errors-compound": compounding(),
    "predictability.any-one-layer": cost_worlds(
        PREDICTABILITY, acceptable(26), acceptable(25), acceptable(24, at_threshold=4)
    ),
    "predictability.nine-neighbours": costs(PREDICTABILITY, [replaced(9, "together")]),
}
