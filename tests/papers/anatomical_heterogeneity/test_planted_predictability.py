"""Predictability claims on weights whose dependence on depth is known, and on predictions whose damage is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from planted import LAYERS, explained_model, judge, mispredicted_model, woven_model

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need, Verdict, VerdictWord
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment import chosen_layers
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import layer_coefficients
from anatomy_bench.papers.anatomical_heterogeneity.findings.predictability.r2_paradox import TABLE_2
from anatomy_bench.registry import get_experiment, get_finding
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.profile import Profile

FINDING = get_finding("predictability")
CLAIMS = [claim.id for claim in FINDING.claims]
TABLE = [claim.id.rpartition(".")[2] for claim in FINDING.claims[: len(TABLE_2)]]
S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip
BEYOND = ["beyond-mean-of-earlier", "beyond-independent-layers", "depends-on-order"]
DAMAGE = ["one-layer", "nine-layers", "high-r2-fails", "errors-compound", "any-one-layer", "nine-neighbours"]


def words(verdicts: dict[str, Verdict]) -> dict[str, VerdictWord]:
    return {claim.rpartition(".")[2]: verdict.word for claim, verdict in verdicts.items()}


def total_for(damage_percent: float) -> float:
    """The total of a writing model that costs so much (`planted.writes_for_damage`)."""
    return float(np.log(7 / (8 * (1 + damage_percent / 100) - 1)))


def damages(errors: np.ndarray, folder: Path, noise: float = 0.1) -> dict[str, VerdictWord]:
    return words(
        judge(
            mispredicted_model(errors, noise),
            folder,
            *(f"anatomical-heterogeneity.predictability.{name}" for name in DAMAGE),
        )
    )


def test_where_layers_are_explained_as_in_table_2_its_numbers_are_supported(tmp_path: Path):
    verdicts = judge(explained_model({name: mean for name, (mean, _) in TABLE_2.items()}), tmp_path, *CLAIMS)
    found = words(verdicts)
    assert {name: found[name] for name in (*TABLE, "order")} == dict.fromkeys((*TABLE, "order"), S)
    assert found["best"] is R  # v_proj is as unpredictable at each target as on average


def test_where_components_are_explained_the_other_way_round_their_order_is_refuted(tmp_path: Path):
    published = sorted(mean for mean, _ in TABLE_2.values())
    inverted = dict(zip(TABLE_2, published, strict=True))
    found = words(judge(explained_model(inverted), tmp_path, *CLAIMS))
    assert found["order"] is found["gate-proj"] is found["v-proj"] is R


def test_a_trend_over_depth_is_beyond_every_null_and_in_place(tmp_path: Path):
    found = words(judge(woven_model("trending"), tmp_path, *CLAIMS))
    assert [found[name] for name in (*BEYOND, "best", "weights-in-place", "sorted-beyond-mean")] == [S] * 6
    assert found["v-proj"] is R


def test_independent_layers_are_predictable_only_when_sorted(tmp_path: Path):
    verdicts = judge(woven_model("independent", width=64), tmp_path, *CLAIMS)
    found = words(verdicts)
    assert [found[name] for name in (*BEYOND, "best", "weights-in-place", "sorted-beyond-mean")] == [R] * 6
    assert INC not in {found[name] for name in TABLE[:-1]}
    assert "sorted +0.99" in verdicts["anatomical-heterogeneity.predictability.gate-proj"].note
    assert "sorted +0.99" in verdicts["anatomical-heterogeneity.predictability.weights-in-place"].note


def test_few_small_layers_are_inconclusive(tmp_path: Path):
    found = words(judge(woven_model("independent", layers=9, width=4), tmp_path, *CLAIMS))
    assert found["depends-on-order"] is found["order"] is INC
    assert found["nine-layers"] is found["nine-neighbours"] is found["errors-compound"] is found["high-r2-fails"] is NA


def test_too_shallow_a_model_says_so(tmp_path: Path):
    verdicts = judge(woven_model("independent", layers=4, width=4), tmp_path, *CLAIMS)
    assert verdicts["anatomical-heterogeneity.predictability.gate-proj"].reason.startswith("2 layers can be predicted")
    assert verdicts["anatomical-heterogeneity.predictability.nine-layers"].word is NA
    assert verdicts["anatomical-heterogeneity.predictability.one-layer"].word is not NA


def test_a_model_of_other_components_is_judged_where_it_can_be(tmp_path: Path):
    verdicts = judge(tiny.model("gpt2", 9), tmp_path, *CLAIMS)
    assert "attn.c_attn" in verdicts["anatomical-heterogeneity.predictability.q-proj"].reason
    assert verdicts["anatomical-heterogeneity.predictability.order"].word is NA
    assert verdicts["anatomical-heterogeneity.predictability.beyond-mean-of-earlier"].word is not NA


def test_one_mild_error_and_eight_that_add_up_to_ruin(tmp_path: Path):
    errors = np.full(LAYERS, -1.4)
    errors[chosen_layers(LAYERS, 1, "spread")[0]] = -0.05
    assert damages(errors, tmp_path) == dict.fromkeys(DAMAGE, S) | {"any-one-layer": R}


def test_errors_that_are_mild_everywhere(tmp_path: Path):
    found = damages(np.full(LAYERS, total_for(18)), tmp_path)
    assert (found["one-layer"], found["any-one-layer"]) == (S, S)
    assert (found["nine-layers"], found["nine-neighbours"], found["high-r2-fails"]) == (R, R, R)


def test_errors_that_undo_one_another_do_not_compound(tmp_path: Path):
    errors = np.zeros(LAYERS)
    nine = chosen_layers(LAYERS, 9, "spread")
    errors[list(nine)] = [-1, 1, -1, 1, -1, 1, -1, 1, -0.5]
    found = damages(errors, tmp_path)
    assert found["errors-compound"] is found["nine-layers"] is found["one-layer"] is R


def test_damage_at_the_thresholds_is_inconclusive(tmp_path: Path):
    found = damages(np.full(LAYERS, total_for(30)), tmp_path / "one", noise=0.05)
    assert found["one-layer"] is found["any-one-layer"] is INC
    found = damages(np.full(LAYERS, total_for(10_000) / 9), tmp_path / "nine", noise=0.5)
    assert found["nine-layers"] is found["nine-neighbours"] is INC
    # In sample, which of all readings comes nearest to the weights, a layer keeps some of itself.
    left = [1 - layer_coefficients(LAYERS, each, "in_sample", 1.0)[each] for each in chosen_layers(LAYERS, 9, "spread")]
    found = damages(np.full(LAYERS, total_for(10_000) / sum(left)), tmp_path / "best", noise=0.5)
    assert found["high-r2-fails"] is INC


def test_a_single_sentence_decides_no_damage(tmp_path: Path):
    corpus = tmp_path / "one.txt"
    corpus.write_text("The river froze early that winter.\n")
    claims = [f"anatomical-heterogeneity.predictability.{name}" for name in DAMAGE]
    model = mispredicted_model(np.full(LAYERS, -0.8))
    assert words(judge(model, tmp_path / "model", *claims, corpus=corpus)) == dict.fromkeys(DAMAGE, INC)


@pytest.mark.parametrize("layers", [3, 4, 12, 30])
@pytest.mark.parametrize("choice", ["spread", "together"])
def test_chosen_layers_are_distinct_and_can_be_predicted(layers: int, choice):
    for count in range(1, layers - 1):
        chosen = chosen_layers(layers, count, choice)
        assert len(set(chosen)) == count
        assert sorted(chosen) == list(chosen)
        assert 2 <= chosen[0] <= chosen[-1] < layers
    assert chosen_layers(layers, layers - 2, choice) == tuple(range(2, layers))


def test_layers_cannot_be_picked():
    with pytest.raises(UsageError, match="measures all of them"):
        get_experiment("predictability").configure(Profile.QUICK, (3,))


def test_units_of_both_kinds_come_back_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tiny.save(tmp_path / "model", tiny.model(layers=5))
    options = Options(str(folder), device="cpu", allow_untrained=True)
    first = Run(options, store=Store(tmp_path / "store")).measure(Need("predictability"))
    experiment = get_experiment("predictability")
    again = Run(options, store=Store(tmp_path / "store")).measure(Need("predictability"))
    assert again == first
    monkeypatch.setattr(type(experiment), "run", lambda *_: pytest.fail("measured again"))
    assert Run(options, store=Store(tmp_path / "store")).measure(Need("predictability")) == first
    resampled = Run(replace(options, profile=Profile.QUICK, seed=1), store=Store(tmp_path / "other"))
    monkeypatch.undo()
    assert resampled.measure(Need("predictability")) != first
