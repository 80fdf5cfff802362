"""The ledger as Markdown."""

from collections.abc import Sequence
from itertools import groupby

from tabulate import tabulate

from anatomy_bench.claim.claim import Kind
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.registry import citation_of
from anatomy_bench.report.benchmarks import HEADERS, Benchmarks
from anatomy_bench.report.precision import precision
from anatomy_bench.report.repeating import finding_command, run_command
from anatomy_bench.report.why import why
from anatomy_bench.run.ledger import JudgedFinding, Ledger
from anatomy_bench.values.quantities import quantity


def markdown_report(ledger: Ledger, benchmarks: Benchmarks | None = None) -> str:
    """Findings with their conclusions, then each finding's claims; then benchmarks, if there are any."""
    parts = ["# Findings on layer anatomy", _subject(ledger)]
    for paper, findings in by_paper(ledger.findings):
        parts += [f"## {escaped(paper)}", _headline(findings)]
        parts += [_finding(ledger, finding) for finding in findings]
    if benchmarks is not None:
        parts += ["## Benchmarks", *benchmark_tables(benchmarks)]
    parts += ["## To repeat all of it", _code(run_command(ledger))]
    return "\n\n".join(parts) + "\n"


def _subject(ledger: Ledger) -> str:
    if ledger.subject is None or ledger.provenance is None:
        return "The paper's own arithmetic; no model was measured."
    subject, made = ledger.subject, ledger.provenance
    line = (
        f"Subject: **{escaped(subject.name)}** ({escaped(subject.architecture)}, {subject.layers} layers, "
        f"{subject.parameters:,} parameters, digest `{subject.digest[:16]}`), "
        f"measured on {made.device} in {made.dtype} with {made.attention} attention, "
        f"profile {made.profile}, seed {made.seed}, "
        f"torch {made.versions.torch}, transformers {made.versions.transformers}."
    )
    return "\n\n".join(filter(None, (line, precision(ledger), escaped(subject.note))))


def by_paper(findings: Sequence[JudgedFinding]) -> list[tuple[str, list[JudgedFinding]]]:
    """Findings under the citation of their paper, in the order of the ledger."""
    return [(citation_of(paper), list(group)) for paper, group in groupby(findings, key=lambda each: each.paper)]


def _headline(findings: Sequence[JudgedFinding]) -> str:
    rows = [
        (escaped(finding.title), escaped(finding.place), finding.conclusion.value, escaped(why(finding)))
        for finding in findings
    ]
    return tabulate(rows, ("Finding", "Place", "Conclusion", "Why"), tablefmt="github")


def _finding(ledger: Ledger, finding: JudgedFinding) -> str:
    rows = [
        (
            ("*control:* " if claim.kind is Kind.CONTROL else "") + escaped(claim.statement),
            escaped(claim.place),
            quantity(claim.published),
            measured_text(claim.verdict) if claim.verdict.value is not None else "",
            escaped(f"{claim.criterion} {claim.unit}"),
            claim.verdict.word.value,
            escaped("; ".join(filter(None, (claim.verdict.reason, claim.verdict.note)))),
        )
        for claim in finding.claims
    ]
    headers = ("Claim", "Place", "Published", "Measured [95 %]", "Holds if", "Verdict", "Note")
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    heading = f"### {escaped(finding.title)}: {finding.conclusion.value}"
    return f"{heading}\n\n{table}\n\n{_code(finding_command(ledger, finding))}"


def benchmark_tables(benchmarks: Benchmarks) -> list[str]:
    """The machine, then a table for each group."""
    parts = [f"Measured on {escaped(benchmarks.machine)}."]
    for group, rows in benchmarks.tables().items():
        cells = [[escaped(cell) for cell in row] for row in rows]
        parts += [f"### {escaped(group)}", tabulate(cells, HEADERS, tablefmt="github", disable_numparse=True)]
    return parts


def _code(command: str) -> str:
    """A command as a code block; a command has no line that could end the block."""
    return "    " + " ".join(command.splitlines())


def escaped(text: str) -> str:
    """Text with everything escaped that could be markup, a link or the end of a cell."""
    for character in "\\`*[|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("<", "&lt;").splitlines())
