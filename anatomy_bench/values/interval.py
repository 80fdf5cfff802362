"""An interval of values."""

import math
from dataclasses import dataclass
from typing import Any

from pydantic import model_serializer, model_validator

from anatomy_bench.values.record import Record


@dataclass(frozen=True)
class Interval(Record):
    """A closed interval of 95 % confidence, or of what rounding leaves open; `[low, high]` in JSON."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse a reversed interval, on which a verdict would be arbitrary."""
        if self.low > self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] is reversed")

    @property
    def is_finite(self) -> bool:
        """Whether both ends are numbers, and none is infinite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def widened(self, below: float, above: float) -> "Interval":
        """The interval with each end moved outwards by that much."""
        return Interval(self.low - below, self.high + above)

    @model_serializer
    def _as_pair(self) -> tuple[float | str, float | str]:
        # Ends that are not finite by name, as everywhere: pydantic forgets to where a record has several intervals.
        return (_written(self.low), _written(self.high))

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and len(value) == 2:  # noqa: PLR2004 (low and high)
            return {"low": value[0], "high": value[1]}
        return value


def _written(end: float) -> float | str:
    if math.isfinite(end):
        return end
    return "NaN" if math.isnan(end) else "Infinity" if end > 0 else "-Infinity"
