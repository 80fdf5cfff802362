"""Means over random draws that were scored on the same sentences."""

import numpy as np
import scipy

from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import CONFIDENCE, Floats, PairedBootstrap


def mean_contrast(bootstrap: PairedBootstrap, contrasts: Floats) -> tuple[float, Interval | None]:
    """Mean over draws of a contrast of the variants' changes, in nats per token.

    The interval is Student's over the draws. Its variance is the sum of that between draws and that of the sentences,
    which all draws share. It is `None` for a single draw, and where a score is not finite.

    Args:
        bootstrap: of the variants.
        contrasts: coefficients of the variants in each draw, shape (draws, variants).
    """
    each = contrasts @ bootstrap.delta_nll_nats
    mean = float(each.mean())
    if len(each) < 2 or not bootstrap.tells_spread or not np.isfinite(each).all():  # noqa: PLR2004 (no spread)
        return mean, None
    between_draws = each.var(ddof=1) / len(each)
    over_sentences = (bootstrap.resampled @ contrasts.mean(axis=0)).var(ddof=1)
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(each) - 1) * np.sqrt(between_draws + over_sentences))
    return mean, Interval(mean - half, mean + half)


def mean_contrast_or_one(bootstrap: PairedBootstrap, contrasts: Floats) -> tuple[float, Interval | None, str]:
    """The same; for a single draw with its interval over sentences only, and a note that says so."""
    if len(contrasts) > 1:
        return *mean_contrast(bootstrap, contrasts), f"{len(contrasts)} noises"
    mean = float(contrasts[0] @ bootstrap.delta_nll_nats)
    return (
        mean,
        bootstrap.interval_of(lambda nats: float(contrasts[0] @ nats)),
        "a single noise: interval over sentences only",
    )
