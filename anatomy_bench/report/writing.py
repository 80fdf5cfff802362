"""Write a report's files."""

from pathlib import Path

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.report.benchmarks import Benchmarks
from anatomy_bench.report.markdown import markdown_report
from anatomy_bench.run.ledger import LEDGER_FILE, Ledger, write_ledger


def write_report(ledger: Ledger, folder: Path, benchmarks: Benchmarks | None = None) -> tuple[Path, ...]:
    """Write `ledger.json`, `report.md` and `report.html` into the folder. No name in the ledger is used as a path.

    Args:
        ledger: of the run.
        folder: to write to.
        benchmarks: shown after the findings, if there are any.

    Returns:
        The files written.

    Raises:
        UsageError: the folder cannot be written to, or the ledger's measurements are of another version.
    """
    from anatomy_bench.report.html import html_report

    files = folder / LEDGER_FILE, folder / "report.md", folder / "report.html"
    write_ledger(ledger, files[0])  # first, so that the measurements are kept even if drawing fails
    write_atomically(files[1], markdown_report(ledger, benchmarks).encode())
    write_atomically(files[2], html_report(ledger, benchmarks).encode())
    return files
