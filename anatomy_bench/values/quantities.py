"""Numbers as people read them."""

from anatomy_bench.values.interval import Interval

_GROUPED_FROM = 1000
_SCIENTIFIC_FROM = 1e12
"""From here on, `quantity` uses powers of ten: the perplexity of a broken model has very many digits."""


def quantity(value: float | None) -> str:
    """A number to about four significant digits; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if _GROUPED_FROM <= abs(value) < _SCIENTIFIC_FROM else f"{value:.4g}"


def interval_text(interval: Interval | None) -> str:
    """A 95 % interval, or nothing where it is unknown."""
    return "" if interval is None else f"[{quantity(interval.low)}, {quantity(interval.high)}]"
