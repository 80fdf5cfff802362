"""Rows of a batch: sentences padded beside each other, and copies of them in the arguments of a layer.

Sentences are padded on the right and no attention mask is passed: attention is causal (checked when a subject is
loaded), so real tokens never see padding. A sentence's last token is left out, because nothing is predicted from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from anatomy_bench.engine.stack import with_hidden

WALK_PRICE_TOKENS = {"cpu": 8, "cuda": 512}
"""Cost of one more batch, in padded tokens: all changed weights are made again, and a GPU has more calls to queue."""


@dataclass(frozen=True)
class Padded:
    """Sentences of similar length, each without its last token, padded on the right.

    Attributes:
        input_ids: shape (sentences, tokens).
        next_ids: the token after each, shape (sentences, tokens).
        positions: of the real tokens, in reading order, as if all rows were one; shape (targets,).
        sentences: the row that each of them is in; shape (targets,), on the CPU.
    """

    input_ids: Tensor
    next_ids: Tensor
    positions: Tensor
    sentences: Tensor

    @property
    def targets(self) -> Tensor:
        """The real tokens that are predicted, in reading order; shape (targets,)."""
        return self.next_ids.flatten().index_select(0, self.positions)

    @property
    def last_targets(self) -> Tensor:
        """Which of the targets is the last of each sentence; shape (sentences,), on the CPU."""
        return self.sentences.bincount().cumsum(dim=0) - 1

    def before_targets(self, rows: Tensor) -> Tensor:
        """From something at every position, shape (copies, sentences, tokens, width), select what precedes a target.

        Returns:
            Shape (copies, targets, width).
        """
        return rows.flatten(1, 2).index_select(1, self.positions)

    def sentence_sums(self, of_targets: Tensor) -> Tensor:
        """Sums over the targets of each sentence, on the CPU, because a GPU would add in a different order every time.

        Args:
            of_targets: shape (copies, targets).

        Returns:
            Shape (copies, sentences), in float64.
        """
        sums = torch.zeros(len(of_targets), len(self.input_ids), dtype=torch.float64)
        return sums.index_add_(1, self.sentences, of_targets.cpu().double())


def batches_of_like_length(sentences: Sequence[Sequence[int]], tokens: int, price: int = 0) -> list[list[int]]:
    """Indices of sentences of similar length, in batches whose padded tokens stay within the bound.

    The sentences are sorted by length and cut where the sum of all padded tokens and of the price of every batch is
    smallest.

    Args:
        sentences: token ids.
        tokens: bound on the padded tokens of a batch, unless it has only one sentence.
        price: of a batch, in padded tokens.
    """
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    cheapest, cuts = [0], [0]
    for end, last in enumerate(order, 1):
        longest = len(sentences[last])
        starts = range(max(0, end - max(1, tokens // longest)), end)
        costs = {start: cheapest[start] + price + (end - start) * longest for start in starts}
        cuts.append(min(costs, key=lambda start: costs[start]))
        cheapest.append(costs[cuts[-1]])
    ends = [len(order)]
    while ends[0]:
        ends.insert(0, cuts[ends[0]])
    return [order[start:end] for start, end in pairwise(ends)]


def pad(sentences: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Sentences beside each other on a device.

    Which tokens are real is worked out here, on the host: a mask on a GPU would be waited for at every use.
    """
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    ids = torch.zeros((len(sentences), int(lengths.max())), dtype=torch.long)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(list(sentence))
    is_real = torch.arange(1, ids.shape[1])[None] < lengths[:, None]
    positions = is_real.flatten().nonzero()[:, 0]
    ids = ids.to(device)
    return Padded(ids[:, :-1], ids[:, 1:], positions.to(device), positions // is_real.shape[1])


def joined(
    streams: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A layer's arguments for several streams at once."""
    rows, copies = streams[0].shape[0], len(streams)
    hidden = streams[0] if copies == 1 else torch.cat(list(streams))
    return with_hidden(hidden, tiled(args, rows, copies), tiled(kwargs, rows, copies))


def tiled(value: Any, rows: int, copies: int) -> Any:
    """Arguments with one entry per row (masks, rotary embeddings), repeated for each copy of the rows."""
    if copies == 1:
        return value
    if isinstance(value, Tensor):
        is_per_row = value.ndim > 1 and value.shape[0] == rows > 1
        return value.repeat(copies, *[1] * (value.ndim - 1)) if is_per_row else value
    if isinstance(value, tuple):
        return tuple(tiled(each, rows, copies) for each in value)
    if isinstance(value, dict):
        return {key: tiled(each, rows, copies) for key, each in value.items()}
    return value
