"""Files and folders of this project's own, which are nothing else in disguise: no link is followed, no pipe opened."""

import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from anatomy_bench.base.errors import UsageError

_OWNER_ONLY = 0o700


class NotPlainError(ValueError):
    """Where a file belongs there is a link, a folder, a pipe or a device."""


def read_plain(path: Path) -> bytes:
    """The content of a file.

    Raises:
        NotPlainError: it is no file, or a link to one.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise NotPlainError(f"{path} is not a plain file")
    # Whoever exchanges it in this moment gets an error from O_NOFOLLOW, and a pipe does not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def plain_files(folder: Path) -> Iterator[Path]:
    """What lies in a folder and is no folder, in order; links as such. Nothing where there is no such folder."""
    yield from (Path(each) for each in _entries(folder) if not each.is_dir(follow_symlinks=False))


def own_folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder, in order, each of them checked; links to folders are refused.

    Raises:
        UsageError: see `check_own`.
    """
    for each in _entries(folder):
        if each.is_dir():  # a link to one as well: refused, not passed over
            check_own(Path(each))
            yield Path(each)


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        check_own(folder)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {error.strerror}") from error


def check_own(folder: Path) -> None:
    """Refuse a folder that others could have filled: what lies in it is believed.

    Raises:
        UsageError: it is a link, it belongs to somebody else, or anybody may write to it.
        FileNotFoundError: there is none.
    """
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise UsageError(f"{folder} is a link, and nothing here follows one; remove it, or put a folder in its place")
    check_owner(folder, status)


def check_owner(folder: Path, status: os.stat_result) -> None:
    """Refuse a folder of somebody else, or one that anybody may write to.

    Raises:
        UsageError: it is such a folder.
    """
    if status.st_uid != os.geteuid():
        raise UsageError(
            f"{folder} belongs to another user (uid {status.st_uid}), who could have put anything into it; "
            "remove it, or name another cache in ANATOMY_BENCH_CACHE"
        )
    if status.st_mode & stat.S_IWOTH:
        raise UsageError(f"anybody can write to {folder}; run: chmod o-w {folder}")


def make_own(root: Path, folder: Path) -> None:
    """Make a folder and those between it and the root, for their owner alone, and check those that are there already.

    Args:
        root: where this project's own files begin.
        folder: the root, or in it.

    Raises:
        UsageError: see `check_own`.
        OSError: they cannot be made.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    for each in _down_to(root, folder):
        each.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        check_own(each)


def is_own(root: Path, folder: Path) -> bool:
    """Whether there is such a folder; it and those between it and the root are checked.

    Raises:
        UsageError: see `check_own`.
    """
    try:
        for each in _down_to(root, folder):
            check_own(each)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _down_to(root: Path, folder: Path) -> list[Path]:
    inner = folder.relative_to(root).parts
    return [root.joinpath(*inner[:depth]) for depth in range(len(inner) + 1)]


def age_seconds(path: Path) -> float:
    """Since it was last changed; 0 where there is nothing by now."""
    try:
        return max(0.0, time.time() - path.lstat().st_mtime)
    except FileNotFoundError:
        return 0.0


def remove(paths: Iterable[Path]) -> None:
    """Remove files, folders with all that is in them, and links themselves.

    Raises:
        UsageError: one cannot be removed.
    """
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot remove {path}: {error.strerror}") from error
