"""Functions that build the claims on the paper's arithmetic."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from anatomy_bench.claim.claim import Claim, Criterion, Estimate, Kind, NotApplicable, within
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER

FINDING_ID = "arithmetic"


@dataclass(frozen=True)
class Assertion:
    """What a computed value is compared with.

    Attributes:
        criterion: the values for which the paper's assertion holds.
        unit: of these values.
        why: the reason for that criterion.
        published: the number asserted, if there is one.
    """

    criterion: Criterion
    unit: str
    why: str
    published: float | None = None


def rounds_to(number: Printed, unit: str) -> Assertion:
    """The values that round to a printed number."""
    return Assertion(number.criterion(), unit, "the values that round to the printed number", float(number.value))


def counts_to(number: int, unit: str, why: str = "a count is exact") -> Assertion:
    """Exactly the asserted count."""
    return Assertion(within(number, 0), unit, why, float(number))


def about(number: int, tolerance: int, unit: str) -> Assertion:
    """A number that the paper gives as approximate, read generously."""
    return Assertion(within(number, tolerance), unit, f"'about', read as up to {tolerance} {unit} off", float(number))


def claim(
    name: str, statement: str, place: str, assertion: Assertion, estimate: Callable[[], Estimate | NotApplicable]
) -> Claim:
    """A claim of this finding.

    Args:
        name: the claim's id within the finding.
        statement: what the paper asserts.
        place: the two places that are compared.
        assertion: the number asserted, and what counts as agreement with it.
        estimate: computes from the published numbers what should agree.
    """
    return Claim(
        id=f"{PAPER}.{FINDING_ID}.{name}",
        statement=statement,
        place=place,
        kind=Kind.CONSISTENCY,
        published=assertion.published,
        unit=assertion.unit,
        criterion=assertion.criterion,
        why=assertion.why,
        estimate=estimate,
    )


def counted(items: Collection[object], note: str) -> Estimate:
    """The estimate of a count."""
    return Estimate(float(len(items)), None, note)
