"""Hierarchy and anti-layer claims on models where the answer is known."""

from pathlib import Path

import numpy as np
import pytest
from planted import judge, writes_for_damage, writes_with_total_zero, writing_model

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import degradation_percent
from anatomy_bench.registry import get_finding

S, R, INC, NA = (
    VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE,
)  # fmt: skip

HIERARCHY = [claim.id for claim in get_finding("importance-hierarchy").claims]
ANTI_LAYERS = [claim.id for claim in get_finding("anti-layers").claims]
TABLE_1_NATS = np.log1p(np.array([degradation_percent()[layer] for layer in range(1, 29)]) / 100)


def words(verdicts):
    return {claim.rpartition(".")[2]: verdict.word for claim, verdict in verdicts.items()}


def test_where_layers_hurt_as_in_table_1_every_replication_is_supported(tmp_path: Path):
    found = words(judge(writing_model(writes_for_damage(TABLE_1_NATS), noise=0.1), tmp_path, *HIERARCHY[:7]))
    assert found == dict.fromkeys(found, S)


def test_where_the_order_of_layers_is_inverted_claims_on_single_layers_are_refuted(tmp_path: Path):
    ranks = TABLE_1_NATS.argsort().argsort()
    inverted = np.sort(TABLE_1_NATS)[::-1][ranks]
    found = words(judge(writing_model(writes_for_damage(inverted), noise=0.1), tmp_path, *HIERARCHY[:7]))
    assert found == {
        "spread": S, "mild-majority": S,  # the same damages, at other layers
        "critical-core": R, "most-fragile": R, "categories": R, "order": R, "top-set": R,
    }  # fmt: skip


def test_where_all_layers_hurt_alike_there_is_no_hierarchy(tmp_path: Path):
    alike = np.full(28, np.log(3.0)) + np.linspace(0, 0.01, 28)
    found = words(judge(writing_model(writes_for_damage(alike), noise=0.1), tmp_path, *HIERARCHY[:7]))
    assert (found["spread"], found["mild-majority"], found["categories"]) == (R, R, R)


def test_where_sentences_disagree_about_every_layer_nothing_is_concluded(tmp_path: Path):
    """The loss moves by another sign in every other sentence, and by nothing on the whole."""
    damage = 0.04 + 0.001 * TABLE_1_NATS.argsort().argsort()
    model = writing_model(writes_for_damage(damage), noise=1.0, mean=0.0)
    verdicts = judge(
        model,
        tmp_path,
        "anatomical-heterogeneity.importance-hierarchy.top-set",
        "anatomical-heterogeneity.importance-hierarchy.spread",
        *ANTI_LAYERS,
    )
    found = words(verdicts)
    assert found["l14"] is found["l17"] is found["any"] is found["l14-family-wise"] is INC
    assert found["top-set"] is found["spread"] is INC
    assert "may be zero" in verdicts["anatomical-heterogeneity.importance-hierarchy.spread"].note


def test_damage_at_the_thresholds_is_inconclusive(tmp_path: Path):
    damage = np.full(28, np.log(1.3))  # minor or important
    damage[7:11] = np.log(2.0)  # the core: important or critical
    model = writing_model(writes_for_damage(damage), noise=0.05)
    thresholds = words(judge(model, tmp_path / "thresholds", *HIERARCHY[:5]))
    assert thresholds["critical-core"] is thresholds["mild-majority"] is INC
    damage = np.append(np.full(27, np.log(1.01)), np.log(2.0))
    assert words(judge(writing_model(writes_for_damage(damage), noise=0.1), tmp_path / "ratio", HIERARCHY[0])) == {
        "spread": INC
    }


def test_order_is_inconclusive_where_half_of_it_is_random(tmp_path: Path):
    rng = np.random.default_rng(3)
    mixed = TABLE_1_NATS.copy()
    chosen = rng.permutation(28)[:14]
    mixed[chosen] = rng.permutation(mixed[chosen])
    found = words(
        judge(
            writing_model(writes_for_damage(mixed), noise=0.1),
            tmp_path,
            "anatomical-heterogeneity.importance-hierarchy.order",
        )
    )
    assert found == {"order": INC}


def interior(**writes: float):
    """Every interior layer helps a little, but those named `l14` and so on."""
    values = np.full(28, 0.3)
    for name, write in writes.items():
        values[int(name[1:]) - 1] = write
    return writes_with_total_zero(values)


def test_layers_that_write_against_the_others_are_anti_layers_by_every_control(tmp_path: Path):
    found = words(judge(writing_model(interior(l14=-0.2, l17=-0.2), noise=0.1), tmp_path, *ANTI_LAYERS))
    assert found == dict.fromkeys(found, S)


def test_layers_that_help_more_than_their_neighbours_are_no_anti_layers(tmp_path: Path):
    found = words(judge(writing_model(interior(l14=0.6, l17=0.6), noise=0.1), tmp_path, *ANTI_LAYERS))
    assert {claim: word for claim, word in found.items() if claim != "any"} == {
        claim: R for claim in found if claim != "any"
    }


def test_any_layer_counts_for_the_claim_on_any_depth_and_named_layers_do_not_apply(tmp_path: Path):
    model = writing_model(writes_with_total_zero(np.array([0.3, 0.3, -0.3, 0.3])), noise=0.1)
    found = words(judge(model, tmp_path, *ANTI_LAYERS))
    assert found.pop("any") is S
    assert found == dict.fromkeys(found, NA)


@pytest.mark.parametrize(("end", "word"), [(0.0, S), (2.0, R)])
def test_boundary_layers_are_redundant_only_if_they_write_nothing(tmp_path: Path, end: float, word: VerdictWord):
    middle = np.tile([0.02, -0.02], 14)
    writes = np.concatenate([[end], middle, [end]])
    boundary = [claim for claim in HIERARCHY if ".first-" in claim or ".last-" in claim]
    found = words(judge(writing_model(writes, noise=0.1), tmp_path, *boundary))
    assert found == dict.fromkeys(found, word)


def test_averaging_ranks_as_skipping_where_layers_stand_apart_and_not_where_they_lean_on_neighbours(tmp_path: Path):
    claim = "anatomical-heterogeneity.importance-hierarchy.average-ranks-as-skip"
    # In no order, and no two alike: of equals rounding would make the ranks.
    apart = np.random.default_rng(0).permutation(np.linspace(0.05, 2.0, 28))
    found = words(judge(writing_model(writes_with_total_zero(apart)), tmp_path / "apart", claim))
    assert found == {"average-ranks-as-skip": S}
    # Along a root the highest layers, which skipping misses most, are those that their neighbours replace best.
    leaning = 4.0 * np.sqrt(np.arange(1, 29) / 28)
    found = words(judge(writing_model(writes_with_total_zero(leaning)), tmp_path / "leaning", claim))
    assert found == {"average-ranks-as-skip": R}
