"""Files and folders that appear whole or not at all."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anatomy_bench.base.errors import UsageError

_DEVICES = Path("/dev")
_AS_OPEN_AS_ALLOWED = 0o666
"""Of a new file, before the user's umask takes from it."""


def write_atomically(path: Path, content: bytes, *, mode: int = _AS_OPEN_AS_ALLOWED, follow_link: bool = True) -> None:
    """Write, flush to disk and rename, so that a kill leaves either the old file or the new one.

    A file that is replaced hands on who may read and write it. A device, a pipe or an open descriptor such as
    `/dev/stdout` is written to as it was opened, never replaced.

    Args:
        path: the file.
        content: all of it.
        mode: of a new file, before the umask.
        follow_link: write to what a link stands for; if not, the link is replaced.

    Raises:
        UsageError: the place cannot be written to, or the disk is full.
    """
    try:
        if follow_link and _is_stream(path):
            _write_to_stream(path, content)
            return
        path = path.resolve() if follow_link else path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = _mode_of(path)
        descriptor, temporary = _temporary_beside(path, mode if before is None else before)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if before is not None:
                    os.fchmod(descriptor, before)  # also what the umask would take
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def check_file(path: Path) -> None:
    """Check, before hours of work, that a file can be written; leave nothing behind.

    Raises:
        UsageError: it cannot.
    """
    try:
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a directory")
        if not _is_stream(path):
            check_folder(path.resolve().parent)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def check_folder(path: Path) -> None:
    """Check that files can be written into a folder, which need not exist yet; leave nothing behind.

    Raises:
        UsageError: they cannot.
    """
    try:
        existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"cannot write into {path}: {error.strerror}") from error


def _mode_of(path: Path) -> int | None:
    """Permissions of the file that is there; none for a link, whose own say nothing."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None


def _temporary_beside(path: Path, mode: int) -> tuple[int, Path]:
    """A new file, opened by the kernel with the umask's say: asking Python for the umask would change it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), temporary


def _is_stream(path: Path) -> bool:
    """Whether a path is a device, a pipe or an open descriptor, such as /dev/stdout: written to, never replaced."""
    if path.parent == _DEVICES or _descriptor_of(path) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _write_to_stream(path: Path, content: bytes) -> None:
    """Write on where the stream stands: opened anew, what `>> log` has appended would be overwritten."""
    number = _descriptor_of(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if number is None else os.dup(number)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _descriptor_of(path: Path) -> int | None:
    """The number of this process' open file that a path such as /dev/stdout or /dev/fd/3 stands for, if it does."""
    of_process = Path("/proc/self/fd").resolve()
    for _ in range(8):  # links to links; /dev/stdout is one
        path = path.parent.resolve() / path.name
        if path.parent in (of_process, Path("/dev/fd")) and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder, its owner's alone, that takes its place as `path` when the body succeeds."""
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
