"""Standard streams of the command line: closed ones, warnings, and the one line that an error is."""

import os
import sys
import warnings
from contextlib import suppress
from typing import Any, NoReturn, TextIO, cast

from anatomy_bench.base.errors import AnatomyError, AnatomyWarning


def show_warning(  # noqa: PLR0917 (as Python calls it)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Our own warnings in one line; others as Python shows them."""
    if issubclass(category, AnatomyWarning):
        print(f"anatomy-bench: warning: {message}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def replace_closed_streams() -> None:
    """Where a standard stream is closed (`>&-`), Python has `None` and hands its number to the next file opened.

    What is printed then must fail in one line; what is said on standard error is lost, but not the exit code.
    """
    if sys.stdin is None:
        sys.stdin = _null(os.O_RDONLY, "r")
    if sys.stdout is None:
        sys.stdout = _null(os.O_RDONLY, "w")  # so that writing fails
    if sys.stderr is None:
        sys.stderr = _null(os.O_WRONLY, "w")


def _null(flags: int, mode: str) -> TextIO:
    return cast("TextIO", os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


def fail(message: str, exit_code: int) -> NoReturn:
    """End in one line and that exit code."""
    with suppress(OSError):  # nobody hears it, but the exit code still says it
        print(f"anatomy-bench: {AnatomyError(message)}", file=sys.stderr)
    sys.exit(exit_code)
