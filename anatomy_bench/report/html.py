"""The ledger as one self-contained HTML file.

It needs no network and no script, and everything that a ledger names is escaped: a
report may be made of a ledger that somebody else has sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from anatomy_bench import papers
from anatomy_bench.claim import Conclusion, Kind, VerdictWord
from anatomy_bench.findings import all_findings
from anatomy_bench.ledger import JudgedClaim, JudgedFinding, KeptMeasurement, Ledger
from anatomy_bench.quantities import interval_text, quantity
from anatomy_bench.report.figures import Figure, figures_of
from anatomy_bench.report.repeating import finding_command, run_command
from anatomy_bench.report.why import why

_SYMBOLS: dict[str, str] = {
    VerdictWord.SUPPORTED.value: "✓",
    VerdictWord.REFUTED.value: "✗",
    VerdictWord.INCONCLUSIVE.value: "?",
    VerdictWord.NOT_APPLICABLE.value: "–",
    Conclusion.REPRODUCED.value: "✓",
    Conclusion.EXPLAINED_BY_CONTROL.value: "!",
    Conclusion.PARTLY_REPRODUCED.value: "±",
    Conclusion.NOT_REPRODUCED.value: "✗",
    Conclusion.INCONCLUSIVE.value: "?",
    Conclusion.NOT_APPLICABLE.value: "–",
}
_TONES: dict[str, str] = {"✓": "good", "✗": "bad", "!": "bad", "±": "mixed", "?": "mixed", "–": "none"}


@dataclass(frozen=True)
class _Section:
    """A finding as the page shows it.

    Attributes:
        anchor: of its heading.
        finding: judged.
        paper: what it is a finding of.
        why: the conclusion's reason.
        groups: claims under a heading each, the reported ones first.
        figures: drawn.
        command: that repeats it.
        measurements: anchors and names of those that its claims rest on.
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


def html_report(ledger: Ledger) -> str:
    """The page.

    Raises:
        UsageError: the ledger's measurements are not of this version.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"quantity": quantity, "interval": interval_text, "symbol": _symbol, "tone": _tone}
    return environment.from_string(_source("report.html.jinja")).render(
        ledger=ledger,
        style=_source("report.css"),
        sections=[_section(ledger, finding, number) for number, finding in enumerate(ledger.findings, 1)],
        measurements=[_kept(kept, number) for number, kept in enumerate(ledger.measurements, 1)],
        command=run_command(ledger),
    )


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _symbol(word: str) -> str:
    return _SYMBOLS[word]


def _tone(word: str) -> str:
    return _TONES[_SYMBOLS[word]]


def _section(ledger: Ledger, finding: JudgedFinding, number: int) -> _Section:
    reported = [claim for claim in finding.claims if claim.kind is not Kind.CONTROL]
    controls = [claim for claim in finding.claims if claim.kind is Kind.CONTROL]
    needs = {need for claim in finding.claims for need in claim.needs}
    return _Section(
        anchor=f"finding-{number}",
        finding=finding,
        paper=_paper(finding),
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
            (_anchor(place), _name(kept)) for place, kept in enumerate(ledger.measurements, 1) if kept.need in needs
        ],
    )


def _paper(finding: JudgedFinding) -> str:
    if finding.paper not in {each.paper for each in all_findings()}:
        return finding.paper
    paper = papers.load(finding.paper)
    return f"{paper['title']}, arXiv {paper['arxiv']}"


def _anchor(number: int) -> str:
    return f"measurement-{number}"


def _name(kept: KeptMeasurement) -> str:
    need = kept.need
    where = f" on {need.corpus}" if need.corpus else ""
    layers = f", layers {', '.join(map(str, need.layers))} only" if need.layers else ""
    return f"{need.experiment}{where}{layers}"


def _kept(kept: KeptMeasurement, number: int) -> _Kept:
    return _Kept(_anchor(number), _name(kept), _facts(kept.data))


def _facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    """What it takes to repeat a measurement, under the names that JSON has for it."""
    parts = {
        "subject": {key: data["subject"][key] for key in ("name", "digest", "commit")},
        "corpus": {key: data["corpus"][key] for key in ("name", "digest", "sentences", "tokens")}
        if data["corpus"]
        else {},
        "config": data.get("config", {}),
        "provenance": {key: value for key, value in data["provenance"].items() if key != "versions"},
        "versions": data["provenance"]["versions"],
    }
    facts = [(f"{part} {key}", _fact(value)) for part, fields in parts.items() for key, value in fields.items()]
    return [*facts, ("seconds", quantity(data["seconds"]))]


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_fact, value))
    return "none" if value is None else str(value)
