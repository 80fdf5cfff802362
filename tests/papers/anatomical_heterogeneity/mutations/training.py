"""Mutations of what training comes to: recovery from noise, and growth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from ledgers import SENTENCES, TOKENS, measured
from papers.anatomical_heterogeneity.mutations.scores import ABLATION, ANTI_LAYERS, by_layer, half_random, inverted

from anatomy_bench.claim.claim import Need
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise, noise_seeds
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import Arm
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained, Validation
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import PAPER_RECOVERY
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryUnit, TrainedLayer
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import Record
from mutations import (
    APART,
    STEADY,
    SUBJECT,
    WHATEVER,
    Measurements,
    Mutation,
    Planted,
    Worlds,
    costs,
    nats,
    scored,
    scores,
    unlike,
)

NOISE, RECOVERY, GROWTH = Need("perturbation"), Need("recovery"), Need("growth")
NOISE_ON_WIDE = Need("perturbation", corpus="wide", layers=ANTI_LAYERS)


def noises(layer: int) -> list[GaussianNoise]:
    """The four noises of a layer that the quick profile scores."""
    return [GaussianNoise(layer, 0.5, seed) for seed in noise_seeds(0, 4)]


Curve = tuple[float, float, float]
"""Nats a token that noise costs, what is left of them after training, and the step that turns one into the other."""


def recovered(curve: Callable[[RecoveryUnit], Curve], spread: float = STEADY) -> Any:
    """A measurement of recovery with such curves."""

    def invent(unit: Any) -> Record:
        if not isinstance(unit, RecoveryUnit):
            return scores(lambda _: 0.0, spread, unit)
        start, end, turn = curve(unit)
        cost = np.where(np.arange(unit.steps + 1) < turn, start, end)[:, None] + spread * unlike(unit, SENTENCES)
        return TrainedLayer(tuple(map(tuple, (60.0 + TOKENS * cost).tolist())), (1.0,) * unit.steps)

    return measured(RECOVERY, SUBJECT, Profile.PAPER, invent)


def noised(layer: int, unit: RecoveryUnit) -> bool:
    return (unit.start.layer, unit.text) == (layer, "recovery") and unit.start.deviations > 0


def intact(layer: int, unit: RecoveryUnit) -> bool:
    return (unit.start.layer, unit.text) == (layer, "recovery") and unit.start.deviations == 0


def apart_by_noise(curve: Curve, unit: RecoveryUnit) -> Curve:
    """The curve with an end of its own for each of three noises, their mean as it was."""
    start, end, turn = curve
    return start, end + APART * unlike("draws", 3)[noise_seeds(0, 3).index(unit.start.seed)], turn


def curves(layer: int, curve: Callable[[float], Curve], step: float) -> Planted:
    """A value of the curve of one noised layer, whatever becomes of the others."""

    def plant(value: float, spread: float) -> Iterator[Measurements]:
        for others in WHATEVER:

            def found(unit: RecoveryUnit, others: float = others) -> Curve:
                return apart_by_noise(curve(value), unit) if noised(layer, unit) else (others, others, 0)

            yield (recovered(found, spread),)

    return Planted(plant, step)


def noised_over_intact(layer: int) -> Planted:
    """What is left of the noise beyond what training alone leaves, in nats a token."""

    def plant(beyond: float, spread: float) -> Iterator[Measurements]:
        for others in WHATEVER:

            def curve(unit: RecoveryUnit, others: float = others) -> Curve:
                if noised(layer, unit):
                    return apart_by_noise((2.0, 0.1 + beyond, 5), unit)
                return (0.0, 0.1, 5) if intact(layer, unit) else (others, others, 0)

            yield (recovered(curve, spread),)

    return Planted(plant)


def in_steps(steps: float, spread: float, unit: RecoveryUnit) -> Curve:
    """Recovered after so many steps; from one noise sooner than from another."""
    order = noise_seeds(0, 3).index(unit.start.seed) - 1
    return 0.5, 0.0, steps + order * round(10 * spread)


def slower_of_two() -> Planted:
    """Steps of the slower of layers 23 and 24, whatever the others take."""

    def plant(steps: float, spread: float) -> Iterator[Measurements]:
        for slower, others in ((23, 0), (24, 150)):
            by_layer = {slower: steps, 47 - slower: 3}
            curve = lambda unit, by=by_layer, other=others: in_steps(by.get(unit.start.layer, other), spread, unit)  # noqa: E731
            yield (recovered(curve),)

    return Planted(plant)


def saved_by_budget() -> Planted:
    """Every layer takes the same share of the paper's 200 steps."""

    def plant(percent: float, spread: float) -> Iterator[Measurements]:
        yield (recovered(partial(in_steps, 200 * (1 - percent / 100), spread)),)

    return Planted(plant)


IMPORTANCE = {layer: 0.1 * place for place, layer in enumerate(PAPER_RECOVERY)}
PACE = {layer: 10 + 10 * place for place, layer in enumerate(PAPER_RECOVERY)}
UNRELATED = dict(zip(PAPER_RECOVERY, np.random.default_rng(1).permutation(len(PAPER_RECOVERY)).tolist(), strict=True))


def paced(steps: Mapping[int, float], text: str = "recovery", start: Mapping[int, float] = UNRELATED) -> Any:
    """Recovery on a text in so many steps; on the other in the opposite order. Noise costs by `start`."""

    def curve(unit: RecoveryUnit) -> Curve:
        layer = unit.start.layer
        return 0.5 + 0.1 * start[layer], 0.0, (steps if unit.text == text else inverted(steps))[layer]

    return recovered(curve)


def by_pace(average: Mapping[int, float], skip: Mapping[int, float], text: str = "recovery") -> Worlds:
    """Layers that matter more, later ones, recover more slowly, faster, or in whatever order."""
    measure = lambda steps: (paced(steps, text), scored(ABLATION, by_layer(average, skip)))  # noqa: E731
    return Worlds(measure, [PACE], [inverted(PACE)], [half_random(PACE)])


def beyond_start() -> Worlds:
    """Layers that noise hurts the more the later they come, and whose steps and importance depart from that order.

    Together they depart where the claim holds, against one another where it breaks; the order, which is not what the
    claim is about, says the opposite.
    """
    places = np.arange(len(PAPER_RECOVERY))
    one, other = (-1.0) ** places, (-1.0) ** (places // 2)

    def series(values: np.ndarray) -> dict[int, float]:
        return dict(zip(PAPER_RECOVERY, values.tolist(), strict=True))

    importance = by_layer(series(0.1 * (places + 1.5 * one)))
    measure = lambda steps: (paced(series(50 + 10 * steps), start=series(places)), scored(ABLATION, importance))  # noqa: E731
    return Worlds(measure, [1.5 * one - places + 12], [places - 1.5 * one], [places + 1.5 * other])


def recovery_of_anti_layer(layer: int) -> dict[str, Mutation]:
    return {
        f"recovery.l{layer}-noise": costs(NOISE, noises(layer)),
        f"recovery.l{layer}-noise-wide": costs(NOISE_ON_WIDE, noises(layer)),
        f"recovery.l{layer}-trained": curves(layer, lambda percent: (2.0, nats(percent), 5), step=1.0),
        f"recovery.l{layer}-noise-helps-training": noised_over_intact(layer),
    }


RECOVERIES: dict[str, Mutation] = {
    **recovery_of_anti_layer(14),
    **recovery_of_anti_layer(17),
    "recovery.l11-unrecovered": curves(11, lambda ratio: (3.0, float(np.log(ratio)), 5), step=0.1),
    "recovery.l3-no-convergence": curves(3, lambda percent: (0.5, 0.5 + nats(percent), 5), step=1.0),
    "recovery.instant": slower_of_two(),
    "recovery.speed-tracks-importance": by_pace(IMPORTANCE, inverted(IMPORTANCE)),
    "recovery.budget-saving": saved_by_budget(),
    "recovery.speed-beyond-start": beyond_start(),
    "recovery.speed-tracks-skip": by_pace(inverted(IMPORTANCE), IMPORTANCE),
    "recovery.speed-on-scored": by_pace(IMPORTANCE, inverted(IMPORTANCE), "scored"),
}


Change = Callable[[Arm, int], dict[str, Any]]
"""New fields of an arm's training with the seed of that place."""


@cache
def grown() -> Any:
    return measured(GROWTH, SUBJECT, Profile.PAPER)


def regrown(change: Change) -> Measurements:
    """The growth measurement with something of every training changed."""
    arms = [
        replace(arm, runs=tuple(replace(run, **change(arm, place)) for place, run in enumerate(arm.runs)))
        for arm in grown().arms
    ]
    return (replace(grown(), arms=tuple(arms)),)


def final(seen: float, held_out: float) -> dict[str, Any]:
    """Fields of a training that ends at these losses, in nats a token."""
    return {"validations": (Validation(1, 1.0, seen, held_out),)}


def apart(place: int, spread: float) -> float:
    """A factor that differs by seed."""
    return float(np.exp(spread * (place - 1)))


def loss_ratio(more: str, less: str, *, held_out: bool = False) -> Planted:
    """Of two arms' losses at the default rate, whatever the other loss and all other arms come to."""

    def plant(ratio: float, spread: float) -> Iterator[Measurements]:
        for others in (0.01, 100.0):

            def change(arm: Arm, place: int, others: float = others) -> dict[str, Any]:
                by_arm = {more: ratio * apart(place, spread), less: 1.0}
                is_default = arm.learning_rate == grown().config.learning_rate
                loss = by_arm.get(arm.name, others) if is_default else others
                return final(others, loss) if held_out else final(loss, others)

            yield regrown(change)

    return Planted(plant)


def best_rate_ratio() -> Planted:
    """Of the least loss of either, each at a rate of its own."""

    def plant(ratio: float, spread: float) -> Iterator[Measurements]:
        rates = grown().config.learning_rates
        for uniform, growth in ((rates[0], rates[2]), (rates[2], rates[1])):
            best = {("uniform", uniform): ratio, ("growth", growth): 1.0}
            yield regrown(
                lambda arm, place, best=best: final(
                    best.get((arm.name, arm.learning_rate), 50.0) * apart(place, spread * (arm.name == "uniform")), 1.0
                )
            )

    return Planted(plant)


def of_arm(name: str, **fields: Sequence[Any]) -> Measurements:
    """The measurement with fields of one arm's trainings changed, by seed."""
    return regrown(
        lambda arm, place: {field: values[place] for field, values in fields.items()} if arm.name == name else {}
    )


COUNT = 9_570_048


def parameters(counts: tuple[int, int]) -> Measurements:
    """Counted on models of uniform training, and on all others."""
    return regrown(lambda arm, _: {"parameters": counts[arm.name != "uniform"]})


def operations(factor: float) -> Measurements:
    """Growth takes so many times the operations of uniform training."""
    uniform: Trained = grown().arm("uniform").runs[0]
    return of_arm("growth", flops=[round(factor * uniform.flops)] * 3)


def completing(right: int) -> tuple[str, ...]:
    """Completions of which so many make a sentence of the text."""
    prompts = grown().config.setup.prompts
    known = [next(each for each in growth_corpus().sentences if each.startswith(prompt)) for prompt in prompts]
    completions = [each.removeprefix(f"{prompt} ") for each, prompt in zip(known, prompts, strict=True)]
    return tuple(each if place < right else "astray" for place, each in enumerate(completions))


def coherent(prompts: tuple[Sequence[int], Sequence[int]]) -> Measurements:
    """So many prompts completed coherently, by growth and by uniform training, for each seed."""
    counts = dict(zip(("growth", "uniform"), prompts, strict=True))
    return regrown(
        lambda arm, place: {"completions": completing(counts[arm.name][place])} if arm.name in counts else {}
    )


ALL, SOME, FEW = (12, 12, 12), (9, 10, 10), (5, 5, 5)

GROWTHS: dict[str, Mutation] = {
    "growth.parameters": Worlds(parameters, [(COUNT, COUNT)], [(COUNT + 256, COUNT + 256)], [(COUNT, COUNT + 256)]),
    "growth.lower-loss": loss_ratio("uniform", "growth"),
    "growth.improvement": loss_ratio("uniform", "growth"),
    "growth.half-budget": loss_ratio("uniform", "growth_half"),
    "growth.half-budget-steps": Worlds(lambda steps: of_arm("growth_half", steps=[steps] * 3), [413], [300, 430]),
    "growth.time": Worlds(operations, [0.87], [0.88]),
    "growth.coherent": Worlds(coherent, [(ALL, ALL), (ALL, FEW)], [(FEW, ALL), (FEW, FEW)], [(SOME, ALL)]),
    "growth.fewer-artefacts": Worlds(coherent, [(ALL, SOME)], [(SOME, ALL)], [((12, 8, 10), SOME)]),
    "growth.restarts": loss_ratio("uniform_restarted", "growth"),
    "growth.cloning": loss_ratio("growth_fresh", "growth"),
    "growth.equal-compute": loss_ratio("uniform_equal_compute", "growth"),
    "growth.best-rate": best_rate_ratio(),
    "growth.held-out": loss_ratio("uniform", "growth", held_out=True),
    "growth.all-running": loss_ratio("uniform", "growth_all_running"),
    "growth.embedding-frozen": loss_ratio("uniform", "growth_embedding_frozen"),
}
