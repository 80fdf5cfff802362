"""The part of a run that another process, on this machine or another, can do for it: single jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.experiments.experiment import Finished, Job
from anatomy_bench.run.provenance import made_now, provenance
from anatomy_bench.run.task import Task
from anatomy_bench.values.profile import Profile

if TYPE_CHECKING:
    from anatomy_bench.run.options import DTypeName, Options
    from anatomy_bench.subject.subject import Subject


@dataclass(frozen=True)
class SubjectSource:
    """Where the model under study comes from and how to load it: what another process needs to load the same model.

    Attributes:
        model: hub id, directory, GGUF file, or `bundled`.
        revision: of a hub model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: precision of weights and arithmetic.
        trust_remote_code: run Python code that comes with the model.
        allow_pickled_weights: load `.bin` weights.
        allow_untrained: measure a model that predicts no better than token frequencies.
    """

    model: str
    revision: str | None
    device: str
    dtype: "DTypeName"
    trust_remote_code: bool
    allow_pickled_weights: bool
    allow_untrained: bool

    @classmethod
    def of(cls, options: "Options") -> "SubjectSource":
        """The source that the options of a run name."""
        return cls(**{name: getattr(options, name) for name in cls.__dataclass_fields__})

    def load(self, texts: Sequence[str] | None = None) -> "Subject":
        """Load the model, with all files from one commit, and check that it is fit.

        Args:
            texts: that it must be fit for; `None` is the built-in one, and empty asks of the weights alone.

        Raises:
            AnatomyError: it cannot be loaded, or nothing measured on it would mean anything.
        """
        from anatomy_bench.subject.hub import commit_of
        from anatomy_bench.subject.loading import Permissions, load_subject
        from anatomy_bench.subject.source import resolve_source

        allowed = Permissions(self.trust_remote_code, self.allow_pickled_weights, self.allow_untrained)
        try:
            source = resolve_source(self.model, self.revision)
            commit = commit_of(source.location, source.revision) if isinstance(source.location, str) else None
            pinned = replace(source, revision=commit or source.revision)
            return load_subject(pinned, device=self.device, dtype=self.dtype, permissions=allowed, texts=texts)
        except OSError as error:  # a name that is too long, a file without permission, a full disk
            raise UsageError(f"cannot load {self.model}: {error.strerror or error}") from error


def do_job(task: Task, job: Job, subject: "Subject", progress: Progress) -> dict[Any, Finished]:
    """The result of each unit of a job, with where and when it was made.

    Raises:
        AnatomyError: what was measured is not of the model and the arithmetic that the task is about.
    """
    with subject.measuring(task.setting.provenance.threads):
        results = task.experiment.run(job, subject, task.corpus, progress)
    if task.experiment.reads_subject:
        subject.require_as_loaded()
    made = made_now(subject)
    return {unit: replace(finished, made=made) for unit, finished in results.items()}


def run_job(source: SubjectSource, task: Task, job: Job) -> dict[Any, Finished]:
    """Do a job of a task in this process, which loads the model only once for any number of jobs.

    All arguments and the result can be pickled.

    Raises:
        UsageError: what is measured here would be another thing: the source names another model here, or sources,
            libraries or the processor are not those of the task.
        AnatomyError: the model cannot be loaded.
    """
    subject = _loaded(source)
    _require_alike(source, task, subject)
    return do_job(task, job, subject, SilentProgress())


def _require_alike(source: SubjectSource, task: Task, subject: "Subject") -> None:
    """Check that the task would have the same key in this process."""
    if subject.record.digest != task.setting.subject.digest:
        raise UsageError(
            f"{source.model} is another model here: digest {subject.record.digest[:12]}, "
            f"asked for {task.setting.subject.digest[:12]}"
        )
    asked = task.setting.provenance
    here = provenance(subject, task.experiment, Profile(asked.profile), asked.seed)
    same_threads = replace(here, threads=asked.threads)  # with which the job is done, however many there are
    corpus = subject.corpus_record(task.corpus) if task.setting.corpus else None
    own = replace(task, setting=replace(task.setting, provenance=same_threads, corpus=corpus)).circumstances
    for name, value in task.circumstances.items():
        if own[name] != value:
            raise UsageError(f"this process would measure something else: its {name} is {own[name]}, not {value}")


@cache
def _loaded(source: SubjectSource) -> "Subject":
    return source.load(texts=())  # found fit by the run that made the task
