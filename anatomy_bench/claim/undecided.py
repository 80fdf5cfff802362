"""Why a value decides nothing, whatever its criterion."""

import math
from collections.abc import Sequence
from typing import Any

from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import LEAST_SENTENCES

UNKNOWN = "the uncertainty of this value is unknown"


def not_a_number(value: float, interval: Interval | None) -> str:
    """Why a value and its interval are no numbers to judge by; nothing if they are."""
    if math.isnan(value):
        return "the measured value is not a number"
    if math.isinf(value):
        return "the measured value is not finite"
    if interval is not None and not interval.is_finite:
        return "the interval of the measured value is not finite"
    return ""


def without_interval(measurements: Sequence[Any], why: str) -> str:
    """Why there is no interval.

    Args:
        measurements: that the value rests on; those that scored text say how much.
        why: what the estimate itself knows of it.
    """
    texts = [made.corpus for made in measurements if getattr(made, "corpus", None) is not None]
    fewest = min((text.distinct_sentences for text in texts), default=LEAST_SENTENCES)
    if fewest < LEAST_SENTENCES:
        sentences = "one distinct sentence" if fewest == 1 else f"{fewest} distinct sentences"
        return f"{UNKNOWN}: the text has {sentences}, an interval takes {LEAST_SENTENCES}"
    return f"{UNKNOWN}: {why}" if why else UNKNOWN
