"""What is computed on weights alone: correlations of layer differences, and regressions on depth."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from timing import Timer, assert_same

from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import (
    RegressionUnit,
    component_predictability,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    DEFAULT_READING,
    FIRST_TARGET,
    depth_features,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentUnit,
    component_structure,
)
from anatomy_bench.subject import Subject
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.statistics import Floats

SHUFFLES = 10
STRUCTURE = f"structure: delta correlations of one component, and of {SHUFFLES} shuffles of its layers"
SAMPLED = 100
PREDICTABILITY = f"predictability: ridge regressions of {SAMPLED} weights on depth"
ROUNDING = 1e-3
"""Of correlations and R²: the loops sum in float32 where the package sums in float64."""


def component_of(subject: Subject) -> tuple[str, Floats]:
    """The component with most weights, shape (layers, parameters)."""
    name = max(subject.record.components, key=lambda each: subject.component_weights(each).shape[1])
    return name, subject.component_weights(name)


def delta_correlations(weights: Floats) -> list[float]:
    """As the paper defines them: of the differences of neighbouring layers, one pair after another."""
    deltas = np.diff(weights, axis=0)
    return [float(np.corrcoef(one, next_)[0, 1]) for one, next_ in pairwise(deltas)]


def shuffled_correlations(weights: Floats) -> list[float]:
    """Those of the layers as they are, after those of layers in random order."""
    rng = generator(0, "shuffles")
    for _ in range(SHUFFLES):
        delta_correlations(rng.permutation(weights))
    return delta_correlations(weights)


def predicted_r2(weights: Floats) -> list[float]:
    """A ridge regression for every weight and layer, as the paper describes them; R² of each layer's predictions."""
    features = depth_features(len(weights))
    r2: list[float] = []
    for layer in range(FIRST_TARGET, len(weights)):
        predicted = [
            Ridge(alpha=1.0).fit(features[:layer], column[:layer]).predict(features[layer : layer + 1])[0]
            for column in weights.T
        ]
        error = ((weights[layer] - predicted) ** 2).sum()
        r2.append(1 - error / ((weights[layer] - weights[layer].mean()) ** 2).sum())
    return r2


@pytest.mark.parametrize("way", ["pair by pair", "one matrix of inner products"])
def test_structure(way: str, subject: Subject, timer: Timer) -> None:
    """The package draws as many shuffles, and two more nulls besides."""
    name, weights = component_of(subject)
    if way == "pair by pair":
        timer.time(lambda: shuffled_correlations(weights), STRUCTURE, way)
        return
    unit = ComponentUnit(name, SHUFFLES, 0)
    found = timer.time(lambda: component_structure(weights, unit), STRUCTURE, way, rounds=3)
    assert_same({name: found.delta_correlations}, {name: delta_correlations(weights)}, ROUNDING)


@pytest.mark.parametrize("way", ["a regression a weight", "one combination of layers"])
def test_predictability(way: str, subject: Subject, timer: Timer) -> None:
    """The package regresses in three readings, with a null model of each, where the loop has one."""
    name, weights = component_of(subject)
    sampled = weights[:, :: weights.shape[1] // SAMPLED][:, :SAMPLED].astype(np.float64)
    if way == "a regression a weight":
        timer.time(lambda: predicted_r2(sampled), PREDICTABILITY, way)
        return
    unit = RegressionUnit(name, SAMPLED, 1.0, 1, 0)
    found = timer.time(lambda: component_predictability(sampled, unit), PREDICTABILITY, way, rounds=3)
    assert_same({name: found.readings[DEFAULT_READING].ridge.r2}, {name: predicted_r2(sampled)}, ROUNDING)
