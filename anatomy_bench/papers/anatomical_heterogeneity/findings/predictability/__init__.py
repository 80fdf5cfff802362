"""H2, predictability and the R² paradox: weights follow depth, and predicted weights fail (paper 3.3, 4.2, Table 2)."""

from collections.abc import Callable

from anatomy_bench.claim.claim import (
    Claim,
    Criterion,
    Estimate,
    Finding,
    Kind,
    Need,
    NotApplicable,
    above,
    at_least,
    at_most,
    below,
    within,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.experiment import (
    PredictabilityMeasurement,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.predictability.r2_paradox import (
    ACCEPTABLE_PERCENT,
    HIGH_R2,
    MANY,
    TABLE_2,
    acceptable_share,
    average_r2,
    compounding,
    degradation,
    degradation_at_high_r2,
    excess,
    least_best_r2,
    lost_by_place,
    neighbours_degradation,
    order_of_components,
    sorted_excess,
)
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER, load

PREDICTABILITY = Need("predictability")
TOLERANCE = 0.1
MARGIN = 0.05
CATASTROPHIC_PERCENT = 10_000.0
_TEXT = load()["text"]["4.2"]


def _component_claim(name: str, published: float) -> Claim:
    return Claim(
        id=f"{PAPER}.predictability.{name.rpartition('.')[2].replace('_', '-')}",
        statement=f"Depth predicts {name} with an average R² of {published:+.3f}",
        place="Table 2",
        kind=Kind.REPLICATION,
        published=published,
        unit="R²",
        criterion=within(published, TOLERANCE),
        why=f"± {TOLERANCE}: more than twice what drawing other parameters moves it, and a tenth of the variance",
        needs=(PREDICTABILITY,),
        estimate=lambda measured: average_r2(measured, name),
    )


def _control(
    name: str,
    statement: str,
    estimate: Callable[[PredictabilityMeasurement], Estimate | NotApplicable],
    *,
    unit: str,
    criterion: Criterion,
    why: str,
) -> Claim:
    return Claim(
        id=f"{PAPER}.predictability.{name}",
        statement=statement,
        place="Section 4.2",
        kind=Kind.CONTROL,
        published=None,
        unit=unit,
        criterion=criterion,
        why=why,
        needs=(PREDICTABILITY,),
        estimate=estimate,
    )


_BEYOND = "a regularity over depth must explain more than that by a twentieth of the variance"

FINDING = Finding(
    id="predictability",
    paper=PAPER,
    title="Depth predicts weights, and predicted weights fail (H2, the R² paradox)",
    place="Sections 3.3, 4.2 and 5.3, Table 2",
    order=30,
    claims=(
        *[_component_claim(name, published) for name, (published, _) in TABLE_2.items()],
        Claim(
            id=f"{PAPER}.predictability.order",
            statement="Components rank by average R² as in Table 2",
            place="Table 2",
            kind=Kind.REPLICATION,
            published=1.0,
            unit="Spearman's rho",
            criterion=at_least(0.5),
            why="half of a perfect rank correlation is the least that is the same order",
            needs=(PREDICTABILITY,),
            estimate=order_of_components,
        ),
        Claim(
            id=f"{PAPER}.predictability.best",
            statement="In every component some layer is predicted with an R² of 0.9 or more",
            place="Table 2",
            kind=Kind.REPLICATION,
            published=min(best for _, best in TABLE_2.values()),
            unit="R²",
            criterion=at_least(HIGH_R2),
            why="all seven of Table 2 are above it; judged on the component where the best is least",
            needs=(PREDICTABILITY,),
            estimate=least_best_r2,
        ),
        Claim(
            id=f"{PAPER}.predictability.one-layer",
            statement="One layer replaced by its prediction is acceptable",
            place="Section 4.2",
            kind=Kind.REPLICATION,
            published=float(_TEXT["one_layer_degradation_percent"]),
            unit="%",
            criterion=below(ACCEPTABLE_PERCENT),
            why="the paper's bound of minor damage; the layer is the middle one, since the paper names none",
            needs=(PREDICTABILITY,),
            estimate=lambda measured: degradation(measured, 1),
        ),
        Claim(
            id=f"{PAPER}.predictability.nine-layers",
            statement="Nine layers replaced by their predictions are catastrophic",
            place="Section 4.2",
            kind=Kind.REPLICATION,
            published=float(_TEXT["nine_layers_degradation_above_percent"]),
            unit="%",
            criterion=at_least(CATASTROPHIC_PERCENT),
            why="perplexity a hundredfold is catastrophic by any reading; sizes beyond depend on the text",
            needs=(PREDICTABILITY,),
            estimate=lambda measured: degradation(measured, MANY),
        ),
        _control(
            "beyond-mean-of-earlier",
            "Depth predicts weights better than the mean of earlier layers does",
            lambda measured: excess(measured, "mean_of_earlier"),
            unit="R² difference",
            criterion=above(MARGIN),
            why=_BEYOND,
        ),
        _control(
            "beyond-independent-layers",
            "Weights are predicted better than those of independent Gaussian layers",
            lambda measured: excess(measured, "independent"),
            unit="R² difference",
            criterion=above(MARGIN),
            why=_BEYOND,
        ),
        _control(
            "depends-on-order",
            "Weights are predicted better than with the layers in random order",
            lambda measured: excess(measured, "shuffled"),
            unit="R² difference",
            criterion=above(MARGIN),
            why=_BEYOND,
        ),
        _control(
            "weights-in-place",
            "Weights in their places are as predictable as sorted weights",
            lost_by_place,
            unit="R² difference",
            criterion=at_most(TOLERANCE),
            why="what only sorted weights show is the shape of a distribution, not the weights of a layer",
        ),
        _control(
            "sorted-beyond-mean",
            "Depth predicts sorted weights better than the mean of earlier layers does",
            sorted_excess,
            unit="R² difference",
            criterion=above(MARGIN),
            why="layers of one distribution give a high R² without any regularity over depth",
        ),
        _control(
            "high-r2-fails",
            "Nine layers whose predictions have an R² of 0.9 or more are catastrophic",
            degradation_at_high_r2,
            unit="%",
            criterion=at_least(CATASTROPHIC_PERCENT),
            why="a paradox needs a high R² and a failure of the same weights; judged on the reading that predicts best",
        ),
        _control(
            "errors-compound",
            "Nine predicted layers cost more together than one by one",
            compounding,
            unit="nats/token",
            criterion=above(0),
            why="errors that compound cost more than their sum; in nats, so that factors of perplexity add up",
        ),
        _control(
            "any-one-layer",
            "One replaced layer is acceptable whichever layer it is",
            acceptable_share,
            unit="% of layers",
            criterion=at_least(90),
            why="the paper names no layer; nine in ten must stay below its bound of minor damage",
        ),
        _control(
            "nine-neighbours",
            "Nine neighbouring layers replaced by their predictions are catastrophic as well",
            neighbours_degradation,
            unit="%",
            criterion=at_least(CATASTROPHIC_PERCENT),
            why="the paper does not say which nine; the failure must not depend on them",
        ),
    ),
)
