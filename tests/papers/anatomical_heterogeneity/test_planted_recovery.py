"""Recovery claims on recoveries that are planted: what each layer's curve is, is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from ledgers import PROVENANCE

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need, NotApplicable, Verdict, VerdictWord, judge
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, Setting
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import PAPER_RECOVERY, recovery_layers
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryUnit, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine import batched
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery import table5
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.budget import recovery_budget
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import degradation_percent
from anatomy_bench.registry import all_claims, get_experiment, get_finding
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.values.measurement import CorpusRecord, SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import from_json, to_json

S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip
SENTENCES, TOKENS, BASELINE = 10, 20, 22.6
WOBBLE = np.random.default_rng(0).standard_normal(SENTENCES)


def setting(layers: int = 30, sentences: int = SENTENCES, seed: int = 0) -> Setting:
    return Setting(
        SubjectRecord("x", "", "X", layers, 0, (), (), None, ""),
        CorpusRecord("ten", "", sentences, sentences * TOKENS, (TOKENS,) * sentences),
        replace(PROVENANCE, profile="paper", seed=seed),
    )


def nll(perplexity: float, spread: float = 0.02, sentences: int = SENTENCES) -> tuple[float, ...]:
    """Of each sentence, about that perplexity; `spread` nats a token apart."""
    wobble = WOBBLE[:sentences] - WOBBLE[:sentences].mean()
    return tuple((TOKENS * (np.log(perplexity) + spread * wobble)).tolist())


INTACT = Finished(SentenceScores(nll(BASELINE, 0.0)), 0.0)


def paper_curve(layer: int, steps: int = 200, deviations: float = 0.5) -> list[float]:
    """From Table 5's noised perplexity by a straight line to 1.1 times the baseline at its step, and on to the end."""
    row = table5()[layer]
    start, end, crossing = (
        float(row["noise_perplexity"]), float(row["final_perplexity"]), int(row["steps_below"]["1.1"]),
    )  # fmt: skip
    if not deviations:
        return [BASELINE * 0.99] * (steps + 1)
    bound = 1.1 * BASELINE
    xs = [0, 200] if crossing in (0, 200) else [0, crossing - 0.5, 200]
    ys = [start, end] if crossing in (0, 200) else [start, bound, min(end, bound * 0.99)]
    return np.interp(np.arange(steps + 1), xs, ys).tolist()


def recovery(curve=paper_curve, profile: Profile = Profile.PAPER, spread: float = 0.02, layers: int = 30, **changes):
    experiment, made = get_experiment("recovery"), setting(layers)
    config = replace(experiment.configure(profile, None), resamples=200, **changes)
    finished = {Intact(): INTACT}
    for unit in experiment.units(made, config):
        if isinstance(unit, RecoveryUnit):
            states = curve(unit.start.layer, config.steps, unit.start.deviations)
            # Sentences grow apart while a noised layer is trained: its change is not the same in all of them.
            apart = spread * np.linspace(1, 2, len(states)) * (unit.start.deviations > 0)
            result = TrainedLayer(tuple(map(nll, states, apart)), (1.0,) * config.steps)
            finished[unit] = Finished(result, 0.5)
    return experiment.assemble(made, config, finished)


def perturbation(perplexity, spread: float = 0.02, between: float = 0.02, layers: tuple[int, ...] | None = None):
    experiment, made = get_experiment("perturbation"), setting()
    config = replace(experiment.configure(Profile.PAPER, layers), resamples=200)
    units = experiment.units(made, config)
    finished = {
        unit: Finished(SentenceScores(nll(perplexity * np.exp(between * (-1) ** index), spread)), 0.1)
        for index, unit in enumerate(units)
    }
    return experiment.assemble(made, config, finished | {Intact(): INTACT})


def ablation(percents: dict[int, float], layers: int = 30):
    experiment, made = get_experiment("ablation"), setting(layers)
    config = experiment.configure(Profile.QUICK, None)
    finished = {Intact(): INTACT}
    for unit in experiment.units(made, config)[1:]:
        damaged = BASELINE * (1 + percents.get(unit.layer, 20.0) / 100)
        finished[unit] = Finished(SentenceScores(nll(damaged)), 0.1)
    return experiment.assemble(made, config, finished)


def verdict(name: str, *measurements, layers: int = 30) -> Verdict:
    return judge(all_claims()[f"anatomical-heterogeneity.recovery.{name}"], layers, measurements)


def word(name: str, *measurements, layers: int = 30) -> VerdictWord:
    return verdict(name, *measurements, layers=layers).word


def flat(perplexity: float):
    return lambda layer, steps, deviations: [perplexity] * (steps + 1)


def straight(start: float, end: float):
    return lambda layer, steps, deviations: np.linspace(start, end, steps + 1).tolist()


ANTI = ["l14-noise", "l17-noise", "l14-noise-wide", "l17-noise-wide"]


@pytest.mark.parametrize("name", ANTI)
def test_noise_improves_worsens_or_neither(name: str):
    assert word(name, perturbation(18.0)) is S
    assert word(name, perturbation(30.0)) is R
    assert word(name, perturbation(BASELINE)) is INC
    assert word(name, perturbation(BASELINE * 0.99, between=0.2)) is INC  # noises disagree
    assert "noises" in verdict(name, perturbation(18.0)).note


def test_table_5_itself_says_what_the_paper_says_and_what_it_does_not():
    measured = recovery()
    assert [
        word(name, measured) for name in ("l14-trained", "l17-trained", "l11-unrecovered", "l3-no-convergence")
    ] == [S] * 4
    assert verdict("l11-unrecovered", measured).value == pytest.approx(175.9 / 22.6)
    assert word("instant", measured) is R
    assert verdict("instant", measured).value == 150
    assert word("budget-saving", measured) is R
    importance = ablation(degradation_percent())
    # Not the same number: layer 5 starts below the threshold that Table 5 has it cross after 10 steps.
    for name in ("speed-tracks-importance", "speed-beyond-start"):
        published = all_claims()[f"anatomical-heterogeneity.recovery.{name}"].published
        assert verdict(name, measured, importance).value == pytest.approx(published, abs=0.05)


def test_the_budget_of_table_5_layer_by_layer():
    budget = recovery_budget(recovery())
    ratios = {share.layer: share.ratio for share in budget.shares}
    assert [ratios[layer] for layer in (14, 23, 24, 11)] == pytest.approx([0, 0.75, 0.55, 1])
    assert budget.saved_percent == pytest.approx(100 * (1 - sum(ratios.values()) / len(ratios)))
    assert all(share.interval95.low <= share.ratio <= share.interval95.high for share in budget.shares)


def test_a_model_that_recovers_at_once_refutes_what_is_said_of_slow_layers():
    measured = recovery(lambda layer, steps, deviations: [60.0, 50.0] + [BASELINE * 1.05] * (steps - 1))
    assert [word(name, measured) for name in ("l11-unrecovered", "l3-no-convergence", "l14-trained")] == [R] * 3
    assert [word(name, measured) for name in ("instant", "budget-saving")] == [S] * 2
    assert word("l14-noise-helps-training", measured) is INC  # both ways end alike


@pytest.mark.parametrize("layer", [14, 17])
def test_noise_that_helps_training_is_told_from_training_that_helps(layer: int):
    def ends(noised: float, intact: float):
        return recovery(lambda _, steps, deviations: [noised if deviations else intact] * (steps + 1))

    name = f"l{layer}-noise-helps-training"
    assert word(name, ends(18.0, 21.0)) is S
    assert word(name, ends(21.0, 18.0)) is R
    assert word(f"l{layer}-trained", ends(21.0, 18.0)) is S


def test_at_the_threshold_nothing_is_decided():
    at_double = recovery(flat(2 * BASELINE), spread=0.2)
    assert word("l11-unrecovered", at_double) is INC
    assert word("l14-trained", recovery(flat(BASELINE), spread=0.2)) is INC
    assert word("l3-no-convergence", recovery(straight(30.0, 27.0), spread=0.2)) is INC
    assert word("instant", recovery(down_to(1.2, 0.95, 24), spread=0.2)) is INC
    assert word("budget-saving", recovery(down_to(1.2, 1.0, 200), spread=0.2)) is INC


def down_to(first: float, last: float, steps_down: int):
    """By a straight line from one multiple of the baseline to another."""
    return lambda layer, steps, deviations: [
        BASELINE * (first + (last - first) * min(step / steps_down, 1.0)) for step in range(steps + 1)
    ]


def by_importance(slow_if_important: bool, worse_start: bool = False):
    """Steps to recover follow layer numbers, up or down."""

    def curve(layer: int, steps: int, deviations: float) -> list[float]:
        crossing = 5 * layer + 5 if slow_if_important else 160 - 5 * layer
        start = BASELINE * (2 + (crossing / 100 if worse_start else (layer * 7 % 13) / 10))
        return [start if step < crossing else BASELINE for step in range(steps + 1)]

    return curve


CORRELATIONS = ["speed-tracks-importance", "speed-tracks-skip", "speed-on-scored"]


def test_speed_that_follows_importance_is_told_from_speed_that_follows_the_start():
    importance = ablation({layer: 10.0 * layer + 1 for layer in range(30)})
    follows, opposes = recovery(by_importance(True)), recovery(by_importance(False))
    assert [word(name, follows, importance) for name in (*CORRELATIONS, "speed-beyond-start")] == [S] * 4
    assert [word(name, opposes, importance) for name in (*CORRELATIONS, "speed-beyond-start")] == [R] * 4
    # Where the start ranks as the steps do, nothing is left to tell beyond it.
    assert word("speed-beyond-start", recovery(by_importance(True, worse_start=True)), importance) is INC
    unrelated = ablation({layer: float(layer * 11 % 17) for layer in range(30)})
    assert word("speed-tracks-importance", follows, unrelated) is INC


def test_layers_that_never_recover_rank_last_and_alike():
    measured = recovery(flat(99.0))
    assert {each.steps_below["1.1"] for each in measured.recoveries if each.deviations} == {None}
    found = verdict("speed-tracks-importance", measured, ablation({}))
    assert found.word is INC
    assert "13 did not recover" in found.note


def test_fewer_steps_than_the_papers_leave_open_what_more_would_do():
    importance = ablation({layer: 10.0 * layer + 1 for layer in range(30)})
    short = recovery(flat(99.0), Profile.QUICK)
    for name in ("l11-unrecovered", "l3-no-convergence", "budget-saving", "l14-trained"):
        assert word(name, short) is INC
        assert "15 of the paper's 200 steps" in verdict(name, short).note
    assert word("instant", short) is R  # 15 steps are more than 10
    assert verdict("budget-saving", short).interval95.low == pytest.approx(0)
    assert verdict("budget-saving", short).interval95.high == pytest.approx(92.5)
    assert [word(name, short, importance) for name in ("speed-tracks-importance", "speed-beyond-start")] == [INC] * 2
    assert word("speed-on-scored", short, importance) is NA
    assert word("l14-noise-helps-training", short) is NA
    assert word("l11-unrecovered", recovery(flat(30.0), Profile.QUICK)) is R


def test_another_depth_is_asked_of_no_layer_by_number():
    named = [claim.id.rpartition(".")[2] for claim in get_finding("recovery").claims if claim.applies(12)]
    assert len(named) == 11
    measured = recovery(lambda layer, steps, deviations: [99.0] * 50 + [BASELINE] * (steps - 49), layers=12)
    assert word("budget-saving", measured, layers=12) is S
    few = recovery(flat(99.0), layers=3)
    assert word("speed-tracks-importance", few, ablation({}, 3), layers=3) is NA
    assert isinstance(
        all_claims()["anatomical-heterogeneity.recovery.speed-beyond-start"].estimate(few, ablation({}, 3)),
        NotApplicable,
    )


def test_layers_that_noise_does_not_hurt_have_nothing_to_recover_from():
    unhurt, importance = recovery(flat(BASELINE)), ablation({})
    assert word("budget-saving", unhurt) is NA  # saving all of what nobody needs would hold of any untrained model
    for name in ("speed-tracks-importance", "speed-tracks-skip", "speed-on-scored", "speed-beyond-start"):
        assert "nothing to recover" in verdict(name, unhurt, importance).reason


def test_tested_layers_are_the_papers_or_spread_over_the_depth():
    assert set(recovery_layers(30)) == set(PAPER_RECOVERY) == set(table5())
    assert recovery_layers(4) == (0, 1, 2, 3)
    assert len(set(recovery_layers(80))) == 13
    assert (recovery_layers(80)[0], recovery_layers(80)[-1]) == (0, 79)


def test_layers_that_the_model_lacks_are_refused():
    for name in ("recovery", "perturbation"):
        experiment = get_experiment(name)
        with pytest.raises(UsageError, match="no layer 6"):
            experiment.units(setting(6), experiment.configure(Profile.QUICK, (6,)))


def test_the_first_noises_are_the_same_in_both_experiments_and_profiles():
    made = setting(seed=5)
    noised, trained = get_experiment("perturbation"), get_experiment("recovery")
    scored = set(noised.units(made, noised.configure(Profile.QUICK, None)))
    for profile in Profile:
        units = trained.units(made, trained.configure(profile, None))
        assert {unit.start for unit in units[1:] if unit.start.deviations} <= scored


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch):
    """The experiment, with as few steps as show anything."""
    experiment = get_experiment("recovery")
    configure = experiment.configure
    monkeypatch.setattr(
        experiment, "configure",
        lambda profile, layers: replace(configure(profile, layers), steps=2, draws=2, draws_of_scored_text=1),
    )  # fmt: skip
    return experiment


def test_a_killed_run_goes_on_with_the_loops_it_has_not_finished(tmp_path: Path, few_steps, monkeypatch):
    options = Options(model=str(tiny.save(tmp_path, tiny.model("opt", layers=3))), device="cpu", allow_untrained=True)
    loops: list[int] = []
    recover = batched.recover

    def killed_in_the_second(*args, **others):
        if len(loops) == 1:
            raise KeyboardInterrupt
        loops.append(len(args[3]))
        return recover(*args, **others)

    monkeypatch.setattr(batched, "recover", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        Run(options).measure(Need("recovery"))
    resumed: list[int] = []
    monkeypatch.setattr(
        batched, "recover", lambda *args, **others: resumed.append(len(args[3])) or recover(*args, **others)
    )
    measured = Run(options).measure(Need("recovery"))
    assert (loops, resumed) == ([2], [2, 2])
    assert len(measured.recoveries) == 6
    assert from_json(type(measured), to_json(measured)) == measured
    headers, rows = measured.table()
    assert all(len(row) == len(headers) for row in rows)
    scored = [each for each in measured.recoveries if each.text == "scored"]
    assert all(each.perplexity[-1] < each.perplexity[0] for each in scored)


def test_a_perturbation_survives_json(tmp_path: Path):
    tiny.save(tmp_path, tiny.model("opt", layers=4))
    measured = Run(Options(model=str(tmp_path), device="cpu", allow_untrained=True)).measure(Need("perturbation"))
    assert from_json(type(measured), to_json(measured)) == measured
    headers, rows = measured.table()
    assert len(rows) == 16
    assert all(len(row) == len(headers) for row in rows)
    with pytest.raises(KeyError):
        measured.layer(9)
