"""A need in a particular run, resolved once: everything that determines the measurement, as one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.experiment import Experiment, Finished, Job, Setting
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.record import to_data


@dataclass(frozen=True)
class Task:
    """A measurement to be made.

    Attributes:
        need: what it is measured for.
        experiment: how it is measured.
        config: of the experiment, complete.
        setting: model, text and provenance.
        corpus: the text itself.
    """

    need: Need
    experiment: Experiment
    config: Any
    setting: Setting
    corpus: Corpus

    @cached_property
    def units(self) -> tuple[Any, ...]:
        """The independent units of work."""
        return tuple(self.experiment.units(self.setting, self.config))

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The units in the groups in which they are measured and stored."""
        return tuple(self.experiment.jobs(self.units))

    @cached_property
    def circumstances(self) -> dict[str, Any]:
        """Everything besides a job's units that determines its results to the last bit."""
        made, subject = self.setting.provenance, self.setting.subject
        of_subject = {"subject": subject.digest, "dtype": made.dtype, "attention": made.attention}
        return {
            "experiment": self.experiment.name,
            "code": made.code,
            **(of_subject if self.experiment.reads_subject else {}),
            "corpus": self.setting.corpus.digest if self.setting.corpus else None,
            "tokens": self.setting.corpus.token_digest if self.setting.corpus else None,
            "device": made.device,
            "device_name": made.device_name,
            # Of the processor also beside a card: what compares weights alone computes there.
            "threads": made.threads,
            "instructions": made.instructions,
            "versions": asdict(made.versions),
        }

    def key(self, job: Job) -> dict[str, Any]:
        """The key of a job in the store."""
        return {**self.circumstances, "units": [to_data(unit) for unit in job]}

    def assemble(self, results: Mapping[Any, Finished]) -> Measurement:
        """The measurement, from the results of all units."""
        return self.experiment.assemble(self.setting, self.config, results)
