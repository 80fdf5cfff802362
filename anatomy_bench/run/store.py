"""Finished jobs, kept the moment they are done.

Every job, which is one unit of work or several that are measured together, is a file of its
own, named by a digest of everything that determines its results: model, tokens, units, sources,
libraries, and what decides their rounding (device, threads, instructions). On a processor that is
all, to the last bit; a card's libraries may round otherwise from run to run, within the noise floor.
A run that is killed loses at most the job it was at; the next one goes on.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import DamagedUnitWarning, UsageError
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.values.measurement import Made
from anatomy_bench.values.record import Record, RecordKind, from_data, from_json, to_data, to_json

LOCKS = "locks"
"""Folder of the files that processes hold while they are at a job."""

DAMAGED = ".damaged"
"""Suffix of files that were not what was stored."""


@dataclass(frozen=True)
class StoredJob(Record):
    """The content of a job's file.

    Attributes:
        key: everything that determines the results.
        sha256: of the results, the seconds, and where and when they were made.
        results: of each unit.
        seconds: that each unit took.
        made: where and when; `None` in jobs that were stored before this was.
    """

    key: dict[str, Any]
    sha256: str
    results: tuple[Any, ...]
    seconds: tuple[float, ...]
    made: Made | None = None

    @classmethod
    def of(cls, key: dict[str, Any], finished: Sequence[Finished]) -> "StoredJob":
        """A finished job, all of whose units were made together."""
        results = tuple(to_data(each.result) for each in finished)
        seconds = tuple(each.seconds for each in finished)
        unsigned = cls(key, "", results, seconds, finished[0].made)
        return replace(unsigned, sha256=unsigned._checksum)

    @property
    def is_whole(self) -> bool:
        """Whether the results are those that were stored."""
        return self.sha256 == self._checksum

    @property
    def _checksum(self) -> str:
        made = [to_data(self.made)] if self.made else []
        return _digest([self.results, self.seconds, *made])

    def finished(self, key: dict[str, Any], result_type: RecordKind) -> tuple[Finished, ...]:
        """The units, if they are those of that key.

        Raises:
            ValueError: they are others, or were altered.
        """
        if self.key != key or not self.is_whole:
            raise ValueError("not the job that was asked for, or altered")
        read = (from_data(result_type, result) for result in self.results)
        return tuple(Finished(*each, self.made) for each in zip(read, self.seconds, strict=True))


@dataclass(frozen=True)
class Store:
    """A folder of finished jobs."""

    folder: Path

    @contextmanager
    def claimed(self, key: dict[str, Any], *, wait: bool) -> Iterator[bool]:
        """Let one process at a time do a job; whoever comes later finds it in the store.

        Args:
            key: of the job.
            wait: until no other process is at it.

        Yields:
            Whether the job is this process' to do; without waiting, not if another one is at it.

        Raises:
            UsageError: the store cannot be written to.
        """
        lock = FileLock(self.folder / LOCKS / f"{_digest(key)}.lock")
        try:
            (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=wait)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise UsageError(f"cannot write to the store {self.folder}: {error.strerror}") from error
        try:
            yield True
        finally:
            lock.release()

    def get(
        self, key: dict[str, Any], result_type: RecordKind, *, since: float | None = None
    ) -> tuple[Finished, ...] | None:
        """The units of the finished job of that key, or `None`. A damaged file is set aside with a warning.

        Args:
            key: of the job.
            result_type: of its units' results.
            since: seconds since the epoch; what was stored earlier is not read.

        Raises:
            UsageError: the store cannot be read.
        """
        path = self._path(key)
        try:
            if since is not None and path.stat().st_mtime < since:
                return None
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        try:
            return from_json(StoredJob, content).finished(key, result_type)
        except ValueError:  # not JSON, not of this form, or not what the checksum says
            aside = set_aside(path)
            told = f"what was stored was damaged, set aside as {aside}; measuring again"
            warnings.warn(told, DamagedUnitWarning, stacklevel=2)
            return None

    def put(self, key: dict[str, Any], finished: Sequence[Finished]) -> None:
        """Keep the units of a finished job.

        Raises:
            UsageError: the store cannot be written to.
        """
        write_atomically(self._path(key), to_json(StoredJob.of(key, finished)))

    def _path(self, key: dict[str, Any]) -> Path:
        return self.folder / file_of(key)


def file_of(key: dict[str, Any]) -> Path:
    """Where in the store the job of that key is."""
    digest = _digest(key)
    return Path(str(key["experiment"]), digest[:2], f"{digest}.json")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is told of once and can still be looked at.

    Raises:
        UsageError: the store cannot be written to.
    """
    aside = path.with_suffix(DAMAGED)
    try:
        path.replace(aside)
    except OSError as error:
        raise UsageError(f"cannot set aside the damaged {path}: {error.strerror}") from error
    return aside


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
