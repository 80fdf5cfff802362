"""The plain reference of `batched.py`: one layer, one sentence, one whole forward pass at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.engine.naive import sentence_nll_nats
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import Optimiser, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import Sentences, frozen


def recover_plainly(
    stack: LayerStack,
    batches: Sequence[Sentences],
    scored: Sentences,
    starts: Sequence[GaussianNoise],
    optimiser: Optimiser,
    *,
    progress: Progress | None = None,
) -> dict[GaussianNoise, TrainedLayer]:
    """The same result as `batched.recover`, for models whose layers cannot take copies in one call.

    The layer is trained in place and in the model's own precision, and restored to the bit.
    """
    with (progress or SilentProgress()).stage("recovery", len(starts)) as advance:
        recovered: dict[GaussianNoise, TrainedLayer] = {}
        for start in starts:
            recovered[start] = _recover_one(stack, batches, scored, start, optimiser)
            advance(1)
        return recovered


def _recover_one(
    stack: LayerStack, batches: Sequence[Sentences], scored: Sentences, start: GaussianNoise, optimiser: Optimiser
) -> TrainedLayer:
    parameters = list(stack.weights_of(start.layer).values())
    losses: list[float] = []
    with frozen(stack.model), stack.applied(start), asking(parameters):
        adamw = torch.optim.AdamW(parameters, lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay)
        curve = [_scores(stack, scored)]
        for batch in batches:
            adamw.zero_grad()
            losses.append(_descend(stack, batch))
            nn.utils.clip_grad_norm_(parameters, optimiser.gradient_norm)
            adamw.step()
            curve.append(_scores(stack, scored))
    return TrainedLayer(tuple(curve), tuple(losses))


@contextmanager
def asking(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Turn gradients on for these parameters only, and leave no gradient behind."""
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None


def _scores(stack: LayerStack, sentences: Sentences) -> tuple[float, ...]:
    return tuple(sentence_nll_nats(stack.model, sentence) for sentence in sentences)


def _descend(stack: LayerStack, batch: Sentences) -> float:
    """Add up the gradients of a batch's mean loss; return that loss."""
    targets = sum(len(sentence) - 1 for sentence in batch)
    total = 0.0
    for sentence in batch:
        input_ids = torch.tensor([list(sentence)], device=stack.device)
        with torch.enable_grad():
            logits = stack.model(input_ids=input_ids, use_cache=False).logits[0, :-1].float()
            loss = nn.functional.cross_entropy(logits, input_ids[0, 1:], reduction="sum") / targets
            torch.autograd.backward(loss)
        total += float(loss.detach())
    return total
