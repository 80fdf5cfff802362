"""What experiments that score interventions on sentences share: the scores, and the values computed from them."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize, sweep_cost
from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.record import Record, RecordKind
from anatomy_bench.values.statistics import PairedBootstrap, exponential, merged, percent

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

InterventionT = TypeVar("InterventionT", bound=Intervention)

THRESHOLDS_PERCENT = (("Redundant", 10.0), ("Minor", 30.0), ("Important", 100.0), ("Critical", math.inf))
"""Categories of layers, each with the degradation below which a layer is in it (arXiv 2603.19348, 3.2)."""


UNKNOWN = "Unknown"
"""Category of a layer without which the model has no finite score."""


def category(degradation_percent: float) -> str:
    """The category of a layer with that degradation; `Unknown` for what is not a number."""
    if math.isnan(degradation_percent):
        return UNKNOWN
    return next((name for name, limit in THRESHOLDS_PERCENT if degradation_percent < limit), "Critical")


@dataclass(frozen=True)
class SentenceScores(Record):
    """Result of a unit.

    Attributes:
        nll_nats: negative log-likelihood of each sentence, summed over its predicted tokens.
    """

    nll_nats: tuple[float, ...]

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> "SentenceScores":
        """The same with each score multiplied by 1 ± `relative_error` (a standard deviation)."""
        return SentenceScores(disturbed_nats(self.nll_nats, relative_error, rng))


def disturbed_nats(nats: Sequence[float], relative_error: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Each value multiplied by 1 ± `relative_error` (a standard deviation)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return tuple((np.array(nats) * (1 + relative_error * rng.standard_normal(len(nats)))).tolist())


@dataclass(frozen=True)
class Variant(Record):
    """The model under one intervention.

    Attributes:
        perplexity: exp(total nats / total tokens).
        degradation_percent: (perplexity / baseline − 1) · 100.
        interval95_percent: of the degradation, by paired bootstrap over sentences; `None` for fewer than 5 distinct
            sentences, and where one has no finite score.
        category: by the thresholds of `THRESHOLDS_PERCENT`; `Unknown` where a sentence has no finite score.
        sentence_nll_nats: negative log-likelihood of each sentence, from which all this is computed.
    """

    perplexity: float
    degradation_percent: float
    interval95_percent: Interval | None
    category: str
    sentence_nll_nats: tuple[float, ...]

    @property
    def unknown(self) -> str:
        """Why it has no interval although there are sentences enough; nothing if it has one."""
        if self.interval95_percent is not None:
            return ""
        is_finite = all(math.isfinite(score) for score in self.sentence_nll_nats)
        return "float64 cannot tell its ends apart" if is_finite else "a sentence has no finite score"


@dataclass(frozen=True)
class ScoredMeasurement(Measurement):
    """A measurement of changed models beside the intact one, on the same sentences.

    Attributes:
        baseline_perplexity: of the intact model.
        baseline_sentence_nll_nats: negative log-likelihood of each sentence under the intact model.
    """

    baseline_perplexity: float
    baseline_sentence_nll_nats: tuple[float, ...]

    def against_baseline(self, nll_nats: Sequence[Sequence[float]], resamples: int) -> PairedBootstrap:
        """Resampled changes of models with these scores, shape (models, sentences), all on the same resamples."""
        assert self.corpus is not None
        rng = self.generator("sentences")
        return paired_bootstrap(self.baseline_sentence_nll_nats, nll_nats, self.corpus, resamples, rng)


class ScoredExperiment:
    """An experiment whose units are interventions, scored on the run's text.

    Attributes:
        units_per_job: interventions scored in one sweep.
    """

    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = SentenceScores
    units_per_job: int

    def jobs(self, units: Sequence[Intervention]) -> Sequence[Job]:
        """The interventions in their order."""
        return jobs_of(units, self.units_per_job)

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """The cost of its sweep, without that of making the changed weights."""
        return sweep_cost(job, size, corpus)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Intervention, Finished]:
        """One sweep."""
        return score_together(job, subject, corpus, progress)


def score_together(
    interventions: Sequence[InterventionT], subject: "Subject", corpus: Corpus, progress: Progress
) -> dict[InterventionT, Finished]:
    """Score interventions in one sweep, which shares layers between them."""
    sentences = subject.tokenize(corpus.sentences)
    started = time.perf_counter()
    scores = subject.score(sentences, interventions, progress)
    share = (time.perf_counter() - started) / len(interventions)
    return {
        intervention: Finished(SentenceScores(tuple(scores[intervention])), share) for intervention in interventions
    }


def scores_of(finished: Finished) -> tuple[float, ...]:
    """Negative log-likelihood of each sentence, in nats."""
    assert isinstance(finished.result, SentenceScores)
    return finished.result.nll_nats


def paired_bootstrap(
    intact_nll_nats: Sequence[float],
    variant_nll_nats: Sequence[Sequence[float]],
    corpus: CorpusRecord,
    resamples: int,
    rng: np.random.Generator,
) -> PairedBootstrap:
    """Resampled changes of variants, all on the same resamples of the corpus' sentences.

    Args:
        intact_nll_nats: of each sentence.
        variant_nll_nats: of each sentence under each variant.
        corpus: the sentences.
        resamples: how often.
        rng: draws the resamples.
    """
    return PairedBootstrap.over_sentences(
        merged(np.array(intact_nll_nats), corpus.copy_of),
        merged(np.array(variant_nll_nats), corpus.copy_of),
        merged(np.array(corpus.sentence_tokens, dtype=np.float64), corpus.copy_of),
        resamples,
        rng,
    )


def baseline_perplexity(intact_nll_nats: Sequence[float], corpus: CorpusRecord) -> float:
    """exp(total nats / total tokens) of the intact model; infinite beyond float64."""
    return float(exponential(sum(intact_nll_nats) / corpus.tokens))


def scored_header(setting: Setting, experiment: str, finished: Mapping[Any, Finished]) -> dict[str, Any]:
    """The fields that every such measurement has; `finished` has the intact model's scores."""
    assert setting.corpus is not None
    intact = scores_of(finished[Intact()])
    return {
        **setting.header(experiment, finished),
        "baseline_perplexity": baseline_perplexity(intact, setting.corpus),
        "baseline_sentence_nll_nats": intact,
    }


def compare(
    intact_nll_nats: Sequence[float],
    variant_nll_nats: Sequence[tuple[float, ...]],
    corpus: CorpusRecord,
    resamples: int,
    rng: np.random.Generator,
) -> list[Variant]:
    """Each variant against the intact model; the arguments are those of `paired_bootstrap`."""
    bootstrap = paired_bootstrap(intact_nll_nats, variant_nll_nats, corpus, resamples, rng)
    baseline = np.sum(intact_nll_nats) / corpus.tokens
    return [
        Variant(
            perplexity=float(exponential(baseline + delta)),
            degradation_percent=float(percent(delta)),
            interval95_percent=interval_percent(interval),
            category=category(float(percent(delta))) if np.isfinite(delta) else UNKNOWN,
            sentence_nll_nats=scores,
        )
        for delta, interval, scores in zip(
            bootstrap.delta_nll_nats, bootstrap.intervals(), variant_nll_nats, strict=True
        )
    ]


def interval_percent(interval_nats: Interval | None) -> Interval | None:
    """An interval of ΔNLL in nats as one of degradation in percent; `None` where float64 makes a point of it."""
    if interval_nats is None:
        return None
    found = Interval(float(percent(interval_nats.low)), float(percent(interval_nats.high)))
    return None if found.low == found.high and interval_nats.low < interval_nats.high else found
