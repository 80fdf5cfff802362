"""Of all strategies on redundant layers only gentle scaling survives (paper 3.5, 4.4, 5.3, Table 4)."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
    below,
    needs_layer_count,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.experiment import ManipulationMeasurement
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.plan import LOW_RANK
from anatomy_bench.papers.anatomical_heterogeneity.findings.manipulation.estimates import (
    REPLACING,
    TOO_STRONG,
    damage,
    least_damage,
    noise_damage,
    noise_over_scaling,
    on_redundant,
    printed_steepness,
    random_scaled,
    random_skipped_over_redundant,
    steepness,
    table4,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import layer_count
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER

NEED = Need("manipulation")
PLACE = "Section 4.4, Table 4"
VIABLE_PERCENT = 50.0
DESTROYED_PERCENT = 1000.0

_only_paper_depth = needs_layer_count(layer_count())

_DOING = {
    "skip": "Skipping",
    "clone": "Cloning the nearest other layer over",
    "blend": "Blending the four nearest other layers into",
    f"low_rank_blend_{LOW_RANK}": "Turning to their neighbours' directions",
    "scale_0.7": "Scaling by 0.7",
    "scale_0.5": "Scaling by 0.5",
    "scale_0": "Scaling to nothing",
}


def _id(strategy: str) -> str:
    return strategy.removesuffix(f"_{LOW_RANK}").replace("_", "-").replace(".", "-")


def _destroys(strategy: str) -> Claim:
    return _claim(
        _id(strategy),
        f"{_DOING[strategy]} the nine redundant layers destroys the model",
        at_least(DESTROYED_PERCENT),
        "eleven times the perplexity is no usable model; the mildest of Table 4's failures costs five times as much",
        lambda measured: damage(measured, "paper", strategy),
        published=table4()[strategy],
    )


def _destroys_interior(strategy: str) -> Claim:
    return _claim(
        f"interior-{_id(strategy)}",
        f"{_DOING[strategy]} the redundant layers destroys the model also without the first and the last",
        at_least(DESTROYED_PERCENT),
        "Table 1's 0.0 % for layers 0 and 29 is no measurement; if they alone do the damage, redundant layers do not",
        lambda measured: damage(measured, "paper_interior", strategy),
        kind=Kind.CONTROL,
    )


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
    }  # fmt: skip
    return Claim(
        id=f"{PAPER}.manipulation.{name}", statement=statement, criterion=criterion, why=why, estimate=estimate,
        needs=(NEED,), **(defaults | others),
    )  # fmt: skip


def _least_of_others(measured: ManipulationMeasurement, layer_set: str) -> Estimate:
    return least_damage(measured, layer_set, (*REPLACING, *TOO_STRONG))


_REPLICATIONS = (
    _claim(
        "scale-0-9",
        "Scaling the nine redundant layers by 0.9 leaves a usable model",
        below(VIABLE_PERCENT),
        "Table 4 prints 19 % and the abstract 49 %; other sentences were scored",
        lambda measured: damage(measured, "paper", "scale_0.9"),
        published=table4()["scale_0.9"],
    ),
    *(_destroys(strategy) for strategy in (*REPLACING, *TOO_STRONG)),
    _claim(
        "only-viable",
        "No other strategy leaves a usable model",
        at_least(VIABLE_PERCENT),
        "the same bound as for scaling by 0.9, for the least damaging of the others",
        lambda measured: least_damage(measured, "paper", (*REPLACING, *TOO_STRONG)),
        published=min(value for name, value in table4().items() if name != "scale_0.9"),
    ),
    _claim(
        "monotone",
        "The nearer the factor is to 1, the less scaling hurts",
        above(0),
        "each step of the factor towards 1 must lower the loss, the last step to the intact model included",
        steepness,
        published=printed_steepness(),
        unit="nats/token",
    ),
    _claim(
        "two-layers",
        "Replacing just two layers, as four rows of Table 4 are labelled, destroys the model",
        at_least(DESTROYED_PERCENT),
        "the rows do not say which two; the anti-layers are the only pair that the paper singles out",
        lambda measured: least_damage(measured, "anti_layers", REPLACING),
        place="Table 4's row names",
        published=min(table4()[strategy] for strategy in REPLACING),
    ),
    _claim(
        "measured-scale-0-9",
        "Scaling by 0.9 the layers that are redundant in this very model leaves it usable",
        below(VIABLE_PERCENT),
        "the finding is on redundant layers, not on nine numbers: these cost less than 10 % by the paper's own test",
        lambda measured: on_redundant(measured, "redundant", partial(damage, strategy="scale_0.9")),
        applies=always_applies,
    ),
    _claim(
        "measured-only-viable",
        "No other strategy on the layers that are redundant in this very model leaves it usable",
        at_least(VIABLE_PERCENT),
        "as for the paper's nine",
        lambda measured: on_redundant(measured, "redundant", _least_of_others),
        applies=always_applies,
    ),
)

_CONTROLS = (
    *(_destroys_interior(strategy) for strategy in REPLACING),
    _claim(
        "measured-interior-only-viable",
        "No other strategy leaves this model usable even without its first and last layer",
        at_least(VIABLE_PERCENT),
        "a first or last layer has one neighbour and counts as redundant by a copy of that alone",
        lambda measured: on_redundant(measured, "redundant_interior", _least_of_others),
        kind=Kind.CONTROL,
        applies=always_applies,
    ),
    _claim(
        "random-scale-0-9",
        "Scaling as many random interior layers by 0.9 leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if any layers survive it, surviving it says nothing about redundant ones",
        random_scaled,
        kind=Kind.CONTROL,
        applies=always_applies,
    ),
    _claim(
        "every-layer-scale-0-9",
        "Scaling every layer by 0.9 leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if the whole model survives it, surviving it says nothing about redundant layers",
        lambda measured: damage(measured, "every_layer", "scale_0.9"),
        kind=Kind.CONTROL,
        applies=always_applies,
    ),
    _claim(
        "random-skip",
        "Skipping as many random interior layers costs more than skipping the redundant ones",
        above(0),
        "layers are redundant only in comparison with others",
        random_skipped_over_redundant,
        kind=Kind.CONTROL,
        unit="nats/token",
    ),
    _claim(
        "noise",
        "Noise as large as what scaling by 0.9 removes leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if the model survives any direction of change, it survives 0.9 because that is small, not for its direction",
        lambda measured: noise_damage(measured, "paper"),
        place="Sections 4.4 and 5.3",
        kind=Kind.CONTROL,
    ),
    _claim(
        "noise-over-scaling",
        "Noise on the nine layers costs more than scaling them by 0.9 does",
        above(0),
        "the paper holds that direction must be preserved; noise of the same norm does not preserve it",
        lambda measured: noise_over_scaling(measured, "paper"),
        place="Sections 4.4 and 5.3",
        kind=Kind.CONTROL,
        unit="nats/token",
    ),
    _claim(
        "every-layer-noise-over-scaling",
        "Noise on every layer costs more than scaling every layer by 0.9 does",
        above(0),
        "the same question where the change is large enough to answer it; it needs no particular layers",
        lambda measured: noise_over_scaling(measured, "every_layer"),
        place="Sections 4.4 and 5.3",
        kind=Kind.CONTROL,
        unit="nats/token",
        applies=always_applies,
    ),
    _claim(
        "written-scale-0-5",
        "Halving only what the nine layers write destroys the model",
        at_least(DESTROYED_PERCENT),
        "the paper's reason is that corrections are lost; halving all seven matrices also flattens attention and gates",
        lambda measured: damage(measured, "paper", "scale_written_0.5"),
        place="Sections 4.4 and 5.3",
        kind=Kind.CONTROL,
    ),
)

FINDING = Finding(
    id="manipulation",
    paper=PAPER,
    title="Of all strategies on redundant layers only gentle scaling survives",
    place="Sections 3.5, 4.4 and 5.3, Table 4",
    order=50,
    claims=(*_REPLICATIONS, *_CONTROLS),
)
