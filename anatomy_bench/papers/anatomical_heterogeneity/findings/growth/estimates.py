"""Comparisons of the arms of the growth experiment: estimates with intervals over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy

from anatomy_bench.claim.claim import Estimate, NotApplicable
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.arms import published_steps
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import Arm, GrowthMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.statistics import CONFIDENCE

Of = Callable[[Trained], float]


def seen_loss(run: Trained) -> float:
    """Final loss on sentences that were trained on, in nats per token."""
    return run.final.seen_nats


def held_out_loss(run: Trained) -> float:
    """Final loss on sentences that were not trained on, in nats per token."""
    return run.final.held_out_nats


def seconds(run: Trained) -> float:
    """Of the steps."""
    return run.seconds


def coherent(run: Trained, prompts: Sequence[str]) -> int:
    """Number of prompts that the completion turns into a sentence of the text, word for word, and ends there."""
    known = set(growth_corpus().sentences)
    return sum(
        ended and f"{prompt} {completion}" in known
        for prompt, completion, ended in zip(prompts, run.completions, run.ended, strict=True)
    )


def mean_over_seeds(values: Sequence[float]) -> tuple[float, Interval | None]:
    """Mean with Student's interval; no interval for a single seed, or if all seeds agree."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if spread == 0:
        return mean, None
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread / len(values) ** 0.5
    return mean, Interval(mean - half, mean + half)


def ratio(numerator: Arm, denominator: Arm, of: Of) -> Estimate:
    """How many times as large a quantity is in one arm as in another: a geometric mean, paired by seed."""
    pairs = [(of(above), of(below)) for above, below in zip(numerator.runs, denominator.runs, strict=True)]
    mean, interval = mean_over_seeds([float(np.log(above / below)) for above, below in pairs])
    above, below = np.mean(pairs, axis=0)
    return Estimate(
        float(np.exp(mean)),
        interval and Interval(float(np.exp(interval.low)), float(np.exp(interval.high))),
        f"{quantity(float(above))} over {quantity(float(below))}",
    )


def telling_cut_steps(
    estimate: Callable[[GrowthMeasurement], Estimate | NotApplicable],
) -> Callable[[GrowthMeasurement], Estimate | NotApplicable]:
    """The same estimate, with a note if the profile cut the steps, and its rate, because little is learnt in a few."""

    def with_note(measured: GrowthMeasurement) -> Estimate | NotApplicable:
        estimated = estimate(measured)
        published, taken = published_steps("growth_100"), measured.config.full_steps
        if taken == published or isinstance(estimated, NotApplicable):
            return estimated
        rate = f"learning rate {measured.config.learning_rate:g}"
        note = "; ".join(filter(None, (estimated.note, rate, f"full budget cut from {published} to {taken} steps")))
        return replace(estimated, note=note)

    return with_note


def loss_ratio(
    numerator: str, denominator: str, of: Of = seen_loss
) -> Callable[[GrowthMeasurement], Estimate | NotApplicable]:
    """The ratio of two arms' losses at the default learning rate."""

    def estimate(measured: GrowthMeasurement) -> Estimate | NotApplicable:
        return _of_arms(measured, (numerator, denominator), lambda above, below: ratio(above, below, of))

    return estimate


def best_rate_ratio(measured: GrowthMeasurement) -> Estimate | NotApplicable:
    """Uniform's loss divided by growth's, each at the learning rate where its own mean is lowest."""
    arms = [measured.at_rates(name) for name in ("uniform", "growth")]
    if min(map(len, arms)) < 2:  # noqa: PLR2004 (nothing to choose from)
        return NotApplicable("this profile trains at one learning rate")
    best = [min(rates, key=lambda arm: np.mean([seen_loss(run) for run in arm.runs])) for rates in arms]
    estimate = ratio(best[0], best[1], seen_loss)
    rates = ", ".join(f"{arm.name} at {arm.learning_rate:g}" for arm in best)
    return Estimate(estimate.value, estimate.interval95, f"{estimate.note}; {rates}")


def operations_saved(measured: GrowthMeasurement) -> Estimate | NotApplicable:
    """By how much growth takes fewer floating-point operations than uniform training, in percent of the latter.

    Counted, and therefore exact. The note has the seconds, which also depend on what else the machine does.
    """

    def estimate(growth: Arm, uniform: Arm) -> Estimate:
        taken = ratio(growth, uniform, seconds)
        saved = 100 * (1 - growth.runs[0].flops / uniform.runs[0].flops)
        return Estimate(saved, Interval(saved, saved), f"{taken.note} s on this machine")

    return _of_arms(measured, ("growth", "uniform"), estimate)


def steps_saved(measured: GrowthMeasurement) -> Estimate | NotApplicable:
    """By how much growth at half budget takes fewer steps than uniform training, in percent; counted, so exact."""

    def estimate(half: Arm, uniform: Arm) -> Estimate:
        taken, whole = half.runs[0].steps, uniform.runs[0].steps
        saved = 100 * (1 - taken / whole)
        return Estimate(saved, Interval(saved, saved), f"{taken} of {whole} steps")

    return _of_arms(measured, ("growth_half", "uniform"), estimate)


def parameters(measured: GrowthMeasurement) -> Estimate:
    """Parameters, counted on every trained model and therefore exact: the range over all of them."""
    counts = [run.parameters for arm in measured.arms for run in arm.runs]
    return Estimate(float(counts[0]), Interval(float(min(counts)), float(max(counts))), f"{len(counts)} models")


def coherent_percent(measured: GrowthMeasurement) -> Estimate | NotApplicable:
    """Prompts that growth completes coherently, over all seeds, with Clopper and Pearson's interval."""
    growth = measured.arm("growth")
    if growth is None:
        return NotApplicable("this profile does not train growth")
    prompts = measured.config.setup.prompts
    counts = [coherent(run, prompts) for run in growth.runs]
    every = len(prompts) * len(counts)
    interval = scipy.stats.binomtest(sum(counts), every).proportion_ci(CONFIDENCE)
    note = f"of {len(prompts)} prompts, by seed: {', '.join(map(str, counts))}"
    return Estimate(100 * sum(counts) / every, Interval(100 * interval.low, 100 * interval.high), note)


def artefacts_saved(measured: GrowthMeasurement) -> Estimate | NotApplicable:
    """How many more prompts growth completes coherently than uniform training, paired by seed."""

    def estimate(growth: Arm, uniform: Arm) -> Estimate:
        prompts = measured.config.setup.prompts
        more, fewer = ([coherent(run, prompts) for run in arm.runs] for arm in (growth, uniform))
        mean, interval = mean_over_seeds([one - other for one, other in zip(more, fewer, strict=True)])
        note = f"{quantity(float(np.mean(more)))} of {len(prompts)} against {quantity(float(np.mean(fewer)))}"
        return Estimate(mean, interval, note)

    return _of_arms(measured, ("growth", "uniform"), estimate)


def _of_arms(
    measured: GrowthMeasurement, names: tuple[str, str], estimate: Callable[[Arm, Arm], Estimate]
) -> Estimate | NotApplicable:
    first, second = (measured.arm(name) for name in names)
    if first is None or second is None:
        missing = names[0] if first is None else names[1]
        return NotApplicable(f"the {measured.provenance.profile} profile does not train {missing.replace('_', ' ')}")
    return estimate(first, second)
