"""Every claim of the registry holds, breaks and, unless it counts, stays open with what it reads."""

from dataclasses import replace
from typing import Any

import pytest
from mutations import INC, LAYERS, Mutation, R, S
from mutations_of_scores import IMPORTANCE, MANIPULATIONS
from mutations_of_tables import TURNS, altered
from mutations_of_training import GROWTHS, RECOVERIES
from mutations_of_weights import PREDICTIONS, STRUCTURES

from anatomy_bench import papers
from anatomy_bench.claim.claim import Claim, Verdict, VerdictWord, judge
from anatomy_bench.papers.anatomical_heterogeneity.findings import anti_layers
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth import estimates as growth_estimates
from anatomy_bench.papers.anatomical_heterogeneity.findings.manipulation import estimates
from anatomy_bench.papers.anatomical_heterogeneity.findings.predictability import r2_paradox
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import speed as recovery_speed
from anatomy_bench.registry import all_claims

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


CONFUSED: dict[str, Any] = {
    "anti-layers.l14-skip": lambda measured: anti_layers.degradation(measured, 14, "neighbour_average"),
    "anti-layers.l14-family-wise": lambda measured: anti_layers.family_wise_degradation(measured, 17),
    "anti-layers.any": lambda measured: anti_layers.degradation(measured, 14, "neighbour_average"),
    "predictability.nine-neighbours": lambda measured: r2_paradox.degradation(measured, 9),
    "predictability.depends-on-order": lambda measured: r2_paradox.excess(measured, "independent"),
    "predictability.sorted-beyond-mean": lambda measured: r2_paradox.excess(measured, "mean_of_earlier"),
    "manipulation.noise": lambda measured: estimates.damage(measured, "paper", "scale_0.9"),
    "manipulation.random-scale-0-9": lambda measured: estimates.damage(measured, "random_0", "scale_0.9"),
    "manipulation.interior-skip": lambda measured: estimates.damage(measured, "paper", "skip"),
    "manipulation.two-layers": lambda measured: estimates.least_damage(measured, "paper", estimates.REPLACING),
    "growth.held-out": growth_estimates.loss_ratio("uniform", "growth"),
    "growth.best-rate": growth_estimates.loss_ratio("uniform", "growth"),
    "recovery.speed-on-scored": recovery_speed.slowness_with_importance,
    "recovery.speed-beyond-start": recovery_speed.slowness_with_importance,
    "recovery.instant": lambda measured: recovery_speed.slowest(measured, (23,)),
    "recovery.l14-trained": lambda measured: recovery_speed.trained_damage(measured, 17),
}
"""Estimates that a claim could be given by mistake."""


@pytest.mark.parametrize("claim", CONFUSED)
def test_a_claim_that_reads_what_it_is_not_about_is_found_out(claim: str):
    with pytest.raises(AssertionError):
        judged(replace(all_claims()[claim], estimate=CONFUSED[claim]))


@pytest.mark.parametrize("claim", TURNED)
def test_a_claim_follows_the_printed_numbers(claim: str, monkeypatch: pytest.MonkeyPatch):
    turned = all_claims()[claim]
    verdicts = [judge(turned, None, ())]
    for word, changes in TURNED[claim].items():
        assert verdicts[0].word is not word
        data = altered(changes)
        monkeypatch.setattr(papers, "load", lambda _, data=data: data)
        verdicts.append(judge(turned, None, ()))
        assert verdicts[-1].word is word, verdicts[-1]
    assert {each.word for each in verdicts} - {VerdictWord.NOT_APPLICABLE} == every_word(verdicts)
