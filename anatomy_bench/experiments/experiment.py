"""What every experiment is made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from anatomy_bench.corpus import Corpus
from anatomy_bench.measurement import CorpusRecord, Measurement, Provenance, SubjectRecord
from anatomy_bench.progress import Progress
from anatomy_bench.record import Record, RecordKind

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject


class Profile(StrEnum):
    """How much of the paper's protocol is run.

    Attributes:
        QUICK: repetitions and steps cut; each experiment's config says to what.
        PAPER: the full protocol.
    """

    QUICK = "quick"
    PAPER = "paper"


@dataclass(frozen=True)
class Setting:
    """What a measurement was made on, apart from the results of its units."""

    subject: SubjectRecord
    corpus: CorpusRecord | None
    provenance: Provenance

    def header(self, experiment: str, finished: "Mapping[Any, Finished]") -> dict[str, Any]:
        """The fields that every measurement has."""
        return {
            "schema": f"anatomy_bench/{experiment}/1",
            "experiment": experiment,
            "subject": self.subject,
            "corpus": self.corpus,
            "provenance": self.provenance,
            "seconds": sum(each.seconds for each in finished.values()),
        }


@dataclass(frozen=True)
class Finished:
    """The result of a unit and the seconds that it took."""

    result: Record
    seconds: float


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

    def units(self, subject: SubjectRecord, config: Any, seed: int) -> Sequence[Any]:
        """The independent units of work: frozen, picklable, and each all that determines its result.

        Raises:
            UsageError: the config does not fit the subject.
        """
        ...

    def run(
        self, units: Sequence[Any], subject: "Subject", corpus: Corpus, progress: Progress
    ) -> Iterator[tuple[Any, Finished]]:
        """Do the work of some units; yield each with its result as soon as it is finished."""
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
