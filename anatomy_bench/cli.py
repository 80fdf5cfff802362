"""The command line: the same claims without pytest."""

import io
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from anatomy_bench.base.errors import AnatomyError, DamagedUnitWarning, UsageError
from anatomy_bench.experiments.experiment import Profile
from anatomy_bench.run.option_help import HELP
from anatomy_bench.run.options import DEFAULT_MODEL, Options
from anatomy_bench.store_command import app as store_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anatomy_bench.claim.claim import Need
    from anatomy_bench.run.run import Run

app = typer.Typer(
    name="anatomy-bench",
    help="Turn the findings of papers on transformer layer anatomy into verdicts on a model.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(store_app, name="store")

_INTERRUPTED = 130
_ENOUGH_READ = 1
"""Whoever reads our output through a pipe has closed it; as typer has it."""

DType = Literal["float32", "bfloat16"]
ModelOption = Annotated[str, typer.Option("--model", metavar="ID|DIR|FILE.gguf|bundled", help=HELP["model"])]
RevisionOption = Annotated[str | None, typer.Option("--revision", help=HELP["revision"])]
DeviceOption = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help=HELP["device"])]
DTypeOption = Annotated[DType, typer.Option("--dtype", help=HELP["dtype"])]
ProfileOption = Annotated[Profile | None, typer.Option("--profile", help=HELP["profile"])]
CorpusOption = Annotated[Path | None, typer.Option("--corpus", metavar="FILE", help=HELP["corpus"])]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help=HELP["seed"])]
FreshOption = Annotated[bool, typer.Option("--fresh", help=HELP["fresh"])]
RemoteCodeOption = Annotated[bool, typer.Option("--trust-remote-code", help=HELP["trust_remote_code"])]
PickledOption = Annotated[bool, typer.Option("--allow-pickled-weights", help=HELP["allow_pickled_weights"])]
UntrainedOption = Annotated[bool, typer.Option("--allow-untrained", help=HELP["allow_untrained"])]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=HELP["dry_run"])]
LedgerArgument = Annotated[Path, typer.Argument(metavar="LEDGER", help="a ledger.json, or the folder that it is in")]


@app.command()
def verify(
    model: ModelOption = DEFAULT_MODEL,
    revision: RevisionOption = None,
    device: DeviceOption = "auto",
    dtype: DTypeOption = "float32",
    profile: ProfileOption = None,
    corpus: CorpusOption = None,
    seed: SeedOption = 0,
    fresh: FreshOption = False,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickled_weights: PickledOption = False,
    allow_untrained: UntrainedOption = False,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help=HELP["report"])] = None,
    expected: Annotated[Path | None, typer.Option(metavar="FILE", help=HELP["expected"])] = None,
    record_expected: Annotated[bool, typer.Option("--record-expected", help=HELP["record_expected"])] = False,
    strict: Annotated[bool, typer.Option("--strict", help=HELP["strict"])] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Judge every claim on a model and print the verdict table."""
    from anatomy_bench.base.atomic import check_folder
    from anatomy_bench.registry import all_claims, all_findings
    from anatomy_bench.report.terminal import next_steps, subject_lines, verdict_table
    from anatomy_bench.run.expected import Outcome
    from anatomy_bench.run.judging import Judging
    from anatomy_bench.run.ledger import judged_findings, make_ledger
    from anatomy_bench.run.plan import needs_of

    options = Options(
        model, revision, device, dtype, profile, corpus, seed, fresh,
        trust_remote_code, allow_pickled_weights, allow_untrained,
    )  # fmt: skip
    if report is not None:
        check_folder(report)
    run = _run(options)
    judging = Judging(run, root=Path.cwd(), expected=expected, record=record_expected)
    judging.prepare()
    typer.echo("\n".join(subject_lines(run.subject.record, run.subject.device.type, run.subject.dtype, run.profile)))
    if judging.notice:
        typer.echo(f"anatomy-bench: {judging.notice}", err=True)
    if dry_run:
        _print_plan(run, needs_of(all_claims().values(), run.subject.record.layers))
        return
    judged = {claim.id: judging.judge(claim) for claim in all_claims().values()}
    verdicts = {claim_id: each.verdict for claim_id, each in judged.items()}
    outcomes = {claim_id: each.outcome for claim_id, each in judged.items()}
    if record_expected:
        judging.write_record(verdicts)
    if report is not None:
        from anatomy_bench.report.writing import write_report

        write_report(make_ledger(all_findings(), verdicts, run.measurements, options), report)
    findings = judged_findings(all_findings(), verdicts)
    typer.echo(verdict_table(findings, outcomes, colour=sys.stdout.isatty()))
    typer.echo(next_steps(outcomes))
    if strict and Outcome.FAILED in outcomes.values():
        raise typer.Exit(1)


@app.command()
def measure(
    experiment: Annotated[str, typer.Argument(help="name of an experiment, such as ablation or structure")],
    model: ModelOption = DEFAULT_MODEL,
    revision: RevisionOption = None,
    device: DeviceOption = "auto",
    dtype: DTypeOption = "float32",
    profile: ProfileOption = None,
    corpus: CorpusOption = None,
    seed: SeedOption = 0,
    fresh: FreshOption = False,
    trust_remote_code: RemoteCodeOption = False,
    allow_pickled_weights: PickledOption = False,
    allow_untrained: UntrainedOption = False,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE|-", help=HELP["json"])] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Make one experiment's measurement."""
    from anatomy_bench.base.atomic import check_file, write_atomically
    from anatomy_bench.claim.claim import Need
    from anatomy_bench.registry import get_experiment
    from anatomy_bench.values.record import to_json

    options = Options(
        model, revision, device, dtype, profile, corpus, seed, fresh,
        trust_remote_code, allow_pickled_weights, allow_untrained,
    )  # fmt: skip
    get_experiment(experiment)
    if json not in (None, "-"):
        check_file(Path(json))
    run = _run(options)
    run.prepare()
    if dry_run:
        _print_plan(run, [Need(experiment)])
        return
    measurement = run.measure(Need(experiment))
    if json == "-":
        typer.echo(to_json(measurement, indent=2))
    elif json is not None:
        write_atomically(Path(json), to_json(measurement, indent=2) + b"\n")
    else:
        from tabulate import tabulate

        headers, rows = measurement.table()
        typer.echo(tabulate(rows, headers, disable_numparse=True))


@app.command()
def claims(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """List every claim: id, place, statement, published value, criterion, kind."""
    from anatomy_bench.report.contents import contents_json, contents_text

    typer.echo(contents_json() if json else contents_text())


@app.command()
def report(
    ledger: LedgerArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help=HELP["report"])],
    benchmarks: Annotated[Path | None, typer.Option("--benchmarks", metavar="FILE", help=HELP["benchmarks"])] = None,
) -> None:
    """Write the report of a ledger: Markdown, JSON, and one self-contained HTML file with figures."""
    from anatomy_bench.base.atomic import check_folder
    from anatomy_bench.report.benchmarks import read_benchmarks
    from anatomy_bench.report.writing import write_report
    from anatomy_bench.run.ledger import read_ledger

    read = read_ledger(ledger)
    timed = read_benchmarks(benchmarks) if benchmarks else None
    check_folder(out)
    for path in write_report(read, out, timed):
        typer.echo(path)


@app.command()
def compare(
    first: LedgerArgument,
    second: LedgerArgument,
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Put two ledgers side by side, verdicts that differ first."""
    from anatomy_bench.report.compare import compare, comparison_text
    from anatomy_bench.run.ledger import read_ledger
    from anatomy_bench.values.record import to_json

    ledgers = read_ledger(first), read_ledger(second)
    if json:
        typer.echo(to_json(compare(*ledgers), indent=2))
    else:
        typer.echo(comparison_text(*ledgers, (str(first), str(second)), colour=sys.stdout.isatty()))


@app.command()
def atlas(
    ledgers: Annotated[list[Path], typer.Argument(metavar="LEDGER...", help="ledgers of runs, or their folders")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help=HELP["atlas"])],
) -> None:
    """Put ledgers of many models on one page: which findings hold on which model."""
    from anatomy_bench.report.atlas import make_atlas
    from anatomy_bench.report.atlas_pages import write_atlas
    from anatomy_bench.run.ledger import read_ledger

    for path in write_atlas(make_atlas([(each, read_ledger(each)) for each in ledgers]), out):
        typer.echo(path)


def _print_plan(run: "Run", needs: "Sequence[Need]") -> None:
    from anatomy_bench.report.planned import plan_text

    typer.echo(plan_text(run.plan(needs)))


def _run(options: Options) -> "Run":
    from anatomy_bench.base.progress import progress_for_terminal
    from anatomy_bench.run.run import Run

    return Run(options, progress_for_terminal())


def main() -> None:
    """Run a command; a user's error is one line and its exit code."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows ? for it
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would try again to write what is left
        if isinstance(error, BrokenPipeError):
            sys.exit(_ENOUGH_READ)
        _fail(str(error), UsageError.exit_code)
    except AnatomyError as error:
        _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # what typer makes of a keyboard interrupt
        _fail("interrupted; what was finished is kept, and the same command goes on from there", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Our own warnings in one line; others as Python shows them."""
    if issubclass(category, DamagedUnitWarning):
        print(f"anatomy-bench: warning: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def _fail(message: str, exit_code: int) -> NoReturn:
    print(f"anatomy-bench: {AnatomyError(message)}", file=sys.stderr)
    sys.exit(exit_code)
