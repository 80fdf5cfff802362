"""The command line: the same claims without pytest."""

import errno
import io
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anatomy_bench.base.errors import AnatomyError, InapplicableError, UsageError
from anatomy_bench.cli_options import with_options
from anatomy_bench.cli_streams import fail, replace_closed_streams, show_warning
from anatomy_bench.ledger_commands import atlas, compare, report
from anatomy_bench.run.options import Keeping, Options, Selection
from anatomy_bench.store_command import app as store_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anatomy_bench.claim.claim import Claim, Need
    from anatomy_bench.run.run import Run
    from anatomy_bench.values.measurement import Measurement

app = typer.Typer(
    name="anatomy-bench",
    help="Turn the findings of papers on transformer layer anatomy into verdicts on a model.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(store_app, name="store")
for command in (report, compare, atlas):
    app.command()(command)

_INTERRUPTED = 130
_ENOUGH_READ = 1
"""Whoever reads our output through a pipe has closed it; as typer has it."""

DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="say what would be measured, roughly how long it takes and how much memory it needs; measure nothing",
    ),
]
JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="write the measurement to this file; - is standard output"),
]


@app.command()
@with_options
def verify(
    options: Options,
    selection: Selection,
    keeping: Keeping,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="exit with 1 if a claim failed: not supported and not on record, or changed"),
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Judge claims on a model and print the verdict table."""
    from anatomy_bench.base.atomic import check_folder
    from anatomy_bench.registry import selected_findings
    from anatomy_bench.report.terminal import next_steps, subject_lines, verdict_table
    from anatomy_bench.run.expected import Outcome
    from anatomy_bench.run.judging import Judging
    from anatomy_bench.run.ledger import judged_findings
    from anatomy_bench.run.plan import needs_of

    findings = selected_findings(selection.paper, selection.finding)
    claims = {claim.id: claim for finding in findings for claim in finding.claims}
    if keeping.report is not None:
        check_folder(keeping.report)
    run = _run(options)
    judging = Judging(run, root=Path.cwd(), expected=keeping.expected, record=keeping.record_expected)
    if any(claim.runs_model for claim in claims.values()):
        judging.prepare()
        subject = run.subject
        typer.echo("\n".join(subject_lines(subject.record, subject.device.type, subject.dtype, run.profile)))
        if judging.notice:
            typer.echo(f"anatomy-bench: {judging.notice}", err=True)
    if dry_run:
        _print_plan(run, needs_of(claims.values(), run.subject.record.layers))
        return
    judged = {claim.id: judging.judge(claim) for claim in claims.values()}
    verdicts = {claim_id: each.verdict for claim_id, each in judged.items()}
    outcomes = {claim_id: each.outcome for claim_id, each in judged.items()}
    if keeping.record_expected:
        judging.write_record(verdicts)
    typer.echo(verdict_table(judged_findings(findings, verdicts), outcomes, colour=sys.stdout.isatty()))
    typer.echo(next_steps(outcomes))
    if keeping.report is not None:  # last: a stranger's figure may be broken
        from anatomy_bench.report.writing import write_report
        from anatomy_bench.run.ledger import make_ledger

        write_report(make_ledger(findings, verdicts, run.measurements, options), keeping.report)
    if strict and Outcome.FAILED in outcomes.values():
        raise typer.Exit(1)


@app.command()
@with_options
def measure(
    options: Options,
    selection: Selection,
    *,
    experiment: Annotated[
        str | None,
        typer.Argument(help="name of an experiment, such as ablation; without one, all that the selected claims read"),
    ] = None,
    json: JsonOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Make one experiment's measurement, or those that the claims of a paper or a finding read."""
    from anatomy_bench.base.atomic import check_file
    from anatomy_bench.claim.claim import Need
    from anatomy_bench.run.plan import needs_of
    from anatomy_bench.values.record import to_json

    claims = _selected(experiment, selection)
    if json not in (None, "-"):
        check_file(Path(json))
    run = _run(options)
    run.prepare()
    needs = [Need(experiment)] if experiment is not None else needs_of(claims, run.subject.record.layers)
    if not needs:
        raise UsageError(f"no selected claim can be asked of a model of {run.subject.record.layers} layers")
    if dry_run:
        _print_plan(run, needs)
        return
    measured = _measured(run, needs)
    if experiment is not None:
        _show(measured[0], json)
    elif json is not None:
        _write(b"[" + b",\n".join(to_json(made, indent=2) for made in measured) + b"]", json)
    else:
        for made in measured:
            typer.echo(f"{made.experiment}{f' on {made.corpus.name}' if made.corpus else ''}\n")
            _show(made, None)


def _measured(run: "Run", needs: "Sequence[Need]") -> "list[Measurement]":
    """Those that this model allows; a line says why another is left out.

    Raises:
        InapplicableError: it allows none.
    """
    made: list[Measurement] = []
    for need in needs:
        try:
            made.append(run.measure(need))
        except InapplicableError as error:
            if len(needs) == 1:
                raise
            typer.echo(f"anatomy-bench: {need.name} is left out: {error}", err=True)
    return made


def _show(measured: "Measurement", json: str | None) -> None:
    """Print a measurement as a table, or write it as JSON."""
    from tabulate import tabulate

    from anatomy_bench.values.record import to_json

    if json is not None:
        _write(to_json(measured, indent=2), json)
        return
    headers, rows = measured.table()
    typer.echo(tabulate(rows, headers, disable_numparse=True))


def _write(content: bytes, json: str) -> None:
    from anatomy_bench.base.atomic import write_atomically

    if json == "-":
        typer.echo(content)
    else:
        write_atomically(Path(json), content + b"\n")


def _selected(experiment: str | None, selection: Selection) -> "list[Claim]":
    """The selected claims that read the experiment, or anything; none where an experiment alone is named.

    Raises:
        UsageError: nothing is named, there is no such experiment, or the selected claims do not read it.
    """
    from anatomy_bench.registry import get_experiment, selected_findings

    if experiment is not None:
        get_experiment(experiment)
    if not selection.paper and not selection.finding:
        if experiment is None:
            raise UsageError("name an experiment, or select claims by --paper or --finding")
        return []
    read = [
        claim
        for finding in selected_findings(selection.paper, selection.finding)
        for claim in finding.claims
        if any(experiment in (None, need.experiment) for need in claim.needs)
    ]
    if not read:
        raise UsageError(f"the selected claims read no measurement{f' of {experiment}' if experiment else ''}")
    return read


@app.command()
@with_options
def score(
    options: Options,
    *,
    programs: Annotated[
        list[str],
        typer.Argument(
            metavar="PROGRAM...",
            help="layers in the order to run: '0-13 15-29', '0-11 [12|13|14]/3 15-29' (docs/programs.md)",
        ),
    ],
    keep_first_token: Annotated[
        bool,
        typer.Option("--keep-first-token", help="keep the first token's stream as in the intact model"),
    ] = False,
    json: JsonOption = None,
) -> None:
    """Score the model with its layers in other orders: change of loss and divergence, with intervals."""
    from anatomy_bench.base.atomic import check_file
    from anatomy_bench.engine.program_text import read_program

    for program in programs:  # a slip is reported before a model is loaded
        read_program(program)
    if json not in (None, "-"):
        check_file(Path(json))
    run = _run(options)
    run.prepare()
    _show(run.score(programs, keeps_first_token=keep_first_token), json)


@app.command()
@with_options
def claims(selection: Selection, *, json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """List claims by paper and finding: id, place, statement, published value, criterion, kind."""
    from anatomy_bench.registry import selected_findings
    from anatomy_bench.report.contents import contents_json, contents_text

    findings = selected_findings(selection.paper, selection.finding)
    typer.echo(contents_json(findings) if json else contents_text(findings))


def _print_plan(run: "Run", needs: "Sequence[Need]") -> None:
    from anatomy_bench.report.planned import plan_text

    typer.echo(plan_text(run.plan(needs)))


def _run(options: Options) -> "Run":
    from anatomy_bench.base.progress import progress_for_terminal
    from anatomy_bench.run.run import Run

    return Run(options, progress_for_terminal())


def main() -> None:
    """Run a command; a user's error is one line and its exit code."""
    warnings.showwarning = show_warning
    replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows ? for it
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again at its end
        if isinstance(error, BrokenPipeError):
            sys.exit(_ENOUGH_READ)
        fail("standard output is closed" if error.errno == errno.EBADF else str(error), UsageError.exit_code)
    except AnatomyError as error:
        fail(str(error), error.exit_code)
    except typer.TyperException as error:
        fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # what typer makes of a keyboard interrupt
        fail("interrupted; what was finished is kept, and the same command goes on from there", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
