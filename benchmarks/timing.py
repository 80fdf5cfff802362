"""One benchmark: what is run, what is told of it beside its seconds, and that it computes what the plain way does."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from measuring import PeakMemory, synchronize
from pytest_benchmark.fixture import BenchmarkFixture

ResultT = TypeVar("ResultT")

ROUNDING = {"float32": 1e-4, "bfloat16": 5e-2}
"""Relative difference that precision alone makes: of sums of hundreds of terms, many times their units."""


@dataclass(frozen=True)
class Timer:
    """Times calls and notes what they took.

    Attributes:
        benchmark: of pytest-benchmark.
        device: waited for within the timed call.
    """

    benchmark: BenchmarkFixture
    device: torch.device

    def time(
        self,
        run: Callable[[], ResultT],
        group: str,
        way: str,
        *,
        rounds: int = 1,
        flops: int | None = None,
        product_rate: float | None = None,
        **told: Any,
    ) -> ResultT:
        """What the last of some rounds returns; every round begins with fresh memory.

        Args:
            run: the call.
            group: of the benchmarks that do the same thing.
            way: in which this one does it.
            rounds: how often.
            flops: floating-point operations of a call, where they are counted.
            product_rate: those a second of plain matrix products, where there are like ones.
            told: more to keep with the figures.
        """
        memory = PeakMemory(self.device)

        def timed() -> ResultT:
            result = run()
            synchronize(self.device)
            return result

        self.benchmark.group = group
        result: ResultT = self.benchmark.pedantic(timed, setup=memory.begin, rounds=rounds)
        self.benchmark.extra_info |= {"way": way, "peak_bytes": memory.bytes(), **told}
        if flops is not None and self.benchmark.stats is not None:
            rate = flops / self.benchmark.stats.stats.min
            share = rate / product_rate if product_rate else None
            self.benchmark.extra_info |= {
                "flops": flops,
                "flops_per_second": rate,
                "product_flops_per_second": product_rate,
                "share_of_product_rate": share,
            }
        return result


def assert_same(found: Mapping[Any, Iterable[float]], plain: Mapping[Any, Iterable[float]], rounding: float) -> None:
    """Hold what a fast way returns against the plain way, of which a part may be known.

    Raises:
        AssertionError: they differ by more than rounding.
    """
    assert plain
    for key, values in plain.items():
        expected = np.asarray(values, dtype=np.float64)
        np.testing.assert_allclose(np.asarray(found[key])[: len(expected)], expected, rtol=rounding, err_msg=str(key))
