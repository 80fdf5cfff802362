"""NaN and infinity decide nothing, and the reason says why there is no interval."""

import math
from types import SimpleNamespace

import pytest

from anatomy_bench.claim.claim import Claim, Estimate, Kind, VerdictWord, above, at_least, below, judge
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import CorpusRecord

NAN, INF = math.nan, math.inf


def claim(criterion, estimate: Estimate, kind: Kind = Kind.REPLICATION) -> Claim:
    return Claim("p.f.c", "", "", kind, None, "%", criterion, "", lambda *_: estimate)


def text(sentences: int, copy_of: tuple[int, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(corpus=CorpusRecord("t", "", sentences, sentences, (1,) * sentences, None, copy_of))


@pytest.mark.parametrize("criterion", [above(0), below(0), at_least(100)])
@pytest.mark.parametrize("ends", [(NAN, NAN), (5.0, INF), (-INF, -5.0), (-INF, INF), (NAN, 5.0), (200.0, INF)])
def test_an_interval_that_is_not_finite_decides_nothing(criterion, ends: tuple[float, float]):
    interval = Interval(*ends)
    assert criterion.judge(interval) is VerdictWord.INCONCLUSIVE
    verdict = judge(claim(criterion, Estimate(1.0, interval)), 4, ())
    assert verdict.word is VerdictWord.INCONCLUSIVE
    assert verdict.reason == "the interval of the measured value is not finite"


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(("value", "reason"), [(NAN, "not a number"), (INF, "not finite"), (-INF, "not finite")])
@pytest.mark.parametrize("interval", [None, Interval(1.0, 2.0)])
def test_a_value_that_is_not_finite_decides_nothing(kind: Kind, value: float, reason: str, interval: Interval | None):
    verdict = judge(claim(above(0), Estimate(value, interval), kind), None, ())
    assert verdict.word is VerdictWord.INCONCLUSIVE
    assert verdict.reason.endswith(reason)


UNKNOWN = "the uncertainty of this value is unknown"


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ([text(10)], UNKNOWN),
        ([SimpleNamespace(corpus=None)], UNKNOWN),
        ([text(4)], f"{UNKNOWN}: the text has 4 distinct sentences, an interval takes 5"),
        ([text(10), text(10, (0,) * 10)], f"{UNKNOWN}: the text has one distinct sentence, an interval takes 5"),
    ],
)
def test_a_missing_interval_has_a_reason(measured, reason: str):
    asked = claim(above(0), Estimate(1.0, None))
    assert judge(asked, 4, measured).reason == reason


def test_the_reason_of_an_estimate_is_told():
    asked = claim(above(0), Estimate(1.0, None, unknown="a sentence has no finite score"))
    assert judge(asked, 4, [text(10)]).reason == f"{UNKNOWN}: a sentence has no finite score"
    exact = claim(above(0), Estimate(1.0, None), Kind.CONSISTENCY)
    assert judge(exact, None, ()).word is VerdictWord.SUPPORTED
    assert judge(exact, None, ()).reason == ""
