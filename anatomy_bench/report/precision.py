"""What a report says about its own rounding errors."""

from collections.abc import Iterator

from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.registry import experiment_names, get_experiment
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.run.numerical_error import NOISE_FLOOR, Amplifying


def precision(ledger: Ledger) -> str:
    """Some sentences on the numerical error of what was measured; empty if no claim has any.

    Raises:
        UsageError: a measurement of the ledger is of another version.
    """
    errors = [*_of_scores(ledger), *_of_trainings(ledger)]
    if not errors:
        return ""
    return " ".join(errors) + (
        " A figure that this moves by a hundredth of its interval or more says by how much "
        "(±, two standard deviations); a claim that it could decide is inconclusive."
    )


def _of_scores(ledger: Ledger) -> Iterator[str]:
    floor = ledger.measurement(NOISE_FLOOR)
    if isinstance(floor, NoiseFloorMeasurement):
        yield (
            f"Scores differ by a relative {floor.relative_error:.1e} (root mean square over sentences) from those of "
            "plain forward passes in float32."
        )


def _of_trainings(ledger: Ledger) -> Iterator[str]:
    """Of what measures its own error, because it amplifies rounding; a ledger may hold other papers' as well."""
    needs = [kept.need for kept in ledger.measurements if kept.need.experiment in experiment_names()]
    for need in needs:
        experiment = get_experiment(need.experiment)
        if isinstance(experiment, Amplifying) and (measured := ledger.measurement(need)) is not None:
            error = experiment.rounding_error(measured)
            if error is not None:
                yield (
                    f"Losses of {need.name} are off by a relative {error:.1e} (standard deviation between trainings "
                    "that differ in rounding alone)."
                )
