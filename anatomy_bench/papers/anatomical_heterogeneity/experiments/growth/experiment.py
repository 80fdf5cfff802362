"""Growth training against uniform training of one 12-layer model from scratch (4.6, Tables 6 to 9).

The model under study lends its device and no more: the paper's own model is trained, on a text of its own, and what
was measured holds for any subject. Every seed has weights, split, batches and noise of its own, which its arms share.

Of what the paper leaves open, the first reading is the default and the others are arms beside it. Layers not yet grown
are skipped ("progressively activating downstream layers"), or run frozen at their first weights ("freezing others").
The embedding learns in every phase, or in the first and the last. Validation sentences are among those trained on (the
only way to 0.127 nats a token with 490 words), or held out; both losses are of the same models.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import FLOAT32_BYTES, Cost, ModelSize
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth import arms as growth_arms
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.rounding import relative_error, replicas
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    GIGA,
    Architecture,
    Phase,
    Setup,
    Trained,
    Training,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

ARCHITECTURE = Architecture(vocabulary=494, width=256, heads=4, ffn_multipliers=growth_arms.ffn_multipliers())
"""Table 6's counts leave width 256 and 494 tied tokens; heads have 64 dimensions, as in the paper's SmolLM2-135M."""

REPLICATED = ("growth", "uniform")
"""Arms that show how far rounding moves a training: the two that most claims are about."""

QUICK_SHARE = 8
"""Quick takes an eighth of the steps."""


@dataclass(frozen=True)
class GrowthConfig(Record):
    """How the arms are trained.

    Attributes:
        setup: what all arms have in common (`growth_schedule.py`). The paper states none of it: 5 windows of 32 tokens
            make an epoch of 8 steps, of which its 656 and 416 are multiples; a fifth of the sentences is held out;
            weight decay is PyTorch's default; gradients are cut to length 1 as in its recovery experiment (3.7).
        full_steps: of Table 8's full budget; quick takes an eighth.
        half_steps: of its half budget; quick takes an eighth.
        learning_rate: of every arm; the middle of the grid. Quick takes the lowest: at the middle one, an eighth of the
            steps ends while the loss still leaps, and leaps amplify rounding until processors differ by percents.
        learning_rates: the grid of the arms in `grid_arms`, half a decade to either side; a single rate in quick.
        arms: which are trained; quick leaves out the other readings and the controls.
        grid_arms: those trained at every rate of the grid.
        seeds: trainings of each arm; the fewest that have an interval worth the name.
        replicas: trainings of each of `REPLICATED` at the first seed and the default rate, beside its own, from first
            weights that are each off by one rounding: what they differ by is the numerical error of every loss.
    """

    setup: Setup
    full_steps: int
    half_steps: int
    learning_rate: float
    learning_rates: tuple[float, ...]
    arms: tuple[str, ...]
    grid_arms: tuple[str, ...]
    seeds: int
    replicas: int


@dataclass(frozen=True)
class Arm(Record):
    """One arm at one learning rate.

    Attributes:
        name: `growth`, `growth_half`, `uniform` and so on.
        learning_rate: of AdamW.
        phases: as trained.
        runs: one a seed, in the same order for all arms.
    """

    name: str
    learning_rate: float
    phases: tuple[Phase, ...]
    runs: tuple[Trained, ...]


@dataclass(frozen=True)
class GrowthMeasurement(Measurement):
    """All arms.

    Attributes:
        config: as run.
        arms: in order of the config, at every learning rate.
        replicas: those arms of which trainings were repeated with other rounding, with the replicas alone as their
            runs; no claim compares them.
        relative_error: of a final loss, by rounding: a standard deviation, as a share; `None` without replicas.
    """

    config: GrowthConfig
    arms: tuple[Arm, ...]
    replicas: tuple[Arm, ...]
    relative_error: float | None

    def at_rates(self, name: str) -> tuple[Arm, ...]:
        """An arm at every learning rate that it was trained at; nothing if it was not."""
        return tuple(each for each in self.arms if each.name == name)

    def arm(self, name: str) -> Arm | None:
        """An arm at the default learning rate, or `None` if this profile does not train it."""
        rate = self.config.learning_rate
        return next((each for each in self.at_rates(name) if each.learning_rate == rate), None)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """A row an arm: steps, operations, seconds and losses, as means over the seeds; then the replicas' alike."""
        named = [(each.name, each) for each in self.arms]
        named += [(f"{each.name}, rounded otherwise", each) for each in self.replicas]
        rows = [(name, f"{each.learning_rate:g}", str(each.runs[0].steps), *_means(each.runs)) for name, each in named]
        return ("arm", "rate", "steps", "10¹² operations", "seconds", "loss, seen", "loss, held out"), rows


def _means(runs: Sequence[Trained]) -> list[str]:
    columns = [(each.flops / 10**12, each.seconds, each.final.seen_nats, each.final.held_out_nats) for each in runs]
    return [quantity(float(mean)) for mean in np.mean(columns, axis=0)]


class Growth:
    """Train the paper's model in phases, all at once, and in the ways that tell why the two differ."""

    name = "growth"
    reads_subject = False
    reads_corpus = False  # it trains on a text of its own, whatever the run's corpus
    result_type: RecordKind = Trained
    measurement_type: type[Measurement] = GrowthMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> GrowthConfig:
        """Quick cuts steps, arms and learning rates, and learns at a lower one; see `GrowthConfig`."""
        del layers
        paper = profile is Profile.PAPER
        share = 1 if paper else QUICK_SHARE
        compared = ("growth", "uniform", "growth_half")
        controls = ("uniform_equal_compute", "growth_fresh", "uniform_restarted")
        readings = ("growth_all_running", "growth_embedding_frozen")
        return GrowthConfig(
            setup=Setup(
                architecture=ARCHITECTURE,
                rows=5,
                window_tokens=32,
                held_out_share=0.2,
                weight_decay=0.01,
                gradient_norm=1.0,
                evaluate_every=16,
                prompts=growth_arms.prompts(),
                completion_tokens=12,
            ),
            full_steps=growth_arms.published_steps("growth_100") // share,
            half_steps=growth_arms.published_steps("growth_50") // share,
            learning_rate=1e-3 if paper else 3e-4,
            learning_rates=(3e-4, 1e-3, 3e-3) if paper else (3e-4,),
            arms=(*compared, *controls, *readings) if paper else compared,
            grid_arms=("growth", "uniform"),
            seeds=3,
            replicas=1,
        )

    def units(self, setting: Setting, config: GrowthConfig) -> Sequence[Training]:
        """Seed by seed, so that a run that is cut short has whole arms of some seeds; replicas come last."""
        plan = _plan(config, setting.seed)
        in_order = [*zip(*plan.values(), strict=True), *_replicas(config, plan).values()]
        return list(dict.fromkeys(training for trainings in in_order for training in trainings))

    def jobs(self, units: Sequence[Training]) -> Sequence[Job]:
        """Each training alone."""
        return jobs_of(units, 1)

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """Of the steps. Memory: four numbers for each parameter, and what is kept for the way back."""
        del size, corpus
        (training,) = job
        setup, sizes = training.setup, training.setup.architecture
        kept = setup.rows * setup.window_tokens * sum(8 * sizes.width * (1 + each) for each in sizes.ffn_multipliers)
        return Cost(training.flops, FLOAT32_BYTES * (4 * sizes.parameters + kept))

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Training, Finished]:
        """One training, on the subject's device; the bar counts 10⁹ operations."""
        from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training import train

        del corpus
        (training,) = job
        with progress.stage("training", training.flops // GIGA) as advance:
            started = time.perf_counter()
            trained = train(training, growth_corpus().sentences, subject.device, advance)
            return {training: Finished(trained, time.perf_counter() - started)}

    def assemble(
        self, setting: Setting, config: GrowthConfig, finished: Mapping[Training, Finished]
    ) -> GrowthMeasurement:
        """Every arm with its trainings."""
        plan = _plan(config, setting.seed)
        trained = {unit: _trained(each) for unit, each in finished.items()}
        return GrowthMeasurement(
            **replace(
                setting,
                corpus=_text_record(),
                provenance=replace(setting.provenance, dtype="float32", attention="sdpa"),
            ).header(self.name, finished),
            config=config,
            arms=_arms(plan, trained),
            replicas=_arms(_replicas(config, plan), trained),
            relative_error=relative_error(trained),
        )

    def rounding_error(self, measured: Measurement) -> float | None:
        """What the replicas say of it, which is far more than the noise floor of a score."""
        assert isinstance(measured, GrowthMeasurement)
        return measured.relative_error


_Plan = Mapping[tuple[str, float], tuple[Training, ...]]
"""By name of the arm and learning rate."""


def _plan(config: GrowthConfig, seed: int) -> _Plan:
    """A training for each seed."""
    seeds = generator(seed, "growth seeds").integers(2**31, size=config.seeds).tolist()
    text = growth_corpus().digest
    return {
        (arm, rate): tuple(Training(config.setup, _phases(arm, config), rate, each, text) for each in seeds)
        for arm in config.arms
        for rate in (config.learning_rates if arm in config.grid_arms else (config.learning_rate,))
    }


def _replicas(config: GrowthConfig, plan: _Plan) -> _Plan:
    """Replicas of the first seed's trainings, of the arms that have any."""
    arms = [(name, config.learning_rate) for name in REPLICATED if config.replicas]
    return {arm: replicas(plan[arm][0], config.replicas) for arm in arms if arm in plan}


def _arms(plan: _Plan, trained: Mapping[Training, Trained]) -> tuple[Arm, ...]:
    return tuple(
        Arm(name, rate, trainings[0].phases, tuple(trained[each] for each in trainings))
        for (name, rate), trainings in plan.items()
    )


def _phases(arm: str, config: GrowthConfig) -> tuple[Phase, ...]:
    if arm == "growth_half":
        return growth_arms.growth(config.half_steps)
    if arm == "uniform_equal_compute":
        return growth_arms.uniform_equal_compute(config.full_steps, config.setup)
    return growth_arms.BY_NAME[arm](config.full_steps)


def _text_record() -> CorpusRecord:
    """The text with the tokens that the model makes of it: a word each, and the end of the sentence."""
    corpus = growth_corpus()
    tokens = tuple(len(sentence.split()) + 1 for sentence in corpus.sentences)
    return CorpusRecord(corpus.name, corpus.digest, len(tokens), sum(tokens), tokens)


def _trained(finished: Finished) -> Trained:
    assert isinstance(finished.result, Trained)
    return finished.result


EXPERIMENT = Growth()
