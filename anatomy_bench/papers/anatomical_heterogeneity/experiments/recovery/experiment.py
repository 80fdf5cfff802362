"""Experiment 5 of the paper: how fast single layers recover from noise (3.6, 4.5, Tables 5 and 10).

A layer is noised, all others are frozen, and the model is scored before training and after every step. The paper states
noise, optimiser, learning rate and clipping. It does not state the text, the size of a batch and the number of noises;
the config says what is done about each.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize, sweep_cost, training_cost
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.experiments.layers import require_layers
from anatomy_bench.experiments.scored import SentenceScores, score_together, scored_header, scores_of
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise, noise_seeds
from anatomy_bench.papers.anatomical_heterogeneity.experiments.layer_sets import (
    PAPER_ANTI_LAYERS,
    PAPER_LAYER_COUNT,
    recovery_layers,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import (
    Optimiser,
    RecoveryConfig,
    RecoveryMeasurement,
    RecoveryUnit,
    Text,
    TrainedLayer,
    recovery_of,
)
from anatomy_bench.values.corpus import Corpus, load_corpus
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

Unit = Intact | RecoveryUnit

QUICK_LAYERS = (3, 8, 11, 14, 17, 23, 24)
"""Those of the thirteen layers that section 4.5 names, and one more of the critical core."""

LAYERS_PER_LOOP = 16
"""Layers trained together: as many as the paper tested."""


@dataclass(frozen=True)
class _Loop:
    """What units must share to be trained in one loop, because it decides the batches."""

    text: Text
    seed: int
    steps: int
    batch_sentences: int
    optimiser: Optimiser

    def batches(self, sentences: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
        """The sentences of each step: all of them in random order, then all again in another order, and so on."""
        rng = generator(self.seed, f"batches of {self.text}")
        order: list[int] = []
        while len(order) < self.steps * self.batch_sentences:
            order += rng.permutation(len(sentences)).tolist()
        size = self.batch_sentences
        return [[sentences[index] for index in order[step * size : (step + 1) * size]] for step in range(self.steps)]


class Recovery:
    """Train noised layers, each alone, and score the model after every step."""

    name = "recovery"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = SentenceScores | TrainedLayer
    measurement_type: type[Measurement] = RecoveryMeasurement

    @property
    def texts(self) -> Sequence[Corpus]:
        """What layers are trained on."""
        return (training_text(),)

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> RecoveryConfig:
        """`quick` trains half as many layers for 15 steps from one noise, on one text."""
        paper = profile is Profile.PAPER
        return RecoveryConfig(
            layers=layers,
            all_tested=paper,
            deviations=0.5,
            step_limit=200,
            steps=200 if paper else 15,
            draws=3 if paper else 1,
            draws_of_scored_text=1 if paper else 0,
            draws_of_intact=3 if paper else 0,
            batch_sentences=4,
            optimiser=Optimiser(learning_rate=1e-4, gradient_norm=1.0, weight_decay=0.01),
            resamples=10_000 if paper else 2_000,
        )

    def units(self, setting: Setting, config: RecoveryConfig) -> Sequence[Unit]:
        """The baseline, and each layer from each noise on each text. The seed decides the noises.

        Raises:
            UsageError: the model has no such layer.
        """
        return [Intact(), *_recoveries(setting.subject.layers, config, setting.seed)]

    def jobs(self, units: Sequence[Unit]) -> Sequence[Job]:
        """The baseline, and one loop for every text and noise."""
        trained = sorted((unit for unit in units if isinstance(unit, RecoveryUnit)), key=lambda unit: repr(_loop(unit)))
        loops = [jobs_of(list(alike), LAYERS_PER_LOOP) for _, alike in groupby(trained, key=_loop)]
        return [(Intact(),), *(job for loop in loops for job in loop)]

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """The cost of the baseline or of a loop, with training sentences as long as the scored ones."""
        if not isinstance(job[0], RecoveryUnit):
            return sweep_cost(job, size, corpus)
        layers = [unit.start.layer for unit in job]
        return training_cost(layers, job[0].steps, job[0].batch_sentences, size, corpus)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Unit, Finished]:
        """Score the intact model, or train the layers of a loop together."""
        do = _train if isinstance(job[0], RecoveryUnit) else score_together
        return do(job, subject, corpus, progress)

    def assemble(
        self, setting: Setting, config: RecoveryConfig, finished: Mapping[Unit, Finished]
    ) -> RecoveryMeasurement:
        """Curves, and steps to each threshold."""
        assert setting.corpus is not None
        intact = scores_of(finished[Intact()])
        planned = _recoveries(setting.subject.layers, config, setting.seed)
        return RecoveryMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            recoveries=tuple(recovery_of(unit, finished[unit], intact, setting.corpus) for unit in planned),
        )


def training_text() -> Corpus:
    """The text on which layers are trained, with no sentence of those that are scored."""
    return load_corpus("recovery", __package__)


def _loop(unit: RecoveryUnit) -> _Loop:
    return _Loop(unit.text, unit.start.seed, unit.steps, unit.batch_sentences, unit.optimiser)


def _train(
    units: Sequence[RecoveryUnit], subject: "Subject", corpus: Corpus, progress: Progress
) -> dict[Unit, Finished]:
    """Train the layers of one loop: all at once, or one at a time if the architecture does not allow that."""
    from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import recover
    from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.plain import recover_plainly

    loop = _loop(units[0])
    scored = subject.tokenize(corpus.sentences)
    text = scored if loop.text == "scored" else subject.tokenize(training_text().sentences)
    began = time.perf_counter()
    train = recover if subject.can_be_walked else recover_plainly
    results = train(
        subject.stack, loop.batches(text), scored, [unit.start for unit in units], loop.optimiser, progress=progress
    )
    share = (time.perf_counter() - began) / len(units)
    return {unit: Finished(results[unit.start], share) for unit in units}


def _tested(layer_count: int, config: RecoveryConfig) -> tuple[int, ...]:
    if config.layers is not None:
        return require_layers(config.layers, layer_count)
    if config.all_tested:
        return recovery_layers(layer_count)
    if layer_count == PAPER_LAYER_COUNT:
        return QUICK_LAYERS
    return recovery_layers(layer_count)[::2]


def _recoveries(layer_count: int, config: RecoveryConfig, seed: int) -> list[RecoveryUnit]:
    layers = _tested(layer_count, config)
    seeds = noise_seeds(seed, max(config.draws, config.draws_of_scored_text, config.draws_of_intact))
    digest = training_text().digest

    def unit(layer: int, deviations: float, drawn: int, text: Text) -> RecoveryUnit:
        return RecoveryUnit(
            GaussianNoise(layer, deviations, drawn),
            text,
            digest if text == "recovery" else None,
            config.steps,
            config.batch_sentences,
            config.optimiser,
        )

    anti = [layer for layer in PAPER_ANTI_LAYERS if layer in layers and layer_count == PAPER_LAYER_COUNT]
    return [
        *(unit(layer, config.deviations, drawn, "recovery") for layer in layers for drawn in seeds[: config.draws]),
        *(unit(layer, 0.0, drawn, "recovery") for layer in anti for drawn in seeds[: config.draws_of_intact]),
        *(
            unit(layer, config.deviations, drawn, "scored")
            for layer in layers
            for drawn in seeds[: config.draws_of_scored_text]
        ),
    ]


EXPERIMENT = Recovery()
