"""Intervals and correlations. Random generators are passed in; nothing draws from a global one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from anatomy_bench.values.interval import Interval

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
LEAST_SENTENCES = 5
"""With fewer distinct sentences, nothing is known about their spread: resamples mostly repeat one of them."""

_DRAWN_AT_A_TIME = 1 << 22
"""Numbers that are drawn before they are used: bounds memory, whatever the text's length.

More than 10,000 resamples of the `wide` text, so that all of those share one matrix product.
"""

_FLOAT_BYTES = 8
_ARRAYS = 6
"""That exist at the same time, of each kind, while resampling."""

_ROUNDING = 1e-6
"""Share of the standard error below which a resample's own error is only rounding: it drew a single sentence."""

_EXACT = 1e-12
"""Share of the largest of some numbers below which their differences are rounding in float64."""

_TAILS = (100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2)


def percent(delta_nll_nats: Floats | float) -> Floats:
    """Perplexity degradation in percent for a change of mean negative log-likelihood."""
    with np.errstate(over="ignore"):  # a bound beyond float64 is infinite
        return 100.0 * np.expm1(np.asarray(delta_nll_nats, dtype=np.float64))


def exponential(nats: Floats | float) -> Floats:
    """Perplexity of a mean negative log-likelihood; infinite beyond float64."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(nats, dtype=np.float64))


def merged(values: Floats, copy_of: Sequence[int]) -> Floats:
    """Sums over sentences that are the same: a copy is no second observation.

    Args:
        values: shape (…, sentences).
        copy_of: for each sentence the place of the first that is the same; nothing where no two are.

    Returns:
        Shape (…, distinct sentences), in the order of the first of each.
    """
    if not copy_of:
        return values
    first, places = np.unique(copy_of, return_inverse=True)
    sums = np.zeros((*values.shape[:-1], len(first)))
    np.add.at(sums.T, places, values.T)
    return sums


def percentile_interval(draws: Floats) -> Interval:
    """The middle 95 % of the draws."""
    low, high = np.percentile(draws, _TAILS)
    return Interval(float(low), float(high))


def drawn_sentences(count: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, Floats]]:
    """How often each sentence is drawn in each resample, some resamples at a time.

    Args:
        count: of sentences; so many are drawn, with replacement.
        resamples: how often.
        rng: draws them, the same ones in whatever pieces.

    Yields:
        Which resamples, and their picks of shape (those, count).
    """
    piece = max(1, _DRAWN_AT_A_TIME // count)
    for start in range(0, resamples, piece):
        rows = slice(start, min(start + piece, resamples))
        picks = rng.multinomial(count, np.full(count, 1 / count), size=rows.stop - start)
        yield rows, picks.astype(np.float64)


def bootstrap_bytes(resamples: int, sentences: int, variants: int) -> int:
    """Memory at the peak of resampling: the picks as integers and floats, scores, and what each resample gives."""
    rows = min(resamples, max(1, _DRAWN_AT_A_TIME // sentences))
    drawn = 2 * rows * sentences + _ARRAYS * rows * variants
    return _FLOAT_BYTES * (drawn + _ARRAYS * variants * sentences + _ARRAYS * resamples * variants)


@dataclass(frozen=True)
class PairedBootstrap:
    """Resampling of sentences, the same for every variant, so that variants stay paired.

    The statistic is the change of negative log-likelihood per token,
    Σ (nll_variant − nll_intact) / Σ tokens, whose exponential is the ratio of perplexities.

    Attributes:
        delta_nll_nats: that change, shape (variants,).
        standard_error: of that change, by linearising the ratio; shape (variants,).
        resampled: the change on each resample, shape (resamples, variants).
        resampled_error: its standard error on each resample, same shape.
        sentences: number of distinct sentences.
        is_finite: whether all scores of a variant are; shape (variants,).
    """

    delta_nll_nats: Floats
    standard_error: Floats
    resampled: Floats
    resampled_error: Floats
    sentences: int
    is_finite: NDArray[np.bool_]

    @classmethod
    def over_sentences(
        cls,
        intact_nll_nats: Floats,
        variant_nll_nats: Floats,
        tokens: Floats,
        resamples: int,
        rng: np.random.Generator,
    ) -> "PairedBootstrap":
        """Resample sentences with replacement. A variant with a score that is not finite has changes of NaN.

        Args:
            intact_nll_nats: shape (sentences,).
            variant_nll_nats: shape (variants, sentences).
            tokens: predicted tokens, shape (sentences,). No two sentences are the same (`merged`).
            resamples: how often.
            rng: draws the resamples.
        """
        count = len(tokens)
        whole = np.ones((1, count))
        resampled, resampled_error = np.empty((2, resamples, len(variant_nll_nats)))
        with np.errstate(invalid="ignore", over="ignore"):
            deltas = variant_nll_nats - intact_nll_nats
            deltas[~np.isfinite(deltas).all(axis=1)] = np.nan
            estimate, error = _ratio_and_error(deltas, tokens, whole)
            for rows, picks in drawn_sentences(count, resamples, rng):
                resampled[rows], resampled_error[rows] = _ratio_and_error(deltas, tokens, picks)
        return cls(estimate[0], error[0], resampled, resampled_error, count, np.isfinite(estimate[0]))

    def intervals(self) -> tuple[Interval | None, ...]:
        """A studentised 95 % interval of each variant's change, in nats.

        `None` for fewer than 5 sentences, and where a score is not finite. A change that is the same in at least 5
        distinct sentences is known as well as rounding allows.
        Studentised (bootstrap-t), because plain percentiles of ten skewed sentences are
        too narrow; the tests measure the coverage.
        """
        if not self.tells_spread:
            return tuple(None for _ in self.delta_nll_nats)
        with np.errstate(invalid="ignore"):
            low, high = np.percentile(self._deviations(), _TAILS, axis=0)
        return tuple(
            Interval(float(centre - upper * error), float(centre - lower * error)) if is_finite else None
            for centre, error, lower, upper, is_finite in zip(
                self.delta_nll_nats, self.standard_error, low, high, self.is_finite, strict=True
            )
        )

    def simultaneous_intervals(self) -> tuple[Interval | None, ...]:
        """95 % intervals that hold for all variants at once (max-T), in nats; `None` as for `intervals`.

        One change that is not finite leaves no bound that holds for all.
        """
        if not (self.tells_spread and self.is_finite.all()):
            return tuple(None for _ in self.delta_nll_nats)
        widest = float(np.percentile(np.abs(self._deviations()).max(axis=1), 100 * CONFIDENCE))
        return tuple(
            Interval(float(centre - widest * error), float(centre + widest * error)) if is_finite else None
            for centre, error, is_finite in zip(self.delta_nll_nats, self.standard_error, self.is_finite, strict=True)
        )

    def interval_of(self, statistic: Callable[[Floats], float]) -> Interval | None:
        """A percentile interval of any statistic of all variants' changes together; `None` if one is not finite.

        Args:
            statistic: from changes of shape (variants,), in nats, to a number.
        """
        if not (self.tells_spread and self.is_finite.all()):
            return None
        return percentile_interval(np.array([statistic(row) for row in self.resampled]))

    @property
    def tells_spread(self) -> bool:
        """Whether there are sentences enough, and scores that are finite."""
        return self.sentences >= LEAST_SENTENCES and bool(self.is_finite.any())

    def _deviations(self) -> Floats:
        """(resampled − estimate) / its own error; 0 where a resample has no spread of its own."""
        apart = self.resampled - self.delta_nll_nats
        has_spread = self.resampled_error > _ROUNDING * self.standard_error
        return np.divide(apart, self.resampled_error, out=np.zeros_like(apart), where=has_spread)  # NaN has none


def _ratio_and_error(deltas: Floats, tokens: Floats, picks: Floats) -> tuple[Floats, Floats]:
    """Σ delta / Σ tokens and its linearised standard error, for every row of picks; NaN error for one sentence."""
    drawn = picks @ tokens
    ratio = (picks @ deltas.T) / drawn[:, None]
    # Residuals delta − ratio · tokens, squared and summed without a (resamples, variants, sentences) array.
    squares = (
        picks @ (deltas.T**2) - 2 * ratio * (picks @ (deltas * tokens).T) + ratio**2 * (picks @ tokens**2)[:, None]
    )
    count = len(tokens)
    scale = count / (count - 1) if count > 1 else np.nan
    return ratio, np.sqrt(np.maximum(squares, 0.0) * scale) / drawn[:, None]


def rank_correlation(first: Floats, second: Floats) -> tuple[float, Interval | None]:
    """Spearman's correlation with the interval of Bonett and Wright (2000), on Fisher's scale.

    Args:
        first: shape (n,).
        second: shape (n,).

    Returns:
        NaN and `None` where one side does not vary or is not finite; no interval for fewer than 4 pairs.
    """
    if not all(_can_be_ranked(each) for each in (first, second)):
        return float("nan"), None
    rho = float(scipy.stats.spearmanr(first, second).statistic)
    return rho, _rank_interval(rho, len(first))


def partial_rank_correlation(first: Floats, second: Floats, given: Floats) -> tuple[float, Interval | None]:
    """Spearman's correlation of two series with the ranks of a third held fixed.

    Args:
        first: shape (n,).
        second: shape (n,).
        given: shape (n,); the interval loses one pair to it.

    Returns:
        NaN and `None` where a series does not vary or is not finite, or the third ranks as one of the others does.
    """
    if not all(_can_be_ranked(each) for each in (first, second, given)):
        return float("nan"), None
    matrix = np.corrcoef([scipy.stats.rankdata(series) for series in (first, second, given)])
    (between, one), other = matrix[0, 1:], matrix[1, 2]
    left = (1 - one**2) * (1 - other**2)
    if left < _ROUNDING:
        return float("nan"), None
    rho = float(np.clip((between - one * other) / np.sqrt(left), -1, 1))
    return rho, _rank_interval(rho, len(first) - 1)


def _can_be_ranked(series: Floats) -> bool:
    return bool(np.isfinite(series).all() and np.ptp(series) > 0)


def _rank_interval(rho: float, pairs: int) -> Interval | None:
    if pairs < 4:  # noqa: PLR2004 (the standard error divides by n − 3)
        return None
    # Fisher's scale has no ±1: a perfect rank correlation counts as if one pair of neighbours were swapped.
    one_swap = 1 - 12 / (pairs * (pairs**2 - 1))
    centre = np.arctanh(np.clip(rho, -one_swap, one_swap))
    half = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt((1 + rho**2 / 2) / (pairs - 3))
    return Interval(float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def block_bootstrap_mean(
    series: Floats, block: int, resamples: int, rng: np.random.Generator
) -> tuple[float, Interval | None]:
    """Mean of a serially dependent series with a circular block bootstrap.

    Args:
        series: shape (n,).
        block: length of the blocks; at least the reach of the dependence.
        resamples: how often.
        rng: draws the blocks.

    Returns:
        No interval for fewer than two blocks, nor for a series that does not vary or is not finite.
    """
    count = len(series)
    if count < 2 * block or not np.ptp(series) > _EXACT * np.abs(series).max():
        return float(series.mean()), None
    blocks = -(-count // block)
    means = np.empty(resamples)
    piece = max(1, _DRAWN_AT_A_TIME // count)
    for start in range(0, resamples, piece):
        rows = slice(start, min(start + piece, resamples))
        starts = rng.integers(count, size=(rows.stop - start, blocks))
        picked = (starts[:, :, None] + np.arange(block)).reshape(len(starts), -1)[:, :count] % count
        means[rows] = series[picked].mean(axis=1)
    return float(series.mean()), percentile_interval(means)
