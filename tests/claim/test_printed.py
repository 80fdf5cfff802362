"""Printed numbers: what rounding leaves open always holds the true value."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.claim.printed import Printed, common

true_values = st.fractions(min_value=-1000, max_value=1000, max_denominator=10**6)
places = st.integers(min_value=0, max_value=4)


def rounded(value: Fraction, digits: int) -> str:
    """The value as a paper would print it with so many decimals."""
    return str(
        (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(10) ** -digits, ROUND_HALF_EVEN)
    )


@st.composite
def printed_values(draw: st.DrawFn) -> tuple[Fraction, Printed]:
    """A true value and its printed form."""
    value = draw(true_values)
    return value, Printed.parse(rounded(value, draw(places)))


def holds(number: Printed, value: Fraction) -> bool:
    """Whether the interval holds the true value."""
    return number.low <= value <= number.high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("22.60", "22.595", "22.605"),
        ("-0.500", "-0.5005", "-0.4995"),
        ("63419", "63418.5", "63419.5"),
        ("0.0", "-0.05", "0.05"),
    ],
)
def test_the_last_digit_says_how_far_a_number_was_rounded(text: str, low: str, high: str) -> None:
    """Half a unit of the last place to either side."""
    number = Printed.parse(text)
    assert (number.value, number.low, number.high) == (Fraction(text), Fraction(low), Fraction(high))


def test_a_stated_unit_overrides_the_last_digit() -> None:
    """Trailing zeros of a whole number may be rounding."""
    number = Printed.parse("85800000", unit="100000")
    assert (number.low, number.high) == (85_750_000, 85_850_000)


@given(printed_values())
def test_parsing_holds_the_true_value(pair: tuple[Fraction, Printed]) -> None:
    """What was rounded lies within the interval of what was printed."""
    value, number = pair
    assert holds(number, value)


@pytest.mark.parametrize(
    "operation",
    [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: abs(a) - -b],
    ids=["plus", "minus", "times", "abs and negation"],
)
@given(first=printed_values(), second=printed_values())
def test_arithmetic_holds_the_true_result(
    operation: Callable[..., Any], first: tuple[Fraction, Printed], second: tuple[Fraction, Printed]
) -> None:
    """The same operation on the true values stays within the interval, with an exact operand on either side too."""
    true = Fraction(operation(first[0], second[0]))
    for left, right in ((first[1], second[1]), (first[1], second[0])):
        assert holds(operation(left, right), true)
    assert holds(operation(Printed.exact(first[0]), second[1]), true)


@given(first=printed_values(), second=printed_values())
def test_division_holds_the_true_result(first: tuple[Fraction, Printed], second: tuple[Fraction, Printed]) -> None:
    """Wherever the divisor cannot be zero."""
    assume(second[1].low > 0 or second[1].high < 0)
    true = first[0] / second[0]
    assert holds(first[1] / second[1], true)
    assert holds(first[0] / second[1], true)
    assert holds(first[1] / second[0], true)


@given(exact=true_values, number=printed_values())
def test_an_exact_number_on_the_left_is_subtracted_from(exact: Fraction, number: tuple[Fraction, Printed]) -> None:
    """Reflected operators keep the order of their operands."""
    assert holds(exact - number[1], exact - number[0])
    assert (exact + number[1]) == (number[1] + exact)
    assert (exact * number[1]) == (number[1] * exact)


def test_dividing_by_what_could_be_zero_is_refused() -> None:
    """No interval is wide enough."""
    with pytest.raises(ZeroDivisionError):
        _ = Printed.parse("1.0") / Printed.parse("0.0")


def test_a_value_outside_its_interval_is_refused() -> None:
    """Such a number would judge at random."""
    with pytest.raises(ValueError, match="outside"):
        Printed(Fraction(3), Fraction(1), Fraction(2))


@given(value=true_values, digits=st.lists(places, min_size=1, max_size=5))
def test_common_holds_the_value_behind_all(value: Fraction, digits: list[int]) -> None:
    """One value printed several ways lies in what all of them leave open, which is no wider than any of them."""
    numbers = [Printed.parse(rounded(value, each)) for each in digits]
    shared = common(numbers)
    assert holds(shared, value)
    assert all(number.low <= shared.low <= shared.high <= number.high for number in numbers)


def test_numbers_with_nothing_in_common_are_refused() -> None:
    """They cannot stand for one value."""
    with pytest.raises(ValueError, match="outside"):
        common([Printed.parse("1.0"), Printed.parse("2.0")])


def test_agreement_is_overlap() -> None:
    """26.95 over 22.60 is 19.2 %, which 19 can stand for and 49 cannot."""
    recomputed = (Printed.parse("26.95") / Printed.parse("22.60") - 1) * 100
    assert recomputed.agrees_with(Printed.parse("19"))
    assert not recomputed.agrees_with(Printed.parse("49"))


def test_the_estimate_carries_the_interval_and_an_exact_number_has_none() -> None:
    """A judge weighs an interval, and takes a number without one at its word."""
    rounded_estimate = Printed.parse("2.1").estimate("note")
    assert rounded_estimate.interval95 is not None
    assert (rounded_estimate.interval95.low, rounded_estimate.interval95.high) == (2.05, 2.15)
    assert (rounded_estimate.value, rounded_estimate.note) == (2.1, "note")
    assert Printed.exact(3).estimate().interval95 is None


def test_the_criterion_is_the_rounding_interval() -> None:
    """A number always agrees with its own printed form."""
    number = Printed.parse("4.7")
    interval = number.estimate().interval95
    assert interval is not None
    assert number.criterion().judge(interval) is VerdictWord.SUPPORTED


def test_a_number_reads_with_its_interval() -> None:
    """As it stands in a note."""
    assert str(Printed.parse("0.599") / Printed.parse("0.279")) == "2.147 (2.1413 to 2.1526)"
    assert str(Printed.exact(8)) == "8"
