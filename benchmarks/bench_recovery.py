"""Recovery of noised layers: each trained alone by whole forward passes, and all in one loop."""

from collections.abc import Callable, Sequence

import pytest
import torch
from loops import MaskedBatch, Sentences
from measuring import flops_of
from timing import ROUNDING, Timer, assert_same
from torch import Tensor

from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import Optimiser, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import frozen, recover
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.plain import asking, recover_plainly
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.experiment import training_text
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus

OPTIMISER = Optimiser(learning_rate=1e-4, gradient_norm=1.0, weight_decay=0.01)
STEPS, BATCH, LAYERS = 2, 4, 13
GROUP = f"recovery: {LAYERS} layers noised and trained for {STEPS} steps, ten sentences scored before and after each"

Recovered = dict[GaussianNoise, TrainedLayer]


def recover_batched(
    stack: LayerStack, batches: Sequence[Sentences], scored: Sentences, starts: Sequence[GaussianNoise], by: Optimiser
) -> Recovered:
    """A user's way: a layer at a time, all sentences of a step or of a score padded and masked in one forward pass."""
    held = MaskedBatch(scored, stack.device)
    steps = [MaskedBatch(each, stack.device) for each in batches]
    recovered: Recovered = {}
    for start in starts:
        parameters = list(stack.weights_of(start.layer).values())
        with frozen(stack.model), stack.applied(start), asking(parameters):
            adamw = torch.optim.AdamW(parameters, lr=by.learning_rate, weight_decay=by.weight_decay, fused=True)
            curve, losses = [_scores(stack, held)], []
            for step in steps:
                adamw.zero_grad()
                loss = _nll_nats(stack, step).sum() / int(step.mask[:, 1:].sum())
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(parameters, by.gradient_norm)
                adamw.step()
                losses.append(float(loss.detach()))
                curve.append(_scores(stack, held))
        recovered[start] = TrainedLayer(tuple(curve), tuple(losses))
    return recovered


def _nll_nats(stack: LayerStack, batch: MaskedBatch) -> Tensor:
    logits = stack.model(input_ids=batch.input_ids, attention_mask=batch.mask, use_cache=False).logits
    return batch.nll_of(logits)


def _scores(stack: LayerStack, batch: MaskedBatch) -> tuple[float, ...]:
    with torch.inference_mode():
        return tuple(_nll_nats(stack, batch).tolist())


WAYS: dict[str, Callable[..., Recovered]] = {
    "naive loop": recover_plainly,
    "batched loop": recover_batched,
    "one loop for all layers": recover,
}


@pytest.fixture(scope="module")
def known() -> dict[str, Recovered]:
    """What the naive loop returned, once it has run."""
    return {}


@pytest.mark.parametrize("way", WAYS)
def test_recovery(
    way: str, subject: Subject, timer: Timer, rate_of: Callable[[Subject], float], known: dict[str, Recovered]
) -> None:
    """Layers spread over the model, each from noise of half a standard deviation."""
    scored = subject.tokenize(load_corpus("ten").sentences)
    text = subject.tokenize(training_text().sentences[: STEPS * BATCH])
    batches = [text[step * BATCH : (step + 1) * BATCH] for step in range(STEPS)]
    last = len(subject.layers) - 1
    layers = sorted({round(each * last / (LAYERS - 1)) for each in range(LAYERS)})
    starts = [GaussianNoise(layer, 0.5, 0) for layer in layers]

    def run(chosen: Sequence[GaussianNoise] = starts, by: Callable[..., Recovered] = WAYS[way]) -> Recovered:
        return by(subject.stack, batches, scored, chosen, OPTIMISER)

    found, flops = flops_of(run) if way != "naive loop" else ({}, None)
    found = timer.time(run, GROUP, f"{way}, {subject.dtype}", flops=flops, product_rate=rate_of(subject))
    if way == "naive loop":
        known[way] = found
    plain = known.get("naive loop") or run(starts[-1:], recover_plainly)
    for part in ("sentence_nll_nats", "training_loss_nats"):
        assert_same(
            {start: getattr(each, part) for start, each in found.items()},
            {start: getattr(each, part) for start, each in plain.items()},
            ROUNDING[subject.dtype],
        )
