"""Work that is repeated in smaller pieces if memory does not suffice for the whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

RowT = TypeVar("RowT")
CopyT = TypeVar("CopyT")

_SAID_IN_A_PLAIN_ERROR = (
    "not enough memory",
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""By PyTorch's allocator for the CPU; and by CUDA and its libraries, which take memory beside PyTorch's."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(told in str(error) for told in _SAID_IN_A_PLAIN_ERROR)


def in_pieces_that_fit(
    work: Callable[[Sequence[RowT], Sequence[CopyT]], None], rows: Sequence[RowT], copies: Sequence[CopyT]
) -> None:
    """Do work on rows and their copies at once; if that takes too much memory, do it on halves one after the other.

    Copies are halved first: then only what all copies share is repeated, and rows of similar length stay together.

    Args:
        work: does some rows and some copies; it is called again for what a failed attempt had done.
        rows: at least one.
        copies: any number.

    Raises:
        Exception: what `work` raised for another reason, or on one row and one copy.
    """
    try:
        work(rows, copies)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or max(len(rows), len(copies)) < 2:  # noqa: PLR2004 (nothing to halve)
            raise
    else:
        return
    # Only here: until it is handled, the error holds on to all that the attempt had allocated.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    by_copies = len(copies) > 1
    halved = len(copies if by_copies else rows) // 2
    for piece in (slice(halved), slice(halved, None)):
        in_pieces_that_fit(work, rows if by_copies else rows[piece], copies[piece] if by_copies else copies)
