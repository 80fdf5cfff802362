"""How far rounding moves a score: the noise floor under every figure that scores text.

This tests the suite itself, not a paper. The scores that a run uses (many variants in one walk, sentences padded beside
each other, in the precision asked for) are compared with plain forward passes of the same model in float32, one
sentence and one variant at a time.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize, plain_cost, sweep_cost
from anatomy_bench.engine.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.experiments.experiment import Finished, Job, Setting
from anatomy_bench.experiments.layers import require_layers
from anatomy_bench.experiments.scored import SentenceScores, score_together, scores_of
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, Measurement, SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

SENTENCES = 10


@dataclass(frozen=True)
class Probe(Record):
    """A score to compute, in one of the two ways.

    Attributes:
        intervention: what is done to the model.
        path: `run`, as every experiment scores, or `reference`, by plain forward passes in float32.
        sentences: how many of the corpus, from its beginning.
    """

    intervention: Intact | NeighbourAverage | Skip
    path: Literal["run", "reference"]
    sentences: int


@dataclass(frozen=True)
class NoiseFloorConfig(Record):
    """What is scored in both ways.

    Attributes:
        layers: the layers that are skipped, and averaged away where they can be; `None` for some spread from the first
            to the last.
        layer_count: how many those are: 3 (quick) or 9. The first layer is among them, because a broken model has
            larger rounding errors than an intact one.
        sentences: how many of the corpus at most.
    """

    layers: tuple[int, ...] | None
    layer_count: int
    sentences: int


@dataclass(frozen=True)
class ProbedScores(Record):
    """One variant, scored in both ways.

    Attributes:
        intervention: what was done to the model.
        nll_nats: negative log-likelihood of each sentence as the run scores it, summed over its tokens.
        reference_nll_nats: the same by the reference.
        relative_error: root mean square over the sentences of (nll / reference − 1); NaN where a score is.
    """

    intervention: Intact | NeighbourAverage | Skip
    nll_nats: tuple[float, ...]
    reference_nll_nats: tuple[float, ...]
    relative_error: float


@dataclass(frozen=True)
class NoiseFloorMeasurement(Measurement):
    """Numerical error of scores.

    Attributes:
        config: as run.
        relative_error: of a sentence's negative log-likelihood; root mean square over all sentences and those probes
            whose scores are finite both ways; NaN if there is none.
        probes: in the order of their layers.
    """

    config: NoiseFloorConfig
    relative_error: float
    probes: tuple[ProbedScores, ...]

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row per probe: both scores of all its sentences, and the error of a sentence."""
        rows = [
            (
                _name(probe.intervention),
                quantity(sum(probe.nll_nats)),
                quantity(sum(probe.reference_nll_nats)),
                f"{probe.relative_error:.1e}",
            )
            for probe in self.probes
        ]
        return ("variant", "nats", "reference nats", "relative error of a sentence"), rows


class NoiseFloor:
    """Score a few variants as every experiment does, and by plain passes in float32."""

    name = "noise_floor"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = SentenceScores
    measurement_type: type[Measurement] = NoiseFloorMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> NoiseFloorConfig:
        """`quick` probes a third as many layers."""
        return NoiseFloorConfig(layers, 9 if profile is Profile.PAPER else 3, SENTENCES)

    def units(self, setting: Setting, config: NoiseFloorConfig) -> Sequence[Probe]:
        """Each probe in both ways; nothing is drawn at random.

        Raises:
            UsageError: the model has no such layer.
        """
        return [
            Probe(intervention, path, config.sentences)
            for intervention in _interventions(setting.subject, config)
            for path in ("run", "reference")
        ]

    def jobs(self, units: Sequence[Probe]) -> Sequence[Job]:
        """All probes in one sweep; then, on the checkpoint in float32, one at a time."""
        return [tuple(unit for unit in units if unit.path == path) for path in ("run", "reference")]

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """The cost of its sweep, or of plain passes, on the first sentences."""
        tokens = corpus.sentence_tokens[: job[0].sentences]
        few = replace(corpus, sentences=len(tokens), tokens=sum(tokens), sentence_tokens=tokens)
        interventions = [probe.intervention for probe in job]
        return (sweep_cost if job[0].path == "run" else plain_cost)(interventions, size, few)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Probe, Finished]:
        """Score the probes of a job, all of which are scored in the same way."""
        probes: dict[Intervention, Probe] = {unit.intervention: unit for unit in job}
        few = replace(corpus, sentences=corpus.sentences[: job[0].sentences])
        score = score_together if job[0].path == "run" else _score_plainly
        finished = score(list(probes), subject, few, progress)
        return {probes[intervention]: each for intervention, each in finished.items()}

    def assemble(
        self, setting: Setting, config: NoiseFloorConfig, finished: Mapping[Probe, Finished]
    ) -> NoiseFloorMeasurement:
        """The error of each probe, and of all probes together."""
        probes = [
            _probed(
                intervention,
                *(scores_of(finished[Probe(intervention, path, config.sentences)]) for path in ("run", "reference")),
            )
            for intervention in _interventions(setting.subject, config)
        ]
        return NoiseFloorMeasurement(
            **setting.header(self.name, finished),
            config=config,
            relative_error=_of_all(probes),
            probes=tuple(probes),
        )


def _interventions(subject: SubjectRecord, config: NoiseFloorConfig) -> list[Intact | NeighbourAverage | Skip]:
    if config.layers is None:
        layers = tuple(sorted({round(place) for place in np.linspace(0, subject.layers - 1, config.layer_count)}))
    else:
        layers = require_layers(config.layers, subject.layers)
    return [
        Intact(),
        *(
            make(layer=layer)
            for layer in layers
            for make in (NeighbourAverage, Skip)
            if make is Skip or subject.can_average(layer)
        ),
    ]


def _score_plainly(
    interventions: Sequence[Intervention], subject: "Subject", corpus: Corpus, progress: Progress
) -> dict[Intervention, Finished]:
    started = time.perf_counter()
    scores = subject.score_plainly_in_float32(subject.tokenize(corpus.sentences), interventions, progress)
    share = (time.perf_counter() - started) / len(interventions)
    return {each: Finished(SentenceScores(tuple(nll_nats)), share) for each, nll_nats in scores.items()}


def _probed(
    intervention: Intact | NeighbourAverage | Skip, nll_nats: tuple[float, ...], reference: tuple[float, ...]
) -> ProbedScores:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.where(np.equal(nll_nats, reference), 0.0, np.divide(nll_nats, reference) - 1)
        return ProbedScores(intervention, nll_nats, reference, float(np.sqrt(np.mean(relative**2))))


def _of_all(probes: Sequence[ProbedScores]) -> float:
    """Of those variants that have finite scores both ways: others round to nothing that can be compared."""
    errors = [probe.relative_error for probe in probes if _is_finite(probe.nll_nats, probe.reference_nll_nats)]
    return float(np.sqrt(np.mean([error**2 for error in errors]))) if errors else float("nan")


def _is_finite(*scores: tuple[float, ...]) -> bool:
    return bool(np.isfinite(scores).all())


def _name(intervention: Intact | NeighbourAverage | Skip) -> str:
    return "intact" if isinstance(intervention, Intact) else f"{intervention.kind} L{intervention.layer}"


EXPERIMENT = NoiseFloor()
