"""The store: finished jobs, written as soon as they are done.

A job is one unit of work, or several that are measured together. Each is a separate file, named by a digest of
everything that determines its results to the last bit. A run that is killed loses at most the job it was doing;
the next run continues after it.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import DamagedUnitWarning, UsageError
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.values.record import Record, RecordKind, from_data, from_json, to_data, to_json

LOCKS = "locks"
"""Folder of the files that processes lock while they do a job."""

DAMAGED = ".damaged"
"""Suffix of files whose content was damaged."""


@dataclass(frozen=True)
class StoredJob(Record):
    """The content of a job's file.

    Attributes:
        key: everything that determines the results.
        sha256: checksum of the results and the seconds.
        results: of each unit.
        seconds: that each unit took.
    """

    key: dict[str, Any]
    sha256: str
    results: tuple[Any, ...]
    seconds: tuple[float, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the results match their checksum."""
        return self.sha256 == _digest([self.results, self.seconds])

    def finished(self, key: dict[str, Any], result_type: RecordKind) -> tuple[Finished, ...]:
        """The results of the units, if they are those of that key.

        Raises:
            ValueError: they belong to another key, or were altered.
        """
        if self.key != key or not self.is_whole:
            raise ValueError("not the job that was asked for, or altered")
        read = (from_data(result_type, result) for result in self.results)
        return tuple(Finished(*pair) for pair in zip(read, self.seconds, strict=True))


@dataclass(frozen=True)
class Store:
    """A folder of finished jobs."""

    folder: Path

    @contextmanager
    def claimed(self, key: dict[str, Any], *, wait: bool) -> Iterator[bool]:
        """Lock a job, so that only one process at a time does it; the others then find it in the store.

        Args:
            key: of the job.
            wait: wait until no other process is doing the job.

        Yields:
            Whether this process has the lock; without waiting, it has not if another process is doing the job.

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
        except ValueError:  # not JSON, of another form, or not matching its checksum
            aside = set_aside(path)
            message = f"a stored result was damaged, set aside as {aside}; measuring again"
            warnings.warn(message, DamagedUnitWarning, stacklevel=2)
            return None

    def put(self, key: dict[str, Any], finished: Sequence[Finished]) -> None:
        """Store the results of a finished job.

        Raises:
            UsageError: the store cannot be written to.
        """
        results = tuple(to_data(done.result) for done in finished)
        seconds = tuple(done.seconds for done in finished)
        stored = StoredJob(key, _digest([results, seconds]), results, seconds)
        write_atomically(self._path(key), to_json(stored))

    def _path(self, key: dict[str, Any]) -> Path:
        return self.folder / file_of(key)


def file_of(key: dict[str, Any]) -> Path:
    """The path in the store of the job with that key."""
    digest = _digest(key)
    return Path(str(key["experiment"]), digest[:2], f"{digest}.json")


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is reported only once and can still be examined.

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
