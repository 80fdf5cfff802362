"""What makes each of this paper's claims hold, break and stay open, by the claim's id without the paper's."""

from typing import Any

from papers.anatomical_heterogeneity.mutations.scores import IMPORTANCE, MANIPULATIONS
from papers.anatomical_heterogeneity.mutations.tables import TURNS
from papers.anatomical_heterogeneity.mutations.training import GROWTHS, RECOVERIES
from papers.anatomical_heterogeneity.mutations.weights import PREDICTIONS, STRUCTURES

from anatomy_bench.papers.anatomical_heterogeneity.findings import anti_layers
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth import estimates as growth_estimates
from anatomy_bench.papers.anatomical_heterogeneity.findings.manipulation import estimates
from anatomy_bench.papers.anatomical_heterogeneity.findings.predictability import r2_paradox
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import speed as recovery_speed
from mutations import Mutation

MUTATIONS: dict[str, Mutation] = {
    **IMPORTANCE, **PREDICTIONS, **STRUCTURES, **MANIPULATIONS, **RECOVERIES, **GROWTHS
}  # fmt: skip

TURNED = {f"arithmetic.{name}": changes for name, changes in TURNS.items()}
"""By claim on printed numbers, what takes its verdict from one word to another."""

CONFUSED: dict[str, Any] = {
    "anti-layers.l14-skip": lambda measured: anti_layers.degradation(measured, 14, "neighbour_average"),
    "anti-layers.l14-family-wise": lambda measured: anti_layers.family_wise_degradation(measured, 17),
    "anti-layers.any": lambda measured: anti_layers.degradation(measured, 14, "neighbour_average"),
    "predictability.nine-neighbours": lambda measured: r2_paradox.degradation(measured, 9),
    "predictability.depends-on-order": lambda measured: r2_paradox.excess(measured, "independent"),
    "predictability.sorted-beyond-mean": lambda measured: r2_paradox.excess(measured, "mean_of_earlier"),
    "manipulation.noise": lambda measured: estimates.damage(measured, "paper", "scale_0.9"),
    "manipulation.random-scale-0-9": lambda measured: estimates.damage(measured, "random_0", "scale_0.9"),
    "manipulation.interior-skip": lambda measured: estimates.damage(measured, "paper", "skip"),
    "manipulation.two-layers": lambda measured: estimates.least_damage(measured, "paper", estimates.REPLACING),
    "growth.held-out": growth_estimates.loss_ratio("uniform", "growth"),
    "growth.best-rate": growth_estimates.loss_ratio("uniform", "growth"),
    "recovery.speed-on-scored": recovery_speed.slowness_with_importance,
    "recovery.speed-beyond-start": recovery_speed.slowness_with_importance,
    "recovery.instant": lambda measured: recovery_speed.slowest(measured, (23,)),
    "recovery.l14-trained": lambda measured: recovery_speed.trained_damage(measured, 17),
}
"""Estimates that a claim could be given by mistake."""
