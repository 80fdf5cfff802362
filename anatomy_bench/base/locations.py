"""Where this project keeps files of its own, outside the checkout."""

import os
from pathlib import Path

import platformdirs

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.plain import check_owner, is_own

CACHE_VARIABLE = "ANATOMY_BENCH_CACHE"
"""Environment variable that moves the cache, for tests and shared machines."""

_OWNER_ONLY = 0o700


def cache_folder() -> Path:
    """The user's cache of converted models and finished measurements; if missing, created for this user only.

    Raises:
        UsageError: it cannot be made, or others could have filled it: what it holds is believed.
    """
    folder = _cache_path()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        _check_cache()
    except OSError as error:
        told = f"cannot write to the cache {folder}: {error.strerror}; {CACHE_VARIABLE} names another folder"
        raise UsageError(told) from error
    return folder


def store_folder() -> Path:
    """Where finished units are kept, whether or not there are any yet.

    Raises:
        UsageError: others could have filled it.
    """
    _check_cache()
    return _cache_path() / "store"


def converted_folder() -> Path:
    """Where converted models are kept, whether or not there are any yet.

    Raises:
        UsageError: others could have filled it.
    """
    _check_cache()
    return _cache_path() / "converted"


def _check_cache() -> None:
    """Check the folders that the cache begins with. It may itself lie behind a link, which its owner has made."""
    cache = _cache_path()
    if not cache.is_dir():
        return
    check_owner(cache, cache.stat())
    is_own(cache / "store", cache / "store" / "locks")
    is_own(cache / "converted", cache / "converted")


def _cache_path() -> Path:
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("anatomy_bench")
