"""`anatomy-bench store`: list, verify and prune finished units."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.locations import converted_folder, store_folder

if TYPE_CHECKING:
    from anatomy_bench.run.inventory import Holding, Inventory

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_DAY_SECONDS = 86_400
_SHOWN_DIGITS = 12
"""Characters shown of a digest: enough to distinguish models, and accepted by `--subject`."""

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="say what would be removed, remove nothing")]


@app.callback(invoke_without_command=True)
def store(context: typer.Context) -> None:
    """List, verify and prune the store of finished units."""
    if context.invoked_subcommand is None:
        list_()


@app.command(name="list")
def list_(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """List what is in the store, by experiment and subject."""
    from anatomy_bench.run.inventory import take_inventory
    from anatomy_bench.values.record import to_json

    inventory = take_inventory(store_folder())
    if json:
        typer.echo(to_json(inventory, indent=2))
    else:
        typer.echo("\n".join([*_inventory_lines(inventory), *_conversion_lines()]))


@app.command()
def verify() -> None:
    """Check every file against its checksum; set damaged ones aside, to be measured or converted again."""
    from anatomy_bench.base.conversions import verify_conversions
    from anatomy_bench.run.inventory import verify_store

    whole, damaged = verify_store(store_folder())
    models, bad_models = verify_conversions(converted_folder())
    for path in (*damaged, *bad_models):
        print(f"anatomy-bench: warning: damaged, set aside as {path}", file=sys.stderr)
    others = f"; {len(damaged)} damaged, set aside: the next run measures them again" if damaged else ""
    typer.echo(f"{_counted(whole, 'file')} as stored{others}")
    if models or bad_models:
        others = f"; {len(bad_models)} damaged, set aside: the next run converts again" if bad_models else ""
        typer.echo(f"{_counted(models, 'converted model')} as written{others}")


@app.command()
def prune(
    outdated: Annotated[
        bool, typer.Option("--outdated", help="measured or converted by sources or libraries that have changed since")
    ] = False,
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, metavar="DAYS", help="measured more than this many days ago")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="DIGEST", help="measured on the model whose digest begins like this"),
    ] = None,
    rubbish: Annotated[
        bool, typer.Option("--rubbish", help="what was set aside as damaged, and what killed runs have left unfinished")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Remove units that meet every condition given; say what was removed."""
    from anatomy_bench.base.conversions import leftover_conversions
    from anatomy_bench.base.plain import remove
    from anatomy_bench.run.inventory import Selection, prune_rubbish, prune_store

    selected = Selection(outdated, older_than, subject or None)
    if selected == Selection() and not rubbish:
        raise UsageError("say what to remove: --outdated, --older-than DAYS, --subject DIGEST or --rubbish")
    verb = "would remove" if dry_run else "removed"
    if selected != Selection():
        jobs = prune_store(store_folder(), selected, dry_run=dry_run)
        by_experiment: dict[str, int] = {}
        for job in jobs:
            by_experiment[job.key["experiment"]] = by_experiment.get(job.key["experiment"], 0) + job.units
        of = ", ".join(f"{count} of {experiment}" for experiment, count in sorted(by_experiment.items()))
        size = _size_text(sum(job.bytes for job in jobs))
        details = f" ({of}), {size}" if jobs else ""
        typer.echo(f"{verb} {_counted(sum(by_experiment.values()), 'unit')}{details}")
    if selected == Selection(outdated=True, older_than_days=older_than):
        _prune_conversions(verb, older_than, dry_run=dry_run)
    if rubbish:
        left = leftover_conversions(converted_folder())
        if not dry_run:
            remove(left)
        count = len(prune_rubbish(store_folder(), dry_run=dry_run)) + len(left)
        typer.echo(f"{verb} {count} damaged or left-over files")


def _prune_conversions(verb: str, older_than_days: float | None, *, dry_run: bool) -> None:
    """Remove converted models that this installation does not read."""
    from anatomy_bench.base.conversions import conversions_in
    from anatomy_bench.base.plain import remove

    least = (older_than_days or 0) * _DAY_SECONDS
    gone = [each for each in conversions_in(converted_folder()) if not each.is_current and each.age_seconds >= least]
    if not dry_run:
        remove(each.folder for each in gone)
    if gone:
        typer.echo(f"{verb} {_counted(len(gone), 'converted model')}, {_size_text(sum(each.bytes for each in gone))}")


def _conversion_lines() -> list[str]:
    from anatomy_bench.base.conversions import conversions_in, leftover_conversions

    found, left = conversions_in(converted_folder()), leftover_conversions(converted_folder())
    lines: list[str] = []
    if found:
        old = sum(not each.is_current for each in found)
        size = _size_text(sum(each.bytes for each in found))
        told = f", {old} of them by other versions (store prune --outdated)" if old else ""
        lines.append(f"{converted_folder()}: {_counted(len(found), 'converted model')}, {size}{told}")
    if left:
        lines.append(
            f"{len(left)} conversions never finished or damaged; anatomy-bench store prune --rubbish clears them"
        )
    return lines


def _inventory_lines(inventory: "Inventory") -> list[str]:
    from tabulate import tabulate

    headers = ("experiment", "subject", "device", "dtype", "units", "size", "measured", "code")
    rows = [
        (
            holding.experiment,
            holding.subject[:_SHOWN_DIGITS],
            holding.device,
            holding.dtype,
            str(holding.units),
            _size_text(holding.bytes),
            _age_text(holding),
            "outdated" if holding.outdated else "current",
        )
        for holding in inventory.holdings
    ]
    units, size = (
        sum(holding.units for holding in inventory.holdings),
        sum(holding.bytes for holding in inventory.holdings),
    )
    lines = [f"{inventory.folder}: {_counted(units, 'unit')}, {_size_text(size)}"]
    if rows:
        lines = [tabulate(rows, headers, disable_numparse=True, colalign=("left",) * 4 + ("right",) * 2), "", *lines]
    if inventory.damaged or inventory.leftovers:
        lines.append(
            f"{inventory.damaged} damaged, {inventory.leftovers} left over by killed writes; "
            "anatomy-bench store verify, then store prune --rubbish, clears them"
        )
    return lines


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _size_text(count: int) -> str:
    kibibytes = count / 1024
    return f"{kibibytes:.1f} KiB" if kibibytes < 1024 else f"{kibibytes / 1024:.1f} MiB"  # noqa: PLR2004 (a unit)


def _age_text(holding: "Holding") -> str:
    newest, oldest = round(holding.newest_days), round(holding.oldest_days)
    days = "today" if oldest == 0 else f"{oldest} day{'' if oldest == 1 else 's'} ago"
    return days if newest == oldest else f"{newest} to {oldest} days ago"
