"""Measurements mutated until a claim holds, breaks, or is left open.

A mutation changes nothing but what its claim is about, and by as little as it takes. Most claims estimate a number, so
most mutations are given the number and make the measurement that it should be read off from.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
from ledgers import SENTENCES, TOKENS, invented, inventors, measured, subject

from anatomy_bench.claim.claim import Criterion, Need, VerdictWord
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record

S, R, INC = VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE
LAYERS = 30
SUBJECT = subject(LAYERS)
STEADY = 1e-4
"""A spread too small to matter, and not none, of which nothing would follow."""

Measurements = tuple[Any, ...]
"""One for each need of a claim."""

Cost = Callable[[Any], float]
"""Nats a token that an intervention costs."""

Chosen = Sequence[Any]
"""The units that a claim reads."""

Changes = Mapping[str, Any]
"""New values of printed numbers, by their path of keys and positions, such as `ablation/layers/3/category`."""

Case = tuple[VerdictWord, float | None, Measurements]
"""What is to come of measurements: the verdict, and the value if it is known."""


class Mutation(Protocol):
    """What holds, breaks and leaves open one claim."""

    def cases(self, criterion: Criterion) -> Iterator[Case]:
        """Of every verdict that the claim can get, one at least."""
        ...


@dataclass(frozen=True)
class Planted:
    """A value that the claim is to find, put to either side of its criterion and on its bounds.

    Attributes:
        plant: from a value and a spread to measurements that have it. Several, where they differ in what the claim
            must not read.
        step: at least so far from a bound, and a fifth of it.
        wide: a spread that no bound can be told from.
    """

    plant: Callable[[float, float], Iterable[Measurements]]
    step: float = 0.1
    wide: float = 0.3

    def cases(self, criterion: Criterion) -> Iterator[Case]:
        bounds = [each for each in (criterion.low, criterion.high) if np.isfinite(each)]
        for bound, sign in zip(bounds, (-1, 1) if np.isfinite(criterion.low) else (1,), strict=False):
            away = max(self.step, abs(bound) / 5)
            yield from self._all(R, bound + sign * away, STEADY)
            yield from self._all(INC, bound, self.wide)
            inside = bound - sign * away if len(bounds) == 1 else (criterion.low + criterion.high) / 2
            yield from self._all(S, inside, STEADY)

    def _all(self, word: VerdictWord, value: float, spread: float) -> Iterator[Case]:
        found = list(self.plant(value, spread))
        yield from ((word, value if spread == STEADY else None, each) for each in found)


@dataclass(frozen=True)
class Worlds:
    """What is known to make the claim hold, to break it and to leave it open.

    Attributes:
        measure: from any of these to measurements.
        open: none for what is counted: no sentence, noise or seed makes it another number.
    """

    measure: Callable[[Any], Measurements]
    holds: Sequence[Any]
    breaks: Sequence[Any]
    open: Sequence[Any] = ()

    def cases(self, criterion: Criterion) -> Iterator[Case]:
        for word, worlds in ((S, self.holds), (R, self.breaks), (INC, self.open)):
            yield from ((word, None, self.measure(each)) for each in worlds)


def altered(printed: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A paper's published numbers with some of them changed."""
    data = copy.deepcopy(dict(printed))
    for path, value in changes.items():
        *parents, last = path.split("/")
        place: Any = data
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[int(last) if isinstance(place, list) else last] = value
    return data


def nats(percent: float) -> float:
    """The change of loss behind a degradation."""
    return float(np.log1p(percent / 100))


@cache
def unlike(key: object, count: int) -> np.ndarray:
    """Numbers of mean 0 and deviation 1, by the key, that are no other key's."""
    drawn = generator(0, str(key)).normal(size=count)
    return (drawn - drawn.mean()) / drawn.std()


frozen = cache(invented)
"""Results that no mutation changes as a whole, invented once."""


def scores(cost: Cost, spread: float, unit: Any) -> Record:
    """Scores under which an intervention costs so many nats a token, by sentence more or less."""
    if type(unit) in inventors():
        return frozen(unit)
    damage = 0.0 if isinstance(unit, Intact) else cost(unit) + spread * unlike(unit, SENTENCES)
    return SentenceScores(tuple((60.0 + TOKENS * damage) * np.ones(SENTENCES)))


def scored(need: Need, cost: Cost, spread: float = STEADY) -> Any:
    """An experiment's measurement with scores such as these."""
    return measured(need, SUBJECT, Profile.QUICK, partial(scores, cost, spread))


APART = 1e-3
"""Nats a token by which units differ that a claim takes the mean of."""

WHATEVER = (-0.4, 3.0)
"""Nats a token that interventions cost which a claim is not about: it must not matter which."""


def whatever_others_cost(need: Need, cost: Callable[[Any, float], float], spread: float) -> Iterator[Measurements]:
    """Measurements that differ in what the interventions cost which a claim is not about: `cost`'s second argument."""
    for others in WHATEVER:
        yield (scored(need, lambda unit, others=others: cost(unit, others), spread),)


def about(mean: float, units: Chosen) -> dict[Any, float]:
    """Costs of that mean, no two alike, so that a mean is told from any one of them."""
    if len(units) == 1:
        return {units[0]: mean}
    return dict(zip(units, mean + APART * unlike("draws", len(units)), strict=True))


def costs(need: Need, chosen: Chosen) -> Planted:
    """What some interventions cost, in percent: the one, or the geometric mean of several."""

    def plant(percent: float, spread: float) -> Iterator[Measurements]:
        return whatever_others_cost(need, about(nats(percent), chosen).get, spread)

    return Planted(plant, step=1.0)


def least_cost(need: Need, chosen: Chosen) -> Planted:
    """What the least harmful of some interventions costs, in percent, whichever it is."""

    def plant(percent: float, spread: float) -> Iterator[Measurements]:
        for least in (chosen[0], chosen[-1]):
            by_unit = dict.fromkeys(chosen, nats(percent) + 1.0) | {least: nats(percent)}
            yield from whatever_others_cost(need, by_unit.get, spread)

    return Planted(plant, step=1.0)


def contrast(need: Need, more: Chosen, less: Chosen) -> Planted:
    """How many nats a token some interventions cost beyond what others do, by the means of either."""

    def plant(beyond: float, spread: float) -> Iterator[Measurements]:
        return whatever_others_cost(need, (about(1.0 + beyond, more) | about(1.0, less)).get, spread)

    return Planted(plant)


def cost_worlds(need: Need, holds: Cost, breaks: Cost, leaves_open: Cost, wide: float = 0.1) -> Worlds:
    """By what interventions cost; only where the claim is left open do sentences differ widely."""
    measure = lambda world: (scored(need, *world),)  # noqa: E731
    return Worlds(measure, [(holds, STEADY)], [(breaks, STEADY)], [(leaves_open, wide)])
