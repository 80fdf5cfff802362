"""What a run found, written into a JSON file with every figure, so that nothing is lost when it is killed."""

import json
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import UsageError

SCHEMA = "anatomy_bench/cuda/1"


class OutOfTime(BaseException):
    """A section's seconds are over. No error: nothing that catches errors may catch it."""


class Figures:
    """The sections of a run and the figures of each.

    Attributes:
        data: all of it, as it is written.
    """

    def __init__(self, path: Path, about: dict[str, Any], *, model: str, add: bool = False) -> None:
        """Write what the run is about.

        Args:
            path: of the JSON file.
            about: machine and versions.
            model: that the sections to come are of.
            add: keep the sections that the file has.

        Raises:
            UsageError: those sections were measured on another machine, or with other versions.
        """
        self._path = path
        self._model = model
        known = json.loads(path.read_text(encoding="utf-8")) if add and path.exists() else {}
        others = [name for name in about if known and known.get(name) != about[name]]
        if others:
            raise UsageError(f"{path} is of another machine or another model: {', '.join(others)}")
        self.data: dict[str, Any] = {"schema": SCHEMA, **about, "sections": known.get("sections", {})}
        self._write()

    def note(self, section: str, what: str, value: float | str, unit: str = "", **more: Any) -> None:
        """Keep a figure.

        Args:
            section: that it belongs to.
            what: it is of, as a reader reads it.
            value: a number, or words.
            unit: of the number.
            more: raw rounds (`rounds`), and a bound that it is to keep (`at_most`, `at_least`).
        """
        self.data["sections"][section]["figures"].append({"what": what, "value": value, "unit": unit, **more})
        self._write()

    def run(self, section: str, title: str, body: Callable[[], None], seconds: float) -> None:
        """Run a section within its seconds; whatever stops it, the next one can follow.

        Args:
            section: its name.
            title: as a reader reads it.
            body: notes its figures.
            seconds: after which it is stopped.
        """
        entry = self._begin(section, title, "begun")
        started = time.perf_counter()
        try:
            with _at_most(seconds):
                body()
            entry["state"] = "done"
        except OutOfTime:
            entry["state"] = f"stopped after {seconds:.0f} s"
        except Exception as error:  # noqa: BLE001 (whatever it is, the other sections are worth having)
            entry["state"] = f"failed: {type(error).__name__}: {[*str(error).strip().splitlines(), ''][0]}"
            entry["traceback"] = traceback.format_exc()[-4000:]
        entry["seconds"] = round(time.perf_counter() - started, 2)
        self._write()

    def leave_out(self, section: str, title: str, why: str) -> None:
        """Say that a section was not run."""
        self._begin(section, title, f"not run: {why}")

    def _begin(self, section: str, title: str, state: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"title": title, "model": self._model, "state": state, "seconds": 0.0, "figures": []}
        self.data["sections"][section] = entry
        self._write()
        return entry

    def _write(self) -> None:
        write_atomically(self._path, json.dumps(self.data, indent=1, ensure_ascii=False).encode() + b"\n")


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def interleaved(
    ways: dict[str, Callable[[], Any]], wait: Callable[[], None], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds of several ways of doing the same, in turn forwards and backwards, after one call each that warms up.

    Args:
        ways: by name.
        wait: for the device.
        rounds: of every way, at least one.
        seconds: after which no round is begun.

    Returns:
        By name the seconds of each round.
    """
    for way in ways.values():
        way()
    wait()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    begun = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - begun > seconds:
            break
        names: Sequence[str] = list(ways) if number % 2 == 0 else list(ways)[::-1]
        for name in names:
            started = time.perf_counter()
            ways[name]()
            wait()
            taken[name].append(time.perf_counter() - started)
    return taken
