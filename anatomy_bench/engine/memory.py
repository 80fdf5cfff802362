"""Work that is repeated in smaller pieces if memory does not suffice for the whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

RowT = TypeVar("RowT")
CopyT = TypeVar("CopyT")

_OF_THE_CPU = ("not enough memory", "can't allocate memory")
"""Part of the message of PyTorch's CPU allocator, which raises a plain `RuntimeError`."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in _OF_THE_CPU)


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
    # Not inside the handler: until the error is handled, it keeps alive all that the attempt had allocated.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    by_copies = len(copies) > 1
    halved = len(copies if by_copies else rows) // 2
    for piece in (slice(halved), slice(halved, None)):
        in_pieces_that_fit(work, rows if by_copies else rows[piece], copies[piece] if by_copies else copies)
