"""Estimates for the claims on predictability."""

from collections.abc import Callable, Sequence

import numpy as np

from anatomy_bench.claim.claim import Estimate, NotApplicable
from anatomy_bench.experiments.scored import interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment import (
    PredictabilityMeasurement,
    Replacement,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import Predictors
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    DEFAULT_READING,
    READINGS,
    Reading,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.degradation import degradation_of
from anatomy_bench.papers.anatomical_heterogeneity.published import load
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import Floats, block_bootstrap_mean, rank_correlation

HIGH_R2 = 0.9
ACCEPTABLE_PERCENT = 30.0
MANY = 9
REACH = 3
"""Length of bootstrap blocks: neighbouring targets are predicted from nearly the same layers."""
LEAST_TARGETS = 2 * REACH

_NORMAL_95 = 1.96

TABLE_2 = {
    row["component"]: (float(row["mean_r2"]), float(row["best_r2"])) for row in load()["predictability"]["components"]
}
"""Average and best R² by component, as printed."""


def _over_targets(series: Floats, measured: PredictabilityMeasurement, note: str) -> Estimate | NotApplicable:
    """Mean of a value over target layers, with its interval over them."""
    if len(series) < LEAST_TARGETS:
        return NotApplicable(f"{len(series)} layers can be predicted; an interval over them needs {LEAST_TARGETS}")
    mean, interval = block_bootstrap_mean(series, REACH, measured.config.resamples, measured.generator("target layers"))
    return Estimate(mean, interval, note)


def _series(
    measured: PredictabilityMeasurement, reading: Reading, of: Callable[[Predictors], Sequence[float]]
) -> Floats:
    """A value of each target layer, averaged over components; shape (targets,)."""
    mean: Floats = np.mean([of(component.readings[reading]) for component in measured.components], axis=0)
    return mean


def average_r2(measured: PredictabilityMeasurement, name: str) -> Estimate | NotApplicable:
    """Average R² of a component in the default reading; the note has the others."""
    component = measured.component(name)
    if component is None:
        return NotApplicable(f"the model has no {name}; it has {', '.join(measured.subject.components)}")
    others = ", ".join(
        f"{reading.replace('_', ' ')} {component.readings[reading].ridge.mean_r2:+.3f}" for reading in READINGS[1:]
    )
    return _over_targets(np.array(component.readings[DEFAULT_READING].ridge.r2), measured, f"read otherwise: {others}")


def order_of_components(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """Spearman's correlation of average R² with Table 2 over the components; the note has it for other readings."""
    found = [measured.component(name) for name in TABLE_2]
    components = [component for component in found if component is not None]
    if len(components) < len(TABLE_2):
        return NotApplicable(f"the model has {len(components)} of the {len(TABLE_2)} components of Table 2")
    published = np.array([mean for mean, _ in TABLE_2.values()])
    ranked = {
        reading: rank_correlation(
            published, np.array([component.readings[reading].ridge.mean_r2 for component in components])
        )
        for reading in READINGS
    }
    others = ", ".join(f"{reading.replace('_', ' ')} {ranked[reading][0]:+.2f}" for reading in READINGS[1:])
    return Estimate(*ranked[DEFAULT_READING], f"read otherwise: {others}")


def least_best_r2(measured: PredictabilityMeasurement) -> Estimate:
    """The lowest best R² of any component, with its interval over the sampled parameters."""
    component = min(measured.components, key=lambda each: each.readings[DEFAULT_READING].ridge.best_r2)
    scores = component.readings[DEFAULT_READING].ridge
    best = int(np.argmax(scores.r2))
    half = _NORMAL_95 * scores.r2_error[best]
    layer = measured.targets[best]
    value = scores.r2[best]
    interval = Interval(value - half, value + half) if half > 0 else None
    note = f"{component.component}, best at L{layer}"
    return Estimate(value, interval, note, "" if interval else "every weight is predicted alike")


def excess(measured: PredictabilityMeasurement, null: str) -> Estimate | NotApplicable:
    """R² of the ridge minus that of a predictor that knows less, averaged over components and target layers."""
    ridge = _series(measured, DEFAULT_READING, lambda each: each.ridge.r2)
    other = _series(measured, DEFAULT_READING, lambda each: getattr(each, null).r2)
    return _over_targets(ridge - other, measured, f"{ridge.mean():+.3f} against {other.mean():+.3f}")


def sorted_excess(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """R² on sorted weights: the ridge minus the mean of earlier layers, averaged over components and targets."""
    ridge = _series(measured, "sorted", lambda each: each.ridge.r2)
    mean = _series(measured, "sorted", lambda each: each.mean_of_earlier.r2)
    independent = _series(measured, "sorted", lambda each: each.independent.r2).mean()
    note = f"{ridge.mean():+.3f} against {mean.mean():+.3f}; independent Gaussian layers {independent:+.3f}"
    return _over_targets(ridge - mean, measured, note)


def lost_by_place(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """R² on sorted weights minus that on weights in place, averaged over components and target layers."""
    ordered = _series(measured, "sorted", lambda each: each.ridge.r2)
    in_place = _series(measured, DEFAULT_READING, lambda each: each.ridge.r2)
    return _over_targets(ordered - in_place, measured, f"sorted {ordered.mean():+.3f}, in place {in_place.mean():+.3f}")


def _replaced(measured: PredictabilityMeasurement, reading: Reading, count: int) -> Replacement | NotApplicable:
    """The replacement of that many layers at once, by the config's first choice."""
    choice = measured.config.choices[0]
    for replacement in measured.replaced(reading, choice):
        if len(replacement.layers) == count:
            return replacement
    return NotApplicable(f"{len(measured.targets)} layers can be predicted; this replaces {count}")


def _layers(replacement: Replacement) -> str:
    return " ".join(f"L{layer}" for layer in replacement.layers)


def degradation(measured: PredictabilityMeasurement, count: int) -> Estimate | NotApplicable:
    """Degradation with that many layers predicted in the default reading, in percent."""
    found = _replaced(measured, DEFAULT_READING, count)
    if isinstance(found, NotApplicable):
        return found
    return degradation_of(found.variant, f"{_layers(found)}, R² of the weights put in {found.mean_r2:+.2f}")


def degradation_at_high_r2(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """Degradation with nine layers predicted in the reading whose weights put back have the highest R², in percent."""
    found = [_replaced(measured, reading, MANY) for reading in READINGS]
    replaced = [replacement for replacement in found if isinstance(replacement, Replacement)]
    if not replaced:
        return found[0] if isinstance(found[0], NotApplicable) else NotApplicable("nothing was replaced")
    best = max(replaced, key=lambda each: each.mean_r2)
    if not best.mean_r2 >= HIGH_R2:
        return NotApplicable(
            f"no reading predicts the nine layers with R² ≥ {HIGH_R2}; the best is {best.mean_r2:+.2f}"
        )
    return degradation_of(best.variant, f"{best.reading}, R² of the weights put in {best.mean_r2:+.2f}")


def acceptable_share(measured: PredictabilityMeasurement) -> Estimate:
    """Share of layers whose replacement alone costs less than 30 %, in percent."""
    singles = measured.replaced(DEFAULT_READING, "single")
    bootstrap = measured.bootstrap(singles)
    limit = np.log1p(ACCEPTABLE_PERCENT / 100)

    def share(nats: Floats) -> float:
        return float(100 * np.mean(nats < limit))

    damages = [single.variant.degradation_percent for single in singles]
    worst, mildest = singles[int(np.argmax(damages))], singles[int(np.argmin(damages))]
    note = (
        f"from {_layers(mildest)} {min(damages):+,.1f} % to {_layers(worst)} {max(damages):+,.1f} %, of {len(singles)}"
    )
    return Estimate(share(bootstrap.delta_nll_nats), bootstrap.interval_of(share), note)


def compounding(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """Damage of nine replaced layers together minus the sum of each one's alone, in nats per token."""
    together = _replaced(measured, DEFAULT_READING, MANY)
    if isinstance(together, NotApplicable):
        return together
    alone = [
        replacement
        for replacement in measured.replaced(DEFAULT_READING, "single")
        if set(replacement.layers) <= set(together.layers)
    ]
    bootstrap = measured.bootstrap([together, *alone])

    def beyond(nats: Floats) -> float:
        return float(nats[0] - nats[1:].sum())

    nats = bootstrap.delta_nll_nats
    note = f"{nats[0]:.2f} together, {nats[1:].sum():.2f} one by one"
    return Estimate(beyond(nats), bootstrap.interval_of(beyond), note)


def neighbours_degradation(measured: PredictabilityMeasurement) -> Estimate | NotApplicable:
    """Degradation with nine neighbouring layers predicted in the default reading, in percent."""
    found = [
        replacement for replacement in measured.replaced(DEFAULT_READING, "together") if len(replacement.layers) == MANY
    ]
    if not found:
        return NotApplicable(f"{len(measured.targets)} layers can be predicted; this replaces {MANY}")
    (bootstrap,) = measured.bootstrap(found).intervals()
    return Estimate(found[0].variant.degradation_percent, interval_percent(bootstrap), _layers(found[0]))
