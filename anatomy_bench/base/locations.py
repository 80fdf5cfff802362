"""Where this project keeps files of its own, outside the checkout."""

import os
import stat
from pathlib import Path

import platformdirs

from anatomy_bench.base.errors import UsageError

CACHE_VARIABLE = "ANATOMY_BENCH_CACHE"
"""Environment variable that moves the cache, for tests and shared machines."""

_OWNER_ONLY = 0o700


def cache_folder() -> Path:
    """The user's cache of converted models and finished measurements; if missing, created for this user only.

    Raises:
        UsageError: it cannot be made, or anybody may write to it, although its content is trusted.
    """
    folder = _cache_path()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        message = f"cannot write to the cache {folder}: {error.strerror}; {CACHE_VARIABLE} names another folder"
        raise UsageError(message) from error
    if mode & stat.S_IWOTH:
        raise UsageError(f"anybody can write to the cache {folder}; run: chmod o-w {folder}")
    return folder


def store_folder() -> Path:
    """The folder of finished jobs, which may not exist yet."""
    return _cache_path() / "store"


def _cache_path() -> Path:
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("anatomy_bench")
