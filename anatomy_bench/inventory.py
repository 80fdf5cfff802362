"""What the store holds: listed, checked, and removed when it is of no more use."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anatomy_bench.errors import UsageError
from anatomy_bench.experiments import experiment_names
from anatomy_bench.provenance import code_digest
from anatomy_bench.record import Record, from_json
from anatomy_bench.store import DAMAGED, StoredUnit, file_of, set_aside

_DAY_SECONDS = 86_400
_LEFTOVER_SECONDS = 3_600
"""Age from which a temporary file belongs to no process that still writes it."""


@dataclass(frozen=True)
class KeptUnit:
    """A unit's file.

    Attributes:
        key: everything that determined its result.
        bytes: size of the file.
        age_seconds: since it was measured.
    """

    path: Path
    key: dict[str, Any]
    bytes: int
    age_seconds: float

    @property
    def is_outdated(self) -> bool:
        """Whether the sources that measured it are no longer those that are installed: no run reads it."""
        experiment = self.key["experiment"]
        return experiment not in experiment_names() or self.key.get("code") != code_digest(experiment)

    @property
    def subject(self) -> str:
        """Digest of the model, or `any` where none was measured."""
        return str(self.key.get("subject", "any"))


@dataclass(frozen=True)
class Holding(Record):
    """Units that share what they were measured on and with.

    Attributes:
        subject: digest of the model, or `any` where none was measured.
        outdated: whether the sources that measured them have changed since, so that no run reads them.
        bytes: of their files.
        newest_days: since the last of them was measured.
        oldest_days: since the first.
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
        damaged: files set aside, or whose content is not a unit.
        leftovers: files that killed writes have left.
    """

    folder: str
    holdings: tuple[Holding, ...]
    damaged: int
    leftovers: int


@dataclass(frozen=True)
class Selection:
    """What to remove: the units that meet every condition given.

    Attributes:
        outdated: measured by sources that have changed since.
        older_than_days: measured longer ago.
        subject: how the digest of their model begins.
    """

    outdated: bool = False
    older_than_days: float | None = None
    subject: str | None = None

    def __contains__(self, unit: KeptUnit) -> bool:
        return (
            (unit.is_outdated or not self.outdated)
            and (self.older_than_days is None or unit.age_seconds > self.older_than_days * _DAY_SECONDS)
            and (self.subject is None or unit.subject.startswith(self.subject))
        )


def take_inventory(folder: Path) -> Inventory:
    """Count what a store holds. Changes nothing."""
    read = [_read(path) for path in _unit_files(folder)]
    groups: dict[tuple[str, str, str, str, bool], list[KeptUnit]] = {}
    for unit in (each for each in read if each is not None):
        device, dtype = (str(unit.key.get(name, "any")) for name in ("device", "dtype"))
        group = str(unit.key["experiment"]), unit.subject, device, dtype, unit.is_outdated
        groups.setdefault(group, []).append(unit)
    holdings = (
        Holding(
            *group,
            units=len(units),
            bytes=sum(unit.bytes for unit in units),
            newest_days=min(unit.age_seconds for unit in units) / _DAY_SECONDS,
            oldest_days=max(unit.age_seconds for unit in units) / _DAY_SECONDS,
        )
        for group, units in sorted(groups.items())
    )
    unreadable = sum(each is None for each in read)
    return Inventory(str(folder), tuple(holdings), len(_damaged(folder)) + unreadable, len(_leftovers(folder)))


def verify_store(folder: Path) -> tuple[int, tuple[Path, ...]]:
    """Check every unit against its name and its checksum; set aside those that fail.

    Returns:
        Number of units that are what was stored, and where the others are now.

    Raises:
        UsageError: a damaged unit cannot be set aside.
    """
    damaged = [path for path in _unit_files(folder) if not _is_what_was_stored(path, folder)]
    return len(_unit_files(folder)) - len(damaged), tuple(set_aside(path) for path in damaged)


def prune_store(folder: Path, selected: Selection, *, dry_run: bool = False) -> tuple[KeptUnit, ...]:
    """Remove units.

    A run that reads them meanwhile is not disturbed: what it finds missing it measures again.

    Returns:
        Those removed, or with `dry_run` those that would be.

    Raises:
        UsageError: a file cannot be removed.
    """
    units = [unit for path in _unit_files(folder) if (unit := _read(path)) is not None and unit in selected]
    if not dry_run:
        _remove(unit.path for unit in units)
    return tuple(units)


def prune_rubbish(folder: Path, *, dry_run: bool = False) -> tuple[Path, ...]:
    """Remove files set aside as damaged, and what killed writes have left.

    Returns:
        Those removed, or with `dry_run` those that would be.

    Raises:
        UsageError: a file cannot be removed.
    """
    rubbish = (*_damaged(folder), *_leftovers(folder))
    if not dry_run:
        _remove(rubbish)
    return rubbish


def _unit_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*/*.json") if not path.name.startswith("."))


def _damaged(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob(f"*/*/*{DAMAGED}")))


def _leftovers(folder: Path) -> tuple[Path, ...]:
    """Temporary files of `write_atomically` whose process must be gone."""
    return tuple(sorted(path for path in folder.glob("*/*/.*.json.*") if _age_seconds(path) > _LEFTOVER_SECONDS))


def _read(path: Path) -> KeptUnit | None:
    try:
        content = path.read_bytes()
        key = from_json(StoredUnit, content).key
        return KeptUnit(path, key, len(content), _age_seconds(path)) if "experiment" in key else None
    except (OSError, ValueError):  # removed meanwhile, or not a unit
        return None


def _is_what_was_stored(path: Path, folder: Path) -> bool:
    try:
        stored = from_json(StoredUnit, path.read_bytes())
        return stored.is_whole and folder / file_of(stored.key) == path
    except FileNotFoundError:  # removed meanwhile
        return True
    except (ValueError, KeyError):
        return False
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _age_seconds(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot remove {path}: {error.strerror}") from error
