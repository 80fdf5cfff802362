"""Verdicts follow from estimate and criterion alone, and can come out either way."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy_bench.claim.claim import (
    Claim,
    Criterion,
    Estimate,
    Finding,
    Kind,
    NotApplicable,
    Verdict,
    VerdictWord,
    above,
    at_least,
    at_most,
    below,
    judge,
    needs_layer_count,
    within,
)
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.run.expected import Outcome, outcome
from anatomy_bench.values.interval import Interval

S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip
NUMBERS = st.floats(-1e6, 1e6)


def claim(criterion: Criterion, estimate, kind: Kind = Kind.REPLICATION, **others) -> Claim:
    return Claim(
        id="a.b", statement="a", place="b", kind=kind, published=None, unit="", criterion=criterion, why="",
        estimate=lambda: estimate, **others,
    )  # fmt: skip


def word(criterion: Criterion, low: float, high: float) -> VerdictWord:
    return judge(claim(criterion, Estimate((low + high) / 2, Interval(low, high))), None, ()).word


@pytest.mark.parametrize(
    ("criterion", "supported", "refuted", "straddling"),
    [
        (below(0), (-2, -1), (0, 1), (-1, 0)),
        (above(0), (1, 2), (-1, 0), (0, 1)),
        (at_least(10), (10, 11), (8, 9.9), (9, 10)),
        (at_most(10), (9, 10), (10.1, 11), (10, 11)),
        (within(5, 1), (4, 6), (6.1, 7), (5, 6.1)),
    ],
)
def test_an_interval_inside_supports_outside_refutes_across_decides_nothing(criterion, supported, refuted, straddling):
    assert [word(criterion, *interval) for interval in (supported, refuted, straddling)] == [S, R, INC]


@given(st.sampled_from([below, above, at_least, at_most]), NUMBERS, NUMBERS, NUMBERS)
def test_a_verdict_agrees_with_every_value_of_the_interval(make, bound: float, one: float, other: float):
    low, high = sorted((one, other))
    criterion = make(bound)
    holds = {criterion.holds_for(value) for value in (low, (low + high) / 2, high)}
    found = word(criterion, low, high)
    assert (found is S) == (holds == {True})
    if found is R:
        assert holds == {False}


def test_an_empirical_value_of_unknown_uncertainty_decides_nothing():
    assert judge(claim(below(0), Estimate(-5.0, None)), None, ()).word is INC


@pytest.mark.parametrize(("value", "expected"), [(-5.0, S), (5.0, R)])
def test_arithmetic_without_rounding_is_exact(value: float, expected: VerdictWord):
    assert judge(claim(below(0), Estimate(value, None), Kind.CONSISTENCY), None, ()).word is expected


def test_what_is_not_a_number_decides_nothing():
    assert judge(claim(below(0), Estimate(math.nan, Interval(-2, -1))), None, ()).word is INC


def test_a_claim_on_layers_by_number_is_not_asked_of_another_depth():
    named = claim(below(0), Estimate(-5.0, Interval(-6, -4)), applies=needs_layer_count(30))
    assert judge(named, 30, ()).word is S
    verdict = judge(named, 12, ())
    assert (verdict.word, verdict.value) == (NA, None)
    assert "30" in verdict.reason
    assert "12" in verdict.reason


def test_an_estimate_may_find_itself_inapplicable():
    verdict = judge(claim(below(0), NotApplicable("no such component")), None, ())
    assert (verdict.word, verdict.reason) == (NA, "no such component")


def test_reversed_intervals_are_refused():
    with pytest.raises(ValueError, match="reversed"):
        Interval(2.0, 1.0)


@pytest.mark.parametrize(
    ("replications", "controls", "conclusion"),
    [
        ([S, S], [S], Conclusion.REPRODUCED),
        ([S, NA], [NA], Conclusion.REPRODUCED),
        ([S, S], [S, R], Conclusion.EXPLAINED_BY_CONTROL),
        ([S, S], [INC], Conclusion.INCONCLUSIVE),
        ([S, R], [R], Conclusion.PARTLY_REPRODUCED),
        ([S, INC], [S], Conclusion.PARTLY_REPRODUCED),
        ([R, R], [S], Conclusion.NOT_REPRODUCED),
        ([R, INC], [S], Conclusion.NOT_REPRODUCED),
        ([INC, INC], [R], Conclusion.INCONCLUSIVE),
        ([NA, NA], [S], Conclusion.NOT_APPLICABLE),
    ],
)
def test_conclusions(replications, controls, conclusion):
    kinds = [Kind.REPLICATION] * len(replications) + [Kind.CONTROL] * len(controls)
    claims = tuple(
        Claim(str(number), "", "", kind, None, "", below(0), "", lambda: None) for number, kind in enumerate(kinds)
    )
    verdicts = [Verdict(str(number), each) for number, each in enumerate(replications + controls)]
    assert conclude(Finding("f", "p", "", "", 0, claims), verdicts) is conclusion


@pytest.mark.parametrize("verdict", list(VerdictWord))
@pytest.mark.parametrize("recorded", [None, *VerdictWord])
def test_only_support_passes_and_only_a_matching_record_excuses(verdict: VerdictWord, recorded: VerdictWord | None):
    found = outcome(Verdict("a.b", verdict), recorded)
    if recorded is not None and recorded is not verdict:
        assert found is Outcome.FAILED
    elif verdict is S:
        assert found is Outcome.PASSED
    elif verdict is NA:
        assert found is Outcome.SKIPPED
    else:
        assert found is (Outcome.FAILED if recorded is None else Outcome.EXPECTED_FAILURE)
