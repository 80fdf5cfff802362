"""Score many interventions in one walk over the layers.

The rows of a batch are the clean sentences and, for every intervention, a copy of
them. A copy is born at the first layer that its intervention touches, computed there
with the changed weights from the clean stream; every later layer is shared, so that
all copies pass it in one batched call. For L layers that makes about 2 L layer calls
where separate forward passes make L². The model runs its own forward around them, so
masks, rotary embeddings and sliding windows are the model's own.

Sentences are padded on the right and no attention mask is passed: attention is
causal (checked when a subject is loaded), so real tokens never see padding.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from anatomy_bench.engine import naive
from anatomy_bench.engine.head import captured_head_input, logits_of
from anatomy_bench.engine.memory import in_pieces_that_fit
from anatomy_bench.engine.rows import Padded, batches_of_like_length, joined, pad
from anatomy_bench.engine.stack import Forward, LayerStack, hidden_input
from anatomy_bench.interventions import Intact, Intervention, Skip, change_of
from anatomy_bench.progress import Advance, Progress, SilentProgress

TOKENS_PER_WALK = 16384
"""Tokens, padding and copies included, that pass a layer in one call: bounds the memory of activations."""

VARIANTS_PER_WALK = 64
"""Interventions scored in one walk."""

_CLEAN = Intact()


def sweep(
    stack: LayerStack,
    sentences: Sequence[Sequence[int]],
    variants: Sequence[Intervention],
    progress: Progress | None = None,
) -> dict[Intervention, list[float]]:
    """Score every sentence under every intervention.

    Args:
        stack: the model's layers.
        sentences: token ids, at least two each.
        variants: interventions; `Intact()` is the baseline.
        progress: where to tell how far the work is.

    Returns:
        For each intervention the negative log-likelihood of each sentence, in nats, summed over its
        tokens after the first. The model's weights are never written.

    Raises:
        ValueError: an intervention touches a layer that the model lacks.
    """
    for layer in {layer for variant in variants for layer in variant.touched}:
        stack.require(layer)
    changed = sorted({variant for variant in variants if variant.touched}, key=lambda variant: min(variant.touched))
    groups = _chunks(changed, VARIANTS_PER_WALK) or [[]]
    batches = batches_of_like_length(sentences, TOKENS_PER_WALK // (1 + max(map(len, groups))))
    nll_nats: dict[Intervention, list[float]] = {variant: [0.0] * len(sentences) for variant in (_CLEAN, *changed)}
    layer_count = len(stack.layers)
    steps = sum(layer_count - min(variant.touched) for variant in changed) + layer_count * len(groups)
    with torch.inference_mode(), (progress or SilentProgress()).stage("scoring", steps * len(batches)) as advance:

        def walk(batch: Sequence[int], group: Sequence[Intervention]) -> None:
            padded = pad([sentences[each] for each in batch], stack.device)
            for variant, row in _Walk(stack, padded, group, advance).run().items():
                for each, value in zip(batch, row, strict=True):
                    nll_nats[variant][each] = value

        for batch in batches:
            for group in groups:
                in_pieces_that_fit(walk, batch, group)
    return {variant: nll_nats[variant] for variant in variants}


def can_walk(stack: LayerStack) -> bool:
    """Whether copies of the sentences may share the calls of this model's layers, by trying it.

    A few architectures hold on to the number of sentences elsewhere: BLOOM hands its layers an
    entry for each head of each sentence, GPT-BigCode reshapes what its last layer returns, and
    MPT's entries, one for each head, look like one for each sentence where there are as many.
    """
    kinds: list[list[int]] = [[1, 2, 3], [3, 1]]
    variants: list[Intervention] = [Skip(0), Skip(1)]
    heads = getattr(stack.model.config.get_text_config(), "num_attention_heads", None)
    rows = heads if isinstance(heads, int) else len(kinds)
    expected = {variant: naive.score(stack, kinds, variant) for variant in variants}
    try:
        found = sweep(stack, [kinds[each % len(kinds)] for each in range(rows)], variants)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    # Rounding differs by a few units of the precision; a wrong mask or a lost stream by much more.
    tolerance = max(8 * torch.finfo(next(stack.model.parameters()).dtype).eps, 1e-3)
    return all(
        math.isclose(value, expected[variant][each % len(kinds)], rel_tol=tolerance)
        for variant, row in found.items()
        for each, value in enumerate(row)
    )


class _Walk:
    """One forward pass of the model with growing rows."""

    def __init__(self, stack: LayerStack, padded: Padded, variants: Sequence[Intervention], advance: Advance) -> None:
        self._stack = stack
        self._padded = padded
        self._variants = variants
        self._advance = advance
        self._alive: list[Intervention] = [_CLEAN]
        self._inside_layer = False

    def run(self) -> dict[Intervention, list[float]]:
        """Negative log-likelihood of each sentence, in nats, under each variant and intact."""
        with captured_head_input(self._stack) as final, self._stack.forwards(self._layer):
            self._stack.model(input_ids=self._padded.input_ids, use_cache=False)
        rows = final[0].view(len(self._alive), *self._padded.input_ids.shape, -1)
        scores = [self._sentence_nll_nats(block) for block in _target_nlls(self._stack, rows, self._padded)]
        return dict(zip(self._alive, scores, strict=True))

    def _layer(self, index: int, forward: Forward) -> Forward:
        touching = [variant for variant in self._variants if index in variant.touched]
        changes: dict[Intervention, list[Intervention]] = {}
        for variant in touching:
            changes.setdefault(change_of(variant, index, len(self._stack.layers)), []).append(variant)

        def walked(*args: Any, **kwargs: Any) -> Any:
            if self._inside_layer:  # functional_call comes back to the layer through its own forward
                return forward(*args, **kwargs)
            streams = self._streams(hidden_input(args, kwargs))
            shared = [variant for variant in self._alive if variant not in touching]
            outputs = [self._shared(forward, [streams[each] for each in shared], args, kwargs)]
            outputs += [
                self._changed(index, change, [streams.get(each, streams[_CLEAN]) for each in alike], args, kwargs)
                for change, alike in changes.items()
            ]
            self._alive = shared + [variant for alike in changes.values() for variant in alike]
            self._advance(len(self._alive))
            return self._stack.as_output(torch.cat(outputs))

        return walked

    def _streams(self, hidden: Tensor) -> dict[Intervention, Tensor]:
        """Hidden states, shape (variants alive · sentences, tokens, width), by variant."""
        return dict(zip(self._alive, hidden.chunk(len(self._alive)), strict=True))

    def _shared(
        self, forward: Forward, streams: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        """All streams that the layer's own weights serve, in one call."""
        positional, named = joined(streams, args, kwargs)
        return self._stack.as_hidden(forward(*positional, **named))

    def _changed(
        self,
        index: int,
        change: Intervention,
        streams: Sequence[Tensor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """The streams of all variants that change the layer alike, in one call: its weights are made once."""
        weights = self._stack.replacement(change, index)
        if weights is None:
            return torch.cat(list(streams))
        positional, named = joined(streams, args, kwargs)
        self._inside_layer = True
        try:
            return self._stack.as_hidden(functional_call(self._stack.layers[index], dict(weights), positional, named))
        finally:
            self._inside_layer = False

    def _sentence_nll_nats(self, target_nll: Tensor) -> list[float]:
        """Sum over each sentence's targets, given in reading order."""
        sums = torch.zeros(self._padded.is_target.shape[0], dtype=torch.float64, device=target_nll.device)
        return sums.index_add(0, self._padded.sentence_of_targets, target_nll.double()).tolist()


def _target_nlls(stack: LayerStack, rows: Tensor, padded: Padded) -> Tensor:
    """Negative log-likelihood of every real target, in nats.

    Args:
        stack: whose model has the head.
        rows: input of the head, shape (variants, sentences, tokens, width).
        padded: the sentences.

    Returns:
        Shape (variants, targets).
    """
    targets = padded.targets.repeat(rows.shape[0])
    hidden = padded.before_targets(rows).flatten(0, 1)
    pieces = [
        functional.cross_entropy(logits, targets[start : start + len(logits)], reduction="none")
        for start, logits in logits_of(stack, hidden)
    ]
    return torch.cat(pieces).view(rows.shape[0], -1)


def _chunks(items: Sequence[Intervention], size: int) -> list[Sequence[Intervention]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
