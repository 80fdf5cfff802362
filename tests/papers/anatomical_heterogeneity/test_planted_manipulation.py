"""Manipulation claims on models where it is known what each strategy does to the loss."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy
import tiny
from ledgers import PROVENANCE
from planted import DUMMIES, LAYERS, NO_NEIGHBOUR, gated_model, judge, unpredictable

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.experiments.experiment import Setting
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import (
    PAPER_ANTI_LAYERS,
    PAPER_REDUNDANT,
    interior_size,
    random_interior,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import nearest_others
from anatomy_bench.papers.anatomical_heterogeneity.findings.manipulation.estimates import table4
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import categories
from anatomy_bench.registry import get_experiment, get_finding
from anatomy_bench.values.measurement import SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import from_json, to_json

S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip
FINDING = get_finding("manipulation")
CLAIMS = [claim.id for claim in FINDING.claims]
REPLICATIONS = [
    "scale-0-9", "skip", "clone", "blend", "low-rank-blend", "scale-0-7", "scale-0-5", "scale-0", "only-viable",
    "monotone", "two-layers",
]  # fmt: skip
INTERIOR = ["interior-skip", "interior-clone", "interior-blend", "interior-low-rank-blend"]
ANY_LAYERS = ["random-scale-0-9", "every-layer-scale-0-9"]
NOISES = ["noise", "noise-over-scaling", "every-layer-noise-over-scaling"]
OTHERS = [layer for layer in range(LAYERS) if layer not in (*PAPER_REDUNDANT, NO_NEIGHBOUR)]


def words(model, folder: Path, **options):
    verdicts = judge(model, folder, *CLAIMS, **options)
    found = {claim.rpartition(".")[2]: verdict.word for claim, verdict in verdicts.items()}
    return found, conclude(FINDING, list(verdicts.values()))


def only(found, *names: str):
    return {name: found[name] for name in names}


def anti_layers_write(each: float) -> dict[int, float]:
    return {layer: each if layer in PAPER_ANTI_LAYERS else 0.2 for layer in PAPER_REDUNDANT[1:-1]}


def test_where_few_layers_carry_much_table_4_holds_and_what_survives_is_nothing_special(tmp_path: Path):
    """Scaling by 0.9 takes 27 % of what they write and leaves enough; all else takes nearly all of it."""
    found, conclusion = words(gated_model(anti_layers_write(6.0), total=6.2), tmp_path)
    assert only(found, *REPLICATIONS, *INTERIOR) == dict.fromkeys((*REPLICATIONS, *INTERIOR), S)
    assert only(found, *ANY_LAYERS, *NOISES) == dict.fromkeys((*ANY_LAYERS, *NOISES), R)
    assert found["random-skip"] is R  # these are the layers that matter,
    assert found["measured-only-viable"] is R  # and not those that are redundant here
    assert conclusion is Conclusion.PARTLY_REPRODUCED


def test_where_only_the_first_and_last_layers_carry_anything_they_alone_do_the_damage(tmp_path: Path):
    found, _ = words(gated_model({0: 6.5, 29: 6.5}, total=6.2), tmp_path)
    replications = [name for name in REPLICATIONS if name != "two-layers"]
    assert only(found, *replications) == dict.fromkeys(replications, S)
    assert only(found, "two-layers", *INTERIOR) == dict.fromkeys(("two-layers", *INTERIOR), R)


def test_where_redundant_layers_write_nothing_no_strategy_destroys_the_model(tmp_path: Path):
    found, conclusion = words(gated_model(dict.fromkeys(OTHERS, 8.0), total=6.2), tmp_path)
    destroys = ["skip", "scale-0-7", "scale-0-5", "scale-0", "only-viable", "written-scale-0-5", "interior-skip"]
    assert only(found, *destroys) == dict.fromkeys(destroys, R)
    # It is all others that matter, and they survive neither scaling nor skipping.
    assert only(found, "scale-0-9", *ANY_LAYERS, "random-skip") == dict.fromkeys(
        ("scale-0-9", *ANY_LAYERS, "random-skip"), S
    )
    assert conclusion is Conclusion.PARTLY_REPRODUCED


def test_neighbours_that_write_the_same_replace_a_layer_without_loss(tmp_path: Path):
    alike = dict.fromkeys(range(LAYERS), 1.0)
    found, _ = words(gated_model({**alike, NO_NEIGHBOUR: 1.0}, total=6.2), tmp_path)
    names = ["clone", "blend", "low-rank-blend", "only-viable", *INTERIOR[1:]]
    assert only(found, *names) == dict.fromkeys(names, R)


def test_where_layers_carry_too_much_not_even_gentle_scaling_survives(tmp_path: Path):
    found, conclusion = words(gated_model(anti_layers_write(20.0), total=6.2), tmp_path)
    assert found["scale-0-9"] is R
    assert found["written-scale-0-5"] is S
    assert conclusion is Conclusion.PARTLY_REPRODUCED


def test_layers_that_write_against_the_others_are_better_scaled_down(tmp_path: Path):
    found, _ = words(gated_model(anti_layers_write(-2.0), total=1.0), tmp_path)
    assert found["monotone"] is R
    assert found["skip"] is R


def test_noise_destroys_where_matrices_are_large_for_nothing_that_the_head_reads(tmp_path: Path):
    ballast = {layer: 300.0 * (-1) ** position for position, layer in enumerate(PAPER_REDUNDANT)}
    found, _ = words(gated_model({}, total=6.2, ballast=ballast), tmp_path)
    assert only(found, *NOISES) == dict.fromkeys(NOISES, S)
    assert found["scale-0-9"] is S


SPREAD = 0.1


def nll_nats(total: float) -> float:
    """Mean over the tokens of `ten`, of a gated model of that total and `SPREAD`."""
    real = np.exp(total * (1 + SPREAD * unpredictable())).sum()
    return float(np.log(real + DUMMIES) - total)


def both_at_their_thresholds() -> tuple[float, float]:
    """Write and total at which scaling it by 0.9 costs 50 %, and losing it 1,000 %."""

    def misses(write_and_total):
        write, total = write_and_total
        intact, scaled, lost = map(nll_nats, (total, total - (1 - 0.9**3) * write, total - write))
        return scaled - intact - np.log(1.5), lost - intact - np.log(11)

    write, total = scipy.optimize.fsolve(misses, (4.0, 3.0))
    return float(write), float(total)


def test_damage_at_the_thresholds_is_inconclusive(tmp_path: Path):
    write, total = both_at_their_thresholds()
    found, _ = words(gated_model(dict.fromkeys(PAPER_ANTI_LAYERS, write / 2), total, noise=SPREAD), tmp_path)
    at_threshold = [
        "scale-0-9", "skip", "clone", "blend", "low-rank-blend", "scale-0", "two-layers", *INTERIOR,
        "every-layer-scale-0-9",
    ]  # fmt: skip
    assert only(found, *at_threshold) == dict.fromkeys(at_threshold, INC)
    assert found["only-viable"] is S


MEASURED = ["measured-scale-0-9", "measured-only-viable", "measured-interior-only-viable"]
FEEDING = range(2, 12)
AGAINST = 4.0


def redundant_layers_write(together: float, total: float, noise: float = 0.05):
    """Ten layers write so much together and alike, so that averaging one of them away costs little.

    Layers 26 and 28 write against them, and are not redundant: tokens come apart without them. Nor is 27 between them.
    """
    each = together / len(FEEDING)
    return gated_model({**dict.fromkeys(FEEDING, each), 26: -AGAINST, 28: -AGAINST}, total, noise)


def test_what_is_redundant_alone_is_not_so_together(tmp_path: Path):
    found, _ = words(redundant_layers_write(24.0, total=12.0), tmp_path)
    assert only(found, *MEASURED) == dict.fromkeys(MEASURED, S)


def test_redundant_layers_that_carry_too_much_together_do_not_survive_scaling(tmp_path: Path):
    found, _ = words(redundant_layers_write(40.0, total=6.2), tmp_path)
    assert only(found, *MEASURED) == {**dict.fromkeys(MEASURED, S), "measured-scale-0-9": R}


def test_redundant_layers_that_carry_nothing_survive_everything(tmp_path: Path):
    found, _ = words(redundant_layers_write(0.0, total=6.2), tmp_path)
    assert only(found, *MEASURED) == {**dict.fromkeys(MEASURED, R), "measured-scale-0-9": S}


@pytest.mark.parametrize(("alpha", "undecided"), [(0.9, MEASURED[:1]), (0.7, MEASURED[1:])])
def test_redundant_layers_at_the_threshold_decide_nothing(alpha: float, undecided: list[str], tmp_path: Path):
    total = 6.0

    def miss(together):
        return nll_nats(total - (1 - alpha**3) * float(together[0])) - nll_nats(total) - np.log(1.5)

    (together,) = scipy.optimize.fsolve(miss, [6.0])
    found, _ = words(redundant_layers_write(float(together), total, noise=SPREAD), tmp_path)
    assert only(found, *undecided) == dict.fromkeys(undecided, INC)


def test_where_no_layer_is_redundant_or_every_layer_is_there_is_nothing_to_ask(tmp_path: Path):
    swinging = {layer: 9.0 * (-1) ** layer for layer in range(LAYERS)}
    none, _ = words(gated_model(swinging, total=0.0, noise=0.3), tmp_path / "none")
    assert only(none, *MEASURED) == dict.fromkeys(MEASURED, NA)
    every, _ = words(gated_model({}, total=0.0), tmp_path / "every")
    assert only(every, *MEASURED[:2]) == dict.fromkeys(MEASURED[:2], NA)


def test_random_sets_that_hit_or_miss_one_vital_layer_decide_nothing(tmp_path: Path):
    found, _ = words(gated_model({9: 30.0, 10: 30.0}, total=6.2), tmp_path)
    assert found["random-scale-0-9"] is found["random-skip"] is INC


def test_noise_and_scaling_that_cost_nothing_cannot_be_told_apart(tmp_path: Path):
    found, _ = words(gated_model({}, total=0.0, noise=1.0), tmp_path)
    assert found["noise-over-scaling"] is INC


def test_another_depth_is_asked_of_every_layer_random_ones_and_its_own_redundant_ones(tmp_path: Path):
    found, _ = words(tiny.model("gpt2", layers=5), tmp_path)
    asked = [*ANY_LAYERS, *MEASURED, "every-layer-noise-over-scaling"]
    assert NA not in only(found, *asked).values()
    assert {word for name, word in found.items() if name not in asked} == {NA}


def test_one_sentence_has_no_interval_and_decides_nothing(tmp_path: Path):
    corpus = tmp_path / "one.txt"
    corpus.write_text("The capital of France is Paris.\n")
    found, _ = words(gated_model(anti_layers_write(6.0), total=6.2), tmp_path / "model", corpus=corpus)
    assert set(found.values()) == {INC}


def test_sets_are_the_papers():
    assert tuple(layer for layer, name in categories().items() if name == "Redundant") == PAPER_REDUNDANT
    assert all(NO_NEIGHBOUR not in nearest_others(layer, PAPER_REDUNDANT, LAYERS, 4) for layer in PAPER_REDUNDANT)
    assert len(table4()) == 8


@pytest.mark.parametrize("layer_count", [3, 4, 12, 30, 80])
def test_random_sets_are_interior_and_follow_the_seed(layer_count: int):
    drawn = random_interior(layer_count, 20, np.random.default_rng(3))
    assert drawn == random_interior(layer_count, 20, np.random.default_rng(3))
    for layers in drawn:
        assert len(set(layers)) == interior_size(layer_count)
        assert min(layers) > 0
        assert max(layers) < layer_count - 1
    assert interior_size(30) == 7


def setting_of(layers: int, seed: int = 0) -> Setting:
    subject = SubjectRecord("x", "", "X", layers, 0, ("mlp.up_proj", "mlp.down_proj"), (), None, "")
    return Setting(subject, None, replace(PROVENANCE, seed=seed))


def test_given_layers_are_the_only_set():
    experiment = get_experiment("manipulation")
    units = experiment.units(setting_of(6), experiment.configure(Profile.QUICK, (3, 1, 3)))
    assert {unit.touched for unit in units} == {(), (1, 3)}
    with pytest.raises(UsageError, match="no layer 6"):
        experiment.units(setting_of(6), experiment.configure(Profile.QUICK, (6,)))


def test_the_seed_decides_random_sets_and_noises_and_nothing_else():
    experiment = get_experiment("manipulation")
    config = experiment.configure(Profile.PAPER, None)
    first, again, other = (set(experiment.units(setting_of(30, seed), config)) for seed in (0, 0, 1))
    assert first == again
    assert {unit.kind for unit in first - other} == {"noise", "skip_all", "scale"}
    assert {unit for unit in first & other if unit.kind == "noise"} == set()


def test_a_measurement_survives_json(tmp_path: Path):
    from anatomy_bench.claim.claim import Need
    from anatomy_bench.run.options import Options
    from anatomy_bench.run.run import Run

    tiny.save(tmp_path, tiny.model("opt", layers=4))
    measured = Run(Options(model=str(tmp_path), device="cpu", allow_untrained=True)).measure(Need("manipulation"))
    assert from_json(type(measured), to_json(measured)) == measured
    headers, rows = measured.table()
    assert all(len(row) == len(headers) for row in rows)
    with pytest.raises(KeyError):
        measured.layer_set("paper")
