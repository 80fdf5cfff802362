"""Random generators: one for each purpose, made from the run's seed; never a global one."""

import zlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A separate random generator for each purpose, so that no result depends on the order of drawing."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])
