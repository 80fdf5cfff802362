"""What is measured of a call besides its seconds: operations, the rate of plain products, and memory."""

import ctypes
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from anatomy_bench.engine.interventions import is_matrix
from anatomy_bench.engine.stack import LayerStack

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_HIGH_WATER = "5"
ROWS_OF_PRODUCT = 1024
"""Of the plain products: as many rows as the engine gives a matrix at once, to within a factor of two."""


def flops_of(run: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns, and the floating-point operations of its matrix products as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter:
        result = run()
    return result, counter.get_total_flops()


def product_rate(matrices: Sequence[Tensor], rows: int = ROWS_OF_PRODUCT) -> float:
    """Floating-point operations a second of plain products with all these matrices, one after the other.

    The best of three, after one that warms up.

    Args:
        matrices: shape (outputs, inputs) each.
        rows: of what they are multiplied with.
    """
    inputs = {matrix.shape[1]: matrix.new_ones(rows, matrix.shape[1]) for matrix in matrices}

    def seconds() -> float:
        started = time.perf_counter()
        for matrix in matrices:
            functional.linear(inputs[matrix.shape[1]], matrix)
        synchronize(matrices[0].device)
        return time.perf_counter() - started

    with torch.inference_mode():
        seconds()
        best = min(seconds() for _ in range(3))
    return 2 * rows * sum(matrix.numel() for matrix in matrices) / best


def product_rate_of(stack: LayerStack) -> float:
    """The same with every matrix of a model's forward pass: those of its layers, and its head."""
    matrices = [
        tensor for layer in stack.layers for name, tensor in layer.named_parameters() if is_matrix(name, tensor)
    ]
    return product_rate([*matrices, stack.model.get_output_embeddings().weight])


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told: without it, a call's seconds are those of telling."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class PeakMemory:
    """Memory that a call takes at its peak, beyond what was taken before it.

    On CUDA by PyTorch's allocator. On the CPU by the high-water mark of the process' resident memory, which Linux lets
    a process reset; freed memory is handed back first, so that it cannot be taken again unnoticed.
    """

    device: torch.device
    _before: int = 0

    def begin(self) -> None:
        """Mark what is taken now."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        elif _CLEAR.exists():
            ctypes.CDLL(None).malloc_trim(0)
            _CLEAR.write_text(_RESET_HIGH_WATER)
            self._before = _resident_bytes("VmRSS")

    def bytes(self) -> int | None:
        """The peak since then; `None` where the system does not tell."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self._before
        return max(0, _resident_bytes("VmHWM") - self._before) if _CLEAR.exists() else None


def _resident_bytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])
