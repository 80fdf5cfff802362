"""How far rounding moves a training.

Training amplifies rounding: a processor that adds up in another order, or a first weight that is off in its last bit,
leaves another model after some tens of steps. No reference is more exact than the run itself, so that the only way to
know how far is to train again from first weights that are each off by one rounding, with everything else the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained, Training
from anatomy_bench.values.randomness import generator


def replicas(training: Training, count: int) -> tuple[Training, ...]:
    """So many trainings that differ from one by how its first weights are rounded, and from each other."""
    seeds = generator(training.seed, "growth rounding").integers(2**31, size=count).tolist()
    return tuple(replace(training, rounding_seed=seed) for seed in seeds)


def relative_error(trained: Mapping[Training, Trained]) -> float | None:
    """Standard deviation of a training's final losses under rounding, as a share of them.

    A training and its replicas are draws from one distribution, none of them the true one, so that the difference of
    two has twice the variance of one: hence deviations from the mean of all, over one degree of freedom fewer. With a
    single replica that is the root mean square of ln(replica / training), over √2. Both losses, all trainings that
    have replicas and all replicas count alike.

    Args:
        trained: results of trainings and of their replicas, in any order.

    Returns:
        `None` without replicas.
    """
    groups: dict[Training, list[list[float]]] = {}
    for training, result in trained.items():
        losses = [result.final.seen_nats, result.final.held_out_nats]
        groups.setdefault(replace(training, rounding_seed=None), []).append(losses)
    return _pooled_deviation(np.log(group) for group in groups.values() if len(group) > 1)


def _pooled_deviation(groups: Iterable[np.ndarray]) -> float | None:
    """Within groups of shape (trainings, losses)."""
    kept = list(groups)
    if not kept:
        return None
    squares = sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in kept)
    freedom = sum((len(group) - 1) * group.shape[1] for group in kept)
    return float(np.sqrt(squares / freedom))
