"""Files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anatomy_bench.base.errors import UsageError

_DEVICES = Path("/dev")


def write_atomically(path: Path, content: bytes) -> None:
    """Write, flush to disk and rename, so that a kill leaves either the old file or the new one.

    Raises:
        UsageError: the place cannot be written to, or the disk is full.
    """
    try:
        if _is_stream(path):
            path.write_bytes(content)
            return
        path = path.resolve()  # a link is followed, not replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
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


def _is_stream(path: Path) -> bool:
    """Whether a path is a device or a pipe, such as /dev/stdout, which is written to and never replaced."""
    return path.parent == _DEVICES or (path.exists() and not path.is_file() and not path.is_dir())


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder that takes its place as `path` when the body succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
