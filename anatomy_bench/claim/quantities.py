"""Measured values as people read them."""

from anatomy_bench.claim.claim import Verdict
from anatomy_bench.values.quantities import interval_text, quantity

_COUNTS_FROM = 0.01
"""Numerical error is shown from this share of the interval's width on."""


def measured_text(verdict: Verdict) -> str:
    """Measured value with its interval, and with its numerical error where that is large enough to matter."""
    return " ".join(filter(None, (quantity(verdict.value), interval_text(verdict.interval95), error_text(verdict))))


def error_text(verdict: Verdict) -> str:
    """By how much rounding may have moved the value, such as `± 0.3`; empty where it is small beside the interval."""
    error, interval = verdict.numerical_error, verdict.interval95
    if error is None or interval is None or not error.value > _COUNTS_FROM * (interval.high - interval.low):
        return ""
    return f"± {quantity(error.value)}"
