"""A sweep that runs out of memory goes on in halves, with the same scores, until nothing is left to halve."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import tiny
import torch

from anatomy_bench.engine import sweep
from anatomy_bench.engine.interventions import Intact, NeighbourAverage, Skip
from anatomy_bench.engine.memory import in_pieces_that_fit, is_out_of_memory
from anatomy_bench.engine.stack import LayerStack

# As PyTorch words them: on CUDA (its own allocator, the driver, and a library's), on Linux, and on other systems.
FAILURES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    getattr(torch, "AcceleratorError", RuntimeError)(
        "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"
    ),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes."),
    MemoryError(),
]
SENTENCES = tiny.sentences((5, 9, 12, 7))
VARIANTS = [Intact(), *(make(layer) for layer in range(6) for make in (Skip, NeighbourAverage))]


def stack_of() -> LayerStack:
    model = tiny.model("llama", layers=6)
    return LayerStack(model, tuple(model.model.layers))


@contextmanager
def memory_for(rows: int, stack: LayerStack, failure: Exception) -> Iterator[list[int]]:
    """Let calls of the last layer's MLP fail that have more rows than fit; the numbers of rows of all calls."""
    seen: list[int] = []

    def allocate(_: Any, args: tuple[torch.Tensor, ...]) -> None:
        seen.append(args[0].shape[0])
        if seen[-1] > rows:
            raise failure

    hook = stack.layers[-1].mlp.register_forward_pre_hook(allocate)
    try:
        yield seen
    finally:
        hook.remove()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(failure)[:40] or "MemoryError")
@pytest.mark.parametrize("rows", [2, 3, 8, 20])
def test_scores_are_those_of_an_undisturbed_sweep(rows: int, failure: Exception) -> None:
    stack = stack_of()
    expected = sweep.sweep(stack, SENTENCES, VARIANTS)
    with memory_for(rows, stack, failure) as seen:
        found = sweep.sweep(stack, SENTENCES, VARIANTS)
    assert max(seen) > rows  # or nothing was disturbed
    assert list(found) == list(expected)
    for variant, scores in expected.items():
        # Other rows beside a sentence round its products otherwise.
        assert found[variant] == pytest.approx(scores, rel=1e-5)


def test_what_does_not_fit_at_all_is_told() -> None:
    stack = stack_of()
    with memory_for(0, stack, FAILURES[0]), pytest.raises(torch.OutOfMemoryError):
        sweep.sweep(stack, SENTENCES, VARIANTS)


def test_other_errors_are_not_tried_again() -> None:
    stack = stack_of()
    wrong = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with memory_for(0, stack, wrong) as seen, pytest.raises(RuntimeError, match="mat1"):
        sweep.sweep(stack, SENTENCES, VARIANTS)
    assert len(seen) == 1


Attempts = list[tuple[int, int]]


def worker(fits: int, attempts: Attempts, done: set[tuple[int, int]]) -> Callable[[Sequence[int], Sequence[int]], None]:
    """Work on rows and copies that fits if there are so few cells of both."""

    def work(rows: Sequence[int], copies: Sequence[int]) -> None:
        attempts.append((len(rows), len(copies)))
        if len(rows) * (1 + len(copies)) > fits:
            raise MemoryError
        done.update((row, copy) for row in rows for copy in copies)

    return work


def test_copies_are_halved_before_rows_and_only_where_they_must() -> None:
    attempts: Attempts = []
    done: set[tuple[int, int]] = set()
    in_pieces_that_fit(worker(10, attempts, done), range(4), range(3))
    assert attempts == [(4, 3), (4, 1), (4, 2), (4, 1), (4, 1)]
    assert done == {(row, copy) for row in range(4) for copy in range(3)}
    attempts.clear()
    in_pieces_that_fit(worker(2, attempts, done), range(2), range(1))
    assert attempts == [(2, 1), (1, 1), (1, 1)]


def test_an_error_that_only_speaks_of_memory_is_none() -> None:
    assert all(map(is_out_of_memory, FAILURES))
    assert not is_out_of_memory(RuntimeError("memory format is not supported"))
    assert not is_out_of_memory(ValueError("not enough memory"))
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
