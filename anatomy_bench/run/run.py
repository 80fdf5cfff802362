"""One run: a subject, loaded at most once; measurements, made at most once; verdicts on them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.atomic import check_folder
from anatomy_bench.base.locations import cache_folder
from anatomy_bench.base.progress import NamedProgress, Progress, SilentProgress
from anatomy_bench.claim.claim import Claim, Need, Verdict, judge
from anatomy_bench.engine.cost import sweep_cost
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, FollowUp, Job, Setting
from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.experiments.scored import score_together
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.jobs import SubjectSource, do_job
from anatomy_bench.run.numerical_error import COPIES, NOISE_FLOOR, Assembled, disturbed, numerical_error
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
"""Of the corpus: enough to know how fast this machine is, on any model."""


class Run:
    """What pytest and the command line both do with the options.

    Attributes:
        options: as passed.
        began: when, in seconds since the epoch. `--fresh` reads nothing that was stored before.
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
            progress: where to tell how far the work is.
            store: of finished jobs; the user's own if none is given.
            began: when the run began that this one is a part of, if it is.
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
        """The model under study, loaded and found fit.

        Raises:
            AnatomyError: it cannot be had, or nothing measured on it would mean anything.
        """
        return SubjectSource.of(self.options).load()

    @cached_property
    def _store(self) -> Store:
        """Made when it is needed: claims without a model need none."""
        return self._given_store or Store(cache_folder() / "store")

    @cached_property
    def corpus(self) -> Corpus:
        """The run's own corpus: `ten`, or the user's file."""
        return read_corpus(self.options.corpus) if self.options.corpus else load_corpus(DEFAULT_CORPUS)

    @cached_property
    def profile(self) -> Profile:
        """As asked for, or `paper` on CUDA and `quick` on the CPU."""
        if self.options.profile is not None:
            return self.options.profile
        return Profile.PAPER if self.subject.device.type == "cuda" else Profile.QUICK

    def prepare(self) -> None:
        """Meet every error of the options before anything is measured.

        Raises:
            AnatomyError: the first of them.
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
        measured = [self.measure(need) for need in claim.needs]
        return judge(claim, layers, measured, numerical_error(claim, self._disturbed(claim.needs)))

    @property
    def measurements(self) -> dict[Need, Measurement]:
        """What has been measured or read so far."""
        return dict(self._measured)

    def task(self, need: Need) -> Task:
        """What a need comes to in this run. Measures first what its config follows from."""
        task = self._task(need)
        earlier = followed(task)
        if earlier is None:
            return task
        assert isinstance(task.experiment, FollowUp)
        return replace(task, config=task.experiment.follow(task.config, self.measure(earlier)))

    def plan(self, needs: Iterable[Need]) -> Plan:
        """What measuring them, and what they follow from, would take beside what is stored. Measures nothing."""
        planned: dict[Need, Planned] = {}
        for need in needs:
            self._plan(need, planned)
        return Plan(tuple(planned.values()), self.subject.size.weight_bytes, self._flops_per_second())

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
            planned[need] = Planned(need, len(task.jobs), missing, is_whole)
        return planned[need]

    def _flops_per_second(self) -> float:
        """Of scoring the intact model on a few sentences, once that has warmed up."""
        few = replace(self.corpus, sentences=self.corpus.sentences[:_TIMED_SENTENCES])
        cost = sweep_cost([Intact()], self.subject.size, self.subject.corpus_record(few))
        *_, finished = (score_together([Intact()], self.subject, few, SilentProgress()) for _ in range(2))
        return cost.flops / finished[Intact()].seconds

    def _task(self, need: Need) -> Task:
        """The task, but for what its config takes from another measurement."""
        experiment = get_experiment(need.experiment)
        corpus = load_corpus(need.corpus) if need.corpus else self.corpus
        setting = Setting(
            self.subject.record,
            self.subject.corpus_record(corpus) if experiment.reads_corpus else None,
            provenance(self.subject, experiment, self.profile, self.options.seed),
        )
        return Task(need, experiment, experiment.configure(self.profile, need.layers), setting, corpus)

    def _finished(self, task: Task) -> dict[Any, Finished]:
        """The result of each unit: from the store, or measured now and kept there.

        Several processes may be at jobs of the same task: each takes those that no other one is at, and waits for
        the others at the end.
        """
        done = self._stored(task, task.jobs)
        for waits in (False, True):
            for number, job in enumerate(task.jobs, 1):
                if job in done:
                    continue
                with self._store.claimed(task.key(job), wait=waits) as is_ours:
                    if is_ours:
                        done |= self._stored(task, [job]) or {job: self._do(task, job, number)}
        results = {unit: each for job in task.jobs for unit, each in zip(job, done[job], strict=True)}
        return {unit: results[unit] for unit in task.units}

    def _do(self, task: Task, job: Job, number: int) -> tuple[Finished, ...]:
        place = f"{task.need.name}, part {number} of {len(task.jobs)}" if len(task.jobs) > 1 else task.need.name
        results = do_job(task, job, self.subject, NamedProgress(self._progress, place))
        finished = tuple(results[unit] for unit in job)
        self._store.put(task.key(job), finished)
        return finished

    def _stored(self, task: Task, jobs: Sequence[Job]) -> dict[Job, tuple[Finished, ...]]:
        """Those of the jobs that need not be done."""
        since = self.began if self.options.fresh else None
        found = {job: self._store.get(task.key(job), task.experiment.result_type, since=since) for job in jobs}
        return {job: finished for job, finished in found.items() if finished is not None}

    def _disturbed(self, needs: Sequence[Need]) -> list[list[Measurement]]:
        """Copies of measurements that rounding might have given as well; none where they rest on no scores."""
        if not any(self._assembled[need].is_scored for need in needs):
            return []
        floor = self.measure(NOISE_FLOOR)
        assert isinstance(floor, NoiseFloorMeasurement)
        for need in needs:
            if need not in self._copies:
                made = self._assembled[need]
                self._copies[need] = disturbed(made, floor.relative_error) if made.is_scored else []
        # One that rests on no scores is what it is, beside any copy of the others.
        copies = [self._copies[need] or [self._measured[need]] * COPIES for need in needs]
        return [list(each) for each in zip(*copies, strict=True)]


def followed(task: Task) -> Need | None:
    """The need that the config of a task follows from, if it does from any."""
    experiment = task.experiment
    return Need(experiment.follows, task.need.corpus) if isinstance(experiment, FollowUp) else None
