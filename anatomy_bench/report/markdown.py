"""The ledger as Markdown."""

from tabulate import tabulate

from anatomy_bench.claim import Kind
from anatomy_bench.ledger import JudgedFinding, Ledger
from anatomy_bench.quantities import measured_text, quantity


def markdown_report(ledger: Ledger) -> str:
    """Findings with their conclusions, then each finding's claims."""
    parts = ["# Findings on layer anatomy", _subject(ledger), _headline(ledger)]
    parts += [_finding(finding) for finding in ledger.findings]
    return "\n\n".join(parts) + "\n"


def _subject(ledger: Ledger) -> str:
    if ledger.subject is None or ledger.provenance is None:
        return "The paper's own arithmetic; no model was measured."
    subject, made = ledger.subject, ledger.provenance
    told = (
        f"Subject: **{_escaped(subject.name)}** ({subject.architecture}, {subject.layers} layers, "
        f"{subject.parameters:,} parameters, digest `{subject.digest[:16]}`), "
        f"measured on {made.device} in {made.dtype} with {made.attention} attention, "
        f"profile {made.profile}, seed {made.seed}, "
        f"torch {made.versions.torch}, transformers {made.versions.transformers}."
    )
    return f"{told}\n\n{subject.note}" if subject.note else told


def _headline(ledger: Ledger) -> str:
    rows = [(finding.title, finding.place, finding.conclusion.value) for finding in ledger.findings]
    return tabulate(rows, ("Finding", "Place", "Conclusion"), tablefmt="github")


def _finding(finding: JudgedFinding) -> str:
    rows = [
        (
            ("*control:* " if claim.kind is Kind.CONTROL else "") + _escaped(claim.statement),
            claim.place,
            quantity(claim.published),
            measured_text(claim.verdict) if claim.verdict.value is not None else "",
            f"{claim.criterion} {claim.unit}",
            claim.verdict.word.value,
            _escaped("; ".join(filter(None, (claim.verdict.reason, claim.verdict.note)))),
        )
        for claim in finding.claims
    ]
    headers = ("Claim", "Place", "Published", "Measured [95 %]", "Holds if", "Verdict", "Note")
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return f"## {finding.title}: {finding.conclusion.value}\n\n{table}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
