"""Commands that read ledgers and need no model: `report`, `compare` and `atlas`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

LedgerArgument = Annotated[Path, typer.Argument(metavar="LEDGER", help="a ledger.json, or the folder that it is in")]


def report(
    ledger: LedgerArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="folder for report.html, the one to look at, report.md and ledger.json"
        ),
    ],
    benchmarks: Annotated[
        Path | None,
        typer.Option(
            "--benchmarks", metavar="FILE", help="figures that make bench has written, to be shown in the report"
        ),
    ] = None,
) -> None:
    """Write the report of a ledger: Markdown, JSON, and one self-contained HTML file with figures."""
    from anatomy_bench.base.atomic import check_folder
    from anatomy_bench.report.benchmarks import read_benchmarks
    from anatomy_bench.report.writing import write_report
    from anatomy_bench.run.ledger import believing, read_ledger

    read = read_ledger(ledger)
    timed = read_benchmarks(benchmarks) if benchmarks else None
    check_folder(out)
    with believing(ledger):
        written = write_report(read, out, timed)
    for path in written:
        typer.echo(path)


def compare(
    first: LedgerArgument,
    second: LedgerArgument,
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Put two ledgers side by side, verdicts that differ first."""
    from anatomy_bench.report.compare import compare, comparison_text
    from anatomy_bench.run.ledger import believing, read_ledger
    from anatomy_bench.values.record import to_json

    ledgers = read_ledger(first), read_ledger(second)
    with believing(first, second):
        if json:
            text = to_json(compare(*ledgers), indent=2).decode()
        else:
            text = comparison_text(*ledgers, (str(first), str(second)), colour=sys.stdout.isatty())
    typer.echo(text)


def atlas(
    ledgers: Annotated[list[Path], typer.Argument(metavar="LEDGER...", help="ledgers of runs, or their folders")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="folder for atlas.html, the one to look at, and atlas.md")
    ],
) -> None:
    """Put ledgers of many models on one page: which findings hold on which model."""
    from anatomy_bench.report.atlas import make_atlas
    from anatomy_bench.report.atlas_pages import write_atlas
    from anatomy_bench.run.ledger import believing, read_ledger

    read = [(each, read_ledger(each)) for each in ledgers]
    with believing(*ledgers):
        written = write_atlas(make_atlas(read), out)
    for path in written:
        typer.echo(path)
