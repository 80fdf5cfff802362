"""Folders that say what they hold, so that a changed, cut or added file is noticed before it is believed."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anatomy_bench.base.plain import check_own, read_plain

SEAL = "contents.json"
"""Name of the file that says what its folder holds."""


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Flush every file to disk, and write down its digest.

    Args:
        folder: of plain files alone.
        about: where they come from, and what made them.
    """
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    for path in folder.iterdir():
        _flush(path)
    (folder / SEAL).write_text(json.dumps({"about": about, "sha256": files}, indent=1), encoding="utf-8")
    _flush(folder / SEAL)
    _flush(folder)


def sealed_about(folder: Path) -> dict[str, Any] | None:
    """What a folder says it is, or `None` if it has no seal. Reads none of its files."""
    content = _read(folder)
    return content["about"] if content else None


def is_as_sealed(folder: Path) -> bool:
    """Whether a folder holds exactly what it says, byte for byte; not if it is a link, or there is none.

    Raises:
        UsageError: others could have filled it.
    """
    if folder.is_symlink() or not folder.is_dir():
        return False
    check_own(folder)
    content = _read(folder)
    if content is None:
        return False
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
        if not all(found.values()) or set(found) != {SEAL, *content["sha256"]}:
            return False
        return all(file_sha256(folder / name) == digest for name, digest in content["sha256"].items())
    except OSError:  # removed meanwhile, or unreadable
        return False


def file_sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(read_plain(folder / SEAL))
    except (OSError, ValueError, RecursionError):
        return None
    is_seal = isinstance(content, dict) and all(isinstance(content.get(name), dict) for name in ("about", "sha256"))
    return content if is_seal else None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
