"""Experiment 5 of the paper before any training: layers under Gaussian noise (3.6, 4.5, Table 5).

The paper injects noise once. Scoring is cheap compared with training, so here each layer gets many noises, and
"improves under noise" becomes a distribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anatomy_bench.engine.interventions import Intact, Intervention
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
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise, SigmaOf, noise_seeds
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import recovery_layers
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Draws, Record
from anatomy_bench.values.statistics import PairedBootstrap


@dataclass(frozen=True)
class PerturbationConfig(Record):
    """How layers are noised.

    Attributes:
        layers: the layers; `None` for the paper's thirteen, or thirteen spread evenly over a model of another depth.
        deviations: σ in standard deviations of the weights (paper 3.6).
        draws: noises for each layer. The paper has one and no seed; 4 (`quick`) give an interval, 10 a useful one.
        sigma_of: whose standard deviation is used (`GaussianNoise`). `quick` has only the reading closest to the text.
        resamples: bootstrap resamples of the sentences, as in the ablation.
    """

    layers: tuple[int, ...] | None
    deviations: float
    draws: int
    sigma_of: tuple[SigmaOf, ...]
    resamples: Draws


@dataclass(frozen=True)
class NoisedLayer(Record):
    """One layer.

    Attributes:
        layer: its number.
        readings: the model's score under each noise, by `sigma_of`.
    """

    layer: int
    readings: dict[str, tuple[Variant, ...]]


@dataclass(frozen=True)
class PerturbationMeasurement(ScoredMeasurement):
    """Damage of noise in single layers.

    Attributes:
        config: as run.
        layers: in order.
    """

    config: PerturbationConfig
    layers: tuple[NoisedLayer, ...]

    def layer(self, index: int) -> NoisedLayer:
        """The layer of that number.

        Raises:
            KeyError: it was not measured.
        """
        for layer in self.layers:
            if layer.layer == index:
                return layer
        raise KeyError(index)

    def bootstrap(self, variants: Sequence[Variant]) -> PairedBootstrap:
        """Resampled changes of some variants, all on the same resamples."""
        return self.against_baseline([variant.sentence_nll_nats for variant in variants], self.config.resamples)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row for each noise: perplexity, degradation and its interval."""
        rows = [
            (
                f"L{layer.layer}",
                sigma_of,
                str(draw),
                quantity(variant.perplexity),
                quantity(variant.degradation_percent),
                interval_text(variant.interval95_percent),
            )
            for layer in self.layers
            for sigma_of, draws in layer.readings.items()
            for draw, variant in enumerate(draws)
        ]
        return ("layer", "σ of", "noise", "perplexity", "degradation %", "95 %"), rows


class Perturbation(ScoredExperiment):
    """Score the model with noise in one layer at a time."""

    name = "perturbation"
    units_per_job = 32
    measurement_type: type[Measurement] = PerturbationMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> PerturbationConfig:
        """Both profiles noise the same layers; `quick` draws fewer noises, in one reading."""
        paper = profile is Profile.PAPER
        return PerturbationConfig(
            layers=layers,
            deviations=0.5,
            draws=10 if paper else 4,
            sigma_of=("matrix", "layer", "parameter") if paper else ("matrix",),
            resamples=10_000 if paper else 2_000,
        )

    def units(self, setting: Setting, config: PerturbationConfig) -> Sequence[Intervention]:
        """The baseline and every noise. The seed decides the noises.

        Raises:
            UsageError: the model has no such layer.
        """
        layers = _layers(setting.subject.layers, config)
        return [Intact(), *(noise for layer in layers for noise in _noises(layer, config, setting.seed))]

    def assemble(
        self, setting: Setting, config: PerturbationConfig, finished: Mapping[Intervention, Finished]
    ) -> PerturbationMeasurement:
        """Perplexities, degradations and their intervals, by layer and reading."""
        assert setting.corpus is not None
        seed = setting.seed
        intact = scores_of(finished[Intact()])
        layers = _layers(setting.subject.layers, config)
        noises = [noise for layer in layers for noise in _noises(layer, config, seed)]
        scores = [scores_of(finished[noise]) for noise in noises]
        variants = compare(intact, scores, setting.corpus, config.resamples, generator(seed, "sentences"))
        by_noise = dict(zip(noises, variants, strict=True))
        return PerturbationMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            layers=tuple(
                NoisedLayer(
                    layer,
                    {
                        sigma_of: tuple(
                            by_noise[noise] for noise in _noises(layer, config, seed) if noise.sigma_of == sigma_of
                        )
                        for sigma_of in config.sigma_of
                    },
                )
                for layer in layers
            ),
        )


def _layers(layer_count: int, config: PerturbationConfig) -> tuple[int, ...]:
    return recovery_layers(layer_count) if config.layers is None else require_layers(config.layers, layer_count)


def _noises(layer: int, config: PerturbationConfig, seed: int) -> list[GaussianNoise]:
    return [
        GaussianNoise(layer, config.deviations, drawn, sigma_of)
        for sigma_of in config.sigma_of
        for drawn in noise_seeds(seed, config.draws)
    ]


EXPERIMENT = Perturbation()
