"""The declared options (`run/options.py`) as options of a command."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from anatomy_bench.run.options import Declared, Keeping, Options, Selection, declared

_GROUPS = (Options, Selection, Keeping)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see each option of the groups that a command takes, and hand it the groups.

    A parameter that is annotated with one of `Options`, `Selection` and `Keeping` stands for all options of that group.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hint in _GROUPS}
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            shown += [_parameter(each) for each in declared(groups[name])]
        else:
            shown.append(parameter.replace(annotation=hints[name]))

    @wraps(command)
    def grouped(**given: Any) -> None:
        for name, group in groups.items():
            values = {each.name: given.pop(each.name) for each in declared(group)}
            repeated = {each.name: tuple(values[each.name] or ()) for each in declared(group) if each.repeats}
            given[name] = group(**values | repeated)
        command(**given)

    del grouped.__wrapped__  # or typer would look through to the groups
    grouped.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    grouped.__annotations__ = {each.name: each.annotation for each in shown}
    return grouped


def _parameter(option: Declared) -> inspect.Parameter:
    least = 0 if option.kind is int else None
    shown = typer.Option(f"--{option.flag}", help=option.help, metavar=option.metavar, min=least)
    kind = list[str] | None if option.repeats else option.annotation
    default = None if option.repeats else option.default
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown]
    )
