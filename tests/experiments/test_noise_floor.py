"""Rounding: measured against plain float32, carried into every figure, and never decisive."""

from dataclasses import replace
from pathlib import Path

import ledgers
import numpy as np
import pytest
import tiny

from anatomy_bench.claim.claim import Claim, Estimate, Kind, Need, NumericalError, VerdictWord, above, judge
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.engine import naive
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.registry import all_claims, get_finding
from anatomy_bench.report.markdown import markdown_report
from anatomy_bench.run.numerical_error import COPIES, NOISE_FLOOR, disturbed, numerical_error
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.profile import Profile

SCORED = {"ablation", "perturbation", "manipulation", "predictability", "recovery", "growth"}
CLAIMS = [claim for claim in all_claims().values() if claim.runs_model]


def run_of(model: Path, store: Path, **options) -> Run:
    return Run(Options(str(model), device="cpu", allow_untrained=True, **options), store=Store(store))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3"])
def test_lower_precision_has_a_higher_floor(tmp_path: Path, architecture: str):
    model = tiny.save(tmp_path / "model", tiny.model(architecture))
    fine, coarse = (
        run_of(model, tmp_path / dtype, dtype=dtype).measure(NOISE_FLOOR) for dtype in ("float32", "bfloat16")
    )
    assert isinstance(fine, NoiseFloorMeasurement)
    assert isinstance(coarse, NoiseFloorMeasurement)
    assert fine.relative_error < 1e-5
    assert 1e-5 < coarse.relative_error < 1e-1
    assert [each.intervention for each in fine.probes] == [each.intervention for each in coarse.probes]
    # Both are held against the same float32 scores, though one run's own weights are rounded.
    for one, other in zip(fine.probes, coarse.probes, strict=True):
        assert one.reference_nll_nats == other.reference_nll_nats
        assert one.nll_nats != other.nll_nats


def test_the_reference_is_plain_forward_passes(tiny_folder: Path, tmp_path: Path):
    run = run_of(tiny_folder, tmp_path)
    floor = run.measure(NOISE_FLOOR)
    assert isinstance(floor, NoiseFloorMeasurement)
    sentences = run.subject.tokenize(run.corpus.sentences)
    intact = next(probe for probe in floor.probes if isinstance(probe.intervention, Intact))
    assert list(intact.reference_nll_nats) == naive.score(run.subject.stack, sentences, Intact())
    relative = np.array(intact.nll_nats) / np.array(intact.reference_nll_nats) - 1
    assert intact.relative_error == pytest.approx(np.sqrt(np.mean(relative**2)))
    assert floor.relative_error == pytest.approx(np.sqrt(np.mean([each.relative_error**2 for each in floor.probes])))


def test_a_disturbance_has_the_size_of_the_floor():
    scores = SentenceScores(tuple(np.linspace(10, 90, 2_000).tolist()))
    moved = scores.disturbed(0.01, np.random.default_rng(0))
    relative = np.array(moved.nll_nats) / np.array(scores.nll_nats) - 1
    assert relative.std() == pytest.approx(0.01, rel=0.1)
    assert abs(relative.mean()) < 0.001
    assert scores.disturbed(0.0, np.random.default_rng(0)) == scores


@pytest.fixture(scope="module")
def copies():
    """Of each need, disturbed by nothing and by a thousandth."""
    needs = {need for claim in CLAIMS for need in claim.needs}
    made = {need: ledgers.assembled(need, ledgers.subject(), Profile.QUICK) for need in needs}
    return {error: {need: disturbed(made[need], error) for need in needs} for error in (0.0, 1e-3)}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_that_reads_scores_has_an_error(copies, claim: Claim):
    def error(size: float) -> NumericalError | None:
        return numerical_error(claim, list(zip(*(copies[size][need] for need in claim.needs), strict=True)))

    none, some = error(0.0), error(1e-3)
    if none is None:  # quick measures too little for it
        assert some is None
    else:
        assert (none.value, none.low, none.high) == pytest.approx((0, 0, 0), abs=1e-9)
        assert np.isfinite([some.value, some.low, some.high]).all()
        if not SCORED & {need.experiment for need in claim.needs}:
            assert some == none


def test_most_claims_move_with_the_scores(copies):
    scored = [claim for claim in CLAIMS if SCORED & {need.experiment for need in claim.needs}]
    errors = [
        numerical_error(claim, list(zip(*(copies[1e-3][need] for need in claim.needs), strict=True)))
        for claim in scored
    ]
    assert (
        sum(each is not None and each.value > 0 for each in errors) > len(errors) / 2
    )  # ranks and counts may stay as they are


def test_only_scores_are_disturbed():
    made = ledgers.assembled(Need("structure"), ledgers.subject(), Profile.QUICK)
    assert not made.is_scored
    assert ledgers.assembled(Need("ablation"), ledgers.subject(), Profile.QUICK).is_scored


def claim_above_0(value: float) -> Claim:
    interval = Interval(value - 0.1, value + 0.1)
    return Claim(
        "a.b", "It is positive", "", Kind.REPLICATION, None, "%", above(0), "", lambda: Estimate(value, interval)
    )


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        (0.3, None, VerdictWord.SUPPORTED),
        (0.3, 0.19, VerdictWord.SUPPORTED),
        (0.3, 0.21, VerdictWord.INCONCLUSIVE),
        (-0.3, 0.19, VerdictWord.REFUTED),
        (-0.3, 0.21, VerdictWord.INCONCLUSIVE),
        (0.05, 0.0, VerdictWord.INCONCLUSIVE),
        (0.3, float("nan"), VerdictWord.INCONCLUSIVE),
    ],
)
def test_what_rounding_could_decide_is_inconclusive(value: float, error: float | None, word: VerdictWord):
    errors = None if error is None else NumericalError(error, error, error)
    verdict = judge(claim_above_0(value), None, (), errors)
    assert verdict.word is word
    rounding_decides = word is VerdictWord.INCONCLUSIVE and value != 0.05
    assert (verdict.reason == "within numerical error of the criterion") == rounding_decides


def test_an_error_is_shown_where_it_counts():
    verdict = judge(claim_above_0(0.3), None, (), NumericalError(0.05, 0.0, 0.0))
    assert measured_text(verdict) == "0.3 [0.2, 0.4] ± 0.05"
    assert measured_text(replace(verdict, numerical_error=NumericalError(0.001, 0.0, 0.0))) == "0.3 [0.2, 0.4]"


def test_a_run_carries_its_floor_into_verdicts_and_report(tiny_folder: Path, tmp_path: Path):
    errors = {}
    for dtype in ("float32", "bfloat16"):
        run = run_of(tiny_folder, tmp_path / dtype, dtype=dtype, profile=Profile.QUICK)
        verdicts = [run.judge(claim) for claim in get_finding("importance-hierarchy").claims]
        errors[dtype] = {each.claim: each.numerical_error for each in verdicts if each.value is not None}
        assert NOISE_FLOOR in run.measurements
    assert all(each is not None for each in errors["float32"].values())
    first = "anatomical-heterogeneity.importance-hierarchy.first-skip"
    assert 0 < errors["float32"][first].value < errors["bfloat16"][first].value


def test_a_run_that_reads_weights_alone_measures_no_floor(tiny_folder: Path, tmp_path: Path):
    run = run_of(tiny_folder, tmp_path, profile=Profile.QUICK)
    verdicts = [run.judge(claim) for claim in get_finding("delta-correlation").claims]
    assert {each.numerical_error for each in verdicts} == {None}
    assert NOISE_FLOOR not in run.measurements
    assert COPIES > 1


def test_a_report_tells_its_floor(tiny_folder: Path, tmp_path: Path):
    from anatomy_bench.notebook import judge as judge_in_notebook

    run = run_of(tiny_folder, tmp_path, profile=Profile.QUICK)
    ledger = judge_in_notebook(run, "importance-hierarchy").ledger
    floor = run.measurements[NOISE_FLOOR]
    assert isinstance(floor, NoiseFloorMeasurement)
    assert f"Scores differ by a relative {floor.relative_error:.1e}" in markdown_report(ledger)
    again = judge_in_notebook(ledger, "importance-hierarchy").ledger
    assert again == ledger
