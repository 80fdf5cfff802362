"""Write those pages that follow from the code: the list of claims and the JSON schemas.

Run `python docs/generate.py` after changing either; a test holds the pages against the code.
"""

import json
from pathlib import Path

from anatomy_bench.claim import Kind
from anatomy_bench.experiments import experiment_names, get_experiment
from anatomy_bench.findings import all_findings
from anatomy_bench.ledger import Ledger
from anatomy_bench.quantities import quantity
from anatomy_bench.record import json_schema

FOLDER = Path(__file__).parent


def claims_page() -> str:
    """Every claim with its place, criterion and control, by finding."""
    lines = [
        "# Every claim",
        "",
        "Written by `docs/generate.py` from the registry. *Control* marks what must also be true for a number to mean",
        "what the paper says; *holds if* is the criterion, and the last column its reason.",
    ]
    for finding in all_findings():
        lines += ["", f"## {finding.title}", "", f"{finding.place}; `{finding.id}`", ""]
        lines += ["| Claim | Id | Place | Published | Holds if | Why |", "| --- | --- | --- | --- | --- | --- |"]
        for claim in finding.claims:
            control = "*Control:* " if claim.kind is Kind.CONTROL else ""
            cells = (
                control + claim.statement,
                f"`{claim.id.partition('.')[2]}`",
                claim.place,
                quantity(claim.published),
                f"{claim.criterion} {claim.unit}".strip(),
                claim.why,
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """All generated pages, by path."""
    kinds = {name: get_experiment(name).measurement_type for name in experiment_names()} | {"ledger": Ledger}
    schemas = {
        FOLDER / "schema" / f"{name}.json": json.dumps(json_schema(kind), indent=2) for name, kind in kinds.items()
    }
    return {FOLDER / "claims.md": claims_page()} | {path: text + "\n" for path, text in schemas.items()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
