"""Scores of hidden states against those of the intact model: log-likelihood, and Kullback-Leibler divergence."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from anatomy_bench.engine.head import logits_of
from anatomy_bench.engine.limits import TOKENS_PER_HEAD_CALL
from anatomy_bench.engine.rows import Padded
from anatomy_bench.engine.stack import LayerStack

_POSITIONS = 16
"""Positions whose distributions are compared at the same time, all copies of them: bounds the float64 part."""


def scores_against_intact(stack: LayerStack, padded: Padded, streams: Sequence[Tensor]) -> Tensor:
    """Score copies of some sentences, the first of which is intact.

    Logits are float32, their exponentials and sums float64: KL = Σ p (log p − log q) with p of the intact model.

    Args:
        stack: whose model has the head.
        padded: the sentences.
        streams: of each copy the last layer's output, shape (sentences, tokens, width).

    Returns:
        Shape (copies, sentences, 3), in float64 on the CPU: negative log-likelihood and KL(intact ‖ changed) of the
        next token, both summed over a sentence's predicted tokens, and the KL at its last one; in nats.
    """
    rows = torch.cat([padded.before_targets(stream[None]) for stream in streams])
    targets, (copies, positions) = padded.targets, rows.shape[:2]
    nats = torch.zeros(2, copies, positions, dtype=torch.float64)
    for start in range(0, positions, _POSITIONS):
        some = slice(start, start + _POSITIONS)
        intact = _Distribution(_logits(stack, rows[:1, some])[0])
        per_call = max(1, TOKENS_PER_HEAD_CALL[stack.device.type] // _POSITIONS)
        for first in range(0, copies, per_call):
            for copy, logits in enumerate(_logits(stack, rows[first : first + per_call, some]), first):
                changed = _Distribution(logits)
                nats[0, copy, some] = changed.nll_nats(targets[some]).cpu()
                nats[1, copy, some] = intact.divergence_nats(changed).cpu()
    nll_nats, kl_nats = (padded.sentence_sums(each) for each in nats)
    return torch.stack([nll_nats, kl_nats, nats[1][:, padded.last_targets]], dim=-1)


class _Distribution:
    """The next token's distribution at some positions.

    Args:
        logits: shape (positions, vocabulary).
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits.double()
        self.log_sum = self.logits.logsumexp(dim=-1)

    def nll_nats(self, targets: Tensor) -> Tensor:
        """Of targets, shape (positions,)."""
        return self.log_sum - self.logits.gather(-1, targets[:, None])[:, 0]

    def divergence_nats(self, changed: "_Distribution") -> Tensor:
        """KL(self ‖ changed), shape (positions,)."""
        weighted = (self.probabilities * (self.logits - changed.logits)).sum(dim=-1)
        return (weighted - self.log_sum + changed.log_sum).clamp(min=0)

    @cached_property
    def probabilities(self) -> Tensor:
        """Of every token, shape (positions, vocabulary)."""
        return (self.logits - self.log_sum[:, None]).exp()


def _logits(stack: LayerStack, rows: Tensor) -> Tensor:
    """In float32, shape (copies, positions, vocabulary); `rows` has the width in place of the vocabulary."""
    pieces = [logits.float() for _, logits in logits_of(stack, rows.flatten(0, 1))]
    return torch.cat(pieces).view(*rows.shape[:2], -1)
