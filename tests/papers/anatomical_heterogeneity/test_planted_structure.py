"""Delta correlation claims on weights whose pattern over the layers is known, and the nulls themselves."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import judge, woven_model

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentUnit,
    InnerProducts,
    component_structure,
    correlations_of_neighbours,
    delta_products,
)
from anatomy_bench.registry import get_finding

FINDING = get_finding("delta-correlation")
CLAIMS = [claim.id for claim in FINDING.claims]
CONTROLS = ["beyond-independent-layers", "depends-on-order", "adjacent-layers-oppose"]
S, R, INC = VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE


def judged(pattern: str, folder: Path, **sizes: int):
    verdicts = judge(woven_model(pattern, **sizes), folder, *CLAIMS)
    words = {claim.rpartition(".")[2]: verdict.word for claim, verdict in verdicts.items()}
    return words, conclude(FINDING, list(verdicts.values()))


def test_independent_layers_show_the_published_number_and_every_control_explains_it(tmp_path: Path):
    words, conclusion = judged("independent", tmp_path, width=64)
    assert {name: word for name, word in words.items() if name not in CONTROLS} == dict.fromkeys(
        set(words) - set(CONTROLS), S
    )
    assert [words[name] for name in CONTROLS] == [R, R, R]
    assert conclusion is Conclusion.EXPLAINED_BY_CONTROL


def test_a_true_oscillation_is_beyond_its_nulls_and_not_the_published_number(tmp_path: Path):
    words, conclusion = judged("oscillating", tmp_path)
    assert [words[name] for name in CONTROLS] == [S, S, S]
    assert words["universal"] is words["q-proj"] is R
    assert conclusion is Conclusion.NOT_REPRODUCED


def test_a_random_walk_refutes_numbers_and_controls(tmp_path: Path):
    words, conclusion = judged("walking", tmp_path)
    assert set(words.values()) == {R}
    assert conclusion is Conclusion.NOT_REPRODUCED


def test_few_small_layers_are_inconclusive(tmp_path: Path):
    words, _ = judged("independent", tmp_path, layers=8, width=4)
    assert words["q-proj"] is words["k-proj"] is words["universal"] is INC
    assert INC in {words[name] for name in CONTROLS}


def test_a_component_that_the_model_lacks_is_not_applicable(tmp_path: Path):
    import tiny

    verdicts = judge(tiny.model("gpt2"), tmp_path, *CLAIMS)
    assert verdicts["anatomical-heterogeneity.delta-correlation.q-proj"].word is VerdictWord.NOT_APPLICABLE
    assert "attn.c_attn" in verdicts["anatomical-heterogeneity.delta-correlation.q-proj"].reason
    assert verdicts["anatomical-heterogeneity.delta-correlation.universal"].word is not VerdictWord.NOT_APPLICABLE


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 9), st.integers(20, 90))
def test_inner_products_give_the_correlations_that_numpy_gives_on_the_weights(seed: int, layers: int, parameters: int):
    weights = np.random.default_rng(seed).standard_normal((layers, parameters)).astype(np.float32) + 3
    deltas = np.diff(weights.astype(np.float64), axis=0)
    expected = [np.corrcoef(deltas[each], deltas[each + 1])[0, 1] for each in range(layers - 2)]
    found = correlations_of_neighbours(delta_products(InnerProducts.of(weights).centred))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_explained_variance_and_cosine_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.metrics.pairwise import cosine_similarity

    weights = np.random.default_rng(0).standard_normal((7, 200)).astype(np.float32)
    found = component_structure(weights, ComponentUnit("x", 20, 0))
    pca = PCA().fit(weights.astype(np.float64))
    np.testing.assert_allclose(found.explained_variance, pca.explained_variance_ratio_[:-1], atol=1e-10)
    np.testing.assert_allclose(found.cosine, cosine_similarity(weights.astype(np.float64)), atol=1e-10)


def test_nulls_are_those_of_real_draws():
    """The Wishart shortcut against weights that are really drawn, each layer with its own variance."""
    rng = np.random.default_rng(5)
    scales = np.array([1.0, 3.0, 0.5, 2.0, 1.0, 4.0])[:, None]
    weights = (scales * rng.standard_normal((6, 400))).astype(np.float32)
    draws = [
        correlations_of_neighbours(
            delta_products(InnerProducts.of(scales * rng.standard_normal((6, 400))).centred)
        ).mean()
        for _ in range(400)
    ]
    null = component_structure(weights, ComponentUnit("x", 2000, 0)).independent
    # Standard error of the mean of 400 draws, and of the measured variances that the null takes as given.
    assert null.mean == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / 20 + 0.01)
    assert null.interval95.low == pytest.approx(np.percentile(draws, 2.5), abs=0.03)


def test_a_random_walk_has_uncorrelated_steps_by_its_null():
    weights = np.random.default_rng(5).standard_normal((8, 300)).astype(np.float32).cumsum(axis=0)
    null = component_structure(weights, ComponentUnit("x", 2000, 0)).random_walk
    assert null.interval95.low < 0 < null.interval95.high
    assert null.mean == pytest.approx(0, abs=0.01)


def test_constant_weights_have_no_correlation_and_no_verdict():
    found = component_structure(np.ones((5, 30), dtype=np.float32), ComponentUnit("x", 20, 0))
    assert np.isnan(found.mean_delta_correlation)
    assert np.isnan(found.mean_adjacent_correlation)
