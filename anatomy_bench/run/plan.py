"""What a run would measure, and at what cost: known before anything is measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anatomy_bench.claim.claim import Claim, Need
from anatomy_bench.engine.cost import WORKSPACE_BYTES, Cost
from anatomy_bench.run.numerical_error import NOISE_FLOOR


@dataclass(frozen=True)
class Planned:
    """One measurement.

    Attributes:
        need: what would be measured.
        jobs: that it consists of.
        missing: costs of those that are not stored.
        is_whole: whether that is all. If not, what else there is follows from a measurement yet to be made.
    """

    need: Need
    jobs: int
    missing: tuple[Cost, ...]
    is_whole: bool

    @property
    def is_stored(self) -> bool:
        """Whether nothing is left to measure."""
        return self.is_whole and not self.missing

    @property
    def flops(self) -> int:
        """Of all that is missing."""
        return sum(cost.flops for cost in self.missing)

    @property
    def bytes(self) -> int:
        """At the peak, beside the model's weights."""
        return max((cost.bytes + WORKSPACE_BYTES for cost in self.missing), default=0)


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        measurements: in the order in which they would be made.
        inapplicable: those that this model does not allow, and why.
        weight_bytes: of the model.
        flops_per_second: of scoring the intact model, just now.
    """

    measurements: tuple[Planned, ...]
    inapplicable: Mapping[Need, str]
    weight_bytes: int
    flops_per_second: float

    def seconds(self, planned: Planned) -> float:
        """That one measurement would take about."""
        return planned.flops / self.flops_per_second


def needs_of(claims: Iterable[Claim], layer_count: int) -> list[Need]:
    """What judging claims on a model of that depth takes, the noise floor last."""
    asked = [claim for claim in claims if claim.runs_model and claim.applies(layer_count) is None]
    needs = [need for claim in asked for need in claim.needs]
    return list(dict.fromkeys([*needs, *([NOISE_FLOOR] if needs else [])]))
