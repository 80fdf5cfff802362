"""Train copies of many layers at once, each alone in a model that is otherwise intact.

A step computes the clean streams of its sentences once. At layer l, the trainable copy of l turns the clean stream into
a new row of sentences. All rows then pass each later layer, which is frozen, in one call. Copies share no parameter and
no row, so the gradient of the summed losses is each copy's own. After every step the scored sentences pass the layers
in the same way, from clean streams that are computed once for all steps.

The model's own weights are never written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.engine.head import logits_of, target_nll_nats, without_logits
from anatomy_bench.engine.limits import TOKENS_PER_CALL, TOKENS_PER_TRAINING_WALK
from anatomy_bench.engine.rows import WALK_PRICE_TOKENS, Padded, batches_of_like_length, pad, tiled
from anatomy_bench.engine.stack import Forward, LayerStack, hidden_input, with_hidden
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import Optimiser, TrainedLayer

Sentences = Sequence[Sequence[int]]
"""Token ids of each sentence, at least two."""


def recover(
    stack: LayerStack,
    batches: Sequence[Sentences],
    scored: Sentences,
    starts: Sequence[GaussianNoise],
    optimiser: Optimiser,
    *,
    progress: Progress | None = None,
) -> dict[GaussianNoise, TrainedLayer]:
    """Train each noised layer alone, and score the model before and after every step.

    Args:
        stack: the model's layers.
        batches: the sentences of each step.
        scored: sentences to score.
        starts: the layers, each with its noise.
        optimiser: of each layer's parameters.
        progress: where to report progress.
    """
    copies = [_Copy(stack, start, optimiser) for start in sorted(starts, key=lambda start: start.layer)]
    layers = {copy.layer for copy in copies}
    with frozen(stack.model), (progress or SilentProgress()).stage("recovery", len(batches)) as advance:
        scoring = _Scoring(stack, scored, layers)
        scoring.note(copies)
        for batch in batches:
            padded = pad(batch, stack.device)
            clean = clean_inputs(stack, padded, layers)
            for group in _groups(copies, padded):
                _train(stack, padded, clean, group)
            scoring.note(copies)
            advance(1)
    return {
        copy.start: TrainedLayer(tuple(copy.scored_nll_nats), tuple(copy.loss_nats))
        for copy in sorted(copies, key=lambda copy: starts.index(copy.start))
    }


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Turn gradients off for all parameters of the model; afterwards restore each as it was."""
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)


class _Copy:
    """The trainable copy of a layer, with its results so far.

    Its weights are float32 even if the model computes in a lower precision: an update of a ten-thousandth would be lost
    in a weight of half precision.
    """

    def __init__(self, stack: LayerStack, start: GaussianNoise, optimiser: Optimiser) -> None:
        weights = stack.replacement(start, start.layer)
        assert weights is not None
        self.start = start
        self.layer = start.layer
        self.scored_nll_nats: list[tuple[float, ...]] = []
        self.loss_nats: list[float] = []
        self._dtypes = {name: tensor.dtype for name, tensor in weights.items()}
        self._weights = {name: tensor.detach().float().clone().requires_grad_() for name, tensor in weights.items()}
        self._clipped_to = optimiser.gradient_norm
        self._adamw = torch.optim.AdamW(
            self._weights.values(), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay, fused=True
        )

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights in the model's precision."""
        return {name: tensor.to(self._dtypes[name]) for name, tensor in self._weights.items()}

    def update(self) -> None:
        """Make one step of the optimiser and clear the gradients."""
        nn.utils.clip_grad_norm_(self._weights.values(), self._clipped_to)
        self._adamw.step()
        self._adamw.zero_grad()


def clean_inputs(stack: LayerStack, padded: Padded, layers: set[int]) -> dict[int, Tensor]:
    """The input of some layers of the intact model, each of shape (sentences, tokens, width)."""
    inputs: dict[int, Tensor] = {}

    def observed(index: int, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            if index in layers:
                inputs[index] = hidden_input(args, kwargs)
            return forward(*args, **kwargs) if index < max(layers) else stack.pass_by(*args, **kwargs)

        return run

    with torch.no_grad(), without_logits(stack), stack.forwards(observed):
        stack.model(input_ids=padded.input_ids, use_cache=False)
    return inputs


class _Walk:
    """One forward pass of the model in which new rows begin at the copies' layers."""

    def __init__(self, stack: LayerStack, padded: Padded, clean: Mapping[int, Tensor], copies: Sequence[_Copy]) -> None:
        self._stack = stack
        self._padded = padded
        self._clean = clean
        self._copies = copies
        self._alive = 0
        self._rows: Tensor
        self._inside_layer = False

    def run(self) -> Tensor:
        """Output of the last layer just before each target; shape (copies, targets, width)."""
        with without_logits(self._stack), self._stack.forwards(self._layer):
            self._stack.model(input_ids=self._padded.input_ids, use_cache=False)
        return self._padded.before_targets(self._rows.view(len(self._copies), *self._padded.input_ids.shape, -1))

    def _layer(self, index: int, forward: Forward) -> Forward:
        born = [copy for copy in self._copies if copy.layer == index]

        def walked(*args: Any, **kwargs: Any) -> Any:
            if self._inside_layer:  # functional_call reaches the layer through its replaced forward
                return forward(*args, **kwargs)
            if not self._alive and not born:
                return self._stack.pass_by(*args, **kwargs)
            outputs = self._shared(forward, args, kwargs) if self._alive else []
            outputs += [self._born(copy, args, kwargs) for copy in born]
            self._alive += len(born)
            self._rows = torch.cat(outputs)
            return self._stack.as_output(self._rows)

        return walked

    def _shared(self, forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
        """Pass all rows that began earlier through the frozen layer, as many in a call as run fastest."""
        rows = self._padded.input_ids.shape[0]
        copies_per_call = max(1, TOKENS_PER_CALL[self._stack.device.type] // self._padded.input_ids.numel())
        outputs: list[Tensor] = []
        for hidden in torch.split(hidden_input(args, kwargs), rows * copies_per_call):
            copies = len(hidden) // rows
            positional, named = with_hidden(hidden, tiled(args, rows, copies), tiled(kwargs, rows, copies))
            outputs.append(self._stack.as_hidden(forward(*positional, **named)))
        return outputs

    def _born(self, copy: _Copy, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        positional, named = with_hidden(self._clean[copy.layer], args, kwargs)
        self._inside_layer = True
        try:
            layer = self._stack.layers[copy.layer]
            return self._stack.as_hidden(functional_call(layer, copy.weights, positional, named))
        finally:
            self._inside_layer = False


def _train(stack: LayerStack, padded: Padded, clean: Mapping[int, Tensor], copies: Sequence[_Copy]) -> None:
    """Train each copy for one step."""
    with torch.enable_grad():
        hidden = _Walk(stack, padded, clean, copies).run()
        # The head's part of the gradient is computed for a chunk of logits at a time, then that of the layers at once.
        given = hidden.detach().requires_grad_()
        count = given.shape[1]
        targets = padded.targets.repeat(len(copies))
        pieces: list[Tensor] = []
        for start, logits in logits_of(stack, given.flatten(0, 1)):
            nll_nats = functional.cross_entropy(logits.float(), targets[start : start + len(logits)], reduction="none")
            torch.autograd.backward(nll_nats.sum() / count)
            pieces.append(nll_nats.detach())
        torch.autograd.backward(hidden, given.grad)
    for copy, loss in zip(copies, torch.cat(pieces).view(len(copies), count).mean(dim=1).tolist(), strict=True):
        copy.update()
        copy.loss_nats.append(loss)


@dataclass(frozen=True)
class _ScoredBatch:
    """A batch of scored sentences of similar length.

    Attributes:
        indices: of the sentences among all.
        padded: the sentences beside each other.
        clean: the input of the trained layers in the intact model.
    """

    indices: Sequence[int]
    padded: Padded
    clean: Mapping[int, Tensor]


class _Scoring:
    """The scored sentences in batches; their clean streams never change."""

    def __init__(self, stack: LayerStack, sentences: Sentences, layers: set[int]) -> None:
        self._stack = stack
        self._sentences = len(sentences)
        self._batches: list[_ScoredBatch] = []
        bound = TOKENS_PER_TRAINING_WALK // len(layers)
        for indices in batches_of_like_length(sentences, bound, WALK_PRICE_TOKENS[stack.device.type]):
            padded = pad([sentences[index] for index in indices], stack.device)
            self._batches.append(_ScoredBatch(indices, padded, clean_inputs(stack, padded, layers)))

    def note(self, copies: Sequence[_Copy]) -> None:
        """Score every sentence under the present state of every copy."""
        scores = torch.zeros(len(copies), self._sentences, dtype=torch.float64)
        with torch.no_grad():
            for batch in self._batches:
                scored = [self._score(batch, group) for group in _groups(copies, batch.padded)]
                scores[:, list(batch.indices)] = torch.cat(scored)
        for copy, row in zip(copies, scores.tolist(), strict=True):
            copy.scored_nll_nats.append(tuple(row))

    def _score(self, batch: _ScoredBatch, copies: Sequence[_Copy]) -> Tensor:
        """Sum over each sentence's targets; shape (copies, sentences)."""
        hidden = _Walk(self._stack, batch.padded, batch.clean, copies).run()
        targets = batch.padded.targets.repeat(len(copies))
        nll_nats = target_nll_nats(self._stack, hidden.flatten(0, 1), targets).view(len(copies), -1)
        return batch.padded.sentence_sums(nll_nats)


def _groups(copies: Sequence[_Copy], padded: Padded) -> list[Sequence[_Copy]]:
    """Groups of copies, in the order of their layers, whose rows together stay within the bound."""
    size = max(1, TOKENS_PER_TRAINING_WALK // padded.input_ids.numel())
    return [copies[start : start + size] for start in range(0, len(copies), size)]
