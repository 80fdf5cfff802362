"""One run: a subject, loaded at most once; measurements, made at most once; verdicts on them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.atomic import check_folder
from anatomy_bench.base.errors import InapplicableError, UsageError
from anatomy_bench.base.locations import cache_folder
from anatomy_bench.base.progress import NamedProgress, Progress, SilentProgress
from anatomy_bench.claim.claim import Claim, Need, Verdict, VerdictWord, judge
from anatomy_bench.engine.cost import sweep_cost
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, FollowUp, Job, ReadsMore, Setting
from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.experiments.scored import score_together
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.jobs import SubjectSource, do_job
from anatomy_bench.run.numerical_error import (
    COPIES,
    NOISE_FLOOR,
    Assembled,
    disturbed,
    numerical_error,
    statistics_bytes,
)
from anatomy_bench.run.options import Options
from anatomy_bench.run.plan import Plan, Planned
from anatomy_bench.run.provenance import provenance
from anatomy_bench.run.store import Store
from anatomy_bench.run.task import Task
from anatomy_bench.values.corpus import DEFAULT_CORPUS, Corpus, load_corpus, read_corpus
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.profile import Profile

if TYPE_CHECKING:
    from anatomy_bench.subject.subject import Subject

_TIMED_SENTENCES = 10
"""Sentences of the corpus that are scored to find out how fast this machine is; enough on any model."""


class Run:
    """A run, with the same options in pytest, on the command line and in notebooks.

    Attributes:
        options: as passed.
        began: start of the run, in seconds since the epoch. `--fresh` reads nothing that was stored earlier.
    """

    def __init__(
        self,
        options: Options,
        progress: Progress | None = None,
        store: Store | None = None,
        began: float | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            options: as passed.
            progress: where to report progress.
            store: of finished jobs; the user's own if none is given.
            began: start of the larger run to which this one belongs, if there is one.
        """
        self.options = options
        self.began = time.time() if began is None else began
        self._progress = progress or SilentProgress()
        self._given_store = store
        self._measured: dict[Need, Measurement] = {}
        self._assembled: dict[Need, Assembled] = {}
        self._copies: dict[Need, list[Measurement]] = {}

    @cached_property
    def subject(self) -> "Subject":
        """The model under study, loaded and checked.

        Raises:
            AnatomyError: it cannot be loaded, or nothing measured on it would mean anything.
        """
        return SubjectSource.of(self.options).load(self.corpus.sentences)

    @cached_property
    def _store(self) -> Store:
        """Opened when it is needed; claims without a model need none."""
        return self._given_store or Store(cache_folder() / "store")

    @cached_property
    def corpus(self) -> Corpus:
        """The run's own corpus: `ten`, or the user's file."""
        return read_corpus(self.options.corpus) if self.options.corpus else load_corpus(DEFAULT_CORPUS)

    @cached_property
    def profile(self) -> Profile:
        """The profile asked for; otherwise `paper` on CUDA and `quick` on the CPU."""
        if self.options.profile is not None:
            return self.options.profile
        return Profile.PAPER if self.subject.device.type == "cuda" else Profile.QUICK

    def prepare(self) -> None:
        """Check the options before anything is measured.

        Raises:
            AnatomyError: the first problem found.
        """
        corpus = self.corpus  # cheap: a bad file is reported before a model is loaded
        check_folder(self._store.folder)
        self.subject.tokenize(corpus.sentences)

    def measure(self, need: Need) -> Measurement:
        """The measurement that a claim needs; made once, or taken from the store."""
        if need not in self._measured:
            task = self.task(need)
            finished = self._finished(task)
            self._assembled[need] = Assembled(task, finished)
            self._measured[need] = task.assemble(finished)
        return self._measured[need]

    def score(self, programs: Sequence[str], *, keeps_first_token: bool = False) -> Measurement:
        """The model with its layers in other orders.

        Args:
            programs: in the form of `engine/program_text.py`, such as `0-13 15-29`.
            keeps_first_token: keep the first token's stream as in the intact model, the control for attention sinks.

        Raises:
            UsageError: a program cannot be read, or runs a layer that the model lacks.
        """
        task = self.task(Need("programs"))
        config = replace(task.config, programs=tuple(programs), keeps_first_token=keeps_first_token)
        task = replace(task, config=config)
        return task.assemble(self._finished(task))

    def judge(self, claim: Claim) -> Verdict:
        """The verdict on a claim; measures what it needs unless the claim does not apply."""
        layers = self.subject.record.layers if claim.runs_model else None
        if layers is not None and claim.applies(layers):
            return judge(claim, layers, ())
        try:
            measured = [self.measure(need) for need in claim.needs]
        except InapplicableError as error:
            return Verdict(claim.id, VerdictWord.NOT_APPLICABLE, reason=str(error))
        return judge(claim, layers, measured, numerical_error(claim, self._disturbed(claim.needs)))

    @property
    def measurements(self) -> dict[Need, Measurement]:
        """Everything that was measured or read from the store so far."""
        return dict(self._measured)

    def task(self, need: Need) -> Task:
        """The task for a need in this run. First makes the measurement that its config depends on, if there is one."""
        task = self._task(need)
        earlier = followed(task)
        if earlier is None:
            return task
        assert isinstance(task.experiment, FollowUp)
        return replace(task, config=task.experiment.follow(task.config, self.measure(earlier)))

    def plan(self, needs: Iterable[Need]) -> Plan:
        """What is still to be measured for these needs, and its cost. Measures nothing."""
        planned: dict[Need, Planned] = {}
        inapplicable: dict[Need, str] = {}
        for need in needs:
            try:
                self._plan(need, planned)
            except InapplicableError as error:
                inapplicable[need] = str(error)
        return Plan(tuple(planned.values()), inapplicable, self.subject.size.weight_bytes, self._flops_per_second())

    def _plan(self, need: Need, planned: dict[Need, Planned]) -> Planned:
        if need not in planned:
            earlier = followed(self._task(need))
            is_whole = earlier is None or self._plan(earlier, planned).is_stored
            task = self.task(need) if is_whole else self._task(need)
            text = self.subject.corpus_record(task.corpus)
            stored = self._stored(task, task.jobs)
            missing = tuple(
                task.experiment.cost(job, self.subject.size, text) for job in task.jobs if job not in stored
            )
            planned[need] = Planned(need, len(task.jobs), missing, is_whole, statistics_bytes(task))
        return planned[need]

    def _flops_per_second(self) -> float:
        """Speed of scoring the intact model on a few sentences, after a first time to warm up."""
        few = replace(self.corpus, sentences=self.corpus.sentences[:_TIMED_SENTENCES])
        cost = sweep_cost([Intact()], self.subject.size, self.subject.corpus_record(few))
        *_, finished = (score_together([Intact()], self.subject, few, SilentProgress()) for _ in range(2))
        return cost.flops / finished[Intact()].seconds

    def _task(self, need: Need) -> Task:
        """The task, but without what its config takes from another measurement."""
        experiment = get_experiment(need.experiment)
        corpus = self._text(need)
        if isinstance(experiment, ReadsMore):
            for text in experiment.texts:
                self._require_room(text)
        setting = Setting(
            self.subject.record,
            self.subject.corpus_record(corpus) if experiment.reads_corpus else None,
            provenance(self.subject, experiment, self.profile, self.options.seed),
        )
        return Task(need, experiment, experiment.configure(self.profile, need.layers), setting, corpus)

    def _text(self, need: Need) -> Corpus:
        """The text that a need is measured on.

        Raises:
            InapplicableError: it asks for a built-in one, which is no second opinion on the user's, or does not fit.
        """
        if need.corpus is None:
            return self.corpus
        if self.options.corpus is not None:
            raise InapplicableError(
                f"asked on the built-in text {need.corpus} as a second opinion; beside --corpus there is no second text"
            )
        text = load_corpus(need.corpus)
        self._require_room(text)
        return text

    def _require_room(self, text: Corpus) -> None:
        """Check that the model can read a built-in text.

        Raises:
            InapplicableError: it cannot.
        """
        try:
            self.subject.tokenize(text.sentences)
        except UsageError as error:
            raise InapplicableError(f"the built-in text {text.name} does not suit this model: {error}") from error

    def _finished(self, task: Task) -> dict[Any, Finished]:
        """The result of each unit: from the store, or measured now and kept there.

        Several processes may work on the same task: each takes the jobs that no other process is doing, and at the end
        waits for the others.
        """
        done = self._stored(task, task.jobs)
        for waits in (False, True):
            for number, job in enumerate(task.jobs, 1):
                if job not in done:
                    done |= self._taken(task, job, number, waits=waits)
        results = {unit: each for job in task.jobs for unit, each in zip(job, done[job], strict=True)}
        return {unit: results[unit] for unit in task.units}

    def _taken(self, task: Task, job: Job, number: int, *, waits: bool) -> dict[Job, tuple[Finished, ...]]:
        """A job done by this process or another; nothing if another is at it and this one does not wait.

        Whoever waits looks into the store again and again: the other may be at what is stored already.
        """
        says = waits
        while True:
            with self._store.claimed(task.key(job), wait=waits) as is_ours:
                found = self._stored(task, [job])
                if found or is_ours:
                    return found or {job: self._do(task, job, number)}
            if not waits:
                return {}
            if says:
                self._progress.note(self._store.waiting_for(task.key(job)))
                says = False

    def _do(self, task: Task, job: Job, number: int) -> tuple[Finished, ...]:
        place = f"{task.need.name}, part {number} of {len(task.jobs)}" if len(task.jobs) > 1 else task.need.name
        results = do_job(task, job, self.subject, NamedProgress(self._progress, place))
        finished = tuple(results[unit] for unit in job)
        self._store.put(task.key(job), finished)
        return finished

    def _stored(self, task: Task, jobs: Sequence[Job]) -> dict[Job, tuple[Finished, ...]]:
        """The stored results of those jobs that need not be done again."""
        since = self.began if self.options.fresh else None
        found = {job: self._store.get(task.key(job), task.experiment.result_type, since=since) for job in jobs}
        return {job: finished for job, finished in found.items() if finished is not None}

    def _disturbed(self, needs: Sequence[Need]) -> list[list[Measurement]]:
        """Copies of measurements as they might have come out with other rounding; none if it moves none of them."""
        copies = [self._copies_of(need) for need in needs]
        if not any(copies):
            return []
        # A measurement that rounding does not move is the same beside every copy of the others.
        filled = [made or [self._measured[need]] * COPIES for need, made in zip(needs, copies, strict=True)]
        return [list(copy) for copy in zip(*filled, strict=True)]

    def _copies_of(self, need: Need) -> list[Measurement]:
        if need not in self._copies:
            made = self._assembled[need]
            error = made.relative_error(self._noise_floor)
            self._copies[need] = [] if error is None else disturbed(made, error)
        return self._copies[need]

    def _noise_floor(self) -> float:
        floor = self.measure(NOISE_FLOOR)
        assert isinstance(floor, NoiseFloorMeasurement)
        return floor.relative_error


def followed(task: Task) -> Need | None:
    """The need on whose measurement the config of a task depends, if there is one."""
    experiment = task.experiment
    return Need(experiment.follows, task.need.corpus) if isinstance(experiment, FollowUp) else None
