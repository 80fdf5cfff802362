"""Conversions of GGUF files that are killed, damaged, or find the disk full: what came of them, as counts."""

import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import tiny_gguf
from crashes import DAMAGES, Counts, measurement
from processes import CommandProcess, Ended, run_command, timed

from anatomy_bench.base.conversions import leftover_conversions
from anatomy_bench.base.sealed import is_as_sealed

WEIGHTS = "model.safetensors"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
DAMAGES_OF_WEIGHTS = [kind for kind in DAMAGES if kind != "an altered key"]


@dataclass(frozen=True)
class GgufReference:
    """What an undisturbed run on a GGUF file gives, and how long it takes."""

    arguments: list[str]
    content: str
    seconds: float

    @classmethod
    def of(cls, folder: Path) -> "GgufReference":
        """Write the file and run."""
        folder.mkdir(parents=True)
        file = tiny_gguf.save(folder / "tiny.gguf")
        run_command(["claims"], folder / "warm", folder / "cache")
        arguments = ["measure", "ablation", "--device", "cpu", "--model", str(file), "--allow-untrained"]
        ended, seconds = timed([*arguments, "--json", str(folder / "out.json")], folder / "run", folder / "cache")
        assert (ended.code, ended.err) == (0, ""), ended
        return cls(arguments, measurement(folder / "out.json"), seconds)

    def again(self, folder: Path, cache: Path) -> tuple[Ended, bool]:
        """Run to the end; whether it gave the same."""
        ended = run_command([*self.arguments, "--json", str(folder / "out.json")], folder, cache)
        return ended, ended.code == 0 and measurement(folder / "out.json") == self.content


def finished(cache: Path) -> list[Path]:
    """Folders in the place of finished conversions."""
    folders = [each for each in (cache / "converted").glob("*") if each.is_dir()]
    return [each for each in folders if not each.name.startswith(".") and each.suffix != ".damaged"]


def unfinished(cache: Path) -> list[Path]:
    """Folders of conversions that did not come to their end."""
    return [each for each in (cache / "converted").glob(".*") if each.is_dir()]


def disturb(reference: GgufReference, folder: Path, rng: random.Random, number: signal.Signals) -> Counts:
    """End a run by a signal at a random moment of converting; the next one must give the same and leave no rest.

    Returns:
        `writing` counts runs that left half a conversion, `damaged` conversions in place that are not whole, and
        `repeated` halves that `store` would not see.
    """
    cache = folder / "cache"
    process = CommandProcess(reference.arguments, folder / "disturbed", cache)
    if not process.wait(rng.uniform(0, reference.seconds)):
        process.send(number)
    ended = process.ended()
    halves = unfinished(cache)
    for half in halves:
        os.utime(half, (0, 0))  # old enough to be nobody's
    unseen = set(halves) - set(leftover_conversions(cache / "converted"))
    damaged = sum(not is_as_sealed(each) for each in finished(cache))
    again, same = reference.again(folder / "again", cache)
    return Counts(
        disturbed=int(ended.code == -number),
        writing=int(bool(halves)),
        finished=int(again.code == 0),
        repeated=len(unseen) + len(unfinished(cache)),
        damaged=damaged,
        different=int(not same),
        told_wrongly=int(again.err != ""),
        said=f"{again}\n" if again.err else "",
    )


def damage(reference: GgufReference, folder: Path, cache: Path, kind: str, rng: random.Random) -> Counts:
    """Damage a finished conversion; the next run must say so in one line, convert again and end the same."""
    (conversion,) = finished(cache)
    content = (conversion / WEIGHTS).read_bytes()
    (conversion / WEIGHTS).write_bytes(DAMAGES[kind](content, rng))
    ended, same = reference.again(folder / "run", cache)
    told = ended.err.startswith("anatomy-bench: warning: ") and ended.err.count("\n") == 1
    return Counts(
        disturbed=1,
        finished=int(ended.code == 0 and told),
        damaged=sum(not is_as_sealed(each) for each in finished(cache)),
        different=int(not same),
        told_wrongly=int(not told),
        said="" if told else f"{ended}\n",
    )


def starve(reference: GgufReference, folder: Path, file_bytes: int) -> Counts:
    """Convert on a disk that takes no longer files, then on one that does."""
    cache = folder / "cache"
    ended = run_command(reference.arguments, folder / "full", cache, file_bytes=file_bytes)
    told = ended.code == 2 and ended.err.startswith("anatomy-bench: cannot write") and ended.err.count("\n") == 1
    left = len(finished(cache)) + len(unfinished(cache))
    again, same = reference.again(folder / "again", cache)
    return Counts(
        disturbed=1,
        writing=left,
        finished=int(again.code == 0),
        damaged=left,
        different=int(not same),
        told_wrongly=int(not told),
        said="" if told else f"{ended}\n",
    )
