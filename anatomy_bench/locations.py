"""Where this project keeps files of its own, outside the checkout."""

import os
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "ANATOMY_BENCH_CACHE"
"""Environment variable that moves the cache, for tests and shared machines."""


def cache_folder() -> Path:
    """The user's cache of converted models and finished measurements."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("anatomy_bench")
