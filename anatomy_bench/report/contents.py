"""Claims as a table of contents of the papers."""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from anatomy_bench.claim.claim import Claim, Finding, Kind
from anatomy_bench.registry import get_paper
from anatomy_bench.values.quantities import quantity


def contents_json(findings: Sequence[Finding]) -> str:
    """A list of claims, each with the finding and the paper that it belongs to."""
    entries = [
        {"paper": finding.paper, "finding": finding.id, **_entry(claim)}
        for finding in findings
        for claim in finding.claims
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def contents_text(findings: Sequence[Finding]) -> str:
    """Papers, their findings in the paper's order, each with its claims."""
    parts: list[str] = []
    for paper, of_paper in groupby(findings, key=lambda finding: finding.paper):
        parts.append(get_paper(paper).citation)
        parts += [
            "\n".join([f"{finding.title} ({finding.place})", *(_lines(claim) for claim in finding.claims)])
            for finding in of_paper
        ]
    return "\n\n".join(parts)


def _entry(claim: Claim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "place": claim.place,
        "statement": claim.statement,
        "published": claim.published,
        "unit": claim.unit,
        "criterion": str(claim.criterion),
        "why": claim.why,
        "kind": claim.kind.value,
        "needs": [need.experiment + (f" on {need.corpus}" if need.corpus else "") for need in claim.needs],
    }


def _lines(claim: Claim) -> str:
    published = "" if claim.published is None else f"published {quantity(claim.published)} {claim.unit}; "
    control = "control: " if claim.kind is Kind.CONTROL else ""
    details = f"{claim.place}; {published}holds if {claim.criterion} {claim.unit}"
    return f"  {claim.id}\n      {control}{claim.statement}\n      {details}"
