"""Experiment 4 of the paper: strategies of manipulating redundant layers, all at once (3.5, 4.4, Table 4).

The paper's nine layers include the first and the last, which it never ablated, so its
set stands beside the same without them, the two anti-layers, random sets and every layer.
Sets that the paper names by number are those of a 30-layer model alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anatomy_bench import layer_sets
from anatomy_bench.corpus import Corpus
from anatomy_bench.experiments.experiment import Finished, Profile, Setting
from anatomy_bench.interventions import Intact, Intervention
from anatomy_bench.measurement import Measurement, SubjectRecord, generator
from anatomy_bench.progress import Progress
from anatomy_bench.quantities import interval_text, quantity
from anatomy_bench.record import Record, RecordKind
from anatomy_bench.scored import (
    SentenceScores,
    Variant,
    baseline_perplexity,
    compare,
    paired_bootstrap,
    score_units,
    scores_of,
)
from anatomy_bench.statistics import PairedBootstrap
from anatomy_bench.strategies import Blend, Clone, LowRankBlend, Noise, Scale, SkipAll, writes_residual

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

ALPHAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.05, 1.1)
"""The paper's factors (3.5), and those around 1 that show the shape of the curve: is 1 its minimum?"""

SURVIVING_ALPHA = 0.9
"""The factor that the paper finds viable (4.4)."""

NOISE_RELATIVE_NORM = 0.1
"""Of a matrix's norm, what scaling by 0.9 removes."""

LOW_RANK = 64
"""Singular values in a low-rank blend, of which the paper says only that they are few: the width of a head of its
model, the rank of what one head reads or writes."""

UNITS_PER_SWEEP = 24
"""Interventions scored, and then stored, together. Few enough that the ten sentences pass in one batch: hybrids of many
large matrices are made once a batch."""


@dataclass(frozen=True)
class ManipulationConfig(Record):
    """How the manipulation is run.

    Attributes:
        layers: the one set to manipulate; `None` for the named sets.
        alphas: factors of scaling all matrices, on the paper's set, its interior, or the one given.
        written_alphas: factors of scaling only the matrices that write to the residual stream, on the same sets; quick
            has those that claims read.
        alphas_elsewhere: factors on the anti-layers and on every layer; quick has the one that claims read.
        low_ranks: singular values kept in a low-rank blend; `None` is all of them, the other reading (paper profile).
        noise_draws: noises on each set; 3 (quick) have an interval, 10 a useful one.
        random_sets: random sets of interior layers; 5 (quick) have an interval, 20 a useful one.
        resamples: bootstrap resamples of the sentences, as in the ablation.
    """

    layers: tuple[int, ...] | None
    alphas: tuple[float, ...]
    written_alphas: tuple[float, ...]
    alphas_elsewhere: tuple[float, ...]
    low_ranks: tuple[int | None, ...]
    noise_draws: int
    random_sets: int
    resamples: int


@dataclass(frozen=True)
class LayerSet(Record):
    """One set of layers, all of which are changed at once.

    Attributes:
        name: `paper`, `paper_interior` (without first and last), `anti_layers`, `every_layer`, `random_0` and so on
            (interior layers, in number as many as `paper_interior`), or `given`.
        layers: its layers.
        variants: by strategy: `skip`, `clone`, `blend`, `low_rank_blend_64` (`…_full`), `scale_0.9`,
            `scale_written_0.9` (residual-writing matrices only), `noise_0` and so on. Random sets have `skip`
            and `scale_0.9`.
    """

    name: str
    layers: tuple[int, ...]
    variants: dict[str, Variant]


@dataclass(frozen=True)
class ManipulationMeasurement(Measurement):
    """Damage of each strategy on each set.

    Attributes:
        config: as run.
        baseline_perplexity: of the intact model.
        baseline_sentence_nll_nats: each sentence's.
        sets: in the order above.
    """

    config: ManipulationConfig
    baseline_perplexity: float
    baseline_sentence_nll_nats: tuple[float, ...]
    sets: tuple[LayerSet, ...]

    def layer_set(self, name: str) -> LayerSet:
        """The set of that name.

        Raises:
            KeyError: it was not measured.
        """
        for each in self.sets:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def random_sets(self) -> tuple[LayerSet, ...]:
        """The random ones."""
        return tuple(each for each in self.sets if each.name.startswith("random_"))

    def bootstrap(self, variants: Sequence[Variant]) -> PairedBootstrap:
        """Resampled changes of some variants, all on the same resamples."""
        assert self.corpus is not None
        return paired_bootstrap(
            self.baseline_sentence_nll_nats,
            [each.sentence_nll_nats for each in variants],
            self.corpus,
            self.config.resamples,
            self.generator("sentences"),
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """A row a set and strategy: perplexity, degradation and its interval."""
        rows = [
            (
                each.name,
                " ".join(f"L{layer}" for layer in each.layers) if len(each.layers) < self.subject.layers else "all",
                strategy,
                quantity(variant.perplexity),
                quantity(variant.degradation_percent),
                interval_text(variant.interval95_percent),
            )
            for each in self.sets
            for strategy, variant in each.variants.items()
        ]
        return ("set", "layers", "strategy", "perplexity", "degradation %", "95 %"), rows


class Manipulation:
    """Score the model under each strategy on each set of layers."""

    name = "manipulation"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = SentenceScores
    measurement_type: type[Measurement] = ManipulationMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> ManipulationConfig:
        """Both profiles have the same kinds of sets; quick draws fewer of the random ones and has fewer readings."""
        paper = profile is Profile.PAPER
        return ManipulationConfig(
            layers=layers,
            alphas=ALPHAS,
            written_alphas=ALPHAS if paper else (0.5, SURVIVING_ALPHA),
            alphas_elsewhere=ALPHAS if paper else (SURVIVING_ALPHA,),
            low_ranks=(LOW_RANK, None) if paper else (LOW_RANK,),
            noise_draws=10 if paper else 3,
            random_sets=20 if paper else 5,
            resamples=10_000 if paper else 2_000,
        )

    def units(self, subject: SubjectRecord, config: ManipulationConfig, seed: int) -> Sequence[Intervention]:
        """The baseline, and every strategy on every set; the seed draws the random sets and names the noises.

        Raises:
            UsageError: the model has no such layer.
        """
        planned = _plan(subject, config, seed).values()
        # Two random sets may be the same one.
        return list(dict.fromkeys([Intact(), *(unit for strategies in planned for unit in strategies.values())]))

    def run(
        self, units: Sequence[Intervention], subject: "Subject", corpus: Corpus, progress: Progress
    ) -> Iterator[tuple[Intervention, Finished]]:
        """A sweep for every few units; what a sweep has scored is yielded before the next."""
        for start in range(0, len(units), UNITS_PER_SWEEP):
            yield from score_units(units[start : start + UNITS_PER_SWEEP], subject, corpus, progress)

    def assemble(
        self, setting: Setting, config: ManipulationConfig, finished: Mapping[Intervention, Finished]
    ) -> ManipulationMeasurement:
        """Perplexities, degradations and their intervals, by set and strategy."""
        assert setting.corpus is not None
        seed = setting.provenance.seed
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
            schema="anatomy_bench/manipulation/1",
            experiment=self.name,
            subject=setting.subject,
            corpus=setting.corpus,
            provenance=setting.provenance,
            seconds=sum(each.seconds for each in finished.values()),
            config=config,
            baseline_perplexity=baseline_perplexity(intact, setting.corpus),
            baseline_sentence_nll_nats=intact,
            sets=tuple(
                LayerSet(name, layers, {strategy: variants[unit] for strategy, unit in strategies.items()})
                for (name, layers), strategies in _plan(setting.subject, config, seed).items()
            ),
        )


def _plan(
    subject: SubjectRecord, config: ManipulationConfig, seed: int
) -> dict[tuple[str, tuple[int, ...]], dict[str, Intervention]]:
    """By name and layers of a set, its interventions by name of the strategy."""

    def every_strategy(layers: tuple[int, ...]) -> dict[str, Intervention]:
        written = _scalings_of_written(layers, subject, config)
        return _replacements(layers, subject, config) | _scalings(layers, config.alphas) | written | noises(layers)

    def fewer_scalings(layers: tuple[int, ...]) -> dict[str, Intervention]:
        return _replacements(layers, subject, config) | _scalings(layers, config.alphas_elsewhere) | noises(layers)

    def noises(layers: tuple[int, ...]) -> dict[str, Intervention]:
        drawn = generator(seed, "noise").integers(2**31, size=config.noise_draws).tolist()
        return {f"noise_{index}": Noise(layers, NOISE_RELATIVE_NORM, each) for index, each in enumerate(drawn)}

    if config.layers is not None:
        given = tuple(sorted(set(layer_sets.require_layers(config.layers, subject.layers))))
        return {("given", given): every_strategy(given)}
    paper, interior = layer_sets.PAPER_REDUNDANT, layer_sets.PAPER_INTERIOR
    anti, every = layer_sets.PAPER_ANTI_LAYERS, tuple(range(subject.layers))
    named = {
        ("paper", paper): every_strategy(paper),
        ("paper_interior", interior): every_strategy(interior),
        ("anti_layers", anti): fewer_scalings(anti),
    }
    drawn = layer_sets.random_interior(subject.layers, config.random_sets, generator(seed, "random sets"))
    return {
        **(named if subject.layers == layer_sets.PAPER_LAYER_COUNT else {}),
        ("every_layer", every): fewer_scalings(every),
        **{
            (f"random_{index}", layers): {"skip": SkipAll(layers), **_scalings(layers, (SURVIVING_ALPHA,))}
            for index, layers in enumerate(drawn)
        },
    }


def _replacements(
    layers: tuple[int, ...], subject: SubjectRecord, config: ManipulationConfig
) -> dict[str, Intervention]:
    if len(layers) == subject.layers:  # no layer is left to copy from
        return {"skip": SkipAll(layers)}
    ranks = {"full" if rank is None else str(rank): rank for rank in config.low_ranks}
    blends = {f"low_rank_blend_{name}": LowRankBlend(layers, rank) for name, rank in ranks.items()}
    return {"skip": SkipAll(layers), "clone": Clone(layers), "blend": Blend(layers), **blends}


def _scalings(layers: tuple[int, ...], alphas: Sequence[float]) -> dict[str, Intervention]:
    return {f"scale_{alpha:g}": Scale(layers, alpha) for alpha in alphas}


def _scalings_of_written(
    layers: tuple[int, ...], subject: SubjectRecord, config: ManipulationConfig
) -> dict[str, Intervention]:
    if not any(map(writes_residual, subject.components)):
        return {}
    return {f"scale_written_{alpha:g}": Scale(layers, alpha, "residual_writing") for alpha in config.written_alphas}


EXPERIMENT = Manipulation()
