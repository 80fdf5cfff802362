"""The head of a model, applied to chosen positions only, a bounded number at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from anatomy_bench.engine.limits import TOKENS_PER_HEAD_CALL, TOKENS_PER_SOFTMAX
from anatomy_bench.engine.stack import LayerStack


@contextmanager
def without_logits(stack: LayerStack) -> Iterator[None]:
    """Make the model's forward passes compute logits for one position instead of all."""
    head = stack.model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, args: (args[0][:1, :1],))
    try:
        yield
    finally:
        hook.remove()


def logits_of(stack: LayerStack, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Logits at positions of the last layer's output, a chunk at a time, with the position of each chunk.

    The model's own forward computes them with its layers bypassed, so that everything it does
    after its layers (norms, scaling, soft-capping) is included.

    Args:
        stack: of the model that has the head.
        hidden: shape (positions, width).
    """
    given: list[Tensor] = []
    last = len(stack.layers) - 1

    def replaced(index: int, _: Any) -> Any:
        return (lambda *_, **__: stack.as_output(given[-1])) if index == last else stack.pass_by

    one_token = torch.zeros((1, 1), dtype=torch.long, device=hidden.device)
    at_a_time = TOKENS_PER_HEAD_CALL[hidden.device.type]
    with stack.forwards(replaced):
        for start in range(0, len(hidden), at_a_time):
            given[:] = [hidden[None, start : start + at_a_time]]
            logits = stack.model(input_ids=one_token, use_cache=False).logits
            yield start, logits.view(-1, logits.shape[-1])


def target_nll_nats(stack: LayerStack, hidden: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of targets, in nats, without gradients.

    Args:
        stack: of the model that has the head.
        hidden: the last layer's output just before each target, shape (targets, width).
        targets: token ids, shape (targets,).

    Returns:
        Shape (targets,).
    """
    at_a_time = TOKENS_PER_SOFTMAX[hidden.device.type]
    pieces = [
        _nll_nats(some, each)
        for start, logits in logits_of(stack, hidden)
        for some, each in zip(
            torch.split(logits, at_a_time),
            torch.split(targets[start : start + len(logits)], at_a_time),
            strict=True,
        )
    ]
    return torch.cat(pieces)


def _nll_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy in float32, in place: a log-softmax would allocate another tensor as large as the logits."""
    logits = logits.float()
    largest = logits.amax(dim=-1, keepdim=True)
    of_targets = logits.gather(-1, targets[:, None])
    sums = logits.sub_(largest).exp_().sum(dim=-1, keepdim=True)
    return (sums.log_() + largest - of_targets)[:, 0]
