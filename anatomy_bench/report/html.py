"""The ledger as one self-contained HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass

from anatomy_bench.claim.claim import Kind
from anatomy_bench.registry import citation_of
from anatomy_bench.report.benchmarks import HEADERS, Benchmarks
from anatomy_bench.report.figures import Figure, figures_of
from anatomy_bench.report.page import measurement_facts, render
from anatomy_bench.report.precision import precision
from anatomy_bench.report.repeating import finding_command, run_command
from anatomy_bench.report.scaling import scaling
from anatomy_bench.report.why import why
from anatomy_bench.run.ledger import JudgedClaim, JudgedFinding, Ledger


@dataclass(frozen=True)
class _Section:
    """A finding as the page shows it.

    Attributes:
        anchor: of its heading.
        finding: with its verdicts.
        paper: the paper to which it belongs.
        why: the reason for the conclusion.
        groups: claims by heading, the reported ones first.
        figures: its figures.
        command: the command that repeats it.
        measurements: anchors and names of the measurements that its claims are based on.
    """

    anchor: str
    finding: JudgedFinding
    paper: str
    why: str
    groups: Sequence[tuple[str, Sequence[JudgedClaim]]]
    figures: Sequence[Figure]
    command: str
    measurements: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Kept:
    """A measurement's provenance as the page shows it."""

    anchor: str
    name: str
    facts: Sequence[tuple[str, str]]


def html_report(ledger: Ledger, benchmarks: Benchmarks | None = None) -> str:
    """The page.

    Args:
        ledger: of the run.
        benchmarks: shown after the findings, if there are any.

    Raises:
        UsageError: the ledger's measurements are of another version.
    """
    return render(
        "report.html.jinja",
        ledger=ledger,
        sections=[_section(ledger, finding, number) for number, finding in enumerate(ledger.findings, 1)],
        measurements=[
            _Kept(_anchor(number), kept.need.name, measurement_facts(kept.data))
            for number, kept in enumerate(ledger.measurements, 1)
        ],
        command=run_command(ledger),
        precision=precision(ledger),
        benchmarks=benchmarks,
        benchmark_headers=HEADERS,
        scaling=scaling(benchmarks) if benchmarks else None,
    )


def _section(ledger: Ledger, finding: JudgedFinding, number: int) -> _Section:
    reported = [claim for claim in finding.claims if claim.kind is not Kind.CONTROL]
    controls = [claim for claim in finding.claims if claim.kind is Kind.CONTROL]
    needs = {need for claim in finding.claims for need in claim.needs}
    return _Section(
        anchor=f"finding-{number}",
        finding=finding,
        paper=citation_of(finding.paper),
        why=why(finding),
        groups=[
            (heading, claims)
            for heading, claims in (
                ("What the paper says", reported),
                ("Controls: what must also be true for it to mean that", controls),
            )
            if claims
        ],
        figures=figures_of(finding, ledger),
        command=finding_command(ledger, finding),
        measurements=[
            (_anchor(place), kept.need.name) for place, kept in enumerate(ledger.measurements, 1) if kept.need in needs
        ],
    )


def _anchor(number: int) -> str:
    return f"measurement-{number}"
