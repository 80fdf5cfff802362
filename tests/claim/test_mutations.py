"""Every claim of the registry holds, breaks and, unless it counts, stays open with what it reads.

What mutates a paper's claims is in the paper's own folder of tests, `papers/<room>/mutations`: `MUTATIONS`, `TURNED`
and `CONFUSED`, by the claim's id without the paper's.
"""

from dataclasses import replace
from typing import Any

import pytest
from ledgers import of_own_papers, own_papers
from mutations import INC, LAYERS, Changes, Mutation, R, S, altered

from anatomy_bench.claim.claim import Claim, Verdict, VerdictWord, judge
from anatomy_bench.registry import all_claims, paper_of
from anatomy_bench.values import published


def gathered(table: str) -> dict[str, Any]:
    """A table of every paper's, by the claims' whole ids; nothing of a paper that has none."""
    tables = {paper: getattr(module, table) for paper, module in of_own_papers("mutations").items()}
    return {f"{paper}.{claim}": each for paper, of_paper in tables.items() for claim, each in of_paper.items()}


MUTATIONS: dict[str, Mutation] = gathered("MUTATIONS")
TURNED: dict[str, dict[VerdictWord, Changes]] = gathered("TURNED")
CONFUSED: dict[str, Any] = gathered("CONFUSED")


def test_every_claim_has_its_mutations_and_the_other_way_round():
    own = {claim for claim in all_claims() if paper_of(claim) in own_papers().values()}
    assert {*MUTATIONS, *TURNED} == own


def every_word(verdicts: list[Verdict]) -> set[VerdictWord]:
    """Those that can be had: what is counted, without an interval, is never left open."""
    is_counted = all(each.interval95 is None or each.interval95.low == each.interval95.high for each in verdicts)
    return {S, R} if is_counted else {S, R, INC}


def judged(claim: Claim) -> list[Verdict]:
    """Verdicts on all of a claim's cases, which are what they must be.

    Raises:
        AssertionError: one is not.
    """
    verdicts = []
    for word, value, measurements in MUTATIONS[claim.id].cases(claim.criterion):
        verdicts.append(judge(claim, LAYERS, measurements))
        assert verdicts[-1].word is word, verdicts[-1]
        assert value is None or verdicts[-1].value == pytest.approx(value, rel=1e-6)
    return verdicts


@pytest.mark.parametrize("claim", MUTATIONS)
def test_a_claim_follows_the_measurement(claim: str):
    verdicts = judged(all_claims()[claim])
    assert {each.word for each in verdicts} == every_word(verdicts)


@pytest.mark.parametrize("claim", CONFUSED)
def test_a_claim_that_reads_what_it_is_not_about_is_found_out(claim: str):
    with pytest.raises(AssertionError):
        judged(replace(all_claims()[claim], estimate=CONFUSED[claim]))


@pytest.mark.parametrize("claim", TURNED)
def test_a_claim_follows_the_printed_numbers(claim: str, monkeypatch: pytest.MonkeyPatch):
    turned, printed = all_claims()[claim], paper_of(claim).published
    verdicts = [judge(turned, None, ())]
    for word, changes in TURNED[claim].items():
        assert verdicts[0].word is not word
        data = altered(printed, changes)
        monkeypatch.setattr(published, "load", lambda _, data=data: data)
        verdicts.append(judge(turned, None, ()))
        assert verdicts[-1].word is word, verdicts[-1]
    assert {each.word for each in verdicts} - {VerdictWord.NOT_APPLICABLE} == every_word(verdicts)
