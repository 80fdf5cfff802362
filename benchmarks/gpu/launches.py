"""What one map asks of the device: kernels, waits, and for how long it is busy."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from gpu.setting import DType, Setting

MOST_LAUNCHES, MOST_WAITS = 3500, 10
_BIGGEST = 8


@dataclass(frozen=True)
class Event:
    """Something that the profiler saw.

    Attributes:
        name: as CUDA calls it.
        on_device: whether it ran there, or on the host.
        microseconds: it took.
    """

    name: str
    on_device: bool
    microseconds: float


@dataclass(frozen=True)
class Counted:
    """What events come to.

    Attributes:
        launches: kernels that ran.
        waits: of the host for the device: copies to the host, and synchronisations that no copy made.
        busy_ms: of kernels and copies.
        by_kernel: the kernels that took longest, with milliseconds.
    """

    launches: int
    waits: int
    busy_ms: float
    by_kernel: tuple[tuple[str, float], ...]


def counted(events: Iterable[Event]) -> Counted:
    """Launches, waits and busy time. A copy to pageable memory waits in a synchronisation of its own: one wait."""
    seen = list(events)
    there = [each for each in seen if each.on_device]
    kernels = [each for each in there if not each.name.startswith(("Memcpy", "Memset"))]
    copies = sum("DtoH" in each.name for each in there)
    synchronised = sum(each.name.startswith("cudaStreamSynchronize") for each in seen if not each.on_device)
    by_kernel: dict[str, float] = {}
    for each in kernels:
        by_kernel[each.name] = by_kernel.get(each.name, 0.0) + each.microseconds / 1000
    longest = sorted(by_kernel.items(), key=lambda item: -item[1])[:_BIGGEST]
    busy = sum(each.microseconds for each in there) / 1000
    return Counted(len(kernels), max(copies, synchronised), busy, tuple(longest))


def launches(setting: Setting) -> None:
    """Of one map in each precision, after one that warms up."""
    dtypes: tuple[DType, ...] = ("float32", "bfloat16")
    for dtype in dtypes:
        subject = setting.subject(dtype)
        subject.score(setting.ten, setting.variants)
        setting.wait()
        on_card = setting.device.startswith("cuda")
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_card else [])]
        with profile(activities=activities) as profiled:
            subject.score(setting.ten, setting.variants)
            # Not a synchronisation of a stream: it is not counted.
            setting.wait()
        found = counted(
            Event(each.name, each.device_type == DeviceType.CUDA, each.time_range.elapsed_us())
            for each in profiled.events() or ()
        )
        note = setting.figures.note
        note("launches", f"kernels of a map, {dtype}", found.launches, "launches", at_most=MOST_LAUNCHES)
        note("launches", f"waits of a map, {dtype}", found.waits, "waits", at_most=MOST_WAITS)
        note("launches", f"device busy in a map, {dtype}", found.busy_ms, "ms")
        for name, milliseconds in found.by_kernel:
            note("launches", f"{dtype}: `{name[:70]}`", milliseconds, "ms")
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
