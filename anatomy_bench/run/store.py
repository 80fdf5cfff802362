"""The store: finished jobs, written as soon as they are done.

A job is one unit of work, or several that are measured together. Each is a separate file, named by a digest of
everything that determines its results: model, tokens, units, sources, libraries, and what decides their rounding
(device, threads, instructions). On a processor that is all, to the last bit; a GPU's libraries may round differently
from run to run, within the noise floor. A run that is killed loses at most the job it was doing; the next run continues
after it.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import DamagedUnitWarning, UsageError
from anatomy_bench.base.locks import exclusively, waiting_for
from anatomy_bench.base.plain import is_own, make_own, read_plain
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.values.measurement import Made
from anatomy_bench.values.record import Record, RecordKind, from_data, from_json, to_data, to_json

LOCKS = "locks"
"""Folder of the files that processes lock while they do a job."""

DAMAGED = ".damaged"
"""Suffix of files whose content was damaged."""

_FILE_MODE = 0o644
"""Of a job's file, before the umask; its folder lets nobody else in."""


@dataclass(frozen=True)
class StoredJob(Record):
    """The content of a job's file.

    Attributes:
        key: everything that determines the results.
        sha256: checksum of the results, the seconds, and where and when they were made.
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
        """Whether the results match their checksum."""
        return self.sha256 == self._checksum

    @property
    def _checksum(self) -> str:
        made = [to_data(self.made)] if self.made else []
        return _digest([self.results, self.seconds, *made])

    def finished(self, key: dict[str, Any], result_type: RecordKind) -> tuple[Finished, ...]:
        """The results of the units, if they are those of that key.

        Raises:
            ValueError: they belong to another key, or were altered.
        """
        if self.key != key or not self.is_whole:
            raise ValueError("not the job that was asked for, or altered")
        read = (from_data(result_type, result) for result in self.results)
        return tuple(Finished(*pair, self.made) for pair in zip(read, self.seconds, strict=True))


@dataclass(frozen=True)
class Store:
    """A folder of finished jobs."""

    folder: Path

    @contextmanager
    def claimed(self, key: dict[str, Any], *, wait: bool) -> Iterator[bool]:
        """Lock a job, so that only one process at a time does it; the others then find it in the store.

        Args:
            key: of the job.
            wait: wait some seconds for another process that is doing the job; by then it may be in the store.

        Yields:
            Whether this process has the lock.

        Raises:
            UsageError: the store cannot be written to, or others could have filled it.
        """
        with ExitStack() as held:
            try:
                make_own(self.folder, self.folder / LOCKS)
                work = f"measuring {key['experiment']}"
                is_ours = held.enter_context(exclusively(self._lock(key), work, wait=wait))
            except OSError as error:
                raise UsageError(f"cannot write to the store {self.folder}: {error.strerror}") from error
            yield is_ours

    def waiting_for(self, key: dict[str, Any]) -> str:
        """One line for whoever waits for a job: which process is at it, and since when."""
        return waiting_for(self._lock(key))

    def get(
        self, key: dict[str, Any], result_type: RecordKind, *, since: float | None = None
    ) -> tuple[Finished, ...] | None:
        """The units of the finished job of that key, or `None`. A damaged file is set aside with a warning.

        Args:
            key: of the job.
            result_type: of its units' results.
            since: seconds since the epoch; what was stored earlier is not read.

        Raises:
            UsageError: the store cannot be read, or others could have filled it.
        """
        path = self._path(key)
        try:
            if not is_own(self.folder, path.parent) or (since is not None and path.lstat().st_mtime < since):
                return None
            return from_json(StoredJob, read_plain(path)).finished(key, result_type)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        except ValueError:  # not a file, not JSON, not of this form, or not what the checksum says
            aside = set_aside(path)
            message = f"a stored result was damaged, set aside as {aside}; measuring again"
            warnings.warn(message, DamagedUnitWarning, stacklevel=2)
            return None

    def put(self, key: dict[str, Any], finished: Sequence[Finished]) -> None:
        """Store the results of a finished job.

        Raises:
            UsageError: the store cannot be written to, or others could have filled it.
        """
        path = self._path(key)
        try:
            make_own(self.folder, path.parent)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        write_atomically(path, to_json(StoredJob.of(key, finished)), mode=_FILE_MODE, follow_link=False)

    def _lock(self, key: dict[str, Any]) -> Path:
        return self.folder / LOCKS / f"{_digest(key)}.lock"

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
