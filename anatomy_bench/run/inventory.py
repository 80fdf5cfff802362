"""List what the store has, check it, and remove what is no longer of use."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.plain import age_seconds, own_folders, plain_files, read_plain, remove
from anatomy_bench.run.provenance import is_current
from anatomy_bench.run.store import DAMAGED, StoredJob, file_of, set_aside
from anatomy_bench.values.record import Record, from_json

_DAY_SECONDS = 86_400
_LEFTOVER_SECONDS = 3_600
"""A temporary file older than this is no longer being written by any process."""


@dataclass(frozen=True)
class KeptJob:
    """A job's file.

    Attributes:
        key: everything that determined its results.
        units: number of units.
        bytes: size of the file.
        age_seconds: time since it was measured.
    """

    path: Path
    key: dict[str, Any]
    units: int
    bytes: int
    age_seconds: float

    @property
    def is_outdated(self) -> bool:
        """Whether the sources or libraries that measured it have changed since, so that no run reads it."""
        return not is_current(self.key)

    @property
    def subject(self) -> str:
        """Digest of the model, or `any` where none was measured."""
        return str(self.key.get("subject", "any"))


@dataclass(frozen=True)
class Holding(Record):
    """Stored units of one experiment, subject, device and precision.

    Attributes:
        subject: digest of the model, or `any` where none was measured.
        outdated: whether sources or libraries that measured them have changed since, so that no run reads them.
        bytes: size of their files together.
        newest_days: age of the newest, in days.
        oldest_days: age of the oldest, in days.
    """

    experiment: str
    subject: str
    device: str
    dtype: str
    outdated: bool
    units: int
    bytes: int
    newest_days: float
    oldest_days: float


@dataclass(frozen=True)
class Inventory(Record):
    """The content of a store.

    Attributes:
        folder: where it is.
        holdings: by experiment, then subject.
        damaged: number of files that were set aside, or whose content is not a job.
        leftovers: number of files that killed writes have left.
    """

    folder: str
    holdings: tuple[Holding, ...]
    damaged: int
    leftovers: int


@dataclass(frozen=True)
class Selection:
    """Which jobs to remove: those that meet every condition given.

    Attributes:
        outdated: measured by sources or libraries that have changed since.
        older_than_days: measured more days ago than this.
        subject: beginning of the digest of their model.
    """

    outdated: bool = False
    older_than_days: float | None = None
    subject: str | None = None

    def __contains__(self, job: KeptJob) -> bool:
        return (
            (job.is_outdated or not self.outdated)
            and (self.older_than_days is None or job.age_seconds > self.older_than_days * _DAY_SECONDS)
            and (self.subject is None or job.subject.startswith(self.subject))
        )


def take_inventory(folder: Path) -> Inventory:
    """Count what a store has. Changes nothing."""
    read = [_read(path) for path in _job_files(folder)]
    alike: dict[tuple[str, str, str, str, bool], list[KeptJob]] = {}
    for job in (kept for kept in read if kept is not None):
        device, dtype = (str(job.key.get(name, "any")) for name in ("device", "dtype"))
        group = str(job.key["experiment"]), job.subject, device, dtype, job.is_outdated
        alike.setdefault(group, []).append(job)
    holdings = (
        Holding(
            *group,
            units=sum(job.units for job in jobs),
            bytes=sum(job.bytes for job in jobs),
            newest_days=min(job.age_seconds for job in jobs) / _DAY_SECONDS,
            oldest_days=max(job.age_seconds for job in jobs) / _DAY_SECONDS,
        )
        for group, jobs in sorted(alike.items())
    )
    unreadable = sum(kept is None for kept in read)
    return Inventory(str(folder), tuple(holdings), len(_damaged(folder)) + unreadable, len(_leftovers(folder)))


def verify_store(folder: Path) -> tuple[int, tuple[Path, ...]]:
    """Check every job against its name and its checksum; set aside those that fail.

    Returns:
        The number of intact jobs, and the paths at which damaged ones were set aside.

    Raises:
        UsageError: a damaged file cannot be set aside.
    """
    damaged = [path for path in _job_files(folder) if not _is_what_was_stored(path, folder)]
    return len(_job_files(folder)) - len(damaged), tuple(set_aside(path) for path in damaged)


def prune_store(folder: Path, selected: Selection, *, dry_run: bool = False) -> tuple[KeptJob, ...]:
    """Remove jobs.

    A run that reads them at the same time is not disturbed: it measures again what is missing.

    Returns:
        The jobs removed, or with `dry_run` those that would be removed.

    Raises:
        UsageError: a file cannot be removed.
    """
    jobs = [job for path in _job_files(folder) if (job := _read(path)) is not None and job in selected]
    if not dry_run:
        remove(job.path for job in jobs)
    return tuple(jobs)


def prune_rubbish(folder: Path, *, dry_run: bool = False) -> tuple[Path, ...]:
    """Remove files that were set aside as damaged, and those that killed writes have left.

    Returns:
        The files removed, or with `dry_run` those that would be removed.

    Raises:
        UsageError: a file cannot be removed.
    """
    rubbish = (*_damaged(folder), *_leftovers(folder))
    if not dry_run:
        remove(rubbish)
    return rubbish


def _files(folder: Path) -> Iterator[Path]:
    """What lies where jobs are kept. Not `Path.glob`, which follows links."""
    for experiment in own_folders(folder):
        for part in own_folders(experiment):
            yield from plain_files(part)


def _job_files(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if path.suffix == ".json" and not path.name.startswith(".")]


def _damaged(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in _files(folder) if path.suffix == DAMAGED)


def _leftovers(folder: Path) -> tuple[Path, ...]:
    """Temporary files of `write_atomically` whose process must be gone."""
    temporary = (path for path in _files(folder) if path.match(".*.json.*"))
    return tuple(path for path in temporary if age_seconds(path) > _LEFTOVER_SECONDS)


def _read(path: Path) -> KeptJob | None:
    try:
        content = read_plain(path)
        job = from_json(StoredJob, content)
    except (OSError, ValueError):  # removed meanwhile, or not a job
        return None
    kept = KeptJob(path, job.key, len(job.results), len(content), age_seconds(path))
    return kept if "experiment" in job.key else None


def _is_what_was_stored(path: Path, folder: Path) -> bool:
    try:
        stored = from_json(StoredJob, read_plain(path))
        return stored.is_whole and folder / file_of(stored.key) == path
    except FileNotFoundError:  # removed meanwhile
        return True
    except (ValueError, KeyError):
        return False
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
