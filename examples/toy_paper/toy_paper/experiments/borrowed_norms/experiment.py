"""How much worse the model predicts when a layer borrows weights from the layer before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anatomy_bench.base.errors import UsageError
from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.engine.limits import VARIANTS_PER_WALK
from anatomy_bench.experiments.experiment import Finished, Setting
from anatomy_bench.experiments.scored import (
    ScoredExperiment,
    ScoredMeasurement,
    Variant,
    compare,
    scored_header,
    scores_of,
)
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record
from toy_paper.experiments.borrowed_norms.borrow import PARTS, Borrow


@dataclass(frozen=True)
class BorrowedNormsConfig(Record):
    """How the experiment is run.

    Attributes:
        resamples: of the sentences, for the intervals: 10,000, or 2,000 in the quick profile.
    """

    resamples: int


@dataclass(frozen=True)
class Borrower(Record):
    """One layer.

    Attributes:
        layer: that borrows.
        variants: the model's scores by what is borrowed, `norms` and `matrices`.
    """

    layer: int
    variants: dict[str, Variant]


@dataclass(frozen=True)
class BorrowedNormsMeasurement(ScoredMeasurement):
    """What the experiment measured.

    Attributes:
        config: as run.
        layers: all but the first, in order.
    """

    config: BorrowedNormsConfig
    layers: tuple[Borrower, ...]

    @property
    def middle(self) -> Borrower:
        """The layer halfway up."""
        return self.layers[len(self.layers) // 2]

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """A row a layer: what borrowing costs, with its interval."""
        headers = ("layer", *(head for parts in PARTS for head in (f"{parts} borrowed, %", "95 %")))
        return headers, [(f"L{each.layer}", *_cells(each.variants)) for each in self.layers]


def _cells(variants: Mapping[str, Variant]) -> list[str]:
    cells: list[str] = []
    for parts in PARTS:
        cells += [quantity(variants[parts].degradation_percent), interval_text(variants[parts].interval95_percent)]
    return cells


class BorrowedNorms(ScoredExperiment):
    """Score the model with each layer borrowing norms, and with each layer borrowing matrices."""

    name = "borrowed_norms"  # as its folder
    units_per_job = VARIANTS_PER_WALK
    measurement_type: type[Measurement] = BorrowedNormsMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> BorrowedNormsConfig:
        """Quick resamples less.

        Raises:
            UsageError: only some layers are asked for.
        """
        if layers is not None:
            raise UsageError("borrowed_norms measures all layers")
        return BorrowedNormsConfig(resamples=10_000 if profile is Profile.PAPER else 2_000)

    def units(self, setting: Setting, config: BorrowedNormsConfig) -> Sequence[Intervention]:
        """The intact model, and each layer borrowing either part."""
        del config
        return [Intact(), *(Borrow(layer, parts) for parts in PARTS for layer in _borrowers(setting))]

    def assemble(
        self, setting: Setting, config: BorrowedNormsConfig, finished: Mapping[Intervention, Finished]
    ) -> BorrowedNormsMeasurement:
        """Each variant beside the intact model."""
        assert setting.corpus is not None
        borrowers, intact = _borrowers(setting), scores_of(finished[Intact()])
        by_parts = {
            parts: compare(
                intact,
                [scores_of(finished[Borrow(layer, parts)]) for layer in borrowers],
                setting.corpus,
                config.resamples,
                generator(setting.seed, "sentences"),
            )
            for parts in PARTS
        }
        return BorrowedNormsMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            layers=tuple(
                Borrower(layer, {parts: variants[place] for parts, variants in by_parts.items()})
                for place, layer in enumerate(borrowers)
            ),
        )


def _borrowers(setting: Setting) -> range:
    return range(1, setting.subject.layers)


EXPERIMENT = BorrowedNorms()
