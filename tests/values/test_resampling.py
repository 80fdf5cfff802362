"""Resampling takes a bounded memory, and gives the same numbers in pieces as in one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anatomy_bench.values import statistics
from anatomy_bench.values.statistics import (
    PairedBootstrap,
    block_bootstrap_mean,
    bootstrap_bytes,
    drawn_sentences,
)

Floats = NDArray[np.float64]


def scores(sentences: int, variants: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(1)
    intact = rng.uniform(50, 90, sentences)
    return intact, intact + rng.normal(1, 0.3, (variants, sentences)), rng.integers(5, 40, sentences).astype(float)


def bootstrap(sentences: int, variants: int, resamples: int) -> PairedBootstrap:
    return PairedBootstrap.over_sentences(*scores(sentences, variants), resamples, np.random.default_rng(7))


@pytest.mark.parametrize("sentences", [10, 240])
def test_texts_of_the_suite_are_resampled_all_at_once(sentences: int) -> None:
    """One matrix product, as ever: figures on record keep their last bits."""
    picks = list(drawn_sentences(sentences, 10_000, np.random.default_rng(7)))
    assert len(picks) == 1
    rng = np.random.default_rng(7)
    at_once = rng.multinomial(sentences, np.full(sentences, 1 / sentences), size=10_000)
    assert np.array_equal(picks[0][1], at_once)


def test_pieces_are_the_same_picks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate([picks for _, picks in drawn_sentences(20, 1000, np.random.default_rng(7))])
    monkeypatch.setattr(statistics, "_DRAWN_AT_A_TIME", 1_300)
    rows, pieces = zip(*drawn_sentences(20, 1000, np.random.default_rng(7)), strict=True)
    assert len(pieces) == 16
    assert [each.start for each in rows[1:]] == [each.stop for each in rows[:-1]]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_pieces_give_the_same_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(20, 4, 1000)
    series = np.random.default_rng(3).normal(size=40)
    mean = block_bootstrap_mean(series, 3, 1000, np.random.default_rng(7))
    monkeypatch.setattr(statistics, "_DRAWN_AT_A_TIME", 1_300)
    pieces = bootstrap(20, 4, 1000)
    # A product of fewer rows may be rounded otherwise: a few units in the last place of float64.
    np.testing.assert_allclose(pieces.resampled, whole.resampled, rtol=1e-13)
    np.testing.assert_allclose(pieces.resampled_error, whole.resampled_error, rtol=1e-9)
    assert block_bootstrap_mean(series, 3, 1000, np.random.default_rng(7)) == mean


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux' high-water mark")
@pytest.mark.parametrize(("sentences", "resamples"), [(15_000, 1_000), (240, 10_000)])
def test_the_peak_stays_under_the_bound(sentences: int, resamples: int) -> None:
    """15,000 sentences took resamples × sentences, twice: 2.4 GB for 10,000 resamples."""
    given = scores(sentences, 61)
    bootstrap(50, 2, 10)  # what libraries take when they are first used
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    made = PairedBootstrap.over_sentences(*given, resamples, np.random.default_rng(7))
    made.intervals()
    peak = _memory("VmHWM") - before
    assert peak < bootstrap_bytes(resamples, sentences, 61) < 200e6


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
