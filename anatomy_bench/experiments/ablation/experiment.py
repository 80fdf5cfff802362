"""The importance of every layer, by ablation (arXiv 2603.19348, 3.2, 4.1, Table 1).

That paper's "ablation" replaces a layer by the average of its neighbours; here a true skip is measured as well. The
paper prints 0.0 for the first and the last layer, to which its formula cannot be applied; here they are really ablated,
and marked `boundary`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anatomy_bench.base.errors import InapplicableError
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
from anatomy_bench.values.measurement import Measurement, SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Draws, Record
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
    resamples: Draws


@dataclass(frozen=True)
class LayerAblation(Record):
    """One layer.

    Attributes:
        boundary: whether it is the first or last layer, which takes a copy of its only neighbour as the average.
        variants: by intervention, `neighbour_average` and `skip`; the first is missing where the layer and its
            neighbours have parameters of different names or shapes.
    """

    layer: int
    boundary: bool
    variants: dict[str, Variant]

    def variant(self, name: str) -> Variant:
        """The layer under that intervention.

        Raises:
            InapplicableError: its neighbours cannot be averaged.
        """
        if name not in self.variants:
            raise InapplicableError(
                f"layer {self.layer} and its neighbours have parameters of different names or shapes: "
                "they have no average"
            )
        return self.variants[name]


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

    def layers_under(self, variant: str) -> tuple[LayerAblation, ...]:
        """The layers to which the variant could be done.

        Raises:
            InapplicableError: there is none.
        """
        found = tuple(each for each in self.layers if variant in each.variants)
        if not found and self.layers:
            self.layers[0].variant(variant)
        return found

    def bootstrap(self, layers: Sequence[LayerAblation], variant: str) -> PairedBootstrap:
        """Resampled degradations of the given layers under a variant, all on the same resamples.

        Raises:
            InapplicableError: the neighbours of one of them cannot be averaged.
        """
        return self.against_baseline(
            [layer.variant(variant).sentence_nll_nats for layer in layers], self.config.resamples
        )


def _cells(variants: Mapping[str, Variant]) -> list[str]:
    cells: list[str] = []
    for name in VARIANTS:
        variant = variants.get(name)
        if variant is None:
            cells += ["–", "", "not applicable"]
            continue
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
        made = [VARIANTS[name](layer=layer) for layer in layers for name in _variants_of(layer, setting.subject)]
        return [Intact(), *made]

    def assemble(
        self, setting: Setting, config: AblationConfig, finished: Mapping[Intervention, Finished]
    ) -> AblationMeasurement:
        """Perplexities, degradations and their intervals."""
        assert setting.corpus is not None
        intact = scores_of(finished[Intact()])
        layers = _layers(setting.subject.layers, config)
        done = {layer: _variants_of(layer, setting.subject) for layer in layers}
        by_name: dict[str, dict[int, Variant]] = {}
        for name, make in VARIANTS.items():
            having = [layer for layer in layers if name in done[layer]]
            if not having:
                continue
            variants = compare(
                intact,
                [scores_of(finished[make(layer=layer)]) for layer in having],
                setting.corpus,
                config.resamples,
                generator(setting.seed, "sentences"),
            )
            by_name[name] = dict(zip(having, variants, strict=True))
        return AblationMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            layers=tuple(
                LayerAblation(
                    layer,
                    boundary=layer in (0, setting.subject.layers - 1),
                    variants={name: by_name[name][layer] for name in done[layer]},
                )
                for layer in layers
            ),
        )


def _variants_of(layer: int, subject: SubjectRecord) -> tuple[str, ...]:
    """Names of the interventions that can be done to the layer."""
    return tuple(name for name in VARIANTS if name == "skip" or subject.can_average(layer))


def _layers(layer_count: int, config: AblationConfig) -> tuple[int, ...]:
    return require_layers(config.layers, layer_count) if config.layers is not None else tuple(range(layer_count))


EXPERIMENT = Ablation()
