"""Printed numbers, with the interval of true values that would be rounded to them.

Arithmetic is exact (fractions), so that an interval never loses the true value to floating-point error. Operands are
treated as independent, which can only widen a result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from anatomy_bench.claim.claim import Criterion, Estimate
from anatomy_bench.values.interval import Interval

Number: TypeAlias = int | float | Fraction


@dataclass(frozen=True)
class Printed:
    """A rounded number, or a quantity derived from rounded numbers.

    Attributes:
        value: as printed, or as derived from the printed values.
        low: the least true value that fits the printed ones.
        high: the greatest.
    """

    value: Fraction
    low: Fraction
    high: Fraction

    def __post_init__(self) -> None:
        """Refuse an interval that does not contain the value."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{float(self.value)} lies outside [{float(self.low)}, {float(self.high)}]")

    @classmethod
    def parse(cls, text: str, *, unit: str | None = None) -> "Printed":
        """A printed number, with an interval of half a unit in its last place to either side.

        Args:
            text: digits without thousands separators, such as `"22.60"`.
            unit: what the number was rounded to, where its last digit does not say so, as in `"85800000"`.

        Raises:
            ValueError: the text is not a number.
        """
        decimals = len(text.partition(".")[2])
        half = (Fraction(unit) if unit else Fraction(1, 10**decimals)) / 2
        value = Fraction(text)
        return cls(value, value - half, value + half)

    @classmethod
    def exact(cls, number: Number) -> "Printed":
        """An exact number, which was not rounded."""
        value = Fraction(number)
        return cls(value, value, value)

    @classmethod
    def between(cls, low: Fraction, high: Fraction) -> "Printed":
        """A number that is only known to lie between two bounds; its value is their middle."""
        return cls((low + high) / 2, low, high)

    def __neg__(self) -> "Printed":
        """The negated number."""
        return Printed(-self.value, -self.high, -self.low)

    def __add__(self, other: "Printed | Number") -> "Printed":
        """The sum with another printed or exact number."""
        other = _printed(other)
        return Printed(self.value + other.value, self.low + other.low, self.high + other.high)

    __radd__ = __add__

    def __sub__(self, other: "Printed | Number") -> "Printed":
        """The difference to another printed or exact number."""
        return self + -_printed(other)

    def __rsub__(self, other: Number) -> "Printed":
        """The difference of an exact number to this one."""
        return _printed(other) - self

    def __mul__(self, other: "Printed | Number") -> "Printed":
        """The product with another printed or exact number."""
        other = _printed(other)
        corners = [mine * theirs for mine in (self.low, self.high) for theirs in (other.low, other.high)]
        return Printed(self.value * other.value, min(corners), max(corners))

    __rmul__ = __mul__

    def __truediv__(self, other: "Printed | Number") -> "Printed":
        """The quotient by another printed or exact number.

        Raises:
            ZeroDivisionError: the divisor could be zero.
        """
        other = _printed(other)
        if other.low <= 0 <= other.high:
            raise ZeroDivisionError("the divisor's interval contains zero")
        return self * Printed(1 / other.value, 1 / other.high, 1 / other.low)

    def __rtruediv__(self, other: Number) -> "Printed":
        """The quotient of an exact number by this one."""
        return _printed(other) / self

    def __abs__(self) -> "Printed":
        """The size of the number without its sign."""
        bounds = [abs(self.low), abs(self.high)]
        nearest_to_zero = Fraction(0) if self.low <= 0 <= self.high else min(bounds)
        return Printed(abs(self.value), nearest_to_zero, max(bounds))

    def agrees_with(self, other: "Printed") -> bool:
        """Whether one true value fits both."""
        return self.low <= other.high and other.low <= self.high

    def estimate(self, note: str = "") -> Estimate:
        """The number as a claim's estimate, without an interval if it is exact."""
        exact = self.low == self.high
        return Estimate(float(self.value), None if exact else Interval(float(self.low), float(self.high)), note)

    def criterion(self) -> Criterion:
        """The true values that fit this number."""
        return Criterion(low=float(self.low), high=float(self.high))

    def __str__(self) -> str:
        """Value and interval to five digits, such as `2.147 (2.1413 to 2.1526)`."""
        value, low, high = (f"{float(bound):.5g}" for bound in (self.value, self.low, self.high))
        return value if self.low == self.high else f"{value} ({low} to {high})"


def common(numbers: Iterable[Printed]) -> Printed:
    """One quantity that was printed several times: the true values that fit every one of them.

    Raises:
        ValueError: no value lies in all of the intervals.
    """
    numbers = list(numbers)
    return Printed.between(max(number.low for number in numbers), min(number.high for number in numbers))


def _printed(number: Printed | Number) -> Printed:
    return number if isinstance(number, Printed) else Printed.exact(number)
