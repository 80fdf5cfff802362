"""The closed form is scikit-learn's ridge, one regression for each parameter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    READINGS,
    Reading,
    depth_features,
    fit,
    known_layers,
    layer_coefficients,
    mean_matrix,
    rank_order,
    ridge_matrix,
)


def plain_predictions(weights: np.ndarray, reading: Reading, alpha: float) -> np.ndarray:
    """A regression of its own for each parameter of each target."""
    layers, parameters = weights.shape
    depth = np.arange(layers)
    features = np.column_stack(
        [depth, depth**2, np.sin(depth * np.pi / layers), np.cos(depth * np.pi / layers)],
    )
    predicted = np.zeros((layers - 2, parameters))
    for target in range(2, layers):
        known = target + 1 if reading == "in_sample" else target
        for each in range(parameters):
            model = Ridge(alpha=alpha).fit(features[:known], weights[:known, each])
            predicted[target - 2, each] = model.predict(features[target : target + 1])[0]
    return predicted


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.sampled_from(READINGS), st.sampled_from([1e-2, 1.0, 30.0]), st.integers(0, 10_000))
def test_fits_are_those_of_a_regression_for_each_parameter(layers: int, reading: Reading, alpha: float, seed: int):
    weights = np.random.default_rng(seed).standard_normal((layers, 15)) + 0.5
    if reading == "sorted":
        weights = np.sort(weights, axis=1)
    expected = plain_predictions(weights, reading, alpha)
    matrix = ridge_matrix(layers, reading, alpha)
    np.testing.assert_allclose(matrix @ weights, expected, atol=1e-7)
    found = fit(weights, matrix)
    actual = weights[2:]
    np.testing.assert_allclose(found.r2, [r2_score(a, p) for a, p in zip(actual, expected, strict=True)], rtol=1e-6)
    np.testing.assert_allclose(found.cosine, cosine_similarity(actual, expected).diagonal(), atol=1e-7)


def test_features_are_the_papers():
    features = depth_features(4)
    np.testing.assert_allclose(features[2], [2, 4, 1, 0], atol=1e-15)
    np.testing.assert_allclose(features[:, 3], [1, np.sqrt(0.5), 0, -np.sqrt(0.5)], atol=1e-15)


@given(st.integers(3, 40), st.sampled_from(READINGS))
def test_what_all_layers_share_is_predicted_exactly(layers: int, reading: Reading):
    np.testing.assert_allclose(ridge_matrix(layers, reading, 1.0).sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(mean_matrix(layers, reading).sum(axis=1), 1)


@pytest.mark.parametrize("reading", READINGS)
def test_no_layer_is_predicted_from_later_ones(reading: Reading):
    for matrix in (ridge_matrix(9, reading, 1.0), mean_matrix(9, reading)):
        for target, row in enumerate(matrix, start=2):
            assert (row[known_layers(target, reading) :] == 0).all()
            assert row[: known_layers(target, reading)].all()


def test_mean_of_earlier_layers_is_their_mean():
    weights = np.random.default_rng(0).standard_normal((6, 5))
    np.testing.assert_allclose((mean_matrix(6, "elementwise") @ weights)[2], weights[:4].mean(axis=0))


@pytest.mark.parametrize("layer", [0, 1])
def test_two_layers_must_come_before(layer: int):
    with pytest.raises(ValueError, match="2 layers before"):
        layer_coefficients(30, layer, "in_sample", 1.0)


def test_the_error_is_what_other_parameters_would_move_r2_by():
    rng = np.random.default_rng(0)
    matrix = ridge_matrix(6, "elementwise", 1.0)
    fits = [fit(rng.standard_normal((6, 500)), matrix) for _ in range(400)]
    observed = np.std([each.r2 for each in fits], axis=0)
    np.testing.assert_allclose(np.mean([each.error for each in fits], axis=0), observed, rtol=0.12)


def test_a_constant_layer_has_no_r2():
    assert np.isnan(fit(np.ones((4, 10)), ridge_matrix(4, "elementwise", 1.0)).r2).all()


@given(
    arrays(
        np.float32, st.integers(1, 60), elements=st.floats(width=32, allow_nan=False) | st.sampled_from([0, -0.0, 1])
    )
)
def test_rank_order_is_that_of_a_stable_sort(values: np.ndarray):
    np.testing.assert_array_equal(rank_order(values), np.argsort(values, kind="stable"))
