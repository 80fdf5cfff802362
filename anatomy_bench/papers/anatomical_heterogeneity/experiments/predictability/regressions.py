"""How well each component's weights are predicted from depth, beside predictors that know less (paper 3.3, Table 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    READINGS,
    Fit,
    Reading,
    fit,
    mean_matrix,
    ridge_matrix,
)
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record
from anatomy_bench.values.statistics import Floats


@dataclass(frozen=True)
class RegressionUnit(Record):
    """The regressions of one component; the seed draws parameters and nulls."""

    component: str
    sampled_parameters: int
    alpha: float
    null_draws: int
    seed: int


@dataclass(frozen=True)
class Scores(Record):
    """How well a predictor does. Values of a null model are means over its draws.

    Attributes:
        r2: of each target layer, 2 to N − 1, over the sampled parameters.
        r2_error: standard error of each over the parameters, treated as independent (sorted ones are not).
        cosine: between predicted and actual weights of each target layer.
        mean_r2: mean over the targets, "Avg R²" of Table 2.
        best_r2: the greatest, "Best R²" of Table 2.
        mean_cosine: mean over the targets.
    """

    r2: tuple[float, ...]
    r2_error: tuple[float, ...]
    cosine: tuple[float, ...]
    mean_r2: float
    best_r2: float
    mean_cosine: float


@dataclass(frozen=True)
class Predictors(Record):
    """The predictors of one component in one reading.

    Attributes:
        ridge: the paper's regression.
        mean_of_earlier: the mean of the layers that the ridge is given, used as the prediction.
        shuffled: the ridge on layers in random order.
        independent: the ridge on independent Gaussian layers, each with the mean and variance of the real one.
    """

    ridge: Scores
    mean_of_earlier: Scores
    shuffled: Scores
    independent: Scores


@dataclass(frozen=True)
class ComponentPredictability(Record):
    """One component.

    Attributes:
        component: such as `self_attn.q_proj`.
        sampled: parameters of each layer that were regressed.
        readings: by name.
    """

    component: str
    sampled: int
    readings: dict[Reading, Predictors]


def component_predictability(weights: Floats, unit: RegressionUnit) -> ComponentPredictability:
    """Regressions of one component.

    Args:
        weights: sampled weights, shape (layers, parameters).
        unit: how they are regressed, and how the nulls are drawn.
    """
    rng = generator(unit.seed, f"nulls of {unit.component}")
    means, deviations = weights.mean(axis=1, keepdims=True), weights.std(axis=1, keepdims=True)
    ridge = {reading: ridge_matrix(len(weights), reading, unit.alpha) for reading in READINGS}
    mean = {reading: mean_matrix(len(weights), reading) for reading in READINGS}
    drawn = range(unit.null_draws)
    shuffled = [_fits(rng.permutation(weights), ridge) for _ in drawn]
    independent = [_fits(means + deviations * rng.standard_normal(weights.shape), ridge) for _ in drawn]
    found, plain = _fits(weights, ridge), _fits(weights, mean)
    return ComponentPredictability(
        unit.component,
        weights.shape[1],
        {
            reading: Predictors(
                ridge=_scores([found[reading]]),
                mean_of_earlier=_scores([plain[reading]]),
                shuffled=_scores([draw[reading] for draw in shuffled]),
                independent=_scores([draw[reading] for draw in independent]),
            )
            for reading in READINGS
        },
    )


def _fits(weights: Floats, matrices: Mapping[Reading, Floats]) -> dict[Reading, Fit]:
    """Each reading's predictor on these weights."""
    ordered = np.sort(weights, axis=1)
    return {reading: fit(ordered if reading == "sorted" else weights, matrix) for reading, matrix in matrices.items()}


def _scores(fits: Sequence[Fit]) -> Scores:
    r2 = np.mean([each.r2 for each in fits], axis=0)
    error = np.mean([each.error for each in fits], axis=0)
    cosine = np.mean([each.cosine for each in fits], axis=0)
    return Scores(
        r2=tuple(r2.tolist()),
        r2_error=tuple(error.tolist()),
        cosine=tuple(cosine.tolist()),
        mean_r2=float(r2.mean()),
        best_r2=float(r2.max()),
        mean_cosine=float(cosine.mean()),
    )
