"""Many faults, really made: kills, interrupts, damaged units, full disks, bad input. `make faults` runs it.

Prints a summary, and writes it where `--out` says. Every row's last columns must be 0.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import bad_input
import crashes
import crashes_of_conversions as conversions
import tiny
from crashes import DAMAGES, EXPERIMENTS, Counts, Reference
from crashes_of_conversions import DAMAGES_OF_WEIGHTS, SIGNALS, GgufReference
from processes import run_command
from tabulate import tabulate

HEADERS = (
    "fault", "times", "with the store partly filled", "while writing", "ends then reached",
    "jobs done twice", "jobs damaged", "other results", "told wrongly",
)  # fmt: skip
ABOUT = """# Faults

What `make faults` found when it was last run: real processes of the command line on a model of four layers, disturbed
at random moments. Every run that follows must go on where the disturbed one stopped, repeat no finished job, and write
the same measurement as an undisturbed run, timings aside: the last four columns must be 0. A sample of each row is in
the normal tests (`tests/run/test_crashes.py`, `tests/ways_in/test_bad_input.py`,
`tests/subject/test_crashes_of_conversions.py`). A conversion is the copy of a GGUF file that later runs load: of it,
"jobs done twice" counts halves that `store` does not list or the next run does not clear away.
"""
AFTER = "<!-- what follows is written by hand, and kept by make faults -->"


class Faults:
    """Makes faults, a kind at a time."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        """Measure undisturbed first."""
        self._folder = folder
        self._kills = kills
        self._rng = random.Random(seed)
        self._number = 0
        model = tiny.save(folder / "model")
        self._references = [Reference.of(each, model, folder / "references" / each) for each in EXPERIMENTS]

    def rows(self) -> Iterator[tuple[str, Counts]]:
        """Every kind of fault, with what came of it."""
        yield "`kill -9` at a random moment", self._disturbed(self._kills, signal.SIGKILL)
        yield "Ctrl-C at a random moment", self._disturbed(self._kills // 2, signal.SIGINT)
        for kind in DAMAGES:
            yield f"a stored file damaged: {kind}", self._damaged(self._kills // 10, kind)
        yield "no room for a job", self._starved(self._kills // 20, 400)
        yield "room for jobs, none for the measurement", self._starved(self._kills // 20, 4_000)
        yield "two processes on one store", self._together(self._kills // 20, kill=False)
        yield "two processes, one killed", self._together(self._kills // 10, kill=True)
        yield from self._conversions()
        yield "bad input", self._mistaken()

    def _conversions(self) -> Iterator[tuple[str, Counts]]:
        reference = GgufReference.of(self._folder / "gguf")
        for number in SIGNALS:
            times = range(self._kills // 10)
            made = (conversions.disturb(reference, self._place(), self._rng, number) for _ in times)
            yield f"a conversion ended by {number.name}", sum(made, Counts())
        cache = self._place() / "cache"
        reference.again(self._place(), cache)
        for kind in DAMAGES_OF_WEIGHTS:
            times = range(self._kills // 40)
            made = (conversions.damage(reference, self._place(), cache, kind, self._rng) for _ in times)
            yield f"a conversion damaged: {kind}", sum(made, Counts())
        starved = (conversions.starve(reference, self._place(), size) for size in (1_000, 20_000))
        yield "no room for a conversion", sum(starved, Counts())

    def _disturbed(self, times: int, number: signal.Signals) -> Counts:
        counts = Counts()
        while counts.disturbed < times:
            reference = self._references[self._number % len(self._references)]
            counts += crashes.disturb(reference, self._place(), self._rng, number, most=times - counts.disturbed)
        return counts

    def _damaged(self, times: int, kind: str) -> Counts:
        cache = self._place() / "cache"
        reference = self._references[1]
        run_command(reference.arguments, self._place(), cache)
        return sum((crashes.damage(reference, self._place(), cache, kind, self._rng) for _ in range(times)), Counts())

    def _starved(self, times: int, file_bytes: int) -> Counts:
        return sum((crashes.starve(self._references[0], self._place(), file_bytes) for _ in range(times)), Counts())

    def _together(self, times: int, *, kill: bool) -> Counts:
        reference = self._references[2]
        pairs = (crashes.together(reference, self._place(), self._rng, kill=kill) for _ in range(times))
        return sum(pairs, Counts())

    def _mistaken(self) -> Counts:
        files = bad_input.make_files(self._folder / "files")
        counts = Counts()
        for mistake in bad_input.MISTAKES:
            place = self._place()
            ended = run_command(mistake.filled(files), place, place / "cache")
            wrong = bad_input.told_wrongly(mistake, ended.code, ended.out, ended.err)
            wrong += bad_input.leftovers(place / "here", place / "cache")
            said = f"{mistake}: {wrong}\n" if wrong else ""
            counts += Counts(disturbed=1, told_wrongly=int(bool(wrong)), said=said)
        return counts

    def _place(self) -> Path:
        self._number += 1
        return self._folder / "runs" / str(self._number)


def cells(name: str, counts: Counts) -> list[object]:
    """A row of the table."""
    return [name, *(value for key, value in vars(counts).items() if key != "said")]


def main() -> int:
    """Make the faults; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many; other faults in proportion")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the summary here as well")
    options = parser.parse_args()
    start = time.monotonic()
    rows: list[tuple[str, Counts]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, counts in Faults(Path(folder), options.kills, options.seed).rows():
            rows.append((name, counts))
            print(name, counts, file=sys.stderr, flush=True)
    table = tabulate([cells(*row) for row in rows], HEADERS, tablefmt="github")
    total = sum((counts for _, counts in rows), Counts())
    told = (
        f"{datetime.now(tz=UTC):%Y-%m-%d}: {total.disturbed} faults in {(time.monotonic() - start) / 60:.0f} minutes "
        f"(`--kills {options.kills} --seed {options.seed}`), "
        f"{'every promise kept' if total.is_clean else 'PROMISES BROKEN'}."
    )
    print(f"{table}\n\n{told}")
    if options.out:
        written = options.out.read_text(encoding="utf-8") if options.out.is_file() else ""
        kept = "".join(written.partition(AFTER)[1:])
        options.out.write_text(f"{ABOUT}\n{told}\n\n{table}\n{kept and chr(10) + kept}", encoding="utf-8")
    return int(not total.is_clean)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
