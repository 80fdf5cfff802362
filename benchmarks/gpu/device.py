"""What the device is, and the most that it does in plain copies and products."""

import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import torch

from anatomy_bench.engine.limits import TOKENS_PER_CALL
from anatomy_bench.run.provenance import processor_name
from gpu.figures import interleaved
from gpu.setting import Setting

PACKAGES = ("anatomy_bench", "torch", "transformers", "numpy", "scipy", "scikit-learn", "gguf")
_REPEATS = 10
"""Of a copy or product within a round, so that the time of queueing one does not count."""

_TERA, _GIGA = 10**12, 10**9


def about(device: str) -> dict[str, Any]:
    """Machine and versions.

    Args:
        device: `cuda`, `cuda:N` or `cpu`.
    """
    on_card = device.startswith("cuda")
    properties = torch.cuda.get_device_properties(device) if on_card else None
    return {
        "device": device,
        "card": properties.name if properties else None,
        "card_bytes": properties.total_memory if properties else None,
        "multiprocessors": properties.multi_processor_count if properties else None,
        "driver": _driver() if on_card else None,
        "cuda": torch.version.cuda,
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "float32_products": torch.get_float32_matmul_precision(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip().splitlines()[0]


def ceilings(setting: Setting) -> None:
    """Copies, and products of both precisions at a square and at the map's own shape."""
    _copies(setting)
    device = setting.device
    rows = TOKENS_PER_CALL[torch.device(device).type]
    side = setting.sizes.square
    shapes = {"a square product": (side, side, side), "the map's own product": (rows, *setting.sizes.layer_matrix)}
    for dtype in (torch.float32, torch.bfloat16):
        for name, (first, inner, last) in shapes.items():
            left = torch.randn(first, inner, device=device, dtype=dtype)
            right = torch.randn(inner, last, device=device, dtype=dtype)
            rounds = _rounds(setting, lambda left=left, right=right: left @ right)
            what = f"{str(dtype).removeprefix('torch.')}, {name}, {first} × {inner} × {last}"
            rate = 2 * first * inner * last / median(rounds) / _TERA
            setting.figures.note("ceilings", what, rate, "10¹² operations/s", rounds=rounds)


def _copies(setting: Setting) -> None:
    source = torch.empty(setting.sizes.copy_bytes, dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    rounds = _rounds(setting, lambda: target.copy_(source))
    rate = 2 * source.numel() / median(rounds) / _GIGA
    setting.figures.note("ceilings", "copy on the device, bytes read and written", rate, "GB/s", rounds=rounds)


def _rounds(setting: Setting, run: Callable[[], Any]) -> list[float]:
    """Seconds of one call, in each round."""

    def repeated() -> None:
        for _ in range(_REPEATS):
            run()

    taken = interleaved({"": repeated}, setting.wait, setting.sizes.rounds, 5.0)[""]
    return [seconds / _REPEATS for seconds in taken]
