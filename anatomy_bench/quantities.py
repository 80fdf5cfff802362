"""Numbers as people read them."""

from anatomy_bench.claim import Verdict
from anatomy_bench.interval import Interval

_GROUPED_FROM = 1000
_SCIENTIFIC_FROM = 1e12
"""Perplexities without bound: of a model with no layers the digits would fill a page."""

_COUNTS_FROM = 0.01
"""Share of an interval's width from which numerical error is worth a reader's eye."""


def quantity(value: float | None) -> str:
    """A number to about four significant digits; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if _GROUPED_FROM <= abs(value) < _SCIENTIFIC_FROM else f"{value:.4g}"


def interval_text(interval: Interval | None) -> str:
    """A 95 % interval, or nothing where it is unknown."""
    return "" if interval is None else f"[{quantity(interval.low)}, {quantity(interval.high)}]"


def measured_text(verdict: Verdict) -> str:
    """Measured value with its interval, and with its numerical error where that counts."""
    return " ".join(filter(None, (quantity(verdict.value), interval_text(verdict.interval95), error_text(verdict))))


def error_text(verdict: Verdict) -> str:
    """By how much rounding may have moved the value, such as `± 0.3`; nothing where that is nothing to the interval."""
    error, interval = verdict.numerical_error, verdict.interval95
    if error is None or interval is None or not error.value > _COUNTS_FROM * (interval.high - interval.low):
        return ""
    return f"± {quantity(error.value)}"
