"""The figures of findings: what they are, and the search for a finding's module in its paper's room.

The module has `FIGURES`: functions that take `Evidence` and return a `Figure`, or `None` where the ledger lacks what
they show. It is imported only when a report is written, because drawing loads matplotlib.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from anatomy_bench.claim.claim import Need
from anatomy_bench.registry import all_papers, drawings_of
from anatomy_bench.run.ledger import JudgedFinding, Ledger
from anatomy_bench.values.measurement import Measurement

MeasurementT = TypeVar("MeasurementT", bound=Measurement)


@dataclass(frozen=True)
class Figure:
    """A picture, and the numbers behind it.

    Attributes:
        title: a phrase that says what it shows.
        caption: how to read it.
        svg: an `<svg>` element that can be put into any page.
        headers: of the table of numbers.
        rows: of that table, with the readings of the paper side by side.
    """

    title: str
    caption: str
    svg: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Evidence:
    """What the figures of a finding are drawn from.

    Attributes:
        ledger: of the run.
        published: the paper's numbers, as `published.toml` has them.
    """

    ledger: Ledger
    published: Mapping[str, Any]

    def measurement(self, need: Need, kind: type[MeasurementT]) -> MeasurementT | None:
        """The measurement of that need, if the ledger has it.

        Raises:
            UsageError: the ledger has one of another version.
        """
        found = self.ledger.measurement(need)
        return found if isinstance(found, kind) else None


Draw = Callable[[Evidence], Figure | None]


def figures_of(finding: JudgedFinding, ledger: Ledger) -> tuple[Figure, ...]:
    """The figures of a finding, without those for which the ledger lacks measurements.

    Raises:
        UsageError: its measurements are of another version.
    """
    drawn = [draw(Evidence(ledger, _published(finding))) for draw in drawings_of(finding.id, finding.paper)]
    return tuple(figure for figure in drawn if figure is not None)


def published_degradation(published: Mapping[str, Any], layer_count: int) -> dict[int, float]:
    """A paper's own ablation by layer; empty for a model of another depth.

    Args:
        published: the paper's numbers. Those with a table `ablation` that has a `layer_count` have its `layers` too,
            each with `layer` and `degradation_percent` (averaged away).
        layer_count: of the model.
    """
    table = published.get("ablation", {})
    if table.get("layer_count") != layer_count:
        return {}
    return {row["layer"]: float(row["degradation_percent"]) for row in table["layers"]}


def _published(finding: JudgedFinding) -> Mapping[str, Any]:
    paper = all_papers().get(finding.paper)
    return paper.published if paper else {}
