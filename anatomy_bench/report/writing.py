"""Write a report's files."""

from pathlib import Path

from anatomy_bench.atomic import write_atomically
from anatomy_bench.ledger import Ledger, write_ledger
from anatomy_bench.report.markdown import markdown_report


def write_report(ledger: Ledger, folder: Path) -> None:
    """Write `ledger.json` and `report.md` into the folder.

    Raises:
        UsageError: the folder cannot be written to.
    """
    write_ledger(ledger, folder / "ledger.json")
    write_atomically(folder / "report.md", markdown_report(ledger).encode())
