"""H3, differential trainability: layers recover from noise as fast as they matter little (paper 3.6, 4.5, Table 5)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import (
    Claim,
    Criterion,
    Estimate,
    Finding,
    Kind,
    Need,
    NotApplicable,
    above,
    always_applies,
    at_least,
    at_most,
    below,
    needs_layer_count,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import PAPER_ANTI_LAYERS
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.budget import TIGHTEST
from anatomy_bench.papers.anatomical_heterogeneity.findings.recovery.speed import (
    budget_saving,
    noise_damage,
    noised_over_intact_training,
    slowest,
    slowness_beyond_start,
    slowness_with_importance,
    trained_damage,
    training_effect,
    unrecovered,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import degradation_percent, layer_count
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER, load
from anatomy_bench.values.statistics import Floats, partial_rank_correlation, rank_correlation

ABLATION = Need("ablation")
NOISE = Need("perturbation")
NOISE_ON_WIDE = Need("perturbation", corpus="wide", layers=PAPER_ANTI_LAYERS)
RECOVERY = Need("recovery")
PLACE = "Section 4.5, Table 5"
WIDEST = 2.0
INSTANT_STEPS = 10
FRAGILE, NOT_CONVERGING, INSTANT = 11, 3, (23, 24)
SAVED_PERCENT = 50.0


@cache
def table5() -> dict[int, dict[str, Any]]:
    """Rows of Table 5 by layer, as printed."""
    return {row["layer"]: row for row in load()["recovery"]["layers"]}


def _baseline() -> float:
    return float(load()["manipulation"]["baseline_perplexity"])


def _printed_percent(layer: int, column: str) -> float:
    return 100 * (float(table5()[layer][column]) / _baseline() - 1)


def _printed_series() -> tuple[Floats, Floats, Floats]:
    rows = table5()
    return (
        np.array([degradation_percent()[layer] for layer in rows]),
        np.array([float(row["steps_below"][f"{TIGHTEST:g}"]) for row in rows.values()]),
        np.array([float(row["noise_perplexity"]) for row in rows.values()]),
    )


_only_paper_depth = needs_layer_count(layer_count())


def _claim(
    name: str,
    statement: str,
    criterion: Criterion,
    why: str,
    estimate: Callable[..., Estimate | NotApplicable],
    **others: Any,
) -> Claim:
    defaults: dict[str, Any] = {
        "place": PLACE, "kind": Kind.REPLICATION, "published": None, "unit": "%", "applies": _only_paper_depth,
        "needs": (RECOVERY,),
    }  # fmt: skip
    return Claim(
        id=f"{PAPER}.recovery.{name}", statement=statement, criterion=criterion, why=why, estimate=estimate,
        **(defaults | others),
    )  # fmt: skip


def _on_anti_layer(layer: int) -> tuple[Claim, ...]:
    return (
        _claim(
            f"l{layer}-noise",
            f"Noise in layer {layer} improves the model",
            below(0),
            "H4: lower perplexity than the intact model's, over noises and sentences",
            lambda measured: noise_damage(measured, layer),
            published=_printed_percent(layer, "noise_perplexity"),
            needs=(NOISE,),
        ),
        _claim(
            f"l{layer}-trained",
            f"Layer {layer}, noised and trained, leaves the model better than intact",
            below(0),
            "the final perplexity, which section 4.5 gives as that after noise",
            lambda measured: trained_damage(measured, layer),
            published=_printed_percent(layer, "final_perplexity"),
        ),
    )


def _controls_of_anti_layer(layer: int) -> tuple[Claim, ...]:
    return (
        _claim(
            f"l{layer}-noise-wide",
            f"Noise in layer {layer} improves the model on other text",
            below(0),
            "ten sentences cannot tell a property of the model from one of the sentences",
            lambda measured: noise_damage(measured, layer),
            kind=Kind.CONTROL,
            needs=(NOISE_ON_WIDE,),
        ),
        _claim(
            f"l{layer}-noise-helps-training",
            f"Noise before training leaves layer {layer} better than training alone",
            below(0),
            "if training the intact layer helps as much, the training helps and not the noise",
            lambda measured: noised_over_intact_training(measured, layer),
            kind=Kind.CONTROL,
            unit="nats/token",
        ),
    )


_REPLICATIONS = (
    *(claim for layer in PAPER_ANTI_LAYERS for claim in _on_anti_layer(layer)),
    _claim(
        "l11-unrecovered",
        "Layer 11 does not recover",
        above(WIDEST),
        "the paper's widest threshold, twice the baseline, which Table 5's layer 11 never crosses",
        lambda measured: unrecovered(measured, FRAGILE),
        published=float(table5()[FRAGILE]["final_perplexity"]) / _baseline(),
        unit="ratio",
    ),
    _claim(
        "l3-no-convergence",
        "Training does nothing for layer 3",
        at_least(-10),
        "a tenth is the narrowest of the paper's thresholds",
        lambda measured: training_effect(measured, NOT_CONVERGING),
        published=100 * (float(table5()[3]["final_perplexity"]) / float(table5()[3]["noise_perplexity"]) - 1),
    ),
    _claim(
        "instant",
        "Layers 23 and 24 recover instantly",
        at_most(INSTANT_STEPS),
        "Table 10 calls 0 to 10 steps instant; the slower of the two, to 1.1 times the baseline",
        lambda measured: slowest(measured, INSTANT),
        published=max(float(table5()[layer]["steps_below"][f"{TIGHTEST:g}"]) for layer in INSTANT),
        unit="steps",
    ),
    _claim(
        "speed-tracks-importance",
        "The more a layer matters, the longer it takes to recover",
        at_least(0.5),
        "H3; 0.5, where a correlation is commonly called strong",
        slowness_with_importance,
        place="Abstract, H3 and Table 5",
        published=rank_correlation(*_printed_series()[:2])[0],
        unit="Spearman's rho",
        needs=(RECOVERY, ABLATION),
        applies=always_applies,
    ),
    _claim(
        "budget-saving",
        "A budget by recovery speed saves half of the training",
        at_least(SAVED_PERCENT),
        "half, of the 54 % printed; each layer's share is its steps to 1.1 times the baseline over 200",
        budget_saving,
        place="Section 5.4, Table 10",
        published=float(load()["budget"]["steps_saved_percent"]),
        applies=always_applies,
    ),
)

_CONTROLS = (
    *(claim for layer in PAPER_ANTI_LAYERS for claim in _controls_of_anti_layer(layer)),
    _claim(
        "speed-beyond-start",
        "Of layers that noise hurts alike, those that matter more still take longer",
        above(0),
        "a worse start takes longer whatever the layer; the correlation must outlast holding the start fixed",
        slowness_beyond_start,
        place="Abstract and H3",
        published=partial_rank_correlation(*_printed_series())[0],
        unit="partial Spearman's rho",
        kind=Kind.CONTROL,
        needs=(RECOVERY, ABLATION),
        applies=always_applies,
    ),
    _claim(
        "speed-tracks-skip",
        "The more skipping a layer hurts, the longer it takes to recover",
        at_least(0.5),
        "importance that holds only for one way of removing a layer is not a property of the layer",
        lambda recovery, ablation: slowness_with_importance(recovery, ablation, "skip"),
        place="Abstract and H3",
        unit="Spearman's rho",
        kind=Kind.CONTROL,
        needs=(RECOVERY, ABLATION),
        applies=always_applies,
    ),
    _claim(
        "speed-on-scored",
        "Trained on the scored sentences themselves, layers that matter more take longer too",
        at_least(0.5),
        "the paper does not name its training text; the other reading must not decide the answer",
        lambda recovery, ablation: slowness_with_importance(recovery, ablation, text="scored"),
        place="Section 3.6",
        unit="Spearman's rho",
        kind=Kind.CONTROL,
        needs=(RECOVERY, ABLATION),
        applies=always_applies,
    ),
)

FINDING = Finding(
    id="recovery",
    paper=PAPER,
    title="Layers recover from noise the more slowly the more they matter (H3)",
    place="Sections 3.6, 4.5 and 5.4, Tables 5 and 10",
    order=60,
    claims=(*_REPLICATIONS, *_CONTROLS),
)
