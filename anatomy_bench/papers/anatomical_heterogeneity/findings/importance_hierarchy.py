"""H1, the importance hierarchy: layers are not interchangeable (paper 1.2, 3.2, 4.1, Table 1)."""

import numpy as np

from anatomy_bench.claim.claim import (
    Claim,
    Estimate,
    Finding,
    Kind,
    Need,
    NotApplicable,
    above,
    at_least,
    below,
    needs_layer_count,
)
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement, LayerAblation
from anatomy_bench.experiments.scored import Variant, category
from anatomy_bench.papers.anatomical_heterogeneity.findings.degradation import degradation_of
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import (
    PLACE,
    categories,
    degradation_percent,
    layer_count,
)
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER
from anatomy_bench.values.statistics import Floats, percent, rank_correlation

ABLATION = Need("ablation")
AVERAGE = "neighbour_average"
CORE = (8, 9, 10, 11)
MOST_FRAGILE = 11
CRITICAL_PERCENT = 100.0
LEAST_INTERIOR_LAYERS = 4


def _variants(layers: tuple[LayerAblation, ...], name: str) -> list[Variant]:
    return [layer.variant(name) for layer in layers]


def _degradations(layers: tuple[LayerAblation, ...], name: str) -> Floats:
    return np.array([variant.degradation_percent for variant in _variants(layers, name)])


def core_is_critical(ablation: AblationMeasurement) -> Estimate:
    """Degradation of the least critical layer of the core, in percent."""
    core = tuple(ablation.layer(index) for index in CORE)
    least = _degradations(core, AVERAGE)
    interval = ablation.bootstrap(core, AVERAGE).interval_of(lambda nats: float(percent(nats.min())))
    named = ", ".join(f"L{layer.layer} {value:+,.1f}" for layer, value in zip(core, least, strict=True))
    return Estimate(float(least.min()), interval, named)


def most_fragile_layer(ablation: AblationMeasurement) -> Estimate:
    """ΔNLL of L11 minus that of the worst other interior layer, in nats per token."""
    layers = ablation.interior
    index = [layer.layer for layer in layers].index(MOST_FRAGILE)
    bootstrap = ablation.bootstrap(layers, AVERAGE)

    def lead(nats: Floats) -> float:
        return float(nats[index] - np.delete(nats, index).max())

    worst = layers[int(bootstrap.delta_nll_nats.argmax())].layer
    return Estimate(lead(bootstrap.delta_nll_nats), bootstrap.interval_of(lead), f"the most damaging is L{worst}")


def spread(ablation: AblationMeasurement) -> Estimate:
    """Degradation of the most damaging interior layer divided by that of the median one.

    There is no interval if that of the median includes 0, because a ratio to a number that may be 0 has no bound. A
    ratio to 0 itself is infinite, or NaN.
    """
    bootstrap = ablation.bootstrap(ablation.interior, AVERAGE)

    def median(nats: Floats) -> float:
        return float(np.median(percent(nats)))

    def ratio(nats: Floats) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.divide(percent(nats).max(), median(nats)))

    of_median = bootstrap.interval_of(median)
    if of_median is not None and of_median.low <= 0:
        return Estimate(ratio(bootstrap.delta_nll_nats), None, "the median layer's damage may be zero")
    return Estimate(ratio(bootstrap.delta_nll_nats), bootstrap.interval_of(ratio))


def mild_share(ablation: AblationMeasurement) -> Estimate:
    """Share of interior layers that are redundant or minor, in percent."""
    bootstrap = ablation.bootstrap(ablation.interior, AVERAGE)

    def share(nats: Floats) -> float:
        return float(100 * np.mean([category(degradation) in ("Redundant", "Minor") for degradation in percent(nats)]))

    names = [variant.category for variant in _variants(ablation.interior, AVERAGE)]
    counts = ", ".join(f"{names.count(name)} {name}" for name in ("Redundant", "Minor", "Important", "Critical"))
    return Estimate(share(bootstrap.delta_nll_nats), bootstrap.interval_of(share), counts)


def category_agreement(ablation: AblationMeasurement) -> Estimate:
    """Linearly weighted Cohen's kappa between measured and printed categories of interior layers."""
    from sklearn.metrics import cohen_kappa_score

    order = ["Redundant", "Minor", "Important", "Critical"]
    printed = [categories()[layer.layer] for layer in ablation.interior]
    bootstrap = ablation.bootstrap(ablation.interior, AVERAGE)

    def kappa(nats: Floats) -> float:
        measured = [category(degradation) for degradation in percent(nats)]
        return float(cohen_kappa_score(printed, measured, labels=order, weights="linear"))

    measured = [variant.category for variant in _variants(ablation.interior, AVERAGE)]
    same = sum(one == other for one, other in zip(printed, measured, strict=True))
    note = f"{same} of {len(printed)} layers in the same category"
    return Estimate(kappa(bootstrap.delta_nll_nats), bootstrap.interval_of(kappa), note)


def order_of_layers(ablation: AblationMeasurement) -> Estimate:
    """Spearman's correlation of degradations with Table 1 over interior layers."""
    published = np.array([degradation_percent()[layer.layer] for layer in ablation.interior])
    rho, interval = rank_correlation(published, _degradations(ablation.interior, AVERAGE))
    return Estimate(rho, interval, f"{len(published)} interior layers")


def top_set(ablation: AblationMeasurement) -> Estimate:
    """Share of the paper's critical interior layers that are among the most damaging ones, in percent."""
    layers = np.array([layer.layer for layer in ablation.interior])
    critical = {layer for layer, name in categories().items() if name == "Critical"}
    bootstrap = ablation.bootstrap(ablation.interior, AVERAGE)

    def top(nats: Floats) -> set[int]:
        return {int(layer) for layer in layers[np.argsort(-nats, kind="stable")[: len(critical)]]}

    found = top(bootstrap.delta_nll_nats)
    interval = bootstrap.interval_of(lambda nats: 100 * len(top(nats) & critical) / len(critical))
    note = f"measured {_names(found)}; chance is {100 * len(critical) / len(layers):.0f}"
    return Estimate(100 * len(found & critical) / len(critical), interval, note)


def averaging_ranks_as_skipping(ablation: AblationMeasurement) -> Estimate | NotApplicable:
    """Spearman's correlation of damage by averaging and by skipping over interior layers."""
    layers = ablation.interior
    if len(layers) < LEAST_INTERIOR_LAYERS:
        return NotApplicable(f"ranks of {len(layers)} interior layers have no interval")
    rho, interval = rank_correlation(_degradations(layers, AVERAGE), _degradations(layers, "skip"))
    worst = layers[int(_degradations(layers, "skip").argmax())].layer
    return Estimate(rho, interval, f"skipping hurts most at L{worst}")


def boundary_layer(ablation: AblationMeasurement, layer: int, variant: str) -> Estimate:
    """Degradation of a first or last layer, in percent."""
    return degradation_of(ablation.layer(layer % ablation.subject.layers).variant(variant))


def _names(layers: set[int]) -> str:
    return " ".join(f"L{layer}" for layer in sorted(layers))


def _boundary_claim(name: str, layer: int, variant: str, doing: str) -> Claim:
    return Claim(
        id=f"{PAPER}.importance-hierarchy.{name}-{'average' if variant == AVERAGE else variant}",
        statement=f"The {name} layer, printed as redundant at 0.0 %, is redundant when {doing}",
        place="Table 1, Section 3.2",
        kind=Kind.CONTROL,
        published=0.0,
        unit="%",
        criterion=below(10.0),
        why="the paper's threshold for redundant; its formula needs two neighbours, so 0.0 cannot be a measurement",
        needs=(ABLATION,),
        estimate=lambda ablation: boundary_layer(ablation, layer, variant),
    )


def _published_lead() -> float:
    """Lead of L11 over the next layer, computed from Table 1, in nats per token."""
    ranked = sorted(degradation_percent().values(), reverse=True)
    return float(np.log1p(ranked[0] / 100) - np.log1p(ranked[1] / 100))


_only_paper_depth = needs_layer_count(layer_count())
_interior = {layer: value for layer, value in degradation_percent().items() if 0 < layer < layer_count() - 1}

FINDING = Finding(
    id="importance-hierarchy",
    paper=PAPER,
    title="Layers form an importance hierarchy (H1)",
    place="Sections 3.2 and 4.1, Table 1",
    order=10,
    claims=(
        Claim(
            id=f"{PAPER}.importance-hierarchy.spread",
            statement="The most damaging layer hurts at least 100 times as much as the median layer",
            place=PLACE,
            kind=Kind.REPLICATION,
            published=max(_interior.values()) / float(np.median(list(_interior.values()))),
            unit="ratio",
            criterion=at_least(100),
            why="two orders of magnitude, of the more than three printed, are a hierarchy by any reading",
            needs=(ABLATION,),
            estimate=spread,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.critical-core",
            statement="Layers 8 to 11 are a critical core: averaging away any of them at least doubles perplexity",
            place="Section 4.1, Table 1",
            kind=Kind.REPLICATION,
            published=min(degradation_percent()[layer] for layer in CORE),
            unit="%",
            criterion=at_least(CRITICAL_PERCENT),
            why="the paper's threshold for critical, met by the least damaging of the four",
            needs=(ABLATION,),
            estimate=core_is_critical,
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.most-fragile",
            statement="Layer 11 is the most damaging layer of all",
            place="Section 4.1, Table 1",
            kind=Kind.REPLICATION,
            published=_published_lead(),
            unit="nats/token",
            criterion=above(0),
            why="its loss must exceed that of every other interior layer",
            needs=(ABLATION,),
            estimate=most_fragile_layer,
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.mild-majority",
            statement="Most layers are redundant or minor: averaging them away costs less than 30 %",
            place="Section 4.1, Table 1",
            kind=Kind.REPLICATION,
            published=100 * float(np.mean([categories()[layer] in ("Redundant", "Minor") for layer in _interior])),
            unit="% of layers",
            criterion=above(50),
            why="a majority of the interior layers",
            needs=(ABLATION,),
            estimate=mild_share,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.categories",
            statement="Each layer falls into its published category",
            place=PLACE,
            kind=Kind.REPLICATION,
            published=1.0,
            unit="weighted kappa",
            criterion=at_least(0.61),
            why="substantial agreement on the scale of Landis and Koch (1977)",
            needs=(ABLATION,),
            estimate=category_agreement,
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.order",
            statement="Layers rank by damage as in Table 1",
            place=PLACE,
            kind=Kind.REPLICATION,
            published=1.0,
            unit="Spearman's rho",
            criterion=at_least(0.5),
            why="other sentences were scored; half of a perfect rank correlation is the least that is the same order",
            needs=(ABLATION,),
            estimate=order_of_layers,
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.top-set",
            statement="The layers that hurt most are the paper's nine critical ones",
            place=PLACE,
            kind=Kind.REPLICATION,
            published=100.0,
            unit="% of the nine",
            criterion=at_least(200 / 3),
            why="two thirds of them, twice what chance gives",
            needs=(ABLATION,),
            estimate=top_set,
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.importance-hierarchy.average-ranks-as-skip",
            statement="Averaging a layer away ranks layers as skipping them does",
            place="Section 3.2",
            kind=Kind.CONTROL,
            published=None,
            unit="Spearman's rho",
            criterion=at_least(0.5),
            why="importance that depends on how a layer is removed is a property of the removal",
            needs=(ABLATION,),
            estimate=averaging_ranks_as_skipping,
        ),
        _boundary_claim("first", 0, AVERAGE, "a copy of its neighbour takes its place"),
        _boundary_claim("first", 0, "skip", "it is skipped"),
        _boundary_claim("last", -1, AVERAGE, "a copy of its neighbour takes its place"),
        _boundary_claim("last", -1, "skip", "it is skipped"),
    ),
)
