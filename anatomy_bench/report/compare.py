"""Two ledgers side by side, with the verdicts that differ first."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anatomy_bench.claim.claim import Verdict
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.report.terminal import WIDTH, printable, subject_lines, text_console, verdict_text
from anatomy_bench.run.ledger import JudgedClaim, JudgedFinding, Ledger
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import Record

SCHEMA = "anatomy_bench/comparison/1"
_COLUMNS = (40, 29, 29)
_NONE = "not judged"


class Relation(StrEnum):
    """How two verdicts on a claim are related."""

    DIFFERENT = "different"
    ONE_ONLY = "one only"
    SAME = "same"


_HEADINGS = {
    Relation.DIFFERENT: "verdicts that differ",
    Relation.ONE_ONLY: "judged in one of them only",
    Relation.SAME: "verdicts that agree",
}


@dataclass(frozen=True)
class ComparedClaim(Record):
    """A claim in both ledgers.

    Attributes:
        first: `None` if the first ledger does not judge it.
        second: `None` if the second does not.
    """

    id: str
    statement: str
    published: float | None
    unit: str
    relation: Relation
    first: Verdict | None
    second: Verdict | None


@dataclass(frozen=True)
class ComparedFinding(Record):
    """A finding's conclusions in both ledgers."""

    id: str
    title: str
    first: Conclusion | None
    second: Conclusion | None


@dataclass(frozen=True)
class Comparison(Record):
    """Two runs side by side.

    Attributes:
        findings: in the paper's order, those of either ledger.
        claims: those whose verdicts differ first, then those that one ledger lacks; each in the paper's order.
    """

    schema: str
    findings: tuple[ComparedFinding, ...]
    claims: tuple[ComparedClaim, ...]


def compare(first: Ledger, second: Ledger) -> Comparison:
    """Conclusions and verdicts of two runs."""
    findings, others = ({finding.id: finding for finding in ledger.findings} for ledger in (first, second))
    claims, other_claims = _claims(first), _claims(second)
    compared = [
        _compared_claim(claims.get(claim), other_claims.get(claim)) for claim in dict.fromkeys([*claims, *other_claims])
    ]
    order = list(Relation)
    return Comparison(
        schema=SCHEMA,
        findings=tuple(
            _compared_finding(findings.get(finding), others.get(finding))
            for finding in dict.fromkeys([*findings, *others])
        ),
        claims=tuple(sorted(compared, key=lambda each: order.index(each.relation))),
    )


def _claims(ledger: Ledger) -> Mapping[str, JudgedClaim]:
    return {claim.id: claim for finding in ledger.findings for claim in finding.claims}


def _compared_claim(first: JudgedClaim | None, second: JudgedClaim | None) -> ComparedClaim:
    either = first or second
    assert either is not None
    if first is None or second is None:
        relation = Relation.ONE_ONLY
    else:
        relation = Relation.SAME if first.verdict.word is second.verdict.word else Relation.DIFFERENT
    return ComparedClaim(
        either.id,
        either.statement,
        either.published,
        either.unit,
        relation,
        first.verdict if first else None,
        second.verdict if second else None,
    )


def _compared_finding(first: JudgedFinding | None, second: JudgedFinding | None) -> ComparedFinding:
    either = first or second
    assert either is not None
    return ComparedFinding(
        either.id, either.title, first.conclusion if first else None, second.conclusion if second else None
    )


def comparison_text(first: Ledger, second: Ledger, names: tuple[str, str], *, colour: bool) -> str:
    """The comparison for a terminal: what was compared, conclusions, then claims.

    Args:
        first: a ledger.
        second: another.
        names: of their files.
        colour: whether to write terminal colours; the words alone say everything.
    """
    compared = compare(first, second)
    buffer = io.StringIO()
    console = text_console(buffer, colour=colour)
    for letter, ledger, name in zip("AB", (first, second), names, strict=True):
        console.print(_described(letter, ledger, name), markup=False)
    _print_table(console, "finding", [_finding_row(finding) for finding in compared.findings])
    for relation in Relation:
        claims = [claim for claim in compared.claims if claim.relation is relation]
        if claims:
            _print_table(console, f"{_HEADINGS[relation]}: {len(claims)}", [_claim_row(claim) for claim in claims])
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _described(letter: str, ledger: Ledger, name: str) -> str:
    lines = [printable(name)]
    if ledger.subject is not None and ledger.provenance is not None:
        made = ledger.provenance
        lines.append(printable(subject_lines(ledger.subject, made.device, made.dtype, made.profile)[0]))
    wrapped = [piece for line in lines for piece in textwrap.wrap(line, WIDTH - 3)]
    return "\n".join(f"{letter if place == 0 else ' '}  {line}" for place, line in enumerate(wrapped))


def _finding_row(finding: ComparedFinding) -> tuple[Text, Text, Text]:
    first, second = (Text(conclusion.value if conclusion else _NONE) for conclusion in (finding.first, finding.second))
    differs = "" if finding.first is finding.second else " (differs)"
    return Text(printable(finding.title) + differs), first, second


def _claim_row(claim: ComparedClaim) -> tuple[Text, Text, Text]:
    description = Text(printable(claim.statement))
    if claim.published is not None:
        description.append(f"\npublished {quantity(claim.published)} {printable(claim.unit)}")
    return description, _verdict_cell(claim.first), _verdict_cell(claim.second)


def _verdict_cell(verdict: Verdict | None) -> Text:
    """The word, with the value and its interval below it."""
    if verdict is None:
        return Text(_NONE)
    cell = verdict_text(verdict.word)
    return cell if verdict.value is None else cell.append(f"\n{measured_text(verdict)}", style="default")


def _print_table(console: Console, heading: str, rows: Sequence[tuple[Text, Text, Text]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for width, name in zip(_COLUMNS, (heading, "A", "B"), strict=True):
        table.add_column(name, width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
