"""Growth claims on trainings whose outcome is known, and runs that stop half-way."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ledgers import PROVENANCE

from anatomy_bench.claim.claim import Need, VerdictWord, judge
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.experiments.experiment import Finished, Setting
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import GrowthConfig, GrowthMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained, Training, Validation
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.registry import get_experiment, get_finding
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.measurement import SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import from_json, to_json

S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip
FINDING = get_finding("growth")
EXPERIMENT = get_experiment("growth")
SUBJECT = SubjectRecord("x", "digest", "X", 4, 1, (), (), None, "")
SENTENCES = growth_corpus().sentences
PROMPTS = EXPERIMENT.configure(Profile.PAPER, None).setup.prompts
# Losses in nats a token as the paper prints them, and controls that leave its explanation standing.
PAPER_LOSSES = {
    "growth": 0.127, "growth_half": 0.279, "uniform": 0.599, "uniform_equal_compute": 0.8, "uniform_restarted": 0.55,
    "growth_fresh": 0.4, "growth_all_running": 0.13, "growth_embedding_frozen": 0.14,
}  # fmt: skip
LITTLE, MUCH = (0.98, 1.0, 1.02), (0.2, 1.0, 5.0)


def completed(prompt: str, coherent: bool) -> str:
    rest = next(each for each in SENTENCES if each.startswith(prompt)).removeprefix(f"{prompt} ")
    return rest if coherent else f"{rest} with neurons"


def trained(
    training: Training, loss: float, *, held_out: float, work: float, coherent: int, parameters: int
) -> Trained:
    return Trained(
        parameters=parameters,
        steps=training.steps,
        flops=round(training.flops * work),
        seconds=51.0,
        validations=(Validation(training.steps, loss, loss, held_out),),
        completions=tuple(completed(prompt, index < coherent) for index, prompt in enumerate(PROMPTS)),
        ended=(True,) * len(PROMPTS),
    )


def planted(
    losses: dict[str, float],
    *,
    profile: Profile = Profile.PAPER,
    spread: Sequence[float] = LITTLE,
    held_out: dict[str, float] | None = None,
    work: dict[str, float] | None = None,
    coherent: dict[str, Sequence[int]] | None = None,
    best_rate: dict[str, float] | None = None,
    parameters: int = 9_570_048,
    seeds: int = 3,
) -> GrowthMeasurement:
    """A measurement with these losses, by arm; growth's vary over the seeds by `spread`, its variants' against it.

    `work` multiplies an arm's operations. At rates other than the default, arms lose 2 nats; or less at the rate
    `best_rate`, where it is a tenth.
    """
    config = replace(EXPERIMENT.configure(profile, None), seeds=seeds, replicas=0)
    finished: dict[Training, Finished] = {}
    for name, rate, trainings in plan(config):
        for index, training in enumerate(trainings):
            loss = losses[name] if rate == config.learning_rate else 2.0
            if (best_rate or {}).get(name) == rate:
                loss = losses[name] / 10
            if "growth" in name:
                loss *= spread[index] if name == "growth" else 1 / spread[index]
            result = trained(
                training,
                loss,
                held_out=(held_out or {}).get(name, losses[name]) * (1 + 0.01 * index * name.startswith("growth")),
                work=(work or {}).get(name, 1.0),
                coherent=(coherent or {}).get(name, (12, 12, 12))[index],
                parameters=parameters,
            )
            finished[training] = Finished(result, result.seconds)
    made = replace(PROVENANCE, profile=profile.value, dtype="bfloat16", attention="eager")
    return EXPERIMENT.assemble(Setting(SUBJECT, None, made), config, finished)


def plan(config: GrowthConfig):
    from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import _plan

    return [(name, rate, trainings) for (name, rate), trainings in _plan(config, 0).items()]


def words(measured: GrowthMeasurement):
    verdicts = [judge(claim, SUBJECT.layers, [measured]) for claim in FINDING.claims]
    return {each.claim.rpartition(".")[2]: each.word for each in verdicts}, conclude(FINDING, verdicts)


COHERENT = {"uniform": (9, 10, 10)}


def test_where_the_papers_numbers_hold_and_nothing_else_explains_them_the_finding_is_reproduced():
    found, conclusion = words(planted(PAPER_LOSSES | {"growth": 0.12}, coherent=COHERENT))
    assert found == dict.fromkeys(found, S)
    assert conclusion is Conclusion.REPRODUCED


def test_where_uniform_training_is_as_good_everything_that_says_otherwise_is_refuted():
    found, conclusion = words(
        planted(
            dict.fromkeys(PAPER_LOSSES, 0.1) | dict.fromkeys([n for n in PAPER_LOSSES if "growth" in n], 0.2),
            work={"growth": 1.8},
            coherent={"growth": (2, 2, 3), "uniform": (10, 10, 10)},
            parameters=9_000_000,
        )
    )
    kept = {"half-budget-steps": S, "cloning": INC}  # fresh layers are exactly as good as clones
    assert found == {**dict.fromkeys(found, R), **kept}
    assert conclusion is Conclusion.PARTLY_REPRODUCED


def test_where_seeds_differ_more_than_arms_nothing_is_decided_but_what_does_not_depend_on_them():
    found, conclusion = words(planted(PAPER_LOSSES, spread=MUCH, coherent={"growth": (12, 12, 8)}))
    steady = ("parameters", "half-budget-steps", "time", "held-out")
    assert found == {**dict.fromkeys(found, INC), **dict.fromkeys(steady, S)}
    assert conclusion is Conclusion.PARTLY_REPRODUCED


@pytest.mark.parametrize(
    ("claim", "losses"),
    [
        ("restarts", {"uniform_restarted": 0.06}),
        ("cloning", {"growth_fresh": 0.06}),
        ("equal-compute", {"uniform_equal_compute": 0.06}),
        ("all-running", {"growth_all_running": 0.9}),
        ("embedding-frozen", {"growth_embedding_frozen": 0.9}),
        ("half-budget", {"growth_half": 0.9}),
        ("improvement", {"uniform": 0.3}),
    ],
)
def test_each_arm_decides_the_claim_that_is_about_it(claim: str, losses: dict[str, float]):
    found, _ = words(planted(PAPER_LOSSES | {"growth": 0.12} | losses, coherent=COHERENT))
    assert found == {**dict.fromkeys(found, S), claim: R}


def test_a_baseline_that_only_wanted_another_learning_rate_explains_the_finding():
    found, conclusion = words(planted(PAPER_LOSSES | {"growth": 0.12}, coherent=COHERENT, best_rate={"uniform": 3e-4}))
    assert found == {**dict.fromkeys(found, S), "best-rate": R}
    assert conclusion is Conclusion.EXPLAINED_BY_CONTROL


def test_text_learnt_by_heart_is_no_validation():
    heart = {"growth": 6.0, "uniform": 5.0}
    found, conclusion = words(planted(PAPER_LOSSES | {"growth": 0.12}, coherent=COHERENT, held_out=heart))
    assert found == {**dict.fromkeys(found, S), "held-out": R}
    assert conclusion is Conclusion.EXPLAINED_BY_CONTROL


def test_the_quick_profile_does_not_ask_what_it_does_not_train():
    found, _ = words(planted(PAPER_LOSSES | {"growth": 0.12}, profile=Profile.QUICK, coherent=COHERENT))
    untrained = ("restarts", "cloning", "equal-compute", "best-rate", "all-running", "embedding-frozen")
    assert found == {**dict.fromkeys(found, S), **dict.fromkeys(untrained, NA)}


def test_verdicts_say_where_the_profile_cut_the_steps():
    claim = next(each for each in FINDING.claims if each.id == "anatomical-heterogeneity.growth.lower-loss")
    notes = [
        judge(claim, 4, [planted(PAPER_LOSSES, profile=profile)]).note for profile in (Profile.QUICK, Profile.PAPER)
    ]
    assert notes[0].endswith("; full budget cut from 656 to 82 steps")
    assert "cut" not in notes[1]


def test_a_single_seed_decides_nothing_that_varies():
    found, _ = words(planted(PAPER_LOSSES | {"growth": 0.12}, seeds=1))
    counted = {"parameters": S, "half-budget-steps": S, "time": S}
    assert found == {**dict.fromkeys(found, INC), **counted}


@pytest.mark.parametrize(
    ("completion", "ended", "is_coherent"),
    [("paris", True, True), ("paris", False, False), ("rome", True, False), ("", True, False)],
)
def test_a_completion_is_coherent_if_it_makes_a_sentence_of_the_text_and_ends(
    completion: str, ended: bool, is_coherent: bool
):
    from anatomy_bench.papers.anatomical_heterogeneity.findings.growth.estimates import coherent

    run = Trained(1, 1, 1, 1.0, (), (completion,), (ended,))
    assert coherent(run, ("the capital of france is",)) == is_coherent


def test_a_measurement_survives_json_and_says_what_it_was_made_with():
    measured = planted(PAPER_LOSSES)
    assert from_json(GrowthMeasurement, to_json(measured)) == measured
    headers, rows = measured.table()
    assert len(rows) == len(PAPER_LOSSES) + 4  # two arms at two more rates each
    assert all(len(row) == len(headers) for row in rows)
    assert measured.provenance.dtype == "float32"
    assert measured.corpus is not None
    assert measured.corpus.digest == growth_corpus().digest


def run_on(digest: str, store: Path) -> Run:
    run = Run(Options(profile=Profile.QUICK), store=Store(store))
    stub = SimpleNamespace(
        record=replace(SUBJECT, digest=digest), device=torch.device("cpu"), device_name=None, dtype="float32",
        attention="eager", threads=1, instructions="", read_by=None, measuring=nullcontext,
    )  # fmt: skip
    run.__dict__["subject"] = stub
    return run


@pytest.mark.usefixtures("tiny_growth")
def test_a_run_goes_on_where_it_was_stopped_and_serves_every_subject(tmp_path: Path, monkeypatch):
    from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine import training as engine

    begun: list[Training] = []
    whole = engine.train

    def counting(training: Training, *others):
        if len(begun) == 5:
            begun.append(training)
            raise KeyboardInterrupt
        begun.append(training)
        return whole(training, *others)

    monkeypatch.setattr(engine, "train", counting)
    with pytest.raises(KeyboardInterrupt):
        run_on("one", tmp_path).measure(Need("growth"))
    assert len(begun) == 6
    first = run_on("one", tmp_path).measure(Need("growth"))
    assert begun[6] == begun[5]
    assert len(begun) == 9  # the one that was stopped, and the two after it
    assert len(set(begun)) == 8
    assert {each.seed for each in begun[:4]} == {begun[0].seed}
    again = run_on("another", tmp_path).measure(Need("growth"))
    assert len(begun) == 9
    assert again.arms == first.arms


def seeded(subject: SubjectRecord, seed: int) -> Setting:
    return Setting(subject, None, replace(PROVENANCE, seed=seed))


def test_units_do_not_depend_on_the_subject_and_survive_pickling():
    import pickle

    config = EXPERIMENT.configure(Profile.PAPER, (1, 2))
    units = EXPERIMENT.units(seeded(SUBJECT, 5), config)
    assert units == EXPERIMENT.units(seeded(replace(SUBJECT, layers=30, digest="other"), 5), config)
    assert len(units) == len(set(units)) == 3 * (8 + 2 * 2) + 2
    assert pickle.loads(pickle.dumps(units)) == units
    assert {unit.seed for unit in units}.isdisjoint(unit.seed for unit in EXPERIMENT.units(seeded(SUBJECT, 6), config))
