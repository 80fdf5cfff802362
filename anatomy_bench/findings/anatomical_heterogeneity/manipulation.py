"""Of all strategies on redundant layers only gentle scaling survives (paper 3.5, 4.4, 5.3, Table 4)."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from anatomy_bench.claim import (
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
from anatomy_bench.experiments.manipulation import LOW_RANK, LayerSet, ManipulationMeasurement
from anatomy_bench.findings.anatomical_heterogeneity import PAPER
from anatomy_bench.findings.anatomical_heterogeneity.draws import mean_contrast
from anatomy_bench.findings.anatomical_heterogeneity.table1 import layer_count
from anatomy_bench.interval import Interval
from anatomy_bench.papers import load
from anatomy_bench.scored import Variant, interval_percent
from anatomy_bench.statistics import Floats, percent

NEED = Need("manipulation")
PLACE = "Section 4.4, Table 4"
VIABLE_PERCENT = 50.0
DESTROYED_PERCENT = 1000.0
REPLACING = ("skip", "clone", "blend", f"low_rank_blend_{LOW_RANK}")
TOO_STRONG = ("scale_0.7", "scale_0.5", "scale_0")
RISING_ALPHAS = ("scale_0", "scale_0.1", "scale_0.3", "scale_0.5", "scale_0.7", "scale_0.9")
_FAMILIES = {"zero": "skip", "clone": "clone", "blend": "blend", "low-rank blend": f"low_rank_blend_{LOW_RANK}"}


@cache
def table4() -> dict[str, float]:
    """Degradation as printed, in percent, by the name of the strategy in the measurement."""
    return {
        f"scale_{float(row['alpha']):g}" if "alpha" in row else _FAMILIES[row["family"]]: float(
            row["degradation_percent"]
        )
        for row in load(PAPER)["manipulation"]["rows"]
    }


def damage(measured: ManipulationMeasurement, layer_set: str, strategy: str) -> Estimate | NotApplicable:
    """Degradation under one strategy on one set, in percent."""
    variants = measured.layer_set(layer_set).variants
    if strategy not in variants:
        return NotApplicable(f"no {strategy}: no matrix of this architecture is known to write to the residual stream")
    return Estimate(variants[strategy].degradation_percent, variants[strategy].interval95_percent)


def least_damage(measured: ManipulationMeasurement, layer_set: str, strategies: Sequence[str]) -> Estimate:
    """Degradation under the least damaging of some strategies, in percent."""
    variants = [measured.layer_set(layer_set).variants[each] for each in strategies]
    bootstrap = measured.bootstrap(variants)
    interval = bootstrap.interval_of(lambda nats: float(nats.min()))
    note = ", ".join(
        f"{name} {variant.degradation_percent:+,.0f}" for name, variant in zip(strategies, variants, strict=True)
    )
    return Estimate(float(percent(bootstrap.delta_nll_nats.min())), interval_percent(interval), note)


def steepness(measured: ManipulationMeasurement) -> Estimate:
    """Least fall of ΔNLL from one factor to the next, up to 1 where it is 0; in nats a token."""
    bootstrap = measured.bootstrap([measured.layer_set("paper").variants[each] for each in RISING_ALPHAS])

    def least_fall(nats: Floats) -> float:
        return float(-np.diff(np.append(nats, 0.0)).max())

    falls = -np.diff(np.append(bootstrap.delta_nll_nats, 0.0))
    note = f"least from {RISING_ALPHAS[int(falls.argmin())].replace('_', ' ')}"
    return Estimate(least_fall(bootstrap.delta_nll_nats), bootstrap.interval_of(least_fall), note)


def _printed_steepness() -> float:
    printed = [np.log1p(table4()[each] / 100) for each in RISING_ALPHAS if each in table4()]
    return float(-np.diff([*printed, 0.0]).max())


def mean_over_draws(
    measured: ManipulationMeasurement, draws: Sequence[Variant], against: Variant | None = None
) -> tuple[float, Interval | None]:
    """Mean ΔNLL of random draws, in nats a token, less that of another variant."""
    bootstrap = measured.bootstrap([*draws, *([against] if against else [])])
    contrasts = np.eye(len(draws), len(bootstrap.delta_nll_nats))
    if against:
        contrasts[:, -1] = -1.0
    return mean_contrast(bootstrap, contrasts)


def _noises(layer_set: LayerSet) -> list[Variant]:
    return [variant for name, variant in layer_set.variants.items() if name.startswith("noise_")]


def noise_damage(measured: ManipulationMeasurement, layer_set: str) -> Estimate:
    """Degradation under noise of a tenth of each matrix's norm, in percent: the geometric mean of the draws."""
    draws = _noises(measured.layer_set(layer_set))
    mean, interval = mean_over_draws(measured, draws)
    return Estimate(float(percent(mean)), interval_percent(interval), f"{len(draws)} noises")


def noise_over_scaling(measured: ManipulationMeasurement, layer_set: str) -> Estimate:
    """ΔNLL under such noise less that under scaling by 0.9, in nats a token."""
    chosen = measured.layer_set(layer_set)
    return Estimate(*mean_over_draws(measured, _noises(chosen), chosen.variants["scale_0.9"]))


def random_scaled(measured: ManipulationMeasurement) -> Estimate:
    """Degradation under scaling random interior layers by 0.9, in percent: the geometric mean of the sets."""
    draws = [each.variants["scale_0.9"] for each in measured.random_sets]
    mean, interval = mean_over_draws(measured, draws)
    return Estimate(float(percent(mean)), interval_percent(interval), f"{len(draws)} sets")


def random_skipped_over_redundant(measured: ManipulationMeasurement) -> Estimate:
    """ΔNLL of skipping random interior layers less that of the paper's seven interior ones, in nats a token."""
    draws = [each.variants["skip"] for each in measured.random_sets]
    own = measured.layer_set("paper_interior").variants["skip"]
    return Estimate(*mean_over_draws(measured, draws, own), f"{len(draws)} sets")


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
        "Table 1's 0.0 % of layers 0 and 29 is no measurement; if they alone do the damage, redundant layers do not",
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
        id=f"manipulation.{name}", statement=statement, criterion=criterion, why=why, estimate=estimate, needs=(NEED,),
        **(defaults | others),
    )  # fmt: skip


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
        "the bound that scaling by 0.9 is held to, for the least damaging of the others",
        lambda measured: least_damage(measured, "paper", (*REPLACING, *TOO_STRONG)),
        published=min(value for name, value in table4().items() if name != "scale_0.9"),
    ),
    _claim(
        "monotone",
        "The nearer the factor is to 1, the less scaling hurts",
        above(0),
        "each step of the factor towards 1 must lower the loss, the last step to the intact model included",
        steepness,
        published=_printed_steepness(),
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
)

_CONTROLS = (
    *(_destroys_interior(strategy) for strategy in REPLACING),
    _claim(
        "random-scale-0-9",
        "Scaling as many random interior layers by 0.9 leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if any layers survive it, surviving it says nothing of redundant ones",
        random_scaled,
        kind=Kind.CONTROL,
        applies=always_applies,
    ),
    _claim(
        "every-layer-scale-0-9",
        "Scaling every layer by 0.9 leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if the whole model survives it, surviving it says nothing of redundant layers",
        lambda measured: damage(measured, "every_layer", "scale_0.9"),
        kind=Kind.CONTROL,
        applies=always_applies,
    ),
    _claim(
        "random-skip",
        "Skipping as many random interior layers costs more than skipping the redundant ones",
        above(0),
        "layers are redundant only against others",
        random_skipped_over_redundant,
        kind=Kind.CONTROL,
        unit="nats/token",
    ),
    _claim(
        "noise",
        "Noise as large as what scaling by 0.9 removes leaves no usable model",
        at_least(VIABLE_PERCENT),
        "if a change of any direction survives, 0.9 survives for being small, not for keeping the direction",
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
        "the same where the change is large enough to tell; it asks for no particular layers",
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
