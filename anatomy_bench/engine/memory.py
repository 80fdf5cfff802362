"""Work that goes on in smaller pieces where memory does not suffice for it as a whole."""

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
    """Do work on rows and copies of them at once, or on halves of it in turn where that takes too much memory.

    Copies are halved first: what is done once for all of them is then done a few times more, and rows of like
    length stay together.

    Args:
        work: on some rows and some copies; what a failed attempt has done is done again.
        rows: one at least.
        copies: any number.

    Raises:
        Exception: what `work` raised: for another reason, or on one row and one copy.
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
