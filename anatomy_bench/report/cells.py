"""Results for the cells of a notebook: tables and figures in the style of the pages."""

from anatomy_bench.claim.claim import Finding, Need
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.registry import all_findings
from anatomy_bench.report.figures import Figure, figures_of
from anatomy_bench.report.page import render, style
from anatomy_bench.report.why import why
from anatomy_bench.run.ledger import JudgedFinding, Ledger, make_ledger
from anatomy_bench.run.options import Options
from anatomy_bench.values.measurement import Measurement


def measurement_cell(need: Need, measurement: Measurement) -> str:
    """A measurement's table, and those figures of findings that are drawn from it alone."""
    headers, rows = measurement.table()
    name = need.name
    title = f"{name}: {measurement.subject.name}, profile {measurement.provenance.profile}"
    return _cell(title=title, table=(headers, rows), findings=(), figures=_figures(need, measurement))


def ledger_cell(ledger: Ledger) -> str:
    """The conclusions; for a single finding also its claims and figures."""
    alone = ledger.findings[0] if len(ledger.findings) == 1 else None
    name = ledger.subject.name if ledger.subject else "no model"
    return _cell(
        title=f"Judged on {name}",
        table=None,
        findings=[{"finding": finding, "why": why(finding), "anchor": ""} for finding in ledger.findings],
        claims=alone.claims if alone else (),
        figures=figures_of(alone, ledger) if alone else (),
    )


def _cell(**content: object) -> str:
    return render("cell.html.jinja", **{"claims": (), **content}, nested=_nested(style()))


def _nested(sheet: str) -> str:
    """The pages' style, restricted to the inside of a cell: rules for the page become rules for the cell."""
    return sheet.replace(":root", "&").replace("\nbody {", "\n& {")


def _figures(need: Need, measurement: Measurement) -> tuple[Figure, ...]:
    ledger = make_ledger((), {}, {need: measurement}, Options())
    read = [finding for finding in all_findings() if any(need in claim.needs for claim in finding.claims)]
    return tuple(figure for finding in read for figure in figures_of(_unjudged(finding), ledger))


def _unjudged(finding: Finding) -> JudgedFinding:
    return JudgedFinding(finding.id, finding.paper, finding.title, finding.place, Conclusion.NOT_APPLICABLE, ())
