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
    """The model, the text and the provenance of a measurement: everything but the results of its units."""

    subject: SubjectRecord
    corpus: CorpusRecord | None
    provenance: Provenance

    @property
    def seed(self) -> int:
        """The seed of every random generator."""
        return self.provenance.seed

    def header(self, experiment: str, finished: "Mapping[Any, Finished]") -> dict[str, Any]:
        """The fields that every measurement has."""
        return {
            "schema": f"anatomy_bench/{experiment}/1",
            "experiment": experiment,
            "subject": self.subject,
            "corpus": self.corpus,
            "provenance": self.provenance.with_makers(done.made for done in finished.values()),
            "seconds": sum(done.seconds for done in finished.values()),
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
"""Units that are measured together, and stored or lost together."""


def jobs_of(units: Sequence[Any], size: int) -> list[Job]:
    """The units in their order, `size` in each job."""
    return [tuple(units[start : start + size]) for start in range(0, len(units), size)]


class Experiment(Protocol):
    """A way of measuring a subject.

    `Any` stands for the experiment's own types of config, unit and result.

    Attributes:
        name: as on the command line.
        reads_subject: whether it measures the subject; if not, its units depend on no more of it than the device.
        reads_corpus: whether it scores text; if not, its units do not depend on one.
        result_type: class of a unit's result; a union if there are several kinds of units.
        measurement_type: class of what `assemble` returns.
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
        """The independent units of work: frozen, picklable, each with everything that determines its result.

        Whatever is drawn at random follows from the setting's seed.

        Raises:
            UsageError: the config does not fit the subject.
        """
        ...

    def jobs(self, units: Sequence[Any]) -> Sequence[Job]:
        """The units in parts.

        Units that share a matrix product are rounded together, so the last bits of a unit's result may depend on
        the others of its job. They depend on nothing else: not on what is stored, and not on the other jobs.
        """
        ...

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """What a job costs on a model of that size; `corpus` is the run's, whether or not it is read."""
        ...

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[Any, Finished]:
        """Do a job; return the results by unit."""
        ...

    def assemble(self, setting: Setting, config: Any, finished: Mapping[Any, Finished]) -> Measurement:
        """The measurement, as a pure function of the finished units."""
        ...


@runtime_checkable
class ReadsMore(Protocol):
    """An experiment that reads texts of its own beside the one that is scored.

    Attributes:
        texts: those.
    """

    @property
    def texts(self) -> Sequence[Corpus]:
        """All of them."""
        ...


@runtime_checkable
class FollowUp(Protocol):
    """An experiment whose config depends on what another has measured.

    Attributes:
        follows: name of the other, which is measured first, on the same text.
    """

    follows: str

    def follow(self, config: Any, earlier: Measurement) -> Any:
        """The config, completed from the earlier measurement."""
        ...
