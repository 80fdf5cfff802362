"""The map of all layers as others make it: with whole forward passes, one variant at a time."""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from measuring import flops_of
from torch.nn import functional

from anatomy_bench.engine import naive
from anatomy_bench.engine.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.engine.stack import LayerStack

Sentences = Sequence[Sequence[int]]
Scores = dict[Intervention, list[float]]
Loop = Callable[[Sentences, Sequence[Intervention]], Scores]
"""Scores every sentence under every variant, on a model that it was made for."""


def average_and_skip(stack: LayerStack) -> list[Intervention]:
    """The intact model, and each layer averaged away and skipped: one more than twice as many as layers."""
    layers = range(len(stack.layers))
    return [Intact(), *(make(layer=layer) for layer in layers for make in (NeighbourAverage, Skip))]


def naive_loop(stack: LayerStack, sentences: Sentences, variants: Sequence[Intervention]) -> Scores:
    """The paper's way: weights changed in place, then a forward pass for every sentence."""
    return {variant: naive.score(stack, sentences, variant) for variant in variants}


def batched_loop(stack: LayerStack, sentences: Sentences, variants: Sequence[Intervention]) -> Scores:
    """A user's way: weights changed in place, then one forward pass for all sentences, padded and masked."""
    batch = MaskedBatch(sentences, stack.device)
    scores: Scores = {}
    for variant in variants:
        with stack.applied(variant), torch.inference_mode():
            logits = stack.model(input_ids=batch.input_ids, attention_mask=batch.mask, use_cache=False).logits
            scores[variant] = batch.nll_nats(logits)
    return scores


def loop_flops(loop: Loop, sentences: Sentences, variants: Sequence[Intervention]) -> tuple[Scores, int]:
    """Scores of one variant of each kind, and the operations of all: those of a loop depend on the kind alone."""
    kinds = Counter(map(type, variants))
    examples = {type(variant): variant for variant in variants}
    scores: Scores = {}
    total = 0
    for kind, example in examples.items():
        found, flops = flops_of(lambda example=example: loop(sentences, [example]))
        scores |= found
        total += kinds[kind] * flops
    return scores, total


class MaskedBatch:
    """Sentences padded on the right, with an attention mask, as the libraries' own guides have it.

    Attributes:
        input_ids: shape (sentences, tokens).
        mask: 1 where a token is real, of the same shape.
    """

    def __init__(self, sentences: Sentences, device: torch.device) -> None:
        rows = [torch.tensor(list(each)) for each in sentences]
        self.input_ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        ones = [torch.ones_like(each) for each in rows]
        self.mask = torch.nn.utils.rnn.pad_sequence(ones, batch_first=True).to(device)

    def nll_of(self, logits: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of each sentence, from logits of shape (sentences, tokens, vocabulary)."""
        nll = functional.cross_entropy(logits[:, :-1].float().transpose(1, 2), self.input_ids[:, 1:], reduction="none")
        return (nll * self.mask[:, 1:]).sum(dim=1)

    def nll_nats(self, logits: torch.Tensor) -> list[float]:
        """The same as numbers."""
        nll: list[float] = self.nll_of(logits).tolist()
        return nll
