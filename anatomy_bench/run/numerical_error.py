"""How far rounding could have moved the value of a claim.

Every figure that is based on scores is computed again, from scores that are each disturbed by as much as
the experiment `noise_floor` has measured. Anything computed from scores, however indirectly, is disturbed
with them, in the claim's own unit. An experiment that amplifies rounding, as training does, measures on
itself how far rounding moves its results, and this is used instead of the noise floor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from anatomy_bench.claim.claim import Claim, Estimate, Need, NumericalError, estimate_of
from anatomy_bench.engine.cost import WORKSPACE_BYTES
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.task import Task
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record
from anatomy_bench.values.statistics import bootstrap_bytes

NOISE_FLOOR = Need("noise_floor")
"""Measured on the run's own text; the error is relative, so it is used for other texts as well."""

COPIES = 16
RESAMPLES = 100
"""Resamples for the copies' intervals, the same for all copies, so that only rounding moves the ends."""


_SCORE_BYTES = 32
"""Of a number in a tuple: a Python float, and where it is."""


@runtime_checkable
class Scored(Protocol):
    """A unit's result that is made of scores or losses."""

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> Record:
        """The same with each score multiplied by 1 ± `relative_error` (a standard deviation)."""
        ...


@runtime_checkable
class Amplifying(Protocol):
    """An experiment that amplifies rounding: its results are off by more than the noise floor of scores."""

    def rounding_error(self, measured: Measurement) -> float | None:
        """Standard deviation of a score or loss in its results, as a share of it; `None` if that was not measured."""
        ...


@dataclass(frozen=True)
class Assembled:
    """What a measurement was assembled from.

    Attributes:
        task: the task.
        finished: the result of each of its units, in their order.
    """

    task: Task
    finished: Mapping[Any, Finished]

    @property
    def is_scored(self) -> bool:
        """Whether any result has scores; figures of weights alone are computed in float64 and have no such error."""
        return any(isinstance(done.result, Scored) for done in self.finished.values())

    def relative_error(self, noise_floor: Callable[[], float]) -> float | None:
        """By how much rounding may have moved its scores or losses, as a share; `None` if not at all, or not known.

        Args:
            noise_floor: measures the relative error of a sentence's score; called only if that is the one needed.
        """
        experiment = self.task.experiment
        if isinstance(experiment, Amplifying):
            return experiment.rounding_error(self.task.assemble(self.finished))
        return noise_floor() if self.is_scored else None


def rests_on_noise_floor(need: Need) -> bool:
    """Whether the numerical error of that measurement, if it has any, is that of scores."""
    return not isinstance(get_experiment(need.experiment), Amplifying)


def statistics_bytes(task: Task) -> int:
    """Memory of what is drawn from a task's scores: its intervals, and the copies that rounding is judged by."""
    resamples, corpus = getattr(task.config, "resamples", 0), task.setting.corpus
    if not resamples or corpus is None:
        return 0
    kept = _SCORE_BYTES * (COPIES + 3) * len(task.units) * corpus.sentences
    return WORKSPACE_BYTES + kept + bootstrap_bytes(resamples, corpus.sentences, len(task.units))


def disturbed(made: Assembled, relative_error: float) -> list[Measurement]:
    """Copies of a measurement as it might have come out if rounding had gone differently.

    Args:
        made: what the measurement was assembled from.
        relative_error: standard deviation of a sentence's negative log-likelihood, or of a loss, as a share of it.

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
        copies: any number of disturbed measurements for `claim.needs`.

    Returns:
        `None` without copies, or if the claim does not apply to them.
    """
    estimates = [each for measurements in copies if isinstance(each := estimate_of(claim, measurements), Estimate)]
    if not estimates:
        return None
    intervals = [estimate.interval95 for estimate in estimates if estimate.interval95 is not None]
    return NumericalError(
        _twice_deviation([estimate.value for estimate in estimates]),
        _twice_deviation([interval.low for interval in intervals]),
        _twice_deviation([interval.high for interval in intervals]),
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
