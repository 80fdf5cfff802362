"""Estimates for the claims on recovery: damage by noise, recovery from it, and its relation to importance."""

from collections.abc import Sequence

import numpy as np

from anatomy_bench.claim.claim import Estimate, NotApplicable
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.experiments.scored import interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.experiments.perturbation.experiment import PerturbationMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryMeasurement, Text
from anatomy_bench.papers.anatomical_heterogeneity.findings.draws import mean_contrast, mean_contrast_or_one
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.budget import (
    TIGHTEST,
    recovery_budget,
    tells_spread,
)
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import (
    Floats,
    exponential,
    partial_rank_correlation,
    percent,
    percentile_interval,
    rank_correlation,
)

LEAST_LAYERS = 4
UNHURT = NotApplicable(
    f"noise leaves every layer within {TIGHTEST:g} times the baseline: there is nothing to recover from"
)


def noise_damage(measured: PerturbationMeasurement, layer: int) -> Estimate:
    """Degradation under noise in a layer, in percent: the geometric mean of the noises."""
    readings = measured.layer(layer).readings
    draws = readings["matrix"]
    mean, interval = mean_contrast(measured.bootstrap(draws), np.eye(len(draws)))
    others = [
        f"σ of {name} {float(percent(measured.bootstrap(noises).delta_nll_nats.mean())):+.1f}"
        for name, noises in readings.items()
        if name != "matrix"
    ]
    better = sum(draw.degradation_percent < 0 for draw in draws)
    note = ", ".join([f"better under {better} of {len(draws)} noises", *others])
    return Estimate(float(percent(mean)), interval_percent(interval), note)


def trained_damage(measured: RecoveryMeasurement, layer: int) -> Estimate:
    """Degradation after noise and all training of a layer, in percent; open below if steps were cut."""
    final = [recovery.sentence_nll_nats[-1] for recovery in measured.of(layer)]
    mean, interval, note = mean_contrast_or_one(measured.bootstrap(final), np.eye(len(final)))
    bounds = _open_below(measured, interval_percent(interval), -100.0)
    return Estimate(float(percent(mean)), bounds, _after(measured, note))


def noised_over_intact_training(measured: RecoveryMeasurement, layer: int) -> Estimate | NotApplicable:
    """ΔNLL of a layer noised and trained, minus that of the same layer trained without noise; in nats per token."""
    noised = [recovery.sentence_nll_nats[-1] for recovery in measured.of(layer)]
    intact = [recovery.sentence_nll_nats[-1] for recovery in measured.of(layer, noised=False)]
    if not intact:
        return NotApplicable("this profile does not train layers without noise")
    contrasts = np.hstack([np.eye(len(noised)), -np.eye(len(intact))])
    mean, interval, note = mean_contrast_or_one(measured.bootstrap([*noised, *intact]), contrasts)
    return Estimate(mean, interval, note)


def unrecovered(measured: RecoveryMeasurement, layer: int) -> Estimate:
    """Perplexity after all training divided by the baseline's.

    If fewer steps than the paper's were trained, the interval is open below: more training might lower it further.
    """
    final = [recovery.sentence_nll_nats[-1] for recovery in measured.of(layer)]
    mean, interval, note = mean_contrast_or_one(measured.bootstrap(final), np.eye(len(final)))
    ratios = Interval(float(exponential(interval.low)), float(exponential(interval.high))) if interval else None
    return Estimate(float(exponential(mean)), _open_below(measured, ratios, 0.0), _after(measured, note))


def training_effect(measured: RecoveryMeasurement, layer: int) -> Estimate:
    """Change of perplexity from noise to the end of training, in percent; open below if steps were cut."""
    ends = [recovery.sentence_nll_nats[-1] for recovery in measured.of(layer)]
    starts = [recovery.sentence_nll_nats[0] for recovery in measured.of(layer)]
    contrasts = np.hstack([np.eye(len(ends)), -np.eye(len(starts))])
    mean, interval, note = mean_contrast_or_one(measured.bootstrap([*ends, *starts]), contrasts)
    bounds = _open_below(measured, interval_percent(interval), -100.0)
    return Estimate(float(percent(mean)), bounds, _after(measured, note))


def _open_below(measured: RecoveryMeasurement, interval: Interval | None, least: float) -> Interval | None:
    if interval is None or measured.config.steps >= measured.config.step_limit:
        return interval
    return Interval(min(least, interval.high), interval.high)


def _after(measured: RecoveryMeasurement, note: str) -> str:
    steps, limit = measured.config.steps, measured.config.step_limit
    return f"{note}; {steps} of the paper's {limit} steps" if steps < limit else note


def slowest(measured: RecoveryMeasurement, layers: Sequence[int]) -> Estimate:
    """Steps to 1.1 times the baseline of the slowest of some layers, over noises; one more than trained if never."""
    steps = {layer: measured.steps_below(layer, TIGHTEST) for layer in layers}
    resampled = np.max([measured.resampled_steps(layer, TIGHTEST) for layer in layers], axis=0)
    note = ", ".join(f"L{layer} {each:g}" for layer, each in steps.items())
    interval = percentile_interval(resampled) if tells_spread(measured) else None
    return Estimate(max(steps.values()), interval, _after(measured, note))


def _series(
    recovery: RecoveryMeasurement, ablation: AblationMeasurement, variant: str, text: Text = "recovery"
) -> tuple[Floats, Floats, Floats]:
    """Importance, steps to 1.1 times the baseline and noised perplexity of the layers that were trained."""
    layers = recovery.layers(text)
    importance = [ablation.layer(layer).variant(variant).degradation_percent for layer in layers]
    steps = [recovery.steps_below(layer, TIGHTEST, text) for layer in layers]
    noised = [np.mean([np.log(one.perplexity[0]) for one in recovery.of(layer, text)]) for layer in layers]
    return np.array(importance), np.array(steps), np.array(noised)


def slowness_with_importance(
    recovery: RecoveryMeasurement, ablation: AblationMeasurement, variant: str = "neighbour_average",
    text: Text = "recovery",
) -> Estimate | NotApplicable:  # fmt: skip
    """Spearman's correlation of importance with steps to recover; layers that never recovered share the last rank."""
    if not recovery.layers(text):
        return NotApplicable("this profile does not train on the scored sentences")
    importance, steps, _ = _series(recovery, ablation, variant, text)
    if len(steps) < LEAST_LAYERS:
        return NotApplicable(f"{len(steps)} layers have no rank correlation worth the name")
    if not steps.any():
        return UNHURT
    rho, interval = rank_correlation(importance, steps)
    if _is_cut_short(recovery, steps):
        interval = _whatever_the_order_of_the_last(importance, steps, recovery.config.steps + 1)
    return Estimate(rho, interval, _after(recovery, _ranked_note(recovery, steps)))


def _is_cut_short(recovery: RecoveryMeasurement, steps: Floats) -> bool:
    """Whether training up to the paper's limit could still distinguish layers that have not recovered."""
    return recovery.config.steps < recovery.config.step_limit and int((steps > recovery.config.steps).sum()) > 1


def _whatever_the_order_of_the_last(importance: Floats, steps: Floats, never: int) -> Interval | None:
    """The least and the greatest correlation that are possible, however the remaining layers recover."""
    last = steps >= never
    order = importance.argsort().argsort().astype(np.float64)
    found = [rank_correlation(importance, np.where(last, never + sign * order / len(order), steps)) for sign in (-1, 1)]
    intervals = [interval for _, interval in found if interval is not None]
    if len(intervals) < len(found):
        return None
    return Interval(min(interval.low for interval in intervals), max(interval.high for interval in intervals))


def slowness_beyond_start(recovery: RecoveryMeasurement, ablation: AblationMeasurement) -> Estimate | NotApplicable:
    """The same correlation with the ranks of noised perplexity held fixed."""
    importance, steps, noised = _series(recovery, ablation, "neighbour_average")
    if len(steps) < LEAST_LAYERS:
        return NotApplicable(f"{len(steps)} layers have no rank correlation worth the name")
    if not steps.any():
        return UNHURT
    rho, interval = partial_rank_correlation(importance, steps, noised)
    if _is_cut_short(recovery, steps):
        interval = None
    return Estimate(rho, interval, _after(recovery, _ranked_note(recovery, steps)))


def _ranked_note(recovery: RecoveryMeasurement, steps: Floats) -> str:
    never = int((steps == recovery.config.steps + 1).sum())
    return f"{len(steps)} layers, of which {never} did not recover and share the last rank"


def budget_saving(measured: RecoveryMeasurement) -> Estimate | NotApplicable:
    """Share of training that a budget by recovery speed saves, in percent; not applicable if no layer needs any."""
    budget = recovery_budget(measured)
    if not any(share.ratio for share in budget.shares):
        return UNHURT
    note = _after(measured, f"{len(budget.shares)} layers tested")
    return Estimate(budget.saved_percent, budget.interval95, note)
