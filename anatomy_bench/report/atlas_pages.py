"""The atlas as one self-contained HTML file, and as Markdown."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.claim.claim import Kind, Verdict
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.registry import citation_of
from anatomy_bench.report.atlas import NOT_JUDGED, Atlas, FindingRow, model_facts
from anatomy_bench.report.atlas_profiles import profiles_figure
from anatomy_bench.report.figures import Figure
from anatomy_bench.report.markdown import escaped
from anatomy_bench.report.page import render, symbol
from anatomy_bench.values.quantities import quantity


def write_atlas(atlas: Atlas, folder: Path) -> tuple[Path, ...]:
    """Write `atlas.md` and `atlas.html` into the folder; nothing that a ledger names is a path.

    Returns:
        The files written.

    Raises:
        UsageError: the folder cannot be written to, or a ledger's measurements are not of this version.
    """
    figure = profiles_figure(atlas)
    files = {folder / "atlas.md": atlas_markdown(atlas, figure), folder / "atlas.html": atlas_html(atlas, figure)}
    for path, text in files.items():
        write_atomically(path, text.encode())
    return tuple(files)


def atlas_html(atlas: Atlas, figure: Figure | None) -> str:
    """The page."""
    return render(
        "atlas.html.jinja",
        atlas=atlas,
        figure=figure,
        counts=_counts(atlas),
        provenance=[model_facts(model) for model in atlas.models],
        not_judged=NOT_JUDGED,
    )


def atlas_markdown(atlas: Atlas, figure: Figure | None) -> str:
    """The same tables, with the figure's numbers instead of the figure."""
    parts = ["# Atlas of layer anatomy", _counts(atlas)]
    if atlas.differences:
        differences = [f"- {name}: {escaped('; '.join(values))}" for name, values in atlas.differences.items()]
        parts += ["Not made alike, so compare with care:", "\n".join(differences)]
    parts += ["## Which findings hold on which model", _findings_table(atlas)]
    if figure is not None:
        rows = [[escaped(cell) for cell in row] for row in figure.rows]
        parts += [f"## {figure.title}", figure.caption, _table(figure.headers, rows)]
    for row in atlas.findings:
        parts += [f"## {escaped(row.finding.title)}", _claims_table(atlas, row)]
    parts.append("## Provenance")
    for model in atlas.models:
        facts = [(name, escaped(value)) for name, value in model_facts(model)]
        parts += [f"### {escaped(model.label)}", _table(("", ""), facts)]
    return "\n\n".join(parts) + "\n"


def _counts(atlas: Atlas) -> str:
    runs, models = len(atlas.models), len({model.subject.digest for model in atlas.models})
    counted = f"{models} model{'s' if models > 1 else ''}"
    return f"{counted}, each measured once." if runs == models else f"{runs} runs on {counted}."


def _findings_table(atlas: Atlas) -> str:
    headers = ("Paper", "Finding", "Across models", *(escaped(model.label) for model in atlas.models))
    rows = [
        (
            escaped(citation_of(row.finding.paper)),
            escaped(row.finding.title),
            row.across,
            *map(_conclusion, row.conclusions),
        )
        for row in atlas.findings
    ]
    return _table(headers, rows)


def _claims_table(atlas: Atlas, row: FindingRow) -> str:
    headers = ("Claim", "Published", "Holds if", *(escaped(model.label) for model in atlas.models))
    rows = [
        (
            ("*control:* " if line.claim.kind is Kind.CONTROL else "") + escaped(line.claim.statement),
            quantity(line.claim.published),
            escaped(f"{line.claim.criterion} {line.claim.unit}"),
            *map(_verdict, line.verdicts),
        )
        for line in row.claims
    ]
    return _table(headers, rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _conclusion(conclusion: Conclusion | None) -> str:
    return NOT_JUDGED if conclusion is None else f"{symbol(conclusion.value)} {conclusion.value}"


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return NOT_JUDGED
    word = f"{symbol(verdict.word.value)} {verdict.word.value}"
    return word if verdict.value is None else f"{word} {escaped(measured_text(verdict))}"
