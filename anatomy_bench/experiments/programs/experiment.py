"""Programs that a person types: what another order of the layers costs, with intervals (`anatomy-bench score`)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine import programs as orders
from anatomy_bench.engine.arrangement import Arrangement, ProgramScores
from anatomy_bench.engine.cost import Cost, ModelSize, programs_cost
from anatomy_bench.engine.program_text import program_text, read_program
from anatomy_bench.engine.programs import check_program, intact
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.experiments.scored import baseline_perplexity, paired_bootstrap
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject.subject import Subject

PROGRAMS_PER_JOB = 256


@dataclass(frozen=True)
class ProgramsConfig(Record):
    """What is scored.

    Attributes:
        programs: in the form of `engine/program_text.py`, as they were given; empty for each layer left out in turn.
        keeps_first_token: whether the first token's stream is kept as in the intact model (`Arrangement`).
        resamples: bootstrap resamples of the sentences.
    """

    programs: tuple[str, ...]
    keeps_first_token: bool
    resamples: int


@dataclass(frozen=True)
class ProgramUnit(Record):
    """One program.

    Attributes:
        program: in its one text form, so that equal programs are equal units.
        keeps_first_token: as in the config.
    """

    program: str
    keeps_first_token: bool


@dataclass(frozen=True)
class Baseline(Record):
    """The intact model.

    Attributes:
        nll_nats: a predicted token.
        perplexity: exp of it.
    """

    nll_nats: float
    perplexity: float


@dataclass(frozen=True)
class ScoredProgram(Record):
    """The model that runs one program, against the intact one; nats are a predicted token.

    Attributes:
        program: as given.
        delta_nll_nats: change of the negative log-likelihood.
        interval95_nats: of it, by paired bootstrap over sentences; `None` for fewer than five.
        perplexity: exp(total nats / total tokens).
        kl_nats: KL(intact ‖ changed) of the next token, mean over all predicted tokens.
        kl_interval95_nats: of it, likewise.
        last_kl_nats: the same, mean over the last predicted token of each sentence.
    """

    program: str
    delta_nll_nats: float
    interval95_nats: Interval | None
    perplexity: float
    kl_nats: float
    kl_interval95_nats: Interval | None
    last_kl_nats: float


@dataclass(frozen=True)
class ProgramsMeasurement(Measurement):
    """Programs and the intact model on the same sentences.

    Attributes:
        config: as run.
        baseline: the intact model.
        programs: in the order given.
    """

    config: ProgramsConfig
    baseline: Baseline
    programs: tuple[ScoredProgram, ...]

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """A row a program: change of loss, perplexity and divergence, with intervals."""
        rows = [
            (
                each.program,
                quantity(each.delta_nll_nats),
                interval_text(each.interval95_nats),
                quantity(each.perplexity),
                quantity(each.kl_nats),
                interval_text(each.kl_interval95_nats),
            )
            for each in self.programs
        ]
        return ("program", "ΔNLL nats", "95 %", "perplexity", "KL nats", "95 %"), rows


class Programs:
    """Score the model under each program."""

    name = "programs"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = ProgramScores
    measurement_type: type[Measurement] = ProgramsMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> ProgramsConfig:
        """Every layer left out in turn; `anatomy-bench score` names other programs. Quick resamples less."""
        del layers
        return ProgramsConfig((), keeps_first_token=False, resamples=10_000 if profile is Profile.PAPER else 2_000)

    def units(self, setting: Setting, config: ProgramsConfig) -> Sequence[ProgramUnit]:
        """The intact model, and each program once.

        Raises:
            UsageError: a program cannot be read, or runs a layer that the model lacks.
        """
        named = [_unit(text, setting.subject.layers, config) for text in _programs(setting, config)]
        return list(dict.fromkeys([_intact(setting.subject.layers, config), *named]))

    def jobs(self, units: Sequence[ProgramUnit]) -> Sequence[Job]:
        """Many together: what programs have in common is computed once."""
        return jobs_of(units, PROGRAMS_PER_JOB)

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """Of the layers that they run in common."""
        return programs_cost([_arrangement(unit) for unit in job], size, corpus)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[ProgramUnit, Finished]:
        """One walk."""
        arrangements = {_arrangement(unit): unit for unit in job}
        sentences = subject.tokenize(corpus.sentences)
        started = time.perf_counter()
        scores = subject.score_programs(sentences, list(arrangements), progress)
        share = (time.perf_counter() - started) / len(job)
        return {unit: Finished(scores[arrangement], share) for arrangement, unit in arrangements.items()}

    def assemble(
        self, setting: Setting, config: ProgramsConfig, finished: Mapping[ProgramUnit, Finished]
    ) -> ProgramsMeasurement:
        """Changes, divergences and their intervals."""
        assert setting.corpus is not None
        programs = _programs(setting, config)
        units = [_unit(text, setting.subject.layers, config) for text in programs]
        whole = _scores(finished[_intact(setting.subject.layers, config)]).nll_nats
        scores = [_scores(finished[unit]) for unit in units]
        changes = _bootstrap(whole, [each.nll_nats for each in scores], setting, config)
        divergences = _bootstrap([0.0] * len(whole), [each.kl_nats for each in scores], setting, config)
        baseline = baseline_perplexity(whole, setting.corpus)
        return ProgramsMeasurement(
            **setting.header(self.name, finished),
            config=config,
            baseline=Baseline(float(np.log(baseline)), baseline),
            programs=tuple(
                ScoredProgram(
                    text,
                    change,
                    interval,
                    float(baseline * np.exp(change)),
                    divergence,
                    None if kl_interval is None else Interval(max(0.0, kl_interval.low), max(0.0, kl_interval.high)),
                    float(np.mean(each.last_kl_nats)),
                )
                for text, (change, interval), (divergence, kl_interval), each in zip(
                    programs, changes, divergences, scores, strict=True
                )
            ),
        )


def _programs(setting: Setting, config: ProgramsConfig) -> tuple[str, ...]:
    every = range(setting.subject.layers)
    return config.programs or tuple(
        program_text(orders.layers(*every[:left_out], *every[left_out + 1 :])) for left_out in every
    )


def _unit(text: str, layer_count: int, config: ProgramsConfig) -> ProgramUnit:
    program = read_program(text)
    check_program(program, layer_count, text)
    return ProgramUnit(program_text(program), config.keeps_first_token)


def _intact(layer_count: int, config: ProgramsConfig) -> ProgramUnit:
    return ProgramUnit(program_text(intact(layer_count)), config.keeps_first_token)


def _arrangement(unit: ProgramUnit) -> Arrangement:
    return Arrangement(read_program(unit.program), keeps_first_token=unit.keeps_first_token)


def _scores(finished: Finished) -> ProgramScores:
    assert isinstance(finished.result, ProgramScores)
    return finished.result


def _bootstrap(
    baseline: Sequence[float], nats: Sequence[Sequence[float]], setting: Setting, config: ProgramsConfig
) -> list[tuple[float, Interval | None]]:
    """Change of each from the baseline, in nats a token, with its interval; all on the same resamples."""
    assert setting.corpus is not None
    rng = generator(setting.seed, "sentences")
    resampled = paired_bootstrap(baseline, nats, setting.corpus, config.resamples, rng)
    return list(zip(resampled.delta_nll_nats.tolist(), resampled.intervals(), strict=True))


EXPERIMENT = Programs()
