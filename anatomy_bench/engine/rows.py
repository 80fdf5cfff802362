"""Rows of a batch: sentences padded beside each other, and copies of them in the arguments of a layer.

Sentences are padded on the right and no attention mask is passed: attention is
causal (checked when a subject is loaded), so real tokens never see padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anatomy_bench.engine.stack import with_hidden


@dataclass(frozen=True)
class Padded:
    """Sentences of like length, padded on the right.

    Attributes:
        input_ids: shape (sentences, tokens).
        is_target: shape (sentences, tokens − 1); whether the token after a position is real.
    """

    input_ids: Tensor
    is_target: Tensor

    @property
    def targets(self) -> Tensor:
        """The real tokens that are predicted, in reading order; shape (targets,)."""
        return self.input_ids[:, 1:][self.is_target]

    @property
    def sentence_of_targets(self) -> Tensor:
        """Place of each target's sentence; shape (targets,)."""
        return self.is_target.nonzero()[:, 0]

    def before_targets(self, rows: Tensor) -> Tensor:
        """Of something at every position, shape (copies, sentences, tokens, width), what is just before the targets.

        Returns:
            Shape (copies, targets, width).
        """
        return rows[:, :, :-1][:, self.is_target]


def batches_of_like_length(sentences: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Indices of sentences of like length, so many that their padded tokens stay within the bound."""
    batches: list[list[int]] = [[]]
    for each in sorted(range(len(sentences)), key=lambda index: len(sentences[index])):
        if batches[-1] and (len(batches[-1]) + 1) * len(sentences[each]) > tokens:
            batches.append([])
        batches[-1].append(each)
    return batches


def pad(sentences: Sequence[Sequence[int]], device: torch.device) -> Padded:
    """Sentences beside each other on a device."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    input_ids = torch.zeros((len(sentences), int(lengths.max())), dtype=torch.long)
    for row, sentence in zip(input_ids, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(list(sentence))
    is_target = torch.arange(1, input_ids.shape[1])[None] < lengths[:, None]
    return Padded(input_ids.to(device), is_target.to(device))


def joined(
    streams: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A layer's arguments for several streams at once."""
    rows, copies = streams[0].shape[0], len(streams)
    return with_hidden(torch.cat(list(streams)), tiled(args, rows, copies), tiled(kwargs, rows, copies))


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
