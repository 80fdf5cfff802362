"""The paper's one finding: a layer can do with the norms of the layer before it (section 2)."""

from anatomy_bench.claim.claim import Claim, Estimate, Finding, Kind, Need, above, at_most
from anatomy_bench.values import published
from toy_paper.experiments.borrowed_norms.borrow import Parts
from toy_paper.experiments.borrowed_norms.experiment import BorrowedNormsMeasurement

PLACE = "Section 2"
MEASURED = Need("borrowed_norms")
HARMLESS_PERCENT = 10


def degradation(measured: BorrowedNormsMeasurement, parts: Parts) -> Estimate:
    """How much worse the model predicts when its middle layer borrows, in percent."""
    variant = measured.middle.variants[parts]
    return Estimate(variant.degradation_percent, variant.interval95_percent, f"L{measured.middle.layer}")


FINDING = Finding(
    id="borrowed-norms",
    paper="toy",
    title="Layers need no norms of their own",
    place=PLACE,
    order=10,
    claims=(
        Claim(
            id="toy.borrowed-norms.harmless",
            statement="The middle layer can do with the norms of the layer before it",
            place=PLACE,
            kind=Kind.REPLICATION,
            published=float(published.load("toy_paper")["text"]["2"]["middle_layer_degradation_percent"]),
            unit="%",
            criterion=at_most(HARMLESS_PERCENT),
            why="less than 10 % is what the paper calls harmless",
            needs=(MEASURED,),
            estimate=lambda measured: degradation(measured, "norms"),
        ),
        Claim(
            id="toy.borrowed-norms.matrices",
            statement="The middle layer cannot do with the matrices of the layer before it",
            place=PLACE,
            kind=Kind.CONTROL,
            published=None,
            unit="%",
            criterion=above(HARMLESS_PERCENT),
            why="if any weights can be borrowed, the layer matters little and its norms are nothing special",
            needs=(MEASURED,),
            estimate=lambda measured: degradation(measured, "matrices"),
        ),
    ),
)
