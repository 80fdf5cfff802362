"""The model under the benchmarks, and how each is timed."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import pytest
import torch
from measuring import product_rate_of
from pytest_benchmark.fixture import BenchmarkFixture
from timing import Timer

from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.subject import Subject


def pytest_configure(config: pytest.Config) -> None:
    """Files here are not called `test_`: pytest finds them when it is given their folder."""
    config.addinivalue_line("python_files", "bench_*.py")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Name what the figures depend on; leave out what names the machine itself."""
    from anatomy_bench.run.provenance import processor_name

    for name in ("node", "cpu"):
        machine_info.pop(name, None)
    machine_info |= {
        "processor_name": processor_name(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Name the project, not the folder that it is checked out in."""
    commit_info["project"] = "anatomy_bench"


@pytest.fixture(scope="session")
def load(pytestconfig: pytest.Config) -> Callable[[str], Subject]:
    """The model that `--model` names on the device that `--device` does, in a precision; each loaded once."""
    get = pytestconfig.getoption

    @cache
    def loaded(dtype: Literal["float32", "bfloat16"]) -> Subject:
        options = Options(
            model=get("anatomy_model"),
            revision=get("anatomy_revision"),
            device=get("anatomy_device"),
            dtype=dtype,
            allow_untrained=get("anatomy_allow_untrained"),
        )
        return Run(options).subject

    return loaded


@pytest.fixture(scope="session")
def subject(pytestconfig: pytest.Config, load: Callable[[str], Subject]) -> Subject:
    """The same in the precision that `--dtype` names."""
    return load(pytestconfig.getoption("anatomy_dtype"))


@pytest.fixture(scope="session")
def rate_of() -> Callable[[Subject], float]:
    """Plain matrix products' floating-point operations a second with a model's matrices; measured once a run."""
    return cache(lambda subject: product_rate_of(subject.stack))


@pytest.fixture
def timer(benchmark: BenchmarkFixture, subject: Subject) -> Timer:
    """Times calls on the model's device."""
    return Timer(benchmark, subject.device)
