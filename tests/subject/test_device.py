"""A GPU that cannot be used is told of in one line, and ends nothing where there is a CPU to run on."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from anatomy_bench.base.errors import DeviceWarning, UsageError
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.loading import Permissions, resolve_device

# As PyTorch has it: a warning when it is asked whether there is a GPU, in several lines.
OLD_DRIVER = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).\nPlease update it"


def old_driver() -> bool:
    warnings.warn(OLD_DRIVER, stacklevel=2)
    return False


def load(folder: Path) -> Subject:
    return load_subject(resolve_source(str(folder)), device="cuda", permissions=Permissions(untrained=True))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A card that is there until it is used."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", lambda *, enabled: None)
    return monkeypatch


def test_a_warning_of_the_driver_is_no_error_where_there_is_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", old_driver)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("error")
        assert resolve_device("auto") == torch.device("cpu")
    assert [each.category for each in said] == [DeviceWarning]
    assert "driver on your system is too old" in str(said[0].message)
    assert "\n" not in str(said[0].message)


def test_it_is_named_where_cuda_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", old_driver)
    # NVML counts cards whatever the driver's version.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError, match=r"has 0 CUDA devices \(CUDA initialization: .* too old"):
            resolve_device("cuda")


def test_without_a_driver_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "does not fit the memory of cuda"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`"), "does not fit the memory of cuda"),
        (
            RuntimeError("CUDA driver initialization failed\nand more"),
            "cannot use cuda: CUDA driver init.* failed; use",
        ),
    ],
)
def test_a_failure_of_the_card_at_load_is_one_line(
    failure: Exception, told: str, tiny_folder: Path, pretended: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise failure

    pretended.setattr(torch.nn.Module, "to", fails)
    with pytest.raises(UsageError, match=told):
        load(tiny_folder)


def test_other_errors_at_load_stay_what_they_are(tiny_folder: Path, pretended: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    pretended.setattr(torch.nn.Module, "to", fails)
    with pytest.raises(RuntimeError, match="mat1"):
        load(tiny_folder)


def test_weights_that_do_not_fit_the_machine_are_told_in_one_line(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fails)
    with pytest.raises(UsageError, match="not enough memory to load"):
        load_subject(resolve_source(str(tiny_folder)), device="cpu", permissions=Permissions(untrained=True))
