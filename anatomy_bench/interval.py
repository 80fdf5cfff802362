"""An interval of values."""

from dataclasses import dataclass

from anatomy_bench.record import Record


@dataclass(frozen=True)
class Interval(Record):
    """A closed interval of 95 % confidence, or of what rounding leaves open."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a reversed interval: it would judge at random."""
        if self.low > self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] is reversed")
