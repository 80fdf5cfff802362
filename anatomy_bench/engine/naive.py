"""The plain reference: one variant, one sentence, one forward pass at a time.

Tests and benchmarks compare every fast path with this one.
"""

from collections.abc import Sequence
from typing import Any

import torch

from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.engine.stack import LayerStack


def sentence_nll_nats(model: Any, sentence: Sequence[int]) -> float:
    """Negative log-likelihood of a sentence's tokens after the first, in nats, by one plain forward pass."""
    input_ids = torch.tensor([list(sentence)], device=next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(input_ids=input_ids, use_cache=False).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, input_ids[0, 1:], reduction="sum"))


def score(stack: LayerStack, sentences: Sequence[Sequence[int]], intervention: Intervention) -> list[float]:
    """Negative log-likelihood of each sentence, in nats, with the intervention applied in place."""
    with stack.applied(intervention):
        return [sentence_nll_nats(stack.model, sentence) for sentence in sentences]


def scores(
    stack: LayerStack,
    sentences: Sequence[Sequence[int]],
    variants: Sequence[Intervention],
    progress: Progress | None = None,
) -> dict[Intervention, list[float]]:
    """The same result as `engine.sweep.sweep`, for models whose layers cannot take copies in one call."""
    with (progress or SilentProgress()).stage("scoring", len(variants)) as advance:
        scored: dict[Intervention, list[float]] = {}
        for variant in variants:
            scored[variant] = score(stack, sentences, variant)
            advance(1)
        return scored
