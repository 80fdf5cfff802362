"""Finished units of work, kept the moment they are done.

Every unit is a file of its own, named by a digest of everything that determines its
result. A run that is killed loses at most the unit it was at; the next one goes on.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from anatomy_bench.atomic import write_atomically
from anatomy_bench.errors import DamagedUnitWarning, UsageError
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.record import Record, RecordKind, from_data, from_json, to_data, to_json

DAMAGED = ".damaged"
"""Suffix of files that were not what was stored."""


@dataclass(frozen=True)
class StoredUnit(Record):
    """The content of a unit's file.

    Attributes:
        key: everything that determines the result.
        sha256: of the result and the seconds.
    """

    key: dict[str, Any]
    sha256: str
    result: Any
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether the result is the one that was stored."""
        return self.sha256 == _digest([self.result, self.seconds])

    def finished(self, key: dict[str, Any], result_type: RecordKind) -> Finished:
        """The unit, if it is the one of that key.

        Raises:
            ValueError: it is another, or was altered.
        """
        if self.key != key or not self.is_whole:
            raise ValueError("not the unit that was asked for, or altered")
        return Finished(from_data(result_type, self.result), self.seconds)


@dataclass(frozen=True)
class Store:
    """A folder of finished units."""

    folder: Path

    @contextmanager
    def locked(self, circumstances: dict[str, Any]) -> Iterator[None]:
        """Let one process at a time measure under the same circumstances; others wait, then read.

        Raises:
            UsageError: the store cannot be written to.
        """
        lock = FileLock(self.folder / f"{_digest(circumstances)}.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise UsageError(f"cannot write to the store {self.folder}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def get(self, key: dict[str, Any], result_type: RecordKind) -> Finished | None:
        """The finished unit of that key, or `None`. A damaged file is set aside with a warning.

        Raises:
            UsageError: the store cannot be read.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        try:
            return from_json(StoredUnit, content).finished(key, result_type)
        except ValueError:  # not JSON, not of this form, or not what the checksum says
            aside = set_aside(path)
            told = f"stored unit was damaged, set aside as {aside}; measuring again"
            warnings.warn(told, DamagedUnitWarning, stacklevel=2)
            return None

    def put(self, key: dict[str, Any], finished: Finished) -> None:
        """Keep a finished unit.

        Raises:
            UsageError: the store cannot be written to.
        """
        result = to_data(finished.result)
        stored = StoredUnit(key, _digest([result, finished.seconds]), result, finished.seconds)
        write_atomically(self._path(key), to_json(stored))

    def _path(self, key: dict[str, Any]) -> Path:
        return self.folder / file_of(key)


def file_of(key: dict[str, Any]) -> Path:
    """Where in the store the unit of that key is."""
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
