"""Score many interventions in one walk over the layers.

The model runs its own forward pass on the clean sentences, so masks, rotary embeddings and sliding windows are the
model's own. Each intervention has a copy of the sentences beside them. A copy begins at the first layer that its
intervention touches, where it is computed from the clean stream with the changed weights. Every later layer is shared:
copies pass it together, as many in a call as run fastest. This halves the layers that separate forward passes would
compute, and computes them in products of thousands of rows.

Sentences are padded on the right and no attention mask is passed: attention is
causal (checked when a subject is loaded), so real tokens never see padding.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from anatomy_bench.base.progress import Advance, Progress, SilentProgress
from anatomy_bench.engine import naive
from anatomy_bench.engine.head import target_nll_nats, without_logits
from anatomy_bench.engine.interventions import Intact, Intervention, Skip
from anatomy_bench.engine.limits import TOKENS_PER_CALL, TOKENS_PER_WALK, VARIANTS_PER_WALK
from anatomy_bench.engine.memory import in_pieces_that_fit
from anatomy_bench.engine.rows import WALK_PRICE_TOKENS, Padded, batches_of_like_length, joined, pad
from anatomy_bench.engine.stack import Forward, LayerStack, hidden_input

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
        progress: where to report progress.

    Returns:
        For each intervention the negative log-likelihood of each sentence, in nats, summed over its
        tokens after the first. The model's weights are never written.

    Raises:
        ValueError: an intervention touches a layer that the model lacks.
    """
    for layer in {layer for variant in variants for layer in variant.touched}:
        stack.require(layer)
    distinct = dict.fromkeys(variant for variant in variants if variant.touched)
    changed = sorted(distinct, key=lambda variant: min(variant.touched))
    groups = _chunks(changed, VARIANTS_PER_WALK) or [[]]
    bound = TOKENS_PER_WALK // (1 + max(map(len, groups)))
    batches = batches_of_like_length(sentences, bound, WALK_PRICE_TOKENS[stack.device.type])
    nll_nats: dict[Intervention, list[float]] = {variant: [0.0] * len(sentences) for variant in (_CLEAN, *changed)}
    layer_count = len(stack.layers)
    steps = sum(layer_count - min(variant.touched) for variant in changed) + layer_count * len(groups)
    with torch.inference_mode(), (progress or SilentProgress()).stage("scoring", steps * len(batches)) as advance:

        def walk(batch: Sequence[int], group: Sequence[Intervention]) -> None:
            padded = pad([sentences[index] for index in batch], stack.device)
            for variant, row in _Walk(stack, padded, group, advance).run().items():
                for each, value in zip(batch, row, strict=True):
                    nll_nats[variant][each] = value

        for batch in batches:
            for group in groups:
                in_pieces_that_fit(walk, batch, group)
    return {variant: nll_nats[variant] for variant in variants}


def can_walk(stack: LayerStack) -> bool:
    """Try whether copies of the sentences may share the calls of this model's layers.

    A few architectures depend on the number of sentences elsewhere: BLOOM passes its layers an
    entry for each head of each sentence, GPT-BigCode reshapes what its last layer returns, and
    MPT's entries, one per head, look like one per sentence if both numbers are equal.
    Layers that hand keys and values on (Gemma 3n) would hand on those of other copies. A single sentence is tried by
    itself: Zamba 2 passes its layers the embedded sentences as well, which nothing tells from one entry for all.
    """
    if stack.hands_on:
        return False
    kinds: list[list[int]] = [[1, 2, 3], [3, 1]]
    variants: list[Intervention] = [Skip(0), Skip(1)]
    heads = getattr(stack.model.config.get_text_config(), "num_attention_heads", None)
    rows = heads if isinstance(heads, int) else len(kinds)
    expected = {variant: naive.score(stack, kinds, variant) for variant in variants}
    try:
        found = sweep(stack, [kinds[row % len(kinds)] for row in range(rows)], variants)
        alone = sweep(stack, kinds[:1], variants)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    # Rounding changes a few units of the last place; a wrong mask or a lost stream changes much more.
    tolerance = max(8 * torch.finfo(next(stack.model.parameters()).dtype).eps, 1e-3)
    return all(
        math.isclose(value, expected[variant][each % len(kinds)], rel_tol=tolerance)
        for scores in (found, alone)
        for variant, row in scores.items()
        for each, value in enumerate(row)
    )


class _Walk:
    """One forward pass of the model, which carries the clean sentences; the copies go beside it."""

    def __init__(self, stack: LayerStack, padded: Padded, variants: Sequence[Intervention], advance: Advance) -> None:
        self._stack = stack
        self._padded = padded
        self._variants = variants
        self._advance = advance
        self._streams: dict[Intervention, Tensor] = {}
        self._copies_per_call = max(1, TOKENS_PER_CALL[stack.device.type] // padded.input_ids.numel())
        self._inside_layer = False

    def run(self) -> dict[Intervention, list[float]]:
        """Negative log-likelihood of each sentence, in nats, under each variant and intact."""
        with without_logits(self._stack), self._stack.forwards(self._layer):
            self._stack.model(input_ids=self._padded.input_ids, use_cache=False)
        return self._scores()

    def _layer(self, index: int, forward: Forward) -> Forward:
        touching = [variant for variant in self._variants if index in variant.touched]
        changes: dict[Intervention, list[Intervention]] = {}
        for variant in touching:
            changes.setdefault(variant.at(index, len(self._stack.layers)), []).append(variant)

        def walked(*args: Any, **kwargs: Any) -> Any:
            if self._inside_layer:  # functional_call reaches the layer through its replaced forward
                return forward(*args, **kwargs)
            self._streams[_CLEAN] = hidden_input(args, kwargs)
            shared = [variant for variant in self._streams if variant not in touching]
            passed = self._called(forward, shared, args, kwargs)
            for change, alike in changes.items():
                passed |= self._changed(index, change, alike, args, kwargs)
            self._streams = passed
            self._advance(len(passed))
            return self._stack.as_output(passed[_CLEAN])

        return walked

    def _changed(
        self,
        index: int,
        change: Intervention,
        alike: Sequence[Intervention],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> dict[Intervention, Tensor]:
        """The streams of all variants that change the layer in the same way, so that its weights are made once."""
        weights = self._stack.replacement(change, index)
        if weights is None:
            return {variant: self._stream(variant) for variant in alike}
        layer = self._stack.layers[index]
        self._inside_layer = True
        try:
            return self._called(
                lambda *args, **kwargs: functional_call(layer, dict(weights), args, kwargs), alike, args, kwargs
            )
        finally:
            self._inside_layer = False

    def _called(
        self, forward: Forward, variants: Sequence[Intervention], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[Intervention, Tensor]:
        """The streams of some variants after a layer, as many in a call as run fastest."""
        passed: dict[Intervention, Tensor] = {}
        for some in _chunks(variants, self._copies_per_call):
            positional, named = joined([self._stream(variant) for variant in some], args, kwargs)
            output = self._stack.as_hidden(forward(*positional, **named))
            passed |= zip(some, output.chunk(len(some)), strict=True)
        return passed

    def _stream(self, variant: Intervention) -> Tensor:
        """A variant's hidden states, shape (sentences, tokens, width); before its first layer, the clean ones."""
        return self._streams.get(variant, self._streams[_CLEAN])

    def _scores(self) -> dict[Intervention, list[float]]:
        """Sums over the targets of each sentence."""
        rows = torch.cat([self._padded.before_targets(stream[None]) for stream in self._streams.values()])
        targets = self._padded.targets.repeat(len(rows))
        nll_nats = target_nll_nats(self._stack, rows.flatten(0, 1), targets).view(len(rows), -1)
        return dict(zip(self._streams, self._padded.sentence_sums(nll_nats).tolist(), strict=True))


def _chunks(items: Sequence[Intervention], size: int) -> list[Sequence[Intervention]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
