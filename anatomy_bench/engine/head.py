"""The head of a model, fed with chosen positions, a bounded number at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from anatomy_bench.engine.stack import LayerStack

TOKENS_PER_HEAD_CALL = 1024
"""Positions whose logits exist at the same time: bounds the memory of the vocabulary-sized part."""


@contextmanager
def captured_head_input(stack: LayerStack) -> Iterator[list[Tensor]]:
    """Collect what the model's forward passes give to its head, which makes logits of one position, not of all."""
    captured: list[Tensor] = []

    def capture(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        captured.append(args[0])
        return (args[0][:1, :1],)

    hook = stack.model.get_output_embeddings().register_forward_pre_hook(capture)
    try:
        yield captured
    finally:
        hook.remove()


def logits_of(stack: LayerStack, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Logits of the given head inputs, a chunk at a time, with the position of each chunk.

    The model's own forward makes them, its layers passed by, so that whatever it does
    to logits (scaling, soft-capping) is done.
    """
    with _given_head_input(stack.model.get_output_embeddings()) as replace, stack.forwards(lambda *_: stack.pass_by):
        for start in range(0, len(hidden), TOKENS_PER_HEAD_CALL):
            replace(hidden[start : start + TOKENS_PER_HEAD_CALL])
            one_token = torch.zeros((1, 1), dtype=torch.long, device=hidden.device)
            yield start, stack.model(input_ids=one_token, use_cache=False).logits[0].float()


@contextmanager
def _given_head_input(head: Any) -> Iterator[Any]:
    """Feed the head what is given instead of what the model computed."""
    given: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda *_: (given[-1][None],))
    try:
        yield lambda hidden: given.__setitem__(slice(None), [hidden])
    finally:
        hook.remove()
