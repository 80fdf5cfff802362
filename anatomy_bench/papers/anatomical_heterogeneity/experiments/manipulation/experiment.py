"""Experiment 4 of the paper: redundant layers manipulated all at once, by several strategies (3.5, 4.4, Table 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.experiments.experiment import Finished, Job, Setting
from anatomy_bench.experiments.scored import (
    ScoredExperiment,
    ScoredMeasurement,
    Variant,
    compare,
    scored_header,
    scores_of,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.plan import (
    ALPHAS,
    LOW_RANK,
    SURVIVING_ALPHA,
    ManipulationConfig,
    plan,
)
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record
from anatomy_bench.values.statistics import PairedBootstrap


@dataclass(frozen=True)
class LayerSet(Record):
    """One set of layers, all of which are changed at once.

    Attributes:
        name: `paper`, `paper_interior` (without first and last), `anti_layers`, `every_layer`, `random_0` and so on
            (as many interior layers as `paper_interior` has), `redundant` and `redundant_interior` (as the
            ablation found them), or `given`.
        layers: its layers.
        variants: by strategy: `skip`, `clone`, `blend`, `low_rank_blend_64` (`…_full`), `scale_0.9`,
            `scale_written_0.9` (residual-writing matrices only), `noise_0` and so on. Random sets have `skip`
            and `scale_0.9`.
    """

    name: str
    layers: tuple[int, ...]
    variants: dict[str, Variant]


@dataclass(frozen=True)
class ManipulationMeasurement(ScoredMeasurement):
    """Damage of each strategy on each set.

    Attributes:
        config: as run.
        sets: in the order in which `LayerSet` names them.
    """

    config: ManipulationConfig
    sets: tuple[LayerSet, ...]

    def layer_set(self, name: str) -> LayerSet:
        """The set of that name.

        Raises:
            KeyError: it was not measured.
        """
        for layer_set in self.sets:
            if layer_set.name == name:
                return layer_set
        raise KeyError(name)

    @property
    def random_sets(self) -> tuple[LayerSet, ...]:
        """The random ones."""
        return tuple(layer_set for layer_set in self.sets if layer_set.name.startswith("random_"))

    def bootstrap(self, variants: Sequence[Variant]) -> PairedBootstrap:
        """Resampled changes of some variants, all on the same resamples."""
        return self.against_baseline([variant.sentence_nll_nats for variant in variants], self.config.resamples)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row for each set and strategy: perplexity, degradation and its interval."""
        rows = [
            (
                layer_set.name,
                " ".join(f"L{layer}" for layer in layer_set.layers)
                if len(layer_set.layers) < self.subject.layers
                else "all",
                strategy,
                quantity(variant.perplexity),
                quantity(variant.degradation_percent),
                interval_text(variant.interval95_percent),
            )
            for layer_set in self.sets
            for strategy, variant in layer_set.variants.items()
        ]
        return ("set", "layers", "strategy", "perplexity", "degradation %", "95 %"), rows


class Manipulation(ScoredExperiment):
    """Score the model under each strategy on each set of layers."""

    name = "manipulation"
    follows = "ablation"
    # Few enough that the ten sentences pass in one batch, because hybrids of large matrices are made once per batch.
    units_per_job = 48
    measurement_type: type[Measurement] = ManipulationMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> ManipulationConfig:
        """Both profiles have the same kinds of sets; `quick` draws fewer random ones and has fewer readings."""
        paper = profile is Profile.PAPER
        return ManipulationConfig(
            layers=layers,
            redundant=None,
            alphas=ALPHAS,
            written_alphas=ALPHAS if paper else (0.5, SURVIVING_ALPHA),
            alphas_elsewhere=ALPHAS if paper else (SURVIVING_ALPHA,),
            alphas_of_redundant=ALPHAS if paper else (0.0, 0.5, 0.7, SURVIVING_ALPHA),
            low_ranks=(LOW_RANK, None) if paper else (LOW_RANK,),
            noise_draws=10 if paper else 3,
            random_sets=20 if paper else 5,
            resamples=10_000 if paper else 2_000,
        )

    def follow(self, config: ManipulationConfig, earlier: Measurement) -> ManipulationConfig:
        """The config with the layers that this model's ablation finds redundant, by the paper's threshold (3.2).

        Raises:
            InapplicableError: layers are of several kinds.
        """
        assert isinstance(earlier, AblationMeasurement)
        earlier.subject.require_one_kind(self.name)
        if config.layers is not None:
            return config
        found = [layer for layer in earlier.layers if layer.variant("neighbour_average").category == "Redundant"]
        return replace(config, redundant=tuple(layer.layer for layer in found))

    def units(self, setting: Setting, config: ManipulationConfig) -> Sequence[Intervention]:
        """The baseline, and every strategy on every set. The seed decides the random sets and the noises.

        Raises:
            UsageError: the model has no such layer.
            InapplicableError: layers are of several kinds, which cannot be cloned, blended or averaged.
        """
        setting.subject.require_one_kind(self.name)
        planned = plan(setting.subject, config, setting.seed).values()
        # Two random sets may be equal.
        return list(dict.fromkeys([Intact(), *(unit for strategies in planned for unit in strategies.values())]))

    def jobs(self, units: Sequence[Intervention]) -> Sequence[Job]:
        """Strategies of one kind together, because overlapping sets share the new weights of a layer."""
        return super().jobs(sorted(units, key=lambda unit: unit.kind))

    def assemble(
        self, setting: Setting, config: ManipulationConfig, finished: Mapping[Intervention, Finished]
    ) -> ManipulationMeasurement:
        """Perplexities, degradations and their intervals, by set and strategy."""
        assert setting.corpus is not None
        seed = setting.seed
        intact = scores_of(finished[Intact()])
        units = list(finished)
        variants = dict(
            zip(
                units,
                compare(
                    intact,
                    [scores_of(finished[unit]) for unit in units],
                    setting.corpus,
                    config.resamples,
                    generator(seed, "sentences"),
                ),
                strict=True,
            )
        )
        return ManipulationMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            sets=tuple(
                LayerSet(name, layers, {strategy: variants[unit] for strategy, unit in strategies.items()})
                for (name, layers), strategies in plan(setting.subject, config, seed).items()
            ),
        )


EXPERIMENT = Manipulation()
