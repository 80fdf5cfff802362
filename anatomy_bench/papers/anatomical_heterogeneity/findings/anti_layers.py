"""H4, anti-layers: layers without which the model is better (paper 1.2, 4.1, Table 1)."""

import numpy as np

from anatomy_bench.claim.claim import Claim, Estimate, Finding, Kind, Need, below, needs_layer_count
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.experiments.scored import interval_percent
from anatomy_bench.papers.anatomical_heterogeneity.findings.degradation import degradation_of
from anatomy_bench.papers.anatomical_heterogeneity.findings.table1 import PLACE, degradation_percent, layer_count
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER

ANTI_LAYERS = (14, 17)
AVERAGE = "neighbour_average"
ON_TEN = Need("ablation")
ON_WIDE = Need("ablation", corpus="wide", layers=ANTI_LAYERS)


def degradation(ablation: AblationMeasurement, layer: int, variant: str) -> Estimate:
    """Degradation of one layer, in percent."""
    return degradation_of(ablation.layer(layer).variant(variant))


def least_degradation(ablation: AblationMeasurement) -> Estimate:
    """Least degradation of any layer, in percent, with an interval that holds for all layers at once."""
    layers = ablation.layers_under(AVERAGE)
    bootstrap = ablation.bootstrap(layers, AVERAGE)
    intervals = bootstrap.simultaneous_intervals()
    # The layer with the lowest upper bound: the one that is closest to being an anti-layer for certain.
    uppers = [interval.high if interval else float("inf") for interval in intervals]
    best = int(np.argmin(uppers)) if np.isfinite(uppers).any() else int(bootstrap.delta_nll_nats.argmin())
    layer = layers[best]
    return Estimate(
        layer.variant(AVERAGE).degradation_percent,
        interval_percent(intervals[best]),
        f"L{layer.layer}, of {len(layers)} layers tried",
        layer.variant(AVERAGE).unknown,
    )


def family_wise_degradation(ablation: AblationMeasurement, layer: int) -> Estimate:
    """Degradation of one layer, in percent, with an interval that holds for all layers at once."""
    measured = ablation.layer(layer).variant(AVERAGE)
    tried = ablation.layers_under(AVERAGE)
    intervals = ablation.bootstrap(tried, AVERAGE).simultaneous_intervals()
    return Estimate(
        measured.degradation_percent,
        interval_percent(intervals[[each.layer for each in tried].index(layer)]),
        f"max-T over {len(intervals)} layers",
        measured.unknown,
    )


_only_paper_depth = needs_layer_count(layer_count())


def _claims_on(layer: int) -> tuple[Claim, ...]:
    published = degradation_percent()[layer]
    return (
        Claim(
            id=f"{PAPER}.anti-layers.l{layer}",
            statement=f"Without layer {layer} the model predicts better",
            place="Section 4.1, Table 1",
            kind=Kind.REPLICATION,
            published=published,
            unit="%",
            criterion=below(0),
            why="the paper's definition: negative degradation; the interval must exclude 0",
            needs=(ON_TEN,),
            estimate=lambda ablation: degradation(ablation, layer, AVERAGE),
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.anti-layers.l{layer}-family-wise",
            statement=f"Layer {layer} is an anti-layer also when all layers tried are counted",
            place=PLACE,
            kind=Kind.CONTROL,
            published=None,
            unit="%",
            criterion=below(0),
            why="the lowest of thirty noisy values is low by chance; max-T intervals hold for all at once",
            needs=(ON_TEN,),
            estimate=lambda ablation: family_wise_degradation(ablation, layer),
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.anti-layers.l{layer}-wide",
            statement=f"Layer {layer} is an anti-layer on other text",
            place="Section 5.5",
            kind=Kind.CONTROL,
            published=None,
            unit="%",
            criterion=below(0),
            why="ten sentences cannot tell a property of the model from one of the sentences",
            needs=(ON_WIDE,),
            estimate=lambda ablation: degradation(ablation, layer, AVERAGE),
            applies=_only_paper_depth,
        ),
        Claim(
            id=f"{PAPER}.anti-layers.l{layer}-skip",
            statement=f"Layer {layer} is an anti-layer when truly skipped",
            place="Section 1.2, H4",
            kind=Kind.CONTROL,
            published=None,
            unit="%",
            criterion=below(0),
            why="a layer whose contribution is net negative must help by its absence, not by its neighbours' average",
            needs=(ON_WIDE,),
            estimate=lambda ablation: degradation(ablation, layer, "skip"),
            applies=_only_paper_depth,
        ),
    )


FINDING = Finding(
    id="anti-layers",
    paper=PAPER,
    title="Some layers make the model worse (H4)",
    place="Sections 1.2 and 4.1, Table 1",
    order=20,
    claims=(
        *[claim for layer in ANTI_LAYERS for claim in _claims_on(layer)],
        Claim(
            id=f"{PAPER}.anti-layers.any",
            statement="Some layer of the model is an anti-layer",
            place="Section 1.2, H4",
            kind=Kind.REPLICATION,
            published=min(degradation_percent().values()),
            unit="%",
            criterion=below(0),
            why="H4 for a model of any depth; the interval holds for all layers at once",
            needs=(ON_TEN,),
            estimate=least_degradation,
        ),
    ),
)
