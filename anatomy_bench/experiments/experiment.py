"""What every experiment is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, Made, Measurement, Provenance, SubjectRecord
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject


@dataclass(frozen=True)
class Setting:
    """What a measurement was made on, apart from the results of its units."""

    subject: SubjectRecord
    corpus: CorpusRecord | None
    provenance: Provenance

    @property
    def seed(self) -> int:
        """Of every random generator."""
        return self.provenance.seed

    def header(self, experiment: str, finished: "Mapping[Any, Finished]") -> dict[str, Any]:
        """The fields that every measurement has."""
        return {
            "schema": f"anatomy_bench/{experiment}/1",
            "experiment": experiment,
            "subject": self.subject,
            "corpus": self.corpus,
            "provenance": self.provenance.with_makers(each.made for each in finished.values()),
            "seconds": sum(each.seconds for each in finished.values()),
        }


@dataclass(frozen=True)
class Finished:
    """The result of a unit.

    Attributes:
        result: what was measured.
        seconds: that it took.
        made: where and when, once its job is done.
    """

    result: Record
    seconds: float
    made: Made | None = None


Job = tuple[Any, ...]
"""Units that are measured in one go, and kept or lost together."""


def jobs_of(units: Sequence[Any], size: int) -> list[Job]:
    """The units in their order, so many to a job."""
    return [tuple(units[start : start + size]) for start in range(0, len(units), size)]


class Experiment(Protocol):
    """An experiment of a paper.

    `Any` stands for the experiment's own types of config, unit and result.

    Attributes:
        name: as on the command line.
        reads_subject: whether it measures the subject; if not, its units depend on the device alone.
        reads_corpus: whether it scores text; if not, its units do not depend on one.
        result_type: kind of record that a unit results in; a union where there are several kinds of units.
        measurement_type: kind of record that `assemble` returns.
    """

    name: str
    reads_subject: bool
    reads_corpus: bool
    result_type: RecordKind
    measurement_type: type[Measurement]

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> Any:
        """The frozen config of a profile, for the given layers or all."""
        ...

    def units(self, setting: Setting, config: Any) -> Sequence[Any]:
        """The independent units of work: frozen, picklable, and each all that determines its result.

        What is drawn at random follows from the seed of the setting's provenance.

        Raises:
            UsageError: the config does not fit the subject.
        """
        ...

    def jobs(self, units: Sequence[Any]) -> Sequence[Job]:
        """The units in parts.

        What shares a matrix product is rounded with it, so that the last bits of a unit's result may depend on
        the others of its job, but on nothing else: neither on what is stored already nor on the other jobs.
        """
        ...

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """What a job costs on a model of that size; `corpus` is the run's, whether or not it is read."""
        ...

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Any, Finished]:
        """Do a job; the results by unit."""
        ...

    def assemble(self, setting: Setting, config: Any, finished: Mapping[Any, Finished]) -> Measurement:
        """The measurement, as a pure function of the finished units."""
        ...


@runtime_checkable
class FollowUp(Protocol):
    """An experiment whose config depends on what another has measured.

    Attributes:
        follows: name of the other, which is measured first, on the same text.
    """

    follows: str

    def follow(self, config: Any, earlier: Measurement) -> Any:
        """The config as effective."""
        ...
