"""Experiment 1 of the paper: the importance of every layer, by ablation (3.2, 4.1, Table 1).

The paper's "ablation" replaces a layer by the average of its neighbours; a true skip
stands beside it. First and last layers, for which the paper prints 0.0 and which its
formula cannot touch, are really ablated here and marked `boundary`.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anatomy_bench.corpus import Corpus
from anatomy_bench.errors import UsageError
from anatomy_bench.experiments.experiment import Finished, Profile, Setting
from anatomy_bench.interval import Interval
from anatomy_bench.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.measurement import Measurement, SubjectRecord, generator
from anatomy_bench.progress import Progress
from anatomy_bench.quantities import interval_text, quantity
from anatomy_bench.record import Record, RecordKind
from anatomy_bench.statistics import PairedBootstrap, percent

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

VARIANTS = {"neighbour_average": NeighbourAverage, "skip": Skip}
THRESHOLDS_PERCENT = (("Redundant", 10.0), ("Minor", 30.0), ("Important", 100.0), ("Critical", math.inf))
"""Categories and the degradation below which a layer is in them (paper 3.2)."""


def category(degradation_percent: float) -> str:
    """The paper's category of a layer (3.2)."""
    return next((name for name, limit in THRESHOLDS_PERCENT if degradation_percent < limit), "Critical")


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
class SentenceScores(Record):
    """Result of a unit.

    Attributes:
        nll_nats: negative log-likelihood of each sentence, summed over its predicted tokens.
    """

    nll_nats: tuple[float, ...]


@dataclass(frozen=True)
class Variant(Record):
    """One layer under one intervention.

    Attributes:
        perplexity: exp(total nats / total tokens).
        degradation_percent: (perplexity / baseline − 1) · 100.
        interval95_percent: of it, by paired bootstrap over sentences; `None` for a single sentence.
        category: by the paper's thresholds.
        sentence_nll_nats: what all that is computed from.
    """

    perplexity: float
    degradation_percent: float
    interval95_percent: Interval | None
    category: str
    sentence_nll_nats: tuple[float, ...]


@dataclass(frozen=True)
class LayerAblation(Record):
    """One layer.

    Attributes:
        boundary: first or last, with a single neighbour whose copy it takes as its average.
        variants: by intervention, `neighbour_average` and `skip`.
    """

    layer: int
    boundary: bool
    variants: dict[str, Variant]


@dataclass(frozen=True)
class AblationMeasurement(Measurement):
    """Importance of layers.

    Attributes:
        config: as run.
        baseline_perplexity: of the intact model.
        baseline_sentence_nll_nats: each sentence's.
        layers: in order.
    """

    config: AblationConfig
    baseline_perplexity: float
    baseline_sentence_nll_nats: tuple[float, ...]
    layers: tuple[LayerAblation, ...]

    def layer(self, index: int) -> LayerAblation:
        """The layer of that number.

        Raises:
            KeyError: it was not measured.
        """
        for each in self.layers:
            if each.layer == index:
                return each
        raise KeyError(index)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """A row a layer: degradation, interval and category under each variant."""
        rows = [
            (f"L{layer.layer}{' (boundary)' if layer.boundary else ''}", *_cells(layer.variants))
            for layer in self.layers
        ]
        return ("layer", *[head for name in VARIANTS for head in (f"{name} %", "95 %", "category")]), rows

    @property
    def interior(self) -> tuple[LayerAblation, ...]:
        """The layers that have two neighbours."""
        return tuple(each for each in self.layers if not each.boundary)

    def bootstrap(self, layers: Sequence[LayerAblation], variant: str) -> PairedBootstrap:
        """Resampled degradations of the given layers under a variant, all on the same resamples."""
        assert self.corpus is not None
        return PairedBootstrap.over_sentences(
            np.array(self.baseline_sentence_nll_nats),
            np.array([each.variants[variant].sentence_nll_nats for each in layers]),
            np.array(self.corpus.sentence_tokens, dtype=np.float64),
            self.config.resamples,
            self.generator("sentences"),
        )


def _cells(variants: Mapping[str, Variant]) -> list[str]:
    cells: list[str] = []
    for name in VARIANTS:
        variant = variants[name]
        cells += [quantity(variant.degradation_percent), interval_text(variant.interval95_percent), variant.category]
    return cells


class Ablation:
    """Score the model with each layer averaged away, and with each layer skipped."""

    name = "ablation"
    reads_corpus = True
    result_type: RecordKind = SentenceScores
    measurement_type: type[Measurement] = AblationMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> AblationConfig:
        """Both profiles score every variant; quick resamples less."""
        return AblationConfig(layers, resamples=10_000 if profile is Profile.PAPER else 2_000)

    def units(self, subject: SubjectRecord, config: AblationConfig, seed: int) -> Sequence[Intervention]:
        """The baseline, and each layer under each intervention; scoring draws nothing at random.

        Raises:
            UsageError: the model has no such layer.
        """
        del seed
        layers = _layers(subject.layers, config)
        return [Intact(), *(make(layer=layer) for layer in layers for make in VARIANTS.values())]

    def run(
        self, units: Sequence[Intervention], subject: "Subject", corpus: Corpus, progress: Progress
    ) -> Iterator[tuple[Intervention, Finished]]:
        """All units in one sweep: they share every layer but the one that each changes."""
        yield from scored(units, subject, corpus, progress)

    def assemble(
        self, setting: Setting, config: AblationConfig, finished: Mapping[Intervention, Finished]
    ) -> AblationMeasurement:
        """Perplexities, degradations and their intervals."""
        assert setting.corpus is not None
        tokens = np.array(setting.corpus.sentence_tokens, dtype=np.float64)
        intact = nll_nats_of(finished[Intact()])
        layers = _layers(setting.subject.layers, config)
        by_name = {
            name: score_variants(
                intact,
                [nll_nats_of(finished[make(layer=layer)]) for layer in layers],
                tokens,
                config.resamples,
                generator(setting.provenance.seed, "sentences"),
            )
            for name, make in VARIANTS.items()
        }
        return AblationMeasurement(
            schema="anatomy_bench/ablation/1",
            experiment=self.name,
            subject=setting.subject,
            corpus=setting.corpus,
            provenance=setting.provenance,
            seconds=sum(each.seconds for each in finished.values()),
            config=config,
            baseline_perplexity=float(np.exp(sum(intact) / tokens.sum())),
            baseline_sentence_nll_nats=intact,
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
    layers = config.layers if config.layers is not None else tuple(range(layer_count))
    absent = [layer for layer in layers if not 0 <= layer < layer_count]
    if absent:
        raise UsageError(f"no layer {absent[0]}: the model has layers 0 to {layer_count - 1}")
    return layers


def scored(
    units: Sequence[Intervention], subject: "Subject", corpus: Corpus, progress: Progress
) -> Iterator[tuple[Intervention, Finished]]:
    """Score the corpus under every intervention in one sweep; each is given an equal share of its seconds."""
    sentences = subject.tokenize(corpus.sentences)
    started = time.perf_counter()
    scores = subject.score(sentences, units, progress)
    share = (time.perf_counter() - started) / len(units)
    for unit, nll_nats in scores.items():
        yield unit, Finished(SentenceScores(tuple(nll_nats)), share)


def nll_nats_of(finished: Finished) -> tuple[float, ...]:
    """Negative log-likelihood of each sentence, in nats, that a scored unit came to."""
    assert isinstance(finished.result, SentenceScores)
    return finished.result.nll_nats


def score_variants(
    intact_nll_nats: Sequence[float],
    nll_nats: Sequence[tuple[float, ...]],
    tokens: np.ndarray,
    resamples: int,
    rng: np.random.Generator,
) -> list[Variant]:
    """Variants against the intact model.

    Args:
        intact_nll_nats: of each sentence.
        nll_nats: likewise, for each variant.
        tokens: predicted tokens of each sentence, shape (sentences,).
        resamples: bootstrap resamples of the sentences.
        rng: draws them.
    """
    intact = np.array(intact_nll_nats)
    bootstrap = PairedBootstrap.over_sentences(intact, np.array(nll_nats), tokens, resamples, rng)
    baseline = intact.sum() / tokens.sum()
    return [
        Variant(
            perplexity=float(np.exp(baseline + delta)),
            degradation_percent=float(percent(delta)),
            interval95_percent=interval_percent(interval),
            category=category(float(percent(delta))),
            sentence_nll_nats=scores,
        )
        for delta, interval, scores in zip(bootstrap.delta_nll_nats, bootstrap.intervals(), nll_nats, strict=True)
    ]


def interval_percent(interval_nats: Interval | None) -> Interval | None:
    """An interval of ΔNLL in nats as one of perplexity degradation in percent."""
    if interval_nats is None:
        return None
    return Interval(float(percent(interval_nats.low)), float(percent(interval_nats.high)))


EXPERIMENT = Ablation()
