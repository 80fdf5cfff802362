"""Models converted to be loaded quickly: what they say of themselves, and which of them are of no more use."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.plain import age_seconds, own_folders, plain_files
from anatomy_bench.base.sealed import is_as_sealed, sealed_about

_FORM = 2
"""Of conversions; raised when `subject/gguf.py` writes others from the same bytes."""

_READERS = ("transformers", "gguf", "torch", "numpy")
"""Libraries that decide how a file is read."""

_DAMAGED = ".damaged"
_LEFTOVER_SECONDS = 3_600
"""Age from which what lies unfinished belongs to no process that still writes it."""


@dataclass(frozen=True)
class Conversion:
    """A converted model.

    Attributes:
        folder: that holds it.
        is_current: whether the libraries that converted it are those installed; another run reads it if not.
        bytes: of its files.
        age_seconds: since it was made.
    """

    folder: Path
    is_current: bool
    bytes: int
    age_seconds: float


def conversion_of(sha256: str) -> dict[str, Any]:
    """What a conversion says of itself: the file that it was made from, by its digest, and what decides the rest.

    Raises:
        PackageNotFoundError: a library that reads such files is not installed.
    """
    return {"source": sha256, "form": _FORM, "versions": {name: version(name) for name in _READERS}}


def folder_name(about: dict[str, Any]) -> str:
    """Other versions of the libraries may convert otherwise, and keep a conversion of their own."""
    made_by = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return f"{about['source'][:40]}-{made_by[:16]}"


def conversions_in(converted: Path) -> list[Conversion]:
    """Those that are finished. Their files are not read.

    Raises:
        UsageError: others could have filled the folder.
    """
    found: list[Conversion] = []
    for folder in _finished(converted):
        size = sum(file.lstat().st_size for file in plain_files(folder))
        found.append(Conversion(folder, _is_current(sealed_about(folder)), size, age_seconds(folder)))
    return found


def leftover_conversions(converted: Path) -> tuple[Path, ...]:
    """What was never finished, was set aside, or is of a version that wrote no digests down; old enough to be nobody's.

    Raises:
        UsageError: others could have filled the folder.
    """
    finished = set(_finished(converted))
    unfinished = (folder for folder in own_folders(converted) if folder not in finished)
    return tuple(folder for folder in unfinished if age_seconds(folder) > _LEFTOVER_SECONDS)


def verify_conversions(converted: Path) -> tuple[int, tuple[Path, ...]]:
    """Check every file of every conversion against its digest; set aside those that fail, to be made again.

    Returns:
        Number of conversions that are what was written, and where the others are now.

    Raises:
        UsageError: one cannot be set aside, or others could have filled the folder.
    """
    finished = _finished(converted)
    damaged = [folder for folder in finished if not is_as_sealed(folder)]
    return len(finished) - len(damaged), tuple(_set_aside(folder) for folder in damaged)


def _finished(converted: Path) -> list[Path]:
    return [folder for folder in own_folders(converted) if _is_finished(folder)]


def _is_finished(folder: Path) -> bool:
    return not folder.name.startswith(".") and _DAMAGED not in folder.suffixes and sealed_about(folder) is not None


def _is_current(about: dict[str, Any] | None) -> bool:
    try:
        return about is not None and about == conversion_of(str(about.get("source")))
    except PackageNotFoundError:
        return False


def _set_aside(folder: Path) -> Path:
    aside = _free_name(folder.with_name(folder.name + _DAMAGED))
    try:
        return folder.rename(aside)
    except OSError as error:
        raise UsageError(f"cannot set aside the damaged {folder}: {error.strerror}") from error


def _free_name(path: Path) -> Path:
    names: Iterable[Path] = (path, *(path.with_suffix(f"{_DAMAGED}.{number}") for number in range(1, 1000)))
    return next(each for each in names if not each.exists())
