"""Progress of long work: stage, count and time left on a terminal; elsewhere only what must be known."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from anatomy_bench.base.errors import AnatomyError

Advance = Callable[[int], None]
"""Report that this many more steps are done."""


class Progress(Protocol):
    """Where experiments report their progress."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Begin a stage of this many steps."""
        ...

    def note(self, line: str) -> None:
        """Say something that a person who waits must know, whether or not bars are shown."""
        ...


def say(line: str) -> None:
    """A line on standard error."""
    print(f"anatomy-bench: {AnatomyError(line)}", file=sys.stderr, flush=True)


class SilentProgress:
    """Shows no bars."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """Begin a stage without showing anything."""
        del name, total
        yield lambda _: None

    def note(self, line: str) -> None:
        """One line on standard error."""
        say(line)


class TerminalProgress:
    """A bar on standard error with stage, count and time left."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """Show a bar until the stage ends."""
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(elapsed_when_finished=True),
        )
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(name, total=total)
            yield lambda steps: shown.advance(task, steps)

    def note(self, line: str) -> None:
        """One line on standard error, above any bar."""
        say(line)


@dataclass(frozen=True)
class NamedProgress:
    """Progress that puts the name of the work before each stage, such as `ablation on wide, part 2 of 3: scoring`."""

    inner: Progress
    name: str

    def stage(self, name: str, total: int) -> AbstractContextManager[Advance]:
        """Begin a stage, with the name of the work before it."""
        return self.inner.stage(f"{self.name}: {name}", total)

    def note(self, line: str) -> None:
        """As it is."""
        self.inner.note(line)


def progress_for_terminal() -> Progress:
    """A bar if standard error is a terminal."""
    return TerminalProgress() if sys.stderr.isatty() else SilentProgress()
