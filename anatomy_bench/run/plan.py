"""What a run would measure and what it would cost, before anything is measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anatomy_bench.claim.claim import Claim, Need
from anatomy_bench.engine.cost import WORKSPACE_BYTES, Cost
from anatomy_bench.run.numerical_error import NOISE_FLOOR


@dataclass(frozen=True)
class Planned:
    """The plan of one measurement.

    Attributes:
        need: what would be measured.
        jobs: number of jobs in it.
        missing: costs of the jobs that are not stored.
        is_whole: whether these are all jobs. If not, the others depend on a measurement that does not exist yet.
        statistics_bytes: of what is drawn from its scores, once all jobs are done.
    """

    need: Need
    jobs: int
    missing: tuple[Cost, ...]
    is_whole: bool
    statistics_bytes: int = 0

    @property
    def is_stored(self) -> bool:
        """Whether nothing is left to measure."""
        return self.is_whole and not self.missing

    @property
    def flops(self) -> int:
        """Operations of all missing jobs."""
        return sum(cost.flops for cost in self.missing)

    @property
    def bytes(self) -> int:
        """Memory at the peak, beyond the model's weights."""
        jobs = max((cost.bytes + WORKSPACE_BYTES for cost in self.missing), default=0)
        return max(jobs, self.statistics_bytes)


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Attributes:
        measurements: in the order in which they would be made.
        inapplicable: those that this model does not allow, and why.
        weight_bytes: of the model.
        flops_per_second: speed at which the intact model has just been scored.
    """

    measurements: tuple[Planned, ...]
    inapplicable: Mapping[Need, str]
    weight_bytes: int
    flops_per_second: float

    def seconds(self, planned: Planned) -> float:
        """Roughly how long one measurement would take."""
        return planned.flops / self.flops_per_second


def needs_of(claims: Iterable[Claim], layer_count: int) -> list[Need]:
    """The needs of claims on a model of that depth, each once, the noise floor last."""
    asked = [claim for claim in claims if claim.runs_model and claim.applies(layer_count) is None]
    needs = [need for claim in asked for need in claim.needs]
    return list(dict.fromkeys([*needs, *([NOISE_FLOOR] if needs else [])]))
