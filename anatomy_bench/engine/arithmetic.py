"""Arithmetic as a fresh process has it, whatever a notebook or another library has set before.

PyTorch keeps much of what decides a product in the state of the process: how precisely float32 is multiplied, which
attention kernels may run, autocast, the default dtype. All of it stands here with the value that measuring takes.
What cannot be set from inside a process (an environment variable of a library) is found by trying a product.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from anatomy_bench.base.errors import UsageError

_FLOAT32 = "ieee"
"""What the newer interface of PyTorch calls products of float32 that are computed in float32."""

_TRIED_WIDTH = 128
_LARGEST_ERROR = 1e-5
"""Of a product, relative to its size: float32 leaves some 1e-7, TF32 and bfloat16 more than 1e-4."""


_READ_BY_LIBRARIES = (
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "OPENBLAS_CORETYPE",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
)
"""Variables of the environment by which libraries choose among ways to compute the same product."""


@dataclass(frozen=True)
class _Setting:
    """One part of the state of the process.

    Attributes:
        read: returns the value.
        write: sets it.
        plain: the value while measuring.
    """

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    plain: Any

    def ensure(self, value: Any) -> None:
        """Set it unless it is that already: setting some loads PyTorch's compiler."""
        if self.read() != value:
            self.write(value)

    @classmethod
    def of(cls, owner: Any, name: str, plain: Any) -> "_Setting":
        """An attribute of one of PyTorch's modules."""
        return cls(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), plain)


@contextmanager
def plain_arithmetic(threads: int | None = None) -> Iterator[None]:
    """Compute as a fresh process would; afterwards every setting is what it was, also when the body raises.

    Args:
        threads: that share a product on the CPU; `None` leaves as many as there are.
    """
    with ExitStack() as undo:
        for setting in _settings(threads):
            undo.callback(setting.ensure, setting.read())
            setting.ensure(setting.plain)
        if threads is not None:
            undo.enter_context(threadpool_limits(threads, user_api="blas"))  # those of NumPy, too
        for device in ("cpu", "cuda"):
            undo.enter_context(torch.autocast(device, enabled=False))
        undo.enter_context(torch.inference_mode(mode=False))  # in which a layer could not be trained
        undo.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            undo.enter_context(torch.device("cpu"))
        yield


def instructions() -> str:
    """What products on the processor are made of: its instructions, and what the environment says of them."""
    told = [f"{name}={os.environ[name]}" for name in _READ_BY_LIBRARIES if os.environ.get(name)]
    return " ".join([str(torch.backends.cpu.get_cpu_capability()), *told])


def require_float32(device: torch.device) -> None:
    """Try a product of float32 and compare it with the same in float64.

    Raises:
        UsageError: it is of lower precision, in spite of all settings.
    """
    rng = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, _TRIED_WIDTH, _TRIED_WIDTH, generator=rng, dtype=torch.float32).to(device)
    exact = left.double() @ right.double()
    error = float(((left @ right).double() - exact).norm() / exact.norm())
    if not error < _LARGEST_ERROR:
        raise UsageError(
            f"products of float32 on {device} are off by a relative {error:.0e}, as in TF32 or bfloat16: something "
            "outside of PyTorch's settings lowers their precision, such as an environment variable"
        )


def _settings(threads: int | None) -> Sequence[_Setting]:
    """In the order of writing, which the order of restoring reverses."""
    backends = torch.backends
    return [
        *(_precisions_of_float32() if hasattr(backends, "fp32_precision") else _older_precisions()),
        _Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        _Setting(_deterministic, _set_deterministic, (False, False)),
        _Setting(_flushes_denormals, torch.set_flush_denormal, plain=False),
        _Setting(torch.get_num_threads, torch.set_num_threads, threads or torch.get_num_threads()),
        _Setting.of(backends.mkldnn, "enabled", plain=True),
        _Setting.of(backends.cudnn, "enabled", plain=True),
        _Setting.of(backends.cudnn, "benchmark", plain=False),
        _Setting.of(backends.cudnn, "deterministic", plain=False),
        *_attention_kernels(),
        *_reductions(),
    ]


def _precisions_of_float32() -> list[_Setting]:
    """Wholes before their parts: a part that is not set follows its whole, and must be read when that is plain.

    The older interface is neither read nor written: it raises where a process has used both.
    """
    backends: Any = torch.backends
    wholes = [backends, backends.mkldnn, backends.cudnn]
    parts = [
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
        backends.mkldnn.rnn,
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
    ]
    return [
        *(_Setting.of(whole, "fp32_precision", "none") for whole in wholes),
        *(_Setting.of(part, "fp32_precision", _FLOAT32) for part in parts),
    ]


def _older_precisions() -> list[_Setting]:
    """Of PyTorch before 2.9; `allow_tf32` of products follows the precision of products."""
    return [
        _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
        _Setting.of(torch.backends.cudnn, "allow_tf32", plain=False),
    ]


def _attention_kernels() -> list[_Setting]:
    """Fused attention may take any kernel, on the CPU as well."""
    cuda = torch.backends.cuda
    return [
        _Setting(cuda.flash_sdp_enabled, cuda.enable_flash_sdp, plain=True),
        _Setting(cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp, plain=True),
        _Setting(cuda.math_sdp_enabled, cuda.enable_math_sdp, plain=True),
        _Setting(cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp, plain=True),
        _Setting(cuda.fp16_bf16_reduction_math_sdp_allowed, cuda.allow_fp16_bf16_reduction_math_sdp, plain=False),
    ]


def _reductions() -> list[_Setting]:
    """How products of half precision are summed; not every version has all."""
    products = torch.backends.cuda.matmul
    plain = {
        "allow_fp16_reduced_precision_reduction": True,
        "allow_bf16_reduced_precision_reduction": True,
        "allow_fp16_accumulation": False,
    }
    names = [name for name in plain if hasattr(torch._C, f"_get_cublas_{name}") or "reduced" in name]
    return [_Setting.of(products, name, plain[name]) for name in names]


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    is_on, only_warns = value
    torch.use_deterministic_algorithms(is_on, warn_only=only_warns)


def _flushes_denormals() -> bool:
    """PyTorch sets this and does not tell it."""
    return float(torch.full((1,), 1e-40, dtype=torch.float32, device="cpu") * 1.0) == 0.0
