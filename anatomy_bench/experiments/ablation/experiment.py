"""The importance of every layer, by ablation (arXiv 2603.19348, 3.2, 4.1, Table 1).

That paper's "ablation" replaces a layer by the average of its neighbours; here a true skip is measured as well. The
paper prints 0.0 for the first and the last layer, to which its formula cannot be applied; here they are really ablated,
and marked `boundary`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anatomy_bench.engine.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.engine.limits import VARIANTS_PER_WALK
from anatomy_bench.experiments.experiment import Finished, Setting
from anatomy_bench.experiments.layers import require_layers
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
from anatomy_bench.values.statistics import PairedBootstrap

VARIANTS = {"neighbour_average": NeighbourAverage, "skip": Skip}


@dataclass(frozen=True)
class AblationConfig(Record):
    """How the ablation is run.

    Attributes:
        layers: which layers; `None` is all of them.
        resamples: bootstrap resamples of the sentences. The paper has no intervals; 10,000 settle
            them to about a hundredth of their width, 2,000 (quick) to about a thirtieth.
    """

    layers: tuple[int, ...] | None
    resamples: int


@dataclass(frozen=True)
class LayerAblation(Record):
    """One layer.

    Attributes:
        boundary: whether it is the first or last layer, which takes a copy of its only neighbour as the average.
        variants: by intervention, `neighbour_average` and `skip`.
    """

    layer: int
    boundary: bool
    variants: dict[str, Variant]


@dataclass(frozen=True)
class AblationMeasurement(ScoredMeasurement):
    """Importance of layers.

    Attributes:
        config: as run.
        layers: in order.
    """

    config: AblationConfig
    layers: tuple[LayerAblation, ...]

    def layer(self, index: int) -> LayerAblation:
        """The layer of that number.

        Raises:
            KeyError: it was not measured.
        """
        for layer in self.layers:
            if layer.layer == index:
                return layer
        raise KeyError(index)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row per layer: degradation, interval and category under each variant."""
        rows = [
            (f"L{layer.layer}{' (boundary)' if layer.boundary else ''}", *_cells(layer.variants))
            for layer in self.layers
        ]
        return ("layer", *[head for name in VARIANTS for head in (f"{name} %", "95 %", "category")]), rows

    @property
    def interior(self) -> tuple[LayerAblation, ...]:
        """The layers that have two neighbours."""
        return tuple(layer for layer in self.layers if not layer.boundary)

    def bootstrap(self, layers: Sequence[LayerAblation], variant: str) -> PairedBootstrap:
        """Resampled degradations of the given layers under a variant, all on the same resamples."""
        return self.against_baseline(
            [layer.variants[variant].sentence_nll_nats for layer in layers], self.config.resamples
        )


def _cells(variants: Mapping[str, Variant]) -> list[str]:
    cells: list[str] = []
    for name in VARIANTS:
        variant = variants[name]
        cells += [quantity(variant.degradation_percent), interval_text(variant.interval95_percent), variant.category]
    return cells


class Ablation(ScoredExperiment):
    """Score the model with each layer averaged away, and with each layer skipped."""

    name = "ablation"
    units_per_job = VARIANTS_PER_WALK  # which share every layer except the one that each of them changes
    measurement_type: type[Measurement] = AblationMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> AblationConfig:
        """Both profiles score every variant; `quick` draws fewer resamples."""
        return AblationConfig(layers, resamples=10_000 if profile is Profile.PAPER else 2_000)

    def units(self, setting: Setting, config: AblationConfig) -> Sequence[Intervention]:
        """The baseline, and each layer under each intervention; scoring draws nothing at random.

        Raises:
            UsageError: the model has no such layer.
        """
        layers = _layers(setting.subject.layers, config)
        return [Intact(), *(make(layer=layer) for layer in layers for make in VARIANTS.values())]

    def assemble(
        self, setting: Setting, config: AblationConfig, finished: Mapping[Intervention, Finished]
    ) -> AblationMeasurement:
        """Perplexities, degradations and their intervals."""
        assert setting.corpus is not None
        intact = scores_of(finished[Intact()])
        layers = _layers(setting.subject.layers, config)
        by_name = {
            name: compare(
                intact,
                [scores_of(finished[make(layer=layer)]) for layer in layers],
                setting.corpus,
                config.resamples,
                generator(setting.seed, "sentences"),
            )
            for name, make in VARIANTS.items()
        }
        return AblationMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            layers=tuple(
                LayerAblation(
                    layer,
                    boundary=layer in (0, setting.subject.layers - 1),
                    variants={name: variants[position] for name, variants in by_name.items()},
                )
                for position, layer in enumerate(layers)
            ),
        )


def _layers(layer_count: int, config: AblationConfig) -> tuple[int, ...]:
    return require_layers(config.layers, layer_count) if config.layers is not None else tuple(range(layer_count))


EXPERIMENT = Ablation()
