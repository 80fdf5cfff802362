"""Real runs that are killed, interrupted, and given damaged or full stores: what came of them, as counts."""

import json
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from processes import CommandProcess, Ended, run_command, timed

from anatomy_bench.run.inventory import verify_store

EXPERIMENTS = ("ablation", "predictability", "perturbation")
"""One that is a single job, one of ten jobs, and one that draws at random."""

TIMINGS = {"seconds"}


def measurement(path: Path) -> Any:
    """A measurement's JSON as the bytes that it must always have: without timings."""
    return json.dumps(untimed(json.loads(path.read_text())))


def untimed(value: Any) -> Any:
    """Plain data without timings, however deep."""
    if isinstance(value, dict):
        return {key: untimed(each) for key, each in value.items() if key not in TIMINGS}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def jobs(cache: Path) -> dict[Path, tuple[int, int]]:
    """Files of finished jobs, with what changes when one is written again."""
    found = {path: path.stat() for path in cache.glob("store/*/*/*.json")}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run of an experiment gives, and how long it takes."""

    arguments: list[str]
    content: str
    jobs: int
    seconds: float

    @classmethod
    def of(cls, experiment: str, model: Path, folder: Path) -> "Reference":
        """Run it, once the process that others are forked from is there."""
        run_command(["claims"], folder / "warm", folder / "cache")
        arguments = ["measure", experiment, "--device", "cpu", "--model", str(model), "--allow-untrained"]
        ended, seconds = timed([*arguments, "--json", str(folder / "out.json")], folder / "run", folder / "cache")
        assert (ended.code, ended.err) == (0, "")
        return cls(arguments, measurement(folder / "out.json"), len(jobs(folder / "cache")), seconds)


@dataclass(frozen=True)
class Counts:
    """What came of disturbing runs.

    Attributes:
        disturbed: runs that were killed or interrupted.
        partial: of those, with some jobs finished and others not.
        writing: of those, while a file was being written.
        finished: runs that then came to their end.
        repeated: jobs that were finished and done again: must be 0.
        damaged: stored jobs that are not whole: must be 0.
        different: ends with another measurement: must be 0.
        told_wrongly: exit codes or messages that are not as promised: must be 0.
        said: by runs that told wrongly, for whoever must find out why.
    """

    disturbed: int = 0
    partial: int = 0
    writing: int = 0
    finished: int = 0
    repeated: int = 0
    damaged: int = 0
    different: int = 0
    told_wrongly: int = 0
    said: str = ""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.repeated or self.damaged or self.different or self.told_wrongly)


Wrong = Callable[[Ended], bool]


def is_no_kill(ended: Ended) -> bool:
    """Whether a process ended otherwise than by `kill -9`, or said anything."""
    return ended.code != -signal.SIGKILL or ended.out + ended.err != ""


def is_no_interrupt(ended: Ended) -> bool:
    """Whether an interrupted run was told otherwise than in one line and by 130."""
    return ended.code != 130 or not ended.err.startswith("anatomy-bench: interrupted") or ended.err.count("\n") != 1


def disturb(
    reference: Reference, folder: Path, rng: random.Random, number: signal.Signals = signal.SIGKILL, most: int = 1000
) -> Counts:
    """Send a signal at random moments to run after run on one store, until one ends by itself; hold it to the promises.

    Args:
        reference: of the same experiment, undisturbed.
        folder: for this store and its runs.
        rng: of the moments.
        number: the signal.
        most: how often to send it; the run after that is left alone.
    """
    wrong = is_no_kill if number is signal.SIGKILL else is_no_interrupt
    cache, out = folder / "cache", folder / "out.json"
    counts = Counts()
    before: dict[Path, tuple[int, int]] = {}
    while True:
        process = CommandProcess([*reference.arguments, "--json", str(out)], folder / f"{counts.disturbed}", cache)
        if counts.disturbed < most and not process.wait(rng.uniform(0, reference.seconds)):
            process.send(number)
        ended = process.ended()
        after = jobs(cache)
        counts += Counts(
            repeated=sum(after.get(path) != written for path, written in before.items()),
            damaged=len(verify_store(cache / "store")[1]),
            different=int(out.exists() and measurement(out) != reference.content),
        )
        before = after
        if ended.code == 0:
            whole = out.exists() and len(after) == reference.jobs
            return counts + Counts(finished=1, different=int(not whole), told_wrongly=int(ended.err != ""))
        # An interrupt after the measurement is written finds Python on its way out.
        told_wrongly = wrong(ended) and not (number is signal.SIGINT and out.exists())
        counts += Counts(
            disturbed=1,
            partial=int(0 < len(after) < reference.jobs),
            writing=int(any(cache.glob("store/*/*/.*.json.*")) or any(folder.glob(".out.json.*"))),
            told_wrongly=int(told_wrongly),
            said=f"{ended}\n" if told_wrongly else "",
        )
        for left in cache.glob("store/*/*/.*.json.*"):
            left.unlink()  # counted once


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _zeroed(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    length = min(64, len(content) - start)
    return content[:start] + b"\0" * length + content[start + length :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": lambda content, rng: content[: rng.randrange(len(content))],
    "a flipped bit": _flipped,
    "a block of zeros": _zeroed,
    "an altered key": lambda content, rng: content.replace(b'"key":{', b'"key":{"other":1,'),
    "appended": lambda content, rng: content + b"}",
}


def damage(reference: Reference, folder: Path, cache: Path, kind: str, rng: random.Random) -> Counts:
    """Damage one file of a finished store; the next run must tell, set it aside, measure it again and end the same.

    Returns:
        `disturbed` counts damages, `finished` those that were noticed.
    """
    before = jobs(cache)
    victim = rng.choice(sorted(before))
    content = victim.read_bytes()
    victim.write_bytes(DAMAGES[kind](content, rng))
    ended = run_command([*reference.arguments, "--json", str(folder / "out.json")], folder / "run", cache)
    told = ended.err.startswith("anatomy-bench: warning: ") and ended.err.count("\n") == 1
    after = jobs(cache)
    return Counts(
        disturbed=1,
        finished=int(victim.with_suffix(".damaged").exists()),
        told_wrongly=int(ended.code != 0 or not told),
        repeated=sum(after.get(path) != written for path, written in before.items() if path != victim),
        damaged=len(verify_store(cache / "store")[1]),
        different=int(ended.code != 0 or measurement(folder / "out.json") != reference.content),
    )


def starve(reference: Reference, folder: Path, file_bytes: int) -> Counts:
    """Run with a disk that takes no longer files, then with one that does."""
    cache, out = folder / "cache", folder / "out.json"
    arguments = [*reference.arguments, "--json", str(out)]
    ended = run_command(arguments, folder / "full", cache, file_bytes=file_bytes)
    full = jobs(cache)
    told = ended.code == 2 and ended.err.startswith("anatomy-bench: cannot write") and ended.err.count("\n") == 1
    damaged, early = len(verify_store(cache / "store")[1]), out.exists()
    again = run_command(arguments, folder / "again", cache)
    after = jobs(cache)
    return Counts(
        disturbed=1,
        partial=int(len(full) > 0),
        writing=int(any(path.name.startswith(".") for path in cache.glob("store/*/*/.*"))),
        finished=int(again.code == 0),
        repeated=sum(after.get(path) != written for path, written in full.items()),
        damaged=damaged,
        different=int(early or again.code != 0 or measurement(out) != reference.content),
        told_wrongly=int(not told),
    )


def together(reference: Reference, folder: Path, rng: random.Random, *, kill: bool) -> Counts:
    """Two processes on one store at once; with `kill`, one of them is killed at a random moment.

    Returns:
        `disturbed` counts the pair, unless the kill came too late; `repeated` tells that jobs are missing.
    """
    cache = folder / "cache"
    outs = [folder / "0.json", folder / "1.json"]
    processes = [
        CommandProcess([*reference.arguments, "--json", str(out)], folder / f"run{number}", cache)
        for number, out in enumerate(outs)
    ]
    killed = rng.randrange(2) if kill else None
    if killed is not None and not processes[killed].wait(rng.uniform(0, reference.seconds)):
        processes[killed].send(signal.SIGKILL)
    ended = [process.ended() for process in processes]
    counts = Counts(disturbed=int(not kill or -signal.SIGKILL in [each.code for each in ended]))
    for number, (each, out) in enumerate(zip(ended, outs, strict=True)):
        survived = number != killed or each.code == 0
        counts += Counts(
            finished=int(each.code == 0),
            told_wrongly=int(survived and (each.code, each.err) != (0, "")),
            different=int(survived and (not out.exists() or measurement(out) != reference.content)),
        )
    damaged = len(verify_store(cache / "store")[1])
    return replace(counts, damaged=damaged, repeated=int(len(jobs(cache)) != reference.jobs))
