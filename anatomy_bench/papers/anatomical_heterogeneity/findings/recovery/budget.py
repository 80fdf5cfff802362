"""A budget of training by layer from measured recovery (paper 5.4, Table 10)."""

from dataclasses import dataclass

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryMeasurement
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import Floats, percentile_interval

TIGHTEST = 1.1
"""The multiple of the baseline whose crossing distinguishes most layers of Table 5."""


@dataclass(frozen=True)
class Share:
    """How long one layer is trained.

    Attributes:
        layer: its number.
        ratio: share of the step limit, from 0 to 1.
        interval95: over sentences and noises; `None` if there are too few.
    """

    layer: int
    ratio: float
    interval95: Interval | None


@dataclass(frozen=True)
class Budget:
    """How long all tested layers are trained.

    Attributes:
        shares: in order of the layers.
        saved_percent: share of training that is saved compared with all steps for every layer.
        interval95: of `saved_percent`; `None` if there are too few sentences.
    """

    shares: tuple[Share, ...]
    saved_percent: float
    interval95: Interval | None


def recovery_budget(measured: RecoveryMeasurement) -> Budget:
    """Table 10 for any model.

    A layer's share is the number of steps to 1.1 times the baseline, divided by the paper's limit; it is 1 if the layer
    did not get there. If fewer steps than the limit were trained, such a layer's share may be anything between these,
    and what is saved is as uncertain.
    """
    limit, trained = measured.config.step_limit, measured.config.steps
    layers = measured.layers()
    steps = np.array([measured.steps_below(layer, TIGHTEST) for layer in layers])
    resampled = np.stack([measured.resampled_steps(layer, TIGHTEST) for layer in layers])

    def ratios(steps: Floats, never: int) -> Floats:
        of_limit: Floats = np.where(steps > trained, never, steps) / limit
        return of_limit

    taken, most, least = ratios(steps, limit), ratios(resampled, limit), ratios(resampled, min(trained, limit))
    tells = tells_spread(measured)
    return Budget(
        tuple(
            Share(layer, float(ratio), _between(low, high) if tells else None)
            for layer, ratio, low, high in zip(layers, taken, least, most, strict=True)
        ),
        float(100 * (1 - taken.mean())),
        _between(100 * (1 - most.mean(axis=0)), 100 * (1 - least.mean(axis=0))) if tells else None,
    )


def tells_spread(measured: RecoveryMeasurement) -> bool:
    """Whether there are sentences enough for an interval, and all of them have finite scores that vary."""
    scores = [each.sentence_nll_nats for each in measured.recoveries]
    if not all(np.isfinite(each).all() for each in scores):
        return False
    return measured.bootstrap([each[-1] for each in scores]).tells_spread


def _between(lowest: Floats, highest: Floats) -> Interval:
    return Interval(percentile_interval(lowest).low, percentile_interval(highest).high)
