"""The sections of a run, in their order: of most value first, the longest last."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

SECTIONS: dict[str, tuple[str, str, str, float]] = {
    "ceilings": ("Ceilings of the device", "gpu.device", "ceilings", 40),
    "parity": ("Parity with the CPU, and the same bits twice", "gpu.parity", "parity", 120),
    "launches": ("Launches and waits of one map", "gpu.launches", "launches", 40),
    "map": ("The map of every layer", "gpu.speed", "speed_of_map", 70),
    "recovery": ("Recovery", "gpu.speed", "speed_of_recovery", 60),
    "growth": ("Growth", "gpu.speed", "speed_of_growth", 40),
    "large": ("A large model", "gpu.large", "large", 70),
    "paper": ("The whole paper", "gpu.paper", "paper", 600),
}
"""By name: title, module, function of a setting, and the most seconds that it may take."""


def body(name: str) -> Callable[[Any], None]:
    """The function of a section, imported when it is needed: one that cannot be imported fails alone."""
    _, module, function, _ = SECTIONS[name]
    found: Callable[[Any], None] = getattr(import_module(module), function)
    return found
