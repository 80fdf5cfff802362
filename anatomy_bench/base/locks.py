"""Work that one process at a time does; whoever waits can say for whom."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from anatomy_bench.base.plain import read_plain

_HOLDER = ".holder"
"""Suffix of the file beside a lock that says who holds it; the lock's own is emptied by whoever tries it."""

ASK_SECONDS = 2.0
"""How long to wait in one go: then it is time to look for what is needed, and to say for whom one waits."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: its number on its host.
        host: name of the machine.
        work: what it does, such as `measuring ablation`.
        since: seconds since the epoch.
    """

    pid: int
    host: str
    work: str
    since: float

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, which has been {self.work} since {since}"


@contextmanager
def exclusively(lock: Path, work: str, *, wait: bool) -> Iterator[bool]:
    """Hold a lock, unless another process does.

    Args:
        lock: its file.
        work: that is done meanwhile, for those who wait.
        wait: for the other process, no longer than `ASK_SECONDS`.

    Yields:
        Whether it is held.

    Raises:
        OSError: the lock cannot be made, or is a link.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=ASK_SECONDS if wait else 0)
    except Timeout:
        yield False
        return
    try:
        _sign(lock, Holder(os.getpid(), platform.node(), work, time.time()))
        yield True
    finally:
        with suppress(OSError):
            lock.with_suffix(_HOLDER).unlink()
        held.release()


def waiting_for(lock: Path) -> str:
    """One line for whoever waits: who holds the lock, as far as that is known."""
    return f"waiting for {_holder(lock) or 'another process, which says nothing of itself'}"


def _sign(lock: Path, holder: Holder) -> None:
    with suppress(OSError):  # a full disk: the work itself will say so
        signed = lock.with_suffix(_HOLDER)
        signed.unlink(missing_ok=True)
        descriptor = os.open(signed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(holder)))


def _holder(lock: Path) -> Holder | None:
    try:
        content = json.loads(read_plain(lock.with_suffix(_HOLDER)))
        return Holder(int(content["pid"]), str(content["host"]), str(content["work"]), float(content["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
