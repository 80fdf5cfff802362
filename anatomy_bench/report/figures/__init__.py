"""The figures of the findings: one module a finding, named like it and found by its file.

A module has `FIGURES`: functions from `Evidence` to a `Figure`, or to `None` where the
ledger does not hold what they show. None of them is imported before a report is written:
drawing loads matplotlib.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from anatomy_bench import papers
from anatomy_bench.claim import Need
from anatomy_bench.findings import all_findings
from anatomy_bench.ledger import JudgedFinding, Ledger
from anatomy_bench.measurement import Measurement

MeasurementT = TypeVar("MeasurementT", bound=Measurement)


@dataclass(frozen=True)
class Figure:
    """A picture, and the numbers behind it.

    Attributes:
        title: what it shows, in a phrase.
        caption: how to read it.
        svg: an `<svg>` element that stands in a page by itself.
        headers: of the numbers.
        rows: of the numbers, readings side by side.
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
        published: the paper's numbers, as `papers.load` gives them.
    """

    ledger: Ledger
    published: Mapping[str, Any]

    def measurement(self, need: Need, kind: type[MeasurementT]) -> MeasurementT | None:
        """The measurement of that need, if the ledger holds it.

        Raises:
            UsageError: what it holds is not of this version.
        """
        found = self.ledger.measurement(need)
        return found if isinstance(found, kind) else None


Draw = Callable[[Evidence], Figure | None]


def figures_of(finding: JudgedFinding, ledger: Ledger) -> tuple[Figure, ...]:
    """The figures of a finding, as far as the ledger holds what they show.

    Raises:
        UsageError: its measurements are not of this version.
    """
    drawn = [draw(Evidence(ledger, _published(finding))) for draw in _drawings(finding)]
    return tuple(figure for figure in drawn if figure is not None)


def _drawings(finding: JudgedFinding) -> Sequence[Draw]:
    name = finding.id.replace("-", "_")
    # A ledger may come from anywhere: what it names is looked up here, never imported as it stands.
    if name not in {module.name for module in pkgutil.iter_modules(__path__)} - {"drawing"}:
        return ()
    drawings: Sequence[Draw] = importlib.import_module(f"{__name__}.{name}").FIGURES
    return drawings


def _published(finding: JudgedFinding) -> Mapping[str, Any]:
    known = {each.paper for each in all_findings()}
    return papers.load(finding.paper) if finding.paper in known else {}
