"""The degradation of one variant, as claims judge it."""

from anatomy_bench.claim.claim import Estimate
from anatomy_bench.experiments.scored import Variant


def degradation_of(variant: Variant, note: str = "") -> Estimate:
    """Degradation in percent, with the reason where it has no interval."""
    return Estimate(variant.degradation_percent, variant.interval95_percent, note, variant.unknown)
