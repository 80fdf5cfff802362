"""One run: a subject, loaded at most once; measurements, made at most once; verdicts on them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.atomic import check_folder
from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.locations import cache_folder
from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.claim.claim import Claim, Need, Verdict, judge
from anatomy_bench.engine.cost import sweep_cost
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Experiment, Finished, FollowUp, Job, Profile, Setting
from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.experiments.scored import score_together
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.numerical_error import COPIES, NOISE_FLOOR, Assembled, disturbed, numerical_error
from anatomy_bench.run.options import Options
from anatomy_bench.run.plan import Plan, Planned
from anatomy_bench.run.provenance import provenance
from anatomy_bench.run.store import Store
from anatomy_bench.subject.hub import commit_of
from anatomy_bench.values.corpus import DEFAULT_CORPUS, Corpus, load_corpus, read_corpus
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.record import to_data

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

_TIMED_SENTENCES = 10
"""Of the corpus: enough to know how fast this machine is, on any model."""


class Run:
    """What pytest and the command line both do with the options.

    Attributes:
        options: as passed.
    """

    def __init__(self, options: Options, progress: Progress | None = None, store: Store | None = None) -> None:
        """Load nothing yet."""
        self.options = options
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
        from anatomy_bench.subject import load_subject, resolve_source
        from anatomy_bench.subject.loading import Permissions

        options = self.options
        allowed = Permissions(options.trust_remote_code, options.allow_pickled_weights, options.allow_untrained)
        try:
            source = resolve_source(options.model, options.revision)
            commit = commit_of(source.location, source.revision) if isinstance(source.location, str) else None
            pinned = replace(source, revision=commit or source.revision)  # all of its files are of one commit
            return load_subject(pinned, device=options.device, dtype=options.dtype, permissions=allowed)
        except OSError as error:  # a name that is too long, a file without permission, a full disk
            raise UsageError(f"cannot load {options.model}: {error.strerror or error}") from error

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
        corpus = self.corpus  # cheap: a bad file is told before a model is loaded
        check_folder(self._store.folder)
        self.subject.tokenize(corpus.sentences)

    def measure(self, need: Need) -> Measurement:
        """The measurement that a claim needs; made once, or taken from the store."""
        if need not in self._measured:
            self._measured[need] = self._measure(need)
        return self._measured[need]

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

    def plan(self, needs: Iterable[Need]) -> Plan:
        """What measuring them, and what they follow from, would take beside what is stored. Measures nothing."""
        planned: dict[Need, Planned] = {}
        for need in needs:
            self._plan(need, planned)
        return Plan(tuple(planned.values()), self.subject.size.weight_bytes, self._flops_per_second())

    def _plan(self, need: Need, planned: dict[Need, Planned]) -> Planned:
        if need not in planned:
            experiment = get_experiment(need.experiment)
            earlier = _followed(need)
            is_whole = earlier is None or self._plan(earlier, planned).is_stored
            config = self._configured(need) if is_whole else experiment.configure(self.profile, need.layers)
            setting, text = self._setting(need), self.subject.corpus_record(self._corpus(need))
            jobs = experiment.jobs(experiment.units(setting.subject, config, self.options.seed))
            stored = self._stored(experiment, _circumstances(experiment, setting), jobs)
            missing = tuple(experiment.cost(job, self.subject.size, text) for job in jobs if job not in stored)
            planned[need] = Planned(need, len(jobs), missing, is_whole)
        return planned[need]

    def _flops_per_second(self) -> float:
        """Of scoring the intact model on a few sentences, once that has warmed up."""
        few = replace(self.corpus, sentences=self.corpus.sentences[:_TIMED_SENTENCES])
        cost = sweep_cost([Intact()], self.subject.size, self.subject.corpus_record(few))
        *_, finished = (score_together([Intact()], self.subject, few, SilentProgress()) for _ in range(2))
        return cost.flops / finished[Intact()].seconds

    def _measure(self, need: Need) -> Measurement:
        experiment = get_experiment(need.experiment)
        config, setting = self._configured(need), self._setting(need)
        units = experiment.units(setting.subject, config, self.options.seed)
        results = self._finished(experiment, setting, experiment.jobs(units), self._corpus(need))
        finished = {unit: results[unit] for unit in units}
        self._assembled[need] = Assembled(experiment, setting, config, finished)
        return experiment.assemble(setting, config, finished)

    def _configured(self, need: Need) -> Any:
        """The effective config; measures first what it follows from."""
        experiment = get_experiment(need.experiment)
        config = experiment.configure(self.profile, need.layers)
        earlier = _followed(need)
        if earlier is None:
            return config
        assert isinstance(experiment, FollowUp)
        return experiment.follow(config, self.measure(earlier))

    def _setting(self, need: Need) -> Setting:
        experiment = get_experiment(need.experiment)
        return Setting(
            self.subject.record,
            self.subject.corpus_record(self._corpus(need)) if experiment.reads_corpus else None,
            provenance(self.subject, experiment.name, self.profile, self.options.seed),
        )

    def _corpus(self, need: Need) -> Corpus:
        return load_corpus(need.corpus) if need.corpus else self.corpus

    def _finished(
        self, experiment: Experiment, setting: Setting, jobs: Sequence[Job], corpus: Corpus
    ) -> dict[Any, Finished]:
        """The result of each unit: from the store, or measured now and kept there."""
        circumstances = _circumstances(experiment, setting)
        with self._store.locked(circumstances):
            stored = self._stored(experiment, circumstances, jobs)
            finished = {unit: each for job, results in stored.items() for unit, each in zip(job, results, strict=True)}
            missing = [job for job in jobs if job not in stored]
            measured = experiment.run(missing, self.subject, corpus, self._progress) if missing else ()
            for job, results in zip(missing, measured, strict=True):
                self._store.put(_key(circumstances, job), [results[unit] for unit in job])
                finished |= results
        return finished

    def _stored(
        self, experiment: Experiment, circumstances: dict[str, Any], jobs: Sequence[Job]
    ) -> dict[Job, tuple[Finished, ...]]:
        """Those of the jobs that need not be done."""
        if self.options.fresh:
            return {}
        found = {job: self._store.get(_key(circumstances, job), experiment.result_type) for job in jobs}
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


def _followed(need: Need) -> Need | None:
    """What its config follows from."""
    experiment = get_experiment(need.experiment)
    return Need(experiment.follows, need.corpus) if isinstance(experiment, FollowUp) else None


def _circumstances(experiment: Experiment, setting: Setting) -> dict[str, Any]:
    """Everything that determines the results of an experiment's jobs, besides their units."""
    made = setting.provenance
    of_subject = {"subject": setting.subject.digest, "dtype": made.dtype, "attention": made.attention}
    return {
        "experiment": experiment.name,
        "code": made.code,
        **(of_subject if experiment.reads_subject else {}),
        "corpus": setting.corpus.digest if setting.corpus else None,
        "device": made.device,
        "versions": asdict(made.versions),
    }


def _key(circumstances: dict[str, Any], job: Job) -> dict[str, Any]:
    return {**circumstances, "units": [to_data(unit) for unit in job]}
