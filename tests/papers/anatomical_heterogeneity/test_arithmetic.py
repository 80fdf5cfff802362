"""The paper's own arithmetic: recomputed values against derivations by hand."""

from collections import Counter

import pytest

from anatomy_bench.claim.claim import Kind, Verdict, VerdictWord, judge
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic import FINDING

CLAIMS = {claim.id.rpartition(".")[2]: claim for claim in FINDING.claims}


def verdict(name: str) -> Verdict:
    """What a claim of the finding comes to."""
    return judge(CLAIMS[name], None, [])


def test_ids_and_sentences_are_unique_and_short() -> None:
    """Each is a test's id."""
    assert len(CLAIMS) == len(FINDING.claims)
    assert not [text for text, times in Counter(claim.statement for claim in FINDING.claims).items() if times > 1]
    assert all(len(claim.statement) <= 90 for claim in FINDING.claims)


def test_every_claim_is_of_the_papers_arithmetic_and_says_where_and_why() -> None:
    """None needs a model."""
    for claim in FINDING.claims:
        assert claim.kind is Kind.CONSISTENCY
        assert not claim.runs_model
        assert "against" in claim.place
        assert claim.why
        assert claim.unit


def test_some_hold_and_some_do_not() -> None:
    """What holds is recorded as holding."""
    verdicts = [judge(claim, None, []) for claim in FINDING.claims]
    words = Counter(each.word for each in verdicts)
    assert words[VerdictWord.SUPPORTED] > 10
    assert words[VerdictWord.REFUTED] > 10
    assert conclude(FINDING, verdicts) is Conclusion.PARTLY_REPRODUCED


# Derived by hand from the printed tables; the comment beside each is the derivation.
@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("gate-proj-r2", "SUPPORTED", 0.909),
        ("delta-correlation", "SUPPORTED", -0.505),
        ("one-predicted-layer", "SUPPORTED", 16.02),  # 26.22 / 22.60 = 1.1602
        ("nine-predicted-layers", "SUPPORTED", 442_378),  # 100,000 / 22.60 = 4424.78
        ("metrics-of-every-layer", "REFUTED", 1),  # Table 1 alone has thirty rows
        ("distribution-by-labels", "REFUTED", 2),  # 9, 11, 1, 9 against 10, 11, 1, 8
        ("distribution-by-thresholds", "REFUTED", 1),  # 8, 12, 1, 9
        ("distribution-percentages", "SUPPORTED", 4),  # 33.3, 36.7, 3.3, 26.7
        ("nine-redundant-by-labels", "SUPPORTED", 9),  # L0 3 5 6 12 14 17 19 29
        ("nine-redundant-by-text", "REFUTED", 10),
        ("nine-redundant-by-thresholds", "REFUTED", 8),  # without L3
        ("labels-follow-thresholds", "REFUTED", 29),  # L3: +13.4 is not below 10
        ("anti-layer-l14", "REFUTED", 5.0),
        ("anti-layer-l17", "SUPPORTED", -0.6),
        ("all-layers-ablated", "REFUTED", 28),
        ("range", "REFUTED", 105_699),  # 63419.2 / 0.6
        ("brain-over-anti-layer", "REFUTED", 105_699),
        ("extremes", "SUPPORTED", 2),
        ("core-critical", "SUPPORTED", 4),
        ("core-most-damaging", "REFUTED", 3),  # L1 (+2737) stands before L8 and L9
        ("brain-beyond-others", "REFUTED", 6.425),  # 63419.2 / 9870.7
        ("scales-reported", "REFUTED", 4),  # 0.1 and 0.3 are missing
        ("nine-layers-at-once", "REFUTED", 4),  # the other four say '2 layers'
        ("millions-of-percent", "REFUTED", 173_242),
        ("zero-is-zero", "REFUTED", 16.0),  # 15,509,465 / 969,198
        ("scale-abstract-against-table", "REFUTED", 19),
        ("scale-from-stated-baseline", "SUPPORTED", 19.25),  # 26.95 / 22.60 = 1.19248
        ("scale-from-implied-baseline", "SUPPORTED", 49.09),  # 26.95 / 18.076 = 1.4909
        ("noise-below-stated-baseline", "SUPPORTED", 2),  # 19.4 and 18.5 < 22.60
        ("noise-below-implied-baseline", "REFUTED", 0),  # 19.4 and 18.5 > 18.08
        ("final-below-implied-baseline", "REFUTED", 1),  # 18.2 > 18.08 > 17.6
        ("quoted-after-noise", "REFUTED", 0),
        ("arrows", "REFUTED", 9),  # L5, L23, L24, L27 end below 22.60 without an arrow
        ("brain-final", "SUPPORTED", 7.783),  # 175.9 / 22.60
        ("instant-recovery", "REFUTED", 110),
        ("instant-and-critical", "REFUTED", 1),  # L23 is Important
        ("l3-no-convergence", "REFUTED", 1),
        ("instant-group", "REFUTED", 200),  # L3
        ("layer-sizes", "SUPPORTED", 12),  # 4·256² + 3·256²·m + 2·256
        ("embedding-rows", "SUPPORTED", 0),  # 9,570,048 − 9,443,328 = 126,720 = 495 · 256
        ("growth-improvement", "SUPPORTED", 4.7165),  # 0.599 / 0.127
        ("half-budget-improvement", "INCONCLUSIVE", 2.147),  # 0.599 / 0.279, up to 0.5995 / 0.2785 = 2.1526
        ("growth-time", "SUPPORTED", 12.75),  # 1 − 52.0 / 59.6
        ("half-budget-steps-saved", "SUPPORTED", 36.59),  # 1 − 416 / 656
        ("half-budget", "REFUTED", 63.41),
        ("uniform-artefacts", "SUPPORTED", 2),
        ("core-phases", "REFUTED", 2),  # 1 and 6
        ("core-epochs-by-table", "REFUTED", 45),  # 30 + 15
        ("core-epochs-by-text", "REFUTED", 85),
        ("core-epochs-sum", "SUPPORTED", 85),
        ("redundant-epochs", "SUPPORTED", 21),
        ("steps-per-epoch", "REFUTED", 38),  # 656 = 6 · 103 + 38
        ("uniform-epochs", "REFUTED", 103),
        ("core-exposure-by-text", "SUPPORTED", 7.727),  # 85 / 11
        ("core-exposure-by-schedule", "REFUTED", 0.4369),  # 45 / 103
        ("phases-cover-layers", "SUPPORTED", 12),
        ("critical-most-exposed", "SUPPORTED", 8),  # 35 − 27
        ("clones-fit", "REFUTED", 4),  # L5 → L7 and L9 → L10 shrink
        ("anatomical-groups", "REFUTED", 26),  # L0, L29 missing; L14, L17 double
        ("budget-groups", "SUPPORTED", 30),
        ("budget-rests-on-recovery", "REFUTED", 13),
        ("growth-steps", "SUPPORTED", 2760),
        ("cost-saved", "SUPPORTED", 54),
    ],
)
def test_verdicts_and_values_are_those_derived_by_hand(name: str, word: str, value: float) -> None:
    """To the digits of the derivation."""
    found = verdict(name)
    assert found.word == word
    assert found.value == pytest.approx(value, rel=5e-4)


def test_table_4_implies_a_baseline_of_18_076() -> None:
    """969,198 / 53,618.14 and 891,155 / 49,300.63 are both 18.0759."""
    found = verdict("manipulation-baseline")
    assert found.interval95 is not None
    assert 18.07 < found.interval95.low <= 969_198 / 53_618.14 <= found.interval95.high < 18.09
    assert found.word is VerdictWord.REFUTED


def test_table_5_implies_the_same_baseline() -> None:
    """L24 is below 1.5× at once at 26.8 (or 26.75), L3 is not at 27.3 (or 27.35)."""
    found = verdict("recovery-baseline")
    assert found.interval95 is not None
    assert found.interval95.low == pytest.approx(26.75 / 1.5)
    assert found.interval95.high == pytest.approx(27.35 / 1.5)
    assert found.word is VerdictWord.REFUTED
    assert all(layer in found.note for layer in ("L0 <2×", "L3 <1.5×", "L5 <1.1×", "L27 <1.5×"))
    assert verdict("one-baseline").word is VerdictWord.SUPPORTED


def test_the_correlation_of_recovery_and_importance_is_left_open() -> None:
    """Ranks by hand for the thirteen layers give ρ = 0.446; thirteen layers cannot settle 0.5."""
    every, inside = verdict("recovery-tracks-importance"), verdict("recovery-tracks-importance-inside")
    assert every.value == pytest.approx(0.446, abs=1e-3)
    assert inside.value == pytest.approx(0.808, abs=1e-3)
    assert every.word is inside.word is VerdictWord.INCONCLUSIVE


def test_what_the_paper_does_not_show_is_not_judged() -> None:
    """Table 9 has no column for half the budget."""
    assert verdict("half-budget-generation").word is VerdictWord.NOT_APPLICABLE
