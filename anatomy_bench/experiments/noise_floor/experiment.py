"""How far rounding moves a score: the noise floor under every figure that scores text.

An A/A test of this suite itself, of no paper's. The scores that a run goes by (many variants in
one walk, sentences padded beside each other, in the precision asked for) are held against plain
forward passes of the same checkpoint in float32, a sentence and a variant at a time.
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
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

SENTENCES = 10


@dataclass(frozen=True)
class Probe(Record):
    """A score, computed one way or the other.

    Attributes:
        intervention: what is done to the model.
        path: `run` as every experiment scores; `reference` by plain forward passes in float32.
        sentences: of the corpus, from its beginning.
    """

    intervention: Intact | NeighbourAverage | Skip
    path: Literal["run", "reference"]
    sentences: int


@dataclass(frozen=True)
class NoiseFloorConfig(Record):
    """What is scored both ways.

    Attributes:
        layers: that are skipped, and averaged away; `None` for some from the first layer to the last.
        layer_count: how many those are: 3 (quick) or 9. The first is among them, because a model that is broken
            rounds worse than an intact one.
        sentences: of the corpus, at most.
    """

    layers: tuple[int, ...] | None
    layer_count: int
    sentences: int


@dataclass(frozen=True)
class ProbedScores(Record):
    """One variant, scored both ways.

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
        """A row a probe: both scores of all its sentences, and the error of one."""
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
    """Score a few variants as every experiment does, and plainly in float32."""

    name = "noise_floor"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = SentenceScores
    measurement_type: type[Measurement] = NoiseFloorMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> NoiseFloorConfig:
        """Quick probes a third as many layers."""
        return NoiseFloorConfig(layers, 9 if profile is Profile.PAPER else 3, SENTENCES)

    def units(self, setting: Setting, config: NoiseFloorConfig) -> Sequence[Probe]:
        """Each probe both ways; nothing is drawn at random.

        Raises:
            UsageError: the model has no such layer.
        """
        return [
            Probe(intervention, path, config.sentences)
            for intervention in _interventions(setting.subject.layers, config)
            for path in ("run", "reference")
        ]

    def jobs(self, units: Sequence[Probe]) -> Sequence[Job]:
        """All probes in one sweep; then, on the checkpoint in float32, one at a time."""
        return [tuple(unit for unit in units if unit.path == path) for path in ("run", "reference")]

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """Of its sweep, or of plain passes, on the first sentences."""
        tokens = corpus.sentence_tokens[: job[0].sentences]
        few = replace(corpus, sentences=len(tokens), tokens=sum(tokens), sentence_tokens=tokens)
        interventions = [probe.intervention for probe in job]
        return (sweep_cost if job[0].path == "run" else plain_cost)(interventions, size, few)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Probe, Finished]:
        """Score the probes of a job, all of which are scored the same way."""
        probes: dict[Intervention, Probe] = {unit.intervention: unit for unit in job}
        few = replace(corpus, sentences=corpus.sentences[: job[0].sentences])
        score = score_together if job[0].path == "run" else _score_plainly
        finished = score(list(probes), subject, few, progress)
        return {probes[intervention]: each for intervention, each in finished.items()}

    def assemble(
        self, setting: Setting, config: NoiseFloorConfig, finished: Mapping[Probe, Finished]
    ) -> NoiseFloorMeasurement:
        """The error of each probe, and of all."""
        probes = [
            _probed(
                intervention,
                *(scores_of(finished[Probe(intervention, path, config.sentences)]) for path in ("run", "reference")),
            )
            for intervention in _interventions(setting.subject.layers, config)
        ]
        return NoiseFloorMeasurement(
            **setting.header(self.name, finished),
            config=config,
            relative_error=_of_all(probes),
            probes=tuple(probes),
        )


def _interventions(layer_count: int, config: NoiseFloorConfig) -> list[Intact | NeighbourAverage | Skip]:
    if config.layers is None:
        layers = tuple(sorted({round(each) for each in np.linspace(0, layer_count - 1, config.layer_count)}))
    else:
        layers = require_layers(config.layers, layer_count)
    return [Intact(), *(make(layer=layer) for layer in layers for make in (NeighbourAverage, Skip))]


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
