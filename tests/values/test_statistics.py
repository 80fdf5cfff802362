"""Intervals cover, correlations agree with their definition, and ignorance is None."""

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy_bench.papers.anatomical_heterogeneity.findings.draws import mean_contrast
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth.estimates import mean_over_seeds
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.statistics import (
    PairedBootstrap,
    block_bootstrap_mean,
    partial_rank_correlation,
    percent,
    rank_correlation,
)


def simulated(rng: np.random.Generator, sentences: int, variants: int = 1, effect: float = 0.3):
    """Sentences of unlike length whose change has a skewed spread, as ablation's has."""
    tokens = rng.integers(15, 30, sentences).astype(float)
    intact = 3.0 * tokens
    change = effect + 0.3 * (rng.gamma(2.0, 1.0, (variants, sentences)) - 2.0) / np.sqrt(2.0)
    return intact, intact + change * tokens, tokens


def covers(interval, value: float) -> bool:
    return interval.low <= value <= interval.high


@pytest.mark.parametrize(("sentences", "least"), [(10, 0.88), (240, 0.92)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(sentences: int, least: float):
    """Nominal 95 %; a binomial error of 400 trials is 1.1 points. Ten skewed sentences cost a few points."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        bootstrap = PairedBootstrap.over_sentences(*simulated(rng, sentences), 400, rng)
        hits += covers(bootstrap.intervals()[0], 0.3)
    assert least <= hits / 400 <= 0.985


def test_simultaneous_intervals_cover_all_variants_at_once():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        bootstrap = PairedBootstrap.over_sentences(*simulated(rng, 40, variants=20), 400, rng)
        hits += all(covers(interval, 0.3) for interval in bootstrap.simultaneous_intervals())
    # 95 % less three binomial errors of 1.5 points; single intervals would do so in about 40 %.
    assert hits / 200 >= 0.90


def test_intervals_of_any_statistic_cover_it():
    """Of the greatest of five changes that lie apart; 95 % less three binomial errors of 1.3 points, less 2 of bias."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        intact, variant, tokens = simulated(rng, 60, variants=5)
        variant += np.arange(5)[:, None] * 0.5 * tokens
        bootstrap = PairedBootstrap.over_sentences(intact, variant, tokens, 300, rng)
        hits += covers(bootstrap.interval_of(lambda nats: float(nats.max())), 2.3)
    assert 0.89 <= hits / 300 <= 0.985


def test_intervals_of_a_mean_over_draws_allow_for_draws_and_sentences():
    """Each of four noises has an effect of its own about 0.3, on sentences that they share; tolerance as above."""
    rng = np.random.default_rng(6)
    hits = {4: 0, 1: 0}
    for _ in range(300):
        intact, variant, tokens = simulated(rng, 40, variants=4)
        variant += 0.2 * rng.standard_normal((4, 1)) * tokens
        bootstrap = PairedBootstrap.over_sentences(intact, variant, tokens, 200, rng)
        hits[4] += covers(mean_contrast(bootstrap, np.eye(4))[1], 0.3)
        hits[1] += covers(bootstrap.intervals()[0], 0.3)
    assert 0.91 <= hits[4] / 300 <= 0.99
    assert hits[1] / 300 < 0.75  # of sentences alone, for one draw that is taken for all


def test_intervals_over_seeds_cover_the_mean():
    """Student's interval is exact for normal values: 95 % give or take three binomial errors of 1.1 points."""
    rng = np.random.default_rng(7)
    hits = sum(covers(mean_over_seeds(rng.normal(0.3, 0.1, 3).tolist())[1], 0.3) for _ in range(400))
    assert 0.917 <= hits / 400 <= 0.983


def test_single_intervals_do_not_cover_all_variants_at_once():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        bootstrap = PairedBootstrap.over_sentences(*simulated(rng, 40, variants=20), 400, rng)
        hits += all(covers(interval, 0.3) for interval in bootstrap.intervals())
    assert hits / 100 < 0.8


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_intervals_are_unknown_or_of_the_size_of_the_spread(seed: int, sentences: int):
    intact, variant, tokens = simulated(np.random.default_rng(seed), sentences)
    bootstrap = PairedBootstrap.over_sentences(intact, variant, tokens, 500, generator(seed, "x"))
    changes = (variant - intact)[0] / tokens
    for interval in (*bootstrap.intervals(), *bootstrap.simultaneous_intervals()):
        assert (interval is None) == (sentences < 5)
        if interval is not None:
            # So many times the range of what was seen: few skewed sentences are uncertain, but not without bounds. Of
            # five, a resample often has hardly any spread of its own, by which its deviation is divided.
            assert 0 < interval.high - interval.low < (10 if sentences > 7 else 200) * np.ptp(changes)


def test_the_uncertainty_of_one_sentence_is_unknown():
    bootstrap = PairedBootstrap.over_sentences(
        np.array([30.0]), np.array([[33.0]]), np.array([10.0]), 50, generator(0, "x")
    )
    assert bootstrap.intervals() == bootstrap.simultaneous_intervals() == (None,)
    assert bootstrap.interval_of(lambda nats: float(nats[0])) is None
    assert bootstrap.delta_nll_nats == pytest.approx([0.3])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_the_estimate_is_the_ratio_of_perplexities(seed: int, sentences: int):
    intact, variant, tokens = simulated(np.random.default_rng(seed), sentences, variants=3)
    bootstrap = PairedBootstrap.over_sentences(intact, variant, tokens, 20, generator(0, "x"))
    perplexity = np.exp(variant.sum(axis=1) / tokens.sum()) / np.exp(intact.sum() / tokens.sum())
    np.testing.assert_allclose(percent(bootstrap.delta_nll_nats), 100 * (perplexity - 1), rtol=1e-9)


def test_a_variant_keeps_its_interval_whatever_stands_beside_it():
    intact, variant, tokens = simulated(np.random.default_rng(3), 12, variants=4)
    together = PairedBootstrap.over_sentences(intact, variant, tokens, 300, generator(7, "x")).intervals()
    alone = PairedBootstrap.over_sentences(intact, variant[2:3], tokens, 300, generator(7, "x")).intervals()
    assert together[2].low == pytest.approx(alone[0].low, rel=1e-9)


def test_the_global_random_state_is_neither_read_nor_moved():
    def draw():
        intact, variant, tokens = simulated(np.random.default_rng(3), 12)
        return PairedBootstrap.over_sentences(intact, variant, tokens, 50, generator(7, "x")).intervals()

    np.random.seed(1)  # noqa: NPY002 (the point of the test)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = draw()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert draw() == first


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=5, max_size=40), st.integers(0, 1000))
def test_rank_correlation_is_scipys_and_lies_in_its_interval(values: list[int], seed: int):
    first = np.array(values, dtype=float)
    second = first + np.random.default_rng(seed).normal(0, 20, len(values))
    rho, interval = rank_correlation(first, second)
    if np.ptp(first) == 0:
        assert np.isnan(rho)
        assert interval is None
        return
    assert rho == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    assert interval is not None
    assert -1 <= interval.low <= interval.high <= 1
    assert interval.low - 1e-9 <= rho or rho == pytest.approx(-1)


def test_perfect_ranks_of_few_pairs_stay_uncertain():
    rho, interval = rank_correlation(np.arange(6.0), np.arange(6.0))
    assert rho == 1.0
    assert interval is not None
    assert interval.low < 0.9
    assert rank_correlation(np.arange(3.0), np.arange(3.0)) == (1.0, None)


def test_rank_intervals_cover_the_true_correlation():
    rng = np.random.default_rng(2)
    true = 0.6
    spearman = 6 / np.pi * np.arcsin(true / 2)
    hits = 0
    for _ in range(400):
        first, second = rng.multivariate_normal([0, 0], [[1, true], [true, 1]], size=28).T
        hits += covers(rank_correlation(first, second)[1], spearman)
    assert 0.92 <= hits / 400 <= 0.99


def test_the_block_bootstrap_allows_for_serial_dependence():
    """Sums of neighbours depend on one another; blocks see that, single picks do not."""
    rng = np.random.default_rng(4)
    hits = {1: 0, 3: 0}
    for _ in range(300):
        series = np.convolve(rng.standard_normal(62), np.ones(3), mode="valid")
        for block in hits:
            hits[block] += covers(block_bootstrap_mean(series, block, 300, rng)[1], 0.0)
    assert hits[3] / 300 > 0.82
    assert hits[1] / 300 < 0.80


def test_too_few_blocks_have_no_interval():
    assert block_bootstrap_mean(np.arange(5.0), 3, 100, generator(0, "x")) == (2.0, None)


def test_partial_rank_correlation_is_what_is_left_beyond_the_third():
    rng = np.random.default_rng(0)
    given = np.arange(400.0)
    one, other = (given + 100 * rng.standard_normal(400) for _ in range(2))
    assert rank_correlation(one, other)[0] > 0.4
    rho, interval = partial_rank_correlation(one, other, given)
    assert abs(rho) < 0.12
    assert interval.low < 0 < interval.high
    assert partial_rank_correlation(one, one + given, given)[0] > 0.5


def test_partial_rank_correlation_knows_nothing_beyond_a_third_that_ranks_alike():
    series = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    for first, third in ((series, series), (np.ones(5), series), (series, np.ones(5))):
        rho, interval = partial_rank_correlation(first, series[::-1], third)
        assert np.isnan(rho)
        assert interval is None
