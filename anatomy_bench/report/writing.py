"""Write a report's files."""

from pathlib import Path

from anatomy_bench.atomic import write_atomically
from anatomy_bench.ledger import LEDGER_FILE, Ledger, write_ledger
from anatomy_bench.report.markdown import markdown_report


def write_report(ledger: Ledger, folder: Path) -> None:
    """Write `ledger.json`, `report.md` and `report.html` into the folder; nothing that the ledger names is a path.

    Raises:
        UsageError: the folder cannot be written to, or the ledger's measurements are not of this version.
    """
    from anatomy_bench.report.html import html_report

    write_ledger(ledger, folder / LEDGER_FILE)  # first: what was measured is kept, whatever comes of drawing it
    write_atomically(folder / "report.md", markdown_report(ledger).encode())
    write_atomically(folder / "report.html", html_report(ledger).encode())
