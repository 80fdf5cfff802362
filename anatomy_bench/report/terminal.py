"""The verdict table that ends a run."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console, JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from anatomy_bench.claim.claim import Kind, VerdictWord
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.registry import citation_of
from anatomy_bench.run.expected import Outcome
from anatomy_bench.run.ledger import JudgedClaim, JudgedFinding
from anatomy_bench.values.measurement import SubjectRecord
from anatomy_bench.values.quantities import quantity

WIDTH = 100
_COLUMNS: tuple[tuple[int, JustifyMethod], ...] = ((45, "left"), (9, "right"), (27, "right"), (15, "left"))
_STYLES = {
    VerdictWord.SUPPORTED: "green",
    VerdictWord.REFUTED: "red",
    VerdictWord.INCONCLUSIVE: "yellow",
    VerdictWord.NOT_APPLICABLE: "dim",
}


def verdict_table(findings: Sequence[JudgedFinding], outcomes: Mapping[str, Outcome], *, colour: bool) -> str:
    """Findings by paper, in its order, each with its conclusion and its claims.

    Args:
        findings: with their verdicts.
        outcomes: by id of the claim; those that were not as expected are marked.
        colour: whether to write terminal colours; the words alone say everything.
    """
    buffer = io.StringIO()
    console = text_console(buffer, colour=colour)
    paper = ""
    for finding in findings:
        if finding.paper != paper:
            paper = finding.paper
            console.print(Text(printable(citation_of(paper)), style="bold underline"))
            console.print()
        console.print(Text(f"{finding.title}: {finding.conclusion.value}", style="bold"))
        table = Table(box=None, pad_edge=False, show_header=False)
        for width, justify in _COLUMNS:
            table.add_column(width=width, justify=justify, overflow="fold")
        for claim in finding.claims:
            table.add_row(*_row(claim, outcomes.get(claim.id)))
        console.print(table)
        console.print()
    names = ("claim", "published", "measured [95 %]", "verdict")
    heading = " ".join(
        f"{name:{'>' if justify == 'right' else '<'}{width}}"
        for name, (width, justify) in zip(names, _COLUMNS, strict=True)
    ).rstrip()
    return "\n".join([heading, *(line.rstrip() for line in buffer.getvalue().splitlines())])


def text_console(buffer: io.StringIO, *, colour: bool) -> Console:
    """A console that writes into a buffer, also in a notebook, where rich would write into the cell instead."""
    colours: Literal["standard"] | None = "standard" if colour else None
    return Console(
        file=buffer, width=WIDTH, force_terminal=colour, force_jupyter=False, color_system=colours, highlight=False
    )


def _row(claim: JudgedClaim, outcome: Outcome | None) -> tuple[Padding, str, str, Text]:
    control = "control: " if claim.kind is Kind.CONTROL else ""
    mark = " !" if outcome is Outcome.FAILED else ""
    return (
        Padding(control + claim.statement, (0, 0, 0, 2)),
        quantity(claim.published),
        "" if claim.verdict.value is None else measured_text(claim.verdict),
        verdict_text(claim.verdict.word, mark),
    )


def verdict_text(word: VerdictWord, mark: str = "") -> Text:
    """A verdict in its colour, short enough for a column."""
    return Text(("N/A" if word is VerdictWord.NOT_APPLICABLE else word.value) + mark, style=_STYLES[word])


def printable(text: str) -> str:
    """Text without control characters, which a terminal would obey; the ledger may come from somebody else."""
    return "".join(character if character.isprintable() else " " for character in text)


def subject_lines(subject: SubjectRecord, device: str, dtype: str, profile: str) -> tuple[str, ...]:
    """One or two lines on what was measured and how."""
    commit = f" at {subject.commit[:12]}" if subject.commit else ""
    line = (
        f"{subject.name}{commit}: {subject.architecture}, {subject.layers} layers, {subject.parameters / 1e6:,.1f} M "
        f"parameters; on {device} in {dtype}; profile {profile}"
    )
    return (line, *textwrap.wrap(subject.note, WIDTH)) if subject.note else (line,)


def next_steps(outcomes: Mapping[str, Outcome]) -> str:
    """One line on what the marks mean and what to do about them."""
    failed = sum(outcome is Outcome.FAILED for outcome in outcomes.values())
    expected = sum(outcome is Outcome.EXPECTED_FAILURE for outcome in outcomes.values())
    line = f"{len(outcomes)} claims judged"
    if expected:
        line += f", {expected} not supported and recorded as such"
    if failed:
        line += f", {failed} marked ! not as recorded: run with --record-expected once you have understood why"
    return line + "."
