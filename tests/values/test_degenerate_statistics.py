"""Copies are no observations, and what is not finite has no interval."""

import numpy as np
import pytest

from anatomy_bench.experiments.scored import UNKNOWN, category, compare, interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.findings.draws import mean_contrast
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import CorpusRecord
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.statistics import (
    PairedBootstrap,
    block_bootstrap_mean,
    exponential,
    merged,
    partial_rank_correlation,
    rank_correlation,
)

TOKENS = np.array([12.0, 9.0, 30.0, 17.0, 21.0, 14.0])
INTACT = 3.0 * TOKENS + np.array([0.5, -1.0, 2.0, 0.0, 1.0, -2.0])
VARIANT = INTACT + TOKENS * np.array([0.1, 0.3, -0.2, 0.5, 0.4, 0.0])


def bootstrap(variants: np.ndarray, intact: np.ndarray = INTACT, tokens: np.ndarray = TOKENS) -> PairedBootstrap:
    return PairedBootstrap.over_sentences(intact, np.atleast_2d(variants), tokens, 300, generator(0, "x"))


def record(tokens: np.ndarray, copy_of: tuple[int, ...] = ()) -> CorpusRecord:
    counts = tuple(int(each) for each in tokens)
    return CorpusRecord("text", "", len(counts), sum(counts), counts, None, copy_of)


def compared(copies: int, sentences: int = len(TOKENS)):
    """The same sentences, each so many times, one after another."""
    places = np.tile(np.arange(sentences), copies)
    corpus = record(TOKENS[places], tuple(places.tolist()) if copies > 1 else ())
    scores = [tuple(VARIANT[places].tolist())]
    (variant,) = compare(INTACT[places].tolist(), scores, corpus, 300, generator(0, "x"))
    return variant


@pytest.mark.parametrize("copies", [2, 10])
def test_copies_tell_no_more_than_one(copies: int):
    """A bootstrap that took them for sentences of their own would be narrower by the root of their number."""
    once, often = compared(1), compared(copies)
    assert often.degradation_percent == pytest.approx(once.degradation_percent)
    assert once.interval95_percent is not None
    assert often.interval95_percent is not None
    assert often.interval95_percent.low == pytest.approx(once.interval95_percent.low)
    assert often.interval95_percent.high == pytest.approx(once.interval95_percent.high)


@pytest.mark.parametrize("distinct", [1, 4])
def test_few_sentences_stay_few_however_often_they_are_repeated(distinct: int):
    assert compared(10, distinct).interval95_percent is None
    places = tuple(np.tile(np.arange(distinct), 10).tolist())
    assert record(np.ones(10 * distinct), places).distinct_sentences == distinct


def test_merging_sums_copies_in_the_order_of_the_first():
    copy_of = (0, 1, 0, 3, 1)
    assert merged(np.array([1.0, 2.0, 4.0, 8.0, 16.0]), copy_of).tolist() == [5.0, 18.0, 8.0]
    assert merged(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]] * 2), copy_of).tolist() == [[5.0, 18.0, 8.0]] * 2
    values = np.array([1.0, 2.0])
    assert merged(values, ()) is values


@pytest.mark.parametrize("change", [0.0, 0.25, -3.0])
def test_a_change_that_is_the_same_in_enough_sentences_is_known(change: float):
    """Skipping a layer that writes nothing changes no sentence: that is no want of data."""
    (interval,) = bootstrap(INTACT + change * TOKENS).intervals()
    assert interval is not None
    assert interval.low == pytest.approx(change)
    assert interval.high == pytest.approx(change)
    few = slice(4)
    assert bootstrap((INTACT + change * TOKENS)[few], INTACT[few], TOKENS[few]).intervals() == (None,)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_decides_nothing(score: float):
    spoilt = VARIANT.copy()
    spoilt[2] = score
    found = bootstrap(np.stack([spoilt, VARIANT]))
    assert np.isnan(found.delta_nll_nats[0])
    assert found.intervals()[0] is None
    assert found.intervals()[1] == bootstrap(VARIANT).intervals()[0]
    assert found.simultaneous_intervals() == (None, None)  # no bound holds for both
    assert found.interval_of(lambda nats: float(np.nanmax(nats))) is None
    assert mean_contrast(found, np.eye(2))[1] is None
    (variant,) = compare(INTACT.tolist(), [tuple(spoilt.tolist())], record(TOKENS), 50, generator(0, "x"))
    assert variant.category == UNKNOWN
    assert variant.interval95_percent is None
    assert variant.unknown == "a sentence has no finite score"
    assert bootstrap(VARIANT, intact=spoilt).intervals() == (None,)


def test_categories():
    assert category(float("nan")) == UNKNOWN
    assert category(float("inf")) == "Critical"  # beyond float64, from scores that are finite
    assert category(99.0) == "Important"


def test_perplexities_beyond_float64_are_infinite_without_a_warning():
    assert exponential(1e4) == np.inf
    huge = INTACT + 1e4 * TOKENS + np.arange(6)
    (variant,) = compare(INTACT.tolist(), [tuple(huge.tolist())], record(TOKENS), 50, generator(0, "x"))
    assert variant.perplexity == variant.degradation_percent == np.inf
    assert interval_percent(Interval(-900.0, -800.0)) is None  # −100 % both


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_ranks_of_what_is_not_finite_are_unknown(bad: float):
    series = np.arange(8.0)
    spoilt = np.append(series[:-1], bad)
    for found in (rank_correlation(series, spoilt), partial_rank_correlation(series, series[::-1] ** 2, spoilt)):
        assert np.isnan(found[0])
        assert found[1] is None


@pytest.mark.parametrize("series", [np.ones(12), 1 + 1e-16 * np.arange(12), np.full(12, np.nan)])
def test_a_mean_of_what_does_not_vary_has_no_interval(series: np.ndarray):
    assert block_bootstrap_mean(series, 3, 100, generator(0, "x"))[1] is None
