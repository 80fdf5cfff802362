"""Estimates for the claims on manipulation."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from anatomy_bench.claim.claim import Estimate, NotApplicable
from anatomy_bench.experiments.scored import Variant, interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.experiment import (
    LayerSet,
    ManipulationMeasurement,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.plan import LOW_RANK
from anatomy_bench.papers.anatomical_heterogeneity.findings.degradation import degradation_of
from anatomy_bench.papers.anatomical_heterogeneity.findings.draws import mean_contrast
from anatomy_bench.papers.anatomical_heterogeneity.published import load
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import Floats, percent

REPLACING = ("skip", "clone", "blend", f"low_rank_blend_{LOW_RANK}")
TOO_STRONG = ("scale_0.7", "scale_0.5", "scale_0")
RISING_ALPHAS = ("scale_0", "scale_0.1", "scale_0.3", "scale_0.5", "scale_0.7", "scale_0.9")
_FAMILIES = {"zero": "skip", "clone": "clone", "blend": "blend", "low-rank blend": f"low_rank_blend_{LOW_RANK}"}


@cache
def table4() -> dict[str, float]:
    """Degradation as printed, in percent, by the name of the strategy in the measurement."""
    return {
        f"scale_{float(row['alpha']):g}" if "alpha" in row else _FAMILIES[row["family"]]: float(
            row["degradation_percent"]
        )
        for row in load()["manipulation"]["rows"]
    }


def damage(measured: ManipulationMeasurement, layer_set: str, strategy: str) -> Estimate | NotApplicable:
    """Degradation under one strategy on one set, in percent."""
    variants = measured.layer_set(layer_set).variants
    if strategy not in variants:
        return NotApplicable(f"no {strategy}: no matrix of this architecture is known to write to the residual stream")
    return degradation_of(variants[strategy])


def least_damage(measured: ManipulationMeasurement, layer_set: str, strategies: Sequence[str]) -> Estimate:
    """Degradation under the least damaging of some strategies, in percent."""
    variants = [measured.layer_set(layer_set).variants[strategy] for strategy in strategies]
    bootstrap = measured.bootstrap(variants)
    interval = bootstrap.interval_of(lambda nats: float(nats.min()))
    note = ", ".join(
        f"{name} {variant.degradation_percent:+,.0f}" for name, variant in zip(strategies, variants, strict=True)
    )
    return Estimate(float(percent(bootstrap.delta_nll_nats.min())), interval_percent(interval), note)


def steepness(measured: ManipulationMeasurement) -> Estimate:
    """The smallest fall of ΔNLL from one factor to the next, up to 1, where ΔNLL is 0; in nats per token."""
    bootstrap = measured.bootstrap([measured.layer_set("paper").variants[alpha] for alpha in RISING_ALPHAS])

    def least_fall(nats: Floats) -> float:
        return float(-np.diff(np.append(nats, 0.0)).max())

    falls = -np.diff(np.append(bootstrap.delta_nll_nats, 0.0))
    note = f"least from {RISING_ALPHAS[int(falls.argmin())].replace('_', ' ')}"
    return Estimate(least_fall(bootstrap.delta_nll_nats), bootstrap.interval_of(least_fall), note)


def printed_steepness() -> float:
    """The same computed from Table 4, which has fewer factors."""
    printed = [np.log1p(table4()[alpha] / 100) for alpha in RISING_ALPHAS if alpha in table4()]
    return float(-np.diff([*printed, 0.0]).max())


def mean_over_draws(
    measured: ManipulationMeasurement, draws: Sequence[Variant], against: Variant | None = None
) -> tuple[float, Interval | None]:
    """Mean ΔNLL of random draws minus that of another variant, in nats per token."""
    bootstrap = measured.bootstrap([*draws, *([against] if against else [])])
    contrasts = np.eye(len(draws), len(bootstrap.delta_nll_nats))
    if against:
        contrasts[:, -1] = -1.0
    return mean_contrast(bootstrap, contrasts)


def _noises(layer_set: LayerSet) -> list[Variant]:
    return [variant for name, variant in layer_set.variants.items() if name.startswith("noise_")]


def noise_damage(measured: ManipulationMeasurement, layer_set: str) -> Estimate:
    """Degradation under noise of a tenth of each matrix's norm, in percent: the geometric mean of the draws."""
    draws = _noises(measured.layer_set(layer_set))
    mean, interval = mean_over_draws(measured, draws)
    return Estimate(float(percent(mean)), interval_percent(interval), f"{len(draws)} noises")


def noise_over_scaling(measured: ManipulationMeasurement, layer_set: str) -> Estimate:
    """ΔNLL under such noise minus that under scaling by 0.9, in nats per token."""
    chosen = measured.layer_set(layer_set)
    return Estimate(*mean_over_draws(measured, _noises(chosen), chosen.variants["scale_0.9"]))


def random_scaled(measured: ManipulationMeasurement) -> Estimate:
    """Degradation under scaling random interior layers by 0.9, in percent: the geometric mean of the sets."""
    draws = [layer_set.variants["scale_0.9"] for layer_set in measured.random_sets]
    mean, interval = mean_over_draws(measured, draws)
    return Estimate(float(percent(mean)), interval_percent(interval), f"{len(draws)} sets")


def random_skipped_over_redundant(measured: ManipulationMeasurement) -> Estimate:
    """ΔNLL of skipping random interior layers minus that of the paper's seven interior ones, in nats per token."""
    draws = [layer_set.variants["skip"] for layer_set in measured.random_sets]
    own = measured.layer_set("paper_interior").variants["skip"]
    return Estimate(*mean_over_draws(measured, draws, own), f"{len(draws)} sets")


def on_redundant(
    measured: ManipulationMeasurement,
    layer_set: str,
    estimate: Callable[[ManipulationMeasurement, str], Estimate | NotApplicable],
) -> Estimate | NotApplicable:
    """An estimate on the layers that this model's ablation finds redundant; the note names the layers."""
    try:
        layers = measured.layer_set(layer_set).layers
    except KeyError:
        return NotApplicable("the ablation finds no such layer redundant in this model")
    if len(layers) == measured.subject.layers:
        return NotApplicable("the ablation finds every layer redundant, so no layer is left to take weights from")
    found = estimate(measured, layer_set)
    if isinstance(found, NotApplicable):
        return found
    named = " ".join(f"L{layer}" for layer in layers)
    return replace(found, note=f"{named}; {found.note}" if found.note else named)
