"""Tiny models as the engine sees them, and a watch over their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import tiny
import torch

from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.subject import Subject


def subject_of(architecture: str, attention: str = "eager", layers: int = 6) -> Subject:
    return Subject(tiny.model(architecture, layers, attention), tiny.tokenizer(), name=architecture)


def stack_of(architecture: str, attention: str = "eager", layers: int = 6) -> LayerStack:
    return subject_of(architecture, attention, layers).stack


@contextmanager
def unchanged(stack: LayerStack) -> Iterator[None]:
    """Whatever happens inside: afterwards the same bits, the same forwards, no hooks."""
    before = {name: tensor.clone() for name, tensor in stack.model.state_dict().items()}
    try:
        yield
    finally:
        after = stack.model.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        for module in stack.model.modules():
            assert "forward" not in vars(module)
            assert not module._forward_hooks
            assert not module._forward_pre_hooks
