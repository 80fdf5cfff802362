"""How far rounding moves a training is measured on trainings, and decides no claim."""

import pickle
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from anatomy_bench.claim.claim import Claim, Need, Verdict, VerdictWord
from anatomy_bench.engine.cost import ModelSize
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth import arms
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine import training as engine
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import GrowthModel, round_otherwise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import ARCHITECTURE, GrowthMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.rounding import relative_error, replicas
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    Architecture,
    Setup,
    Trained,
    Training,
    Validation,
)
from anatomy_bench.registry import all_claims, all_findings, get_experiment
from anatomy_bench.report.markdown import markdown_report
from anatomy_bench.run.ledger import make_ledger, rests_on
from anatomy_bench.run.numerical_error import NOISE_FLOOR
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.measurement import SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import from_data, from_json, to_data, to_json

EXPERIMENT = get_experiment("growth")
CORPUS = load_corpus("growth", EXPERIMENT.__module__.rpartition(".")[0])
CLAIMS = {claim.id.rpartition(".")[2]: claim for claim in all_claims().values() if claim.needs == (Need("growth"),)}
TINY = Setup(
    replace(ARCHITECTURE, width=16, heads=2), rows=4, window_tokens=12, held_out_share=0.2, weight_decay=0.01,
    gradient_norm=1.0, evaluate_every=3, prompts=arms.prompts(), completion_tokens=3,
)  # fmt: skip
TRAINING = Training(TINY, arms.uniform(16), learning_rate=1e-2, seed=3, text=CORPUS.digest)


def made(seed: int) -> GrowthModel:
    return GrowthModel(Architecture(50, 16, 2, (1, 2)), torch.Generator().manual_seed(seed))


def test_each_weight_moves_to_one_of_its_two_neighbours_at_random():
    drawn, rounded = made(0), made(0)
    round_otherwise(rounded, torch.Generator().manual_seed(1))
    shifts = []
    for before, after in zip(drawn.parameters(), rounded.parameters(), strict=True):
        up, down = (torch.nextafter(before, torch.tensor(end)) for end in (torch.inf, -torch.inf))
        assert ((after == up) | (after == down)).all()
        shifts.append((after == up).flatten())
    assert torch.cat(shifts).double().mean() == pytest.approx(0.5, abs=0.02)


def test_a_replica_begins_a_rounding_away_and_repeats_itself():
    def train(training: Training) -> tuple[Validation, ...]:
        return engine.train(training, CORPUS.sentences, torch.device("cpu"), lambda _: None).validations

    plain = train(TRAINING)
    first, second = (train(each) for each in replicas(TRAINING, 2))
    assert train(TRAINING) == plain
    assert train(replicas(TRAINING, 1)[0]) == first
    assert len({plain, first, second}) == 3
    for losses in (first, second):
        assert losses[-1].seen_nats == pytest.approx(plain[-1].seen_nats, rel=1e-4)


def test_replicas_differ_from_a_training_in_rounding_alone():
    made = replicas(TRAINING, 3)
    assert len({TRAINING, *made}) == 4
    assert {replace(each, rounding_seed=None) for each in made} == {TRAINING}
    assert {each.rounding_seed for each in made}.isdisjoint(
        each.rounding_seed for each in replicas(replace(TRAINING, seed=4), 3)
    )


def trained(unit: Training, seen: float, held_out: float) -> Trained:
    return Trained(1, unit.steps, unit.flops, 1.0, (Validation(unit.steps, seen, seen, held_out),), (), ())


def test_one_replica_counts_by_the_root_mean_square_over_the_square_root_of_two():
    (replica,) = replicas(TRAINING, 1)
    results = {TRAINING: trained(TRAINING, 2.0, 5.0), replica: trained(replica, 2.2, 4.9)}
    differences = np.log([2.2 / 2.0, 4.9 / 5.0])
    assert relative_error(results) == pytest.approx(np.sqrt(np.mean(differences**2)) / np.sqrt(2))


def test_the_error_is_that_of_one_training_however_many_replicas_there_are():
    rng = np.random.default_rng(0)
    for count in (1, 4):
        groups = [(each, *replicas(each, count)) for each in (replace(TRAINING, seed=seed) for seed in range(400))]
        results = {
            unit: trained(unit, *((1 + place) * np.exp(0.02 * rng.standard_normal(2))))
            for place, group in enumerate(groups)
            for unit in group
        }
        assert relative_error(results) == pytest.approx(0.02, rel=0.1)


def test_without_replicas_the_error_is_unknown():
    assert relative_error({TRAINING: trained(TRAINING, 2.0, 5.0)}) is None


def test_a_disturbed_training_ends_elsewhere_and_is_otherwise_the_same():
    validations = (Validation(2, 6.0, 6.0, 6.0), Validation(4, 2.0, 2.0, 5.0))
    result = replace(trained(TRAINING, 2.0, 5.0), validations=validations)
    rng = np.random.default_rng(0)
    moved = [result.disturbed(0.01, rng) for _ in range(2_000)]
    for of, true in (("seen_nats", 2.0), ("held_out_nats", 5.0)):
        relative = np.array([getattr(each.final, of) for each in moved]) / true - 1
        assert relative.std() == pytest.approx(0.01, rel=0.1)
        assert abs(relative.mean()) < 0.001
    seen, held_out = ([getattr(each.final, of) for each in moved] for of in ("seen_nats", "held_out_nats"))
    assert abs(np.corrcoef(seen, held_out)[0, 1]) < 0.1
    assert {replace(each, validations=()) for each in moved} == {replace(result, validations=())}
    assert {each.validations[0] for each in moved} == {validations[0]}
    assert result.disturbed(0.0, rng) == result


LOSSES = {"growth": 1.0, "uniform": 1.2, "growth_half": 1.6}


def run_on(store: Path) -> Run:
    """A run on a subject that can be asked for its device alone: no score can be had of it."""
    run = Run(Options(profile=Profile.QUICK), store=Store(store))
    run.__dict__["subject"] = SimpleNamespace(
        record=SubjectRecord("x", "digest", "X", 4, 1, (), (), None, ""), device=torch.device("cpu"), device_name="",
        dtype="float32", attention="eager", threads=1, instructions="AVX2", read_by=None,
        measuring=nullcontext,
    )  # fmt: skip
    return run


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[float], Run]:
    """A run whose arms lie apart as planned, some per mille from seed to seed, and replicas apart by a share."""
    config = EXPERIMENT.configure(Profile.QUICK, None)
    arm_of = {
        arms.growth(config.full_steps): "growth",
        arms.growth(config.half_steps): "growth_half",
        arms.uniform(config.full_steps): "uniform",
    }

    def planted_run(error: float) -> Run:
        def train(training: Training, *_: Any) -> Trained:
            spread = 0.002 * generator(training.seed, repr(training.phases)).standard_normal()
            loss = LOSSES[arm_of[training.phases]] * (1 + spread)
            if training.rounding_seed is not None:
                loss *= np.exp(error * 2**0.5)
            return replace(
                trained(training, loss, loss), completions=("",) * len(config.setup.prompts),
                ended=(True,) * len(config.setup.prompts),
            )  # fmt: skip

        monkeypatch.setattr(engine, "train", train)
        return run_on(tmp_path / str(error))

    return planted_run


def verdict(run: Run, claim: str) -> Verdict:
    return run.judge(CLAIMS[claim])


DECIDED = {"lower-loss": VerdictWord.SUPPORTED, "half-budget": VerdictWord.REFUTED, "held-out": VerdictWord.SUPPORTED}


@pytest.mark.parametrize("claim", DECIDED)
def test_what_rounding_could_decide_is_inconclusive_and_what_it_could_not_is_decided(claim: str, planted):
    little, much = (verdict(planted(error), claim) for error in (1e-4, 0.1))
    assert little.word is DECIDED[claim]
    assert much.word is VerdictWord.INCONCLUSIVE
    assert much.reason == "within numerical error of the criterion"
    assert (much.value, much.interval95) == (little.value, little.interval95)
    assert little.numerical_error is not None
    assert much.numerical_error is not None
    assert 0 < little.numerical_error.value < 1e-3
    assert 0.05 < much.numerical_error.value < 0.5


def test_the_error_is_measured_and_no_score_is_asked_for(planted):
    run = planted(0.03)
    measured = run.measure(Need("growth"))
    assert isinstance(measured, GrowthMeasurement)
    assert measured.relative_error == pytest.approx(0.03)
    assert [each.name for each in measured.replicas] == ["growth", "uniform"]
    assert {len(each.runs) for each in measured.arms} == {measured.config.seeds}
    assert from_json(GrowthMeasurement, to_json(measured)) == measured
    found = {claim.id: run.judge(claim) for claim in CLAIMS.values()}
    assert set(run.measurements) == {Need("growth")}
    assert rests_on(found, all_claims()) == [Need("growth")]


def test_what_rests_on_scores_rests_on_their_noise_floor_as_well():
    scored = next(claim for claim in all_claims().values() if claim.needs == (Need("ablation"),))
    found = verdict_with_error(scored)
    assert rests_on({scored.id: found}, all_claims()) == [Need("ablation"), NOISE_FLOOR]


def verdict_with_error(claim: Claim) -> Verdict:
    from anatomy_bench.claim.claim import NumericalError

    return Verdict(claim.id, VerdictWord.SUPPORTED, 1.0, numerical_error=NumericalError(0.1, 0.1, 0.1))


def test_counted_figures_are_exact_whatever_rounding_does(planted):
    for claim in ("half-budget-steps", "time"):
        found = verdict(planted(0.1), claim)
        assert found.word is VerdictWord.SUPPORTED
        assert found.numerical_error is not None
        assert found.numerical_error.value == 0


@pytest.mark.parametrize("profile", Profile)
def test_replicas_are_units_like_any_other(profile: Profile, tmp_path: Path):
    run = Run(Options(profile=profile), store=Store(tmp_path))
    run.__dict__["subject"] = run_on(tmp_path).subject
    task = run.task(Need("growth"))
    repeated = [unit for unit in task.units if unit.rounding_seed is not None]
    assert repeated == list(task.units[-len(repeated) :])  # a run that is cut short has its arms first
    assert len(repeated) == 2 * task.config.replicas == 2
    keys = [str(task.key(job)) for job in task.jobs]
    assert len(set(keys)) == len(keys) == len(task.units)
    assert pickle.loads(pickle.dumps(task.units)) == task.units
    assert [from_data(Training, to_data(unit)) for unit in repeated] == repeated
    size, text = ModelSize(*(1,) * len(ModelSize.__dataclass_fields__)), task.setting.corpus
    for unit in repeated:
        assert EXPERIMENT.cost((unit,), size, text) == EXPERIMENT.cost((replace(unit, rounding_seed=None),), size, text)


def test_a_report_says_how_far_rounding_moves_the_losses(planted):
    run = planted(0.03)
    claim = CLAIMS["lower-loss"]
    found = {claim.id: run.judge(claim)}
    told = markdown_report(make_ledger(all_findings(), found, run.measurements, run.options))
    assert "Losses of growth are off by a relative 3.0e-02" in told
    assert "Scores differ" not in told
    assert "within numerical error of the criterion" in markdown_report(
        make_ledger(all_findings(), {claim.id: planted(0.1).judge(claim)}, run.measurements, run.options)
    )
