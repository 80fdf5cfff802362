"""How far rounding could have moved the value of a claim.

Every figure that scores text is computed again, from scores that are each disturbed by as much as
the noise floor says (`experiments/noise_floor.py`). What follows from scores in any way, however
crooked, is disturbed with them, in the claim's own unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from anatomy_bench.claim.claim import Claim, Estimate, Need, NumericalError
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.run.task import Task
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record

NOISE_FLOOR = Need("noise_floor")
"""On the run's own text; the error is relative, and serves others as well."""

COPIES = 16
RESAMPLES = 100
"""Of the copies' intervals. All copies have the same resamples, so that nothing but rounding moves the ends."""


@runtime_checkable
class Scored(Protocol):
    """A unit's result that is made of scores."""

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> Record:
        """The same with each score off by a factor of 1 ± `relative_error` (a standard deviation)."""
        ...


@dataclass(frozen=True)
class Assembled:
    """What a measurement was assembled from.

    Attributes:
        task: that it was made for.
        finished: the result of each of its units, in their order.
    """

    task: Task
    finished: Mapping[Any, Finished]

    @property
    def is_scored(self) -> bool:
        """Whether any of it is scores: figures of weights alone are computed in float64."""
        return any(isinstance(each.result, Scored) for each in self.finished.values())


def disturbed(made: Assembled, relative_error: float) -> list[Measurement]:
    """Copies of a measurement that rounding might have given as well.

    Args:
        made: what the measurement was assembled from.
        relative_error: standard deviation of a sentence's negative log-likelihood, as a share of it.

    Returns:
        `COPIES` measurements, with coarse intervals.
    """
    task = made.task
    if hasattr(task.config, "resamples"):
        task = replace(task, config=replace(task.config, resamples=RESAMPLES))
    rng = generator(task.setting.seed, f"rounding in {task.experiment.name}")
    return [task.assemble(_disturbed_results(made.finished, relative_error, rng)) for _ in range(COPIES)]


def numerical_error(claim: Claim, copies: Sequence[Sequence[Measurement]]) -> NumericalError | None:
    """By how much rounding may have moved the estimate of a claim: two standard deviations over the copies.

    Args:
        claim: the claim.
        copies: measurements for `claim.needs`, disturbed, any number of times.

    Returns:
        `None` without copies, or if they do not apply.
    """
    estimates = [each for measurements in copies if isinstance(each := claim.estimate(*measurements), Estimate)]
    if not estimates:
        return None
    intervals = [each.interval95 for each in estimates if each.interval95 is not None]
    return NumericalError(
        _twice_deviation([each.value for each in estimates]),
        _twice_deviation([each.low for each in intervals]),
        _twice_deviation([each.high for each in intervals]),
    )


def _twice_deviation(values: Sequence[float]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float64 may be off by anything
        return 2 * float(np.std(values)) if values else 0.0


def _disturbed_results(
    finished: Mapping[Any, Finished], relative_error: float, rng: np.random.Generator
) -> dict[Any, Finished]:
    return {
        unit: replace(each, result=each.result.disturbed(relative_error, rng))
        if isinstance(each.result, Scored)
        else each
        for unit, each in finished.items()
    }
