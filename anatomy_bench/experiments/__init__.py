"""The experiments of the papers: one module each, found by its file.

An experiment is a list of independent units of work and a pure function that
assembles their results. None of these modules imports torch: the subject that they
are handed does the arithmetic on weights, so that names, configs and measurements
can be read without it.
"""

import importlib
import pkgutil
from functools import cache

from anatomy_bench.errors import UsageError
from anatomy_bench.experiments.experiment import Experiment, Profile

__all__ = ["Experiment", "Profile", "experiment_names", "get_experiment"]

_PLUMBING = {"experiment"}


@cache
def experiment_names() -> tuple[str, ...]:
    """Names of all experiments, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _PLUMBING))


def get_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in experiment_names():
        raise UsageError(f"no experiment {name!r}; there are: {', '.join(experiment_names())}")
    experiment: Experiment = importlib.import_module(f"{__name__}.{name}").EXPERIMENT
    return experiment
