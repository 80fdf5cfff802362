"""The part of a run that another process, on this machine or another, can do for it: single jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.experiments.experiment import Finished, Job
from anatomy_bench.run.task import Task

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


def do_job(task: Task, job: Job, subject: "Subject", progress: Progress) -> Mapping[Any, Finished]:
    """The result of each unit of a job."""
    return task.experiment.run(job, subject, task.corpus, progress)


def run_job(source: SubjectSource, task: Task, job: Job) -> dict[Any, Finished]:
    """Do a job of a task in this process, which loads the model only once for any number of jobs.

    All arguments and the result can be pickled.

    Raises:
        UsageError: here, the source names another model than the task's.
        AnatomyError: the model cannot be loaded.
    """
    subject = _loaded(source)
    if subject.record.digest != task.setting.subject.digest:
        raise UsageError(
            f"{source.model} is another model here: digest {subject.record.digest[:12]}, "
            f"asked for {task.setting.subject.digest[:12]}"
        )
    return dict(do_job(task, job, subject, SilentProgress()))


@cache
def _loaded(source: SubjectSource) -> "Subject":
    return source.load(texts=())  # found fit by the run that made the task
