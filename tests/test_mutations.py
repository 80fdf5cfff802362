"""Every claim of the registry holds, breaks and, unless it counts, stays open with what it reads."""

import pytest
from mutations import INC, LAYERS, Mutation, R, S
from mutations_of_scores import IMPORTANCE, MANIPULATIONS
from mutations_of_tables import TURNS, altered
from mutations_of_training import GROWTHS, RECOVERIES
from mutations_of_weights import PREDICTIONS, STRUCTURES

from anatomy_bench import papers
from anatomy_bench.claim import Verdict, VerdictWord, judge
from anatomy_bench.findings import all_claims

MUTATIONS: dict[str, Mutation] = {
    **IMPORTANCE, **PREDICTIONS, **STRUCTURES, **MANIPULATIONS, **RECOVERIES, **GROWTHS
}  # fmt: skip
TURNED = {f"arithmetic.{name}": changes for name, changes in TURNS.items()}


def test_every_claim_has_its_mutations_and_the_other_way_round():
    assert {*MUTATIONS, *TURNED} == set(all_claims())


def every_word(verdicts: list[Verdict]) -> set[VerdictWord]:
    """Those that can be had: what is counted, without an interval, is never left open."""
    is_counted = all(each.interval95 is None or each.interval95.low == each.interval95.high for each in verdicts)
    return {S, R} if is_counted else {S, R, INC}


@pytest.mark.parametrize("claim", MUTATIONS)
def test_a_claim_follows_the_measurement(claim: str):
    judged = all_claims()[claim]
    verdicts = []
    for word, value, measurements in MUTATIONS[claim].cases(judged.criterion):
        verdicts.append(judge(judged, LAYERS, measurements))
        assert verdicts[-1].word is word, verdicts[-1]
        assert value is None or verdicts[-1].value == pytest.approx(value, rel=1e-6)
    assert {each.word for each in verdicts} == every_word(verdicts)


@pytest.mark.parametrize("claim", TURNED)
def test_a_claim_follows_the_printed_numbers(claim: str, monkeypatch: pytest.MonkeyPatch):
    judged = all_claims()[claim]
    verdicts = [judge(judged, None, ())]
    for word, changes in TURNED[claim].items():
        assert verdicts[0].word is not word
        data = altered(changes)
        monkeypatch.setattr(papers, "load", lambda _, data=data: data)
        verdicts.append(judge(judged, None, ()))
        assert verdicts[-1].word is word, verdicts[-1]
    assert {each.word for each in verdicts} - {VerdictWord.NOT_APPLICABLE} == every_word(verdicts)
