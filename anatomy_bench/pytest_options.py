"""The declared options (`run/options.py`) as options of pytest."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from anatomy_bench.run.options import Options


def add_short_options(parser: pytest.Parser) -> None:
    """The options under their short names (`--model`, `--device`), for the `conftest.py` of a repository of claims."""
    add_options(parser, "--")


def add_options(parser: pytest.Parser, prefix: str) -> None:
    """Register every option.

    Args:
        parser: pytest's.
        prefix: before each name.
    """
    from anatomy_bench.run.options import Keeping, Options, Selection, declared

    group = parser.getgroup("anatomy_bench", "claims about transformer layer anatomy")
    for option in (each for kind in (Options, Selection, Keeping) for each in declared(kind)):
        settings: dict[str, Any] = {"dest": f"anatomy_{option.name}", "default": option.default, "help": option.help}
        if option.kind is bool:
            settings["action"] = "store_true"
        elif option.choices:
            settings["choices"] = option.choices
        else:
            settings["type"] = seed if option.kind is int else option.kind
            settings["metavar"] = option.metavar
        if option.repeats:
            settings |= {"action": "append", "default": []}
        group.addoption(f"{prefix}{option.flag}", **settings)


def options_from(config: pytest.Config) -> Options:
    """The options of a run, as pytest was given them."""
    from anatomy_bench.run.options import Options, declared, options_of

    return options_of({each.name: config.getoption(f"anatomy_{each.name}") for each in declared(Options)})


def seed(text: str) -> int:
    """A seed; pytest names this function in its message where the text is no number."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number
