"""Rows of a batch: sentences padded beside each other, and copies of them in the arguments of a layer.

Sentences are padded on the right and no attention mask is passed: attention is
causal (checked when a subject is loaded), so real tokens never see padding. Nor is
a sentence's last token read: nothing is predicted from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from anatomy_bench.engine.stack import with_hidden

WALK_PRICE_TOKENS = {"cpu": 8, "cuda": 512}
"""What another batch costs, in padded tokens: it makes all changed weights anew, and a GPU has more calls to queue."""


@dataclass(frozen=True)
class Padded:
    """Sentences of like length, each without its last token, padded on the right.

    Attributes:
        input_ids: shape (sentences, tokens).
        next_ids: the token after each, shape (sentences, tokens).
        is_real: whether it is one of the sentence's; shape (sentences, tokens).
    """

    input_ids: Tensor
    next_ids: Tensor
    is_real: Tensor

    @property
    def targets(self) -> Tensor:
        """The real tokens that are predicted, in reading order; shape (targets,)."""
        return self.next_ids[self.is_real]

    @property
    def last_targets(self) -> Tensor:
        """Which of the targets is the last of each sentence; shape (sentences,), on the CPU."""
        return self.is_real.cpu().sum(dim=1).cumsum(dim=0) - 1

    def before_targets(self, rows: Tensor) -> Tensor:
        """Of something at every position, shape (copies, sentences, tokens, width), what is just before the targets.

        Returns:
            Shape (copies, targets, width).
        """
        return rows[:, self.is_real]

    def sentence_sums(self, of_targets: Tensor) -> Tensor:
        """Sums over the targets of each sentence, on the CPU: a GPU would add in another order every time.

        Args:
            of_targets: shape (copies, targets).

        Returns:
            Shape (copies, sentences), in float64.
        """
        sentences = self.is_real.cpu().nonzero()[:, 0]
        sums = torch.zeros(len(of_targets), len(self.is_real), dtype=torch.float64)
        return sums.index_add_(1, sentences, of_targets.cpu().double())


def batches_of_like_length(sentences: Sequence[Sequence[int]], tokens: int, price: int = 0) -> list[list[int]]:
    """Indices of sentences of like length, in batches whose padded tokens stay within the bound.

    Of all ways to cut the sentences in order of their length, the one of the fewest padded tokens in all, where
    every batch costs some more.

    Args:
        sentences: token ids.
        tokens: bound on a batch of several sentences.
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
    """Sentences beside each other on a device."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    ids = torch.zeros((len(sentences), int(lengths.max())), dtype=torch.long)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(list(sentence))
    is_real = torch.arange(1, ids.shape[1])[None] < lengths[:, None]
    ids = ids.to(device)
    return Padded(ids[:, :-1], ids[:, 1:], is_real.to(device))


def joined(
    streams: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A layer's arguments for several streams at once."""
    rows, copies = streams[0].shape[0], len(streams)
    hidden = streams[0] if copies == 1 else torch.cat(list(streams))
    return with_hidden(hidden, tiled(args, rows, copies), tiled(kwargs, rows, copies))


def tiled(value: Any, rows: int, copies: int) -> Any:
    """Arguments that hold one entry a row (masks, rotary embeddings), repeated for each copy of the rows."""
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
