"""Training in phases: only the layers that run cost anything, and only those that are trained have gradients."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional

from anatomy_bench.base.progress import Advance
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import (
    GrowthModel,
    clone_layer,
    round_otherwise,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    GIGA,
    Phase,
    Trained,
    Training,
    Validation,
    step_flops,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import END, GrowthText, Ids
from anatomy_bench.values.randomness import generator


def torch_generator(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU, of its own for each purpose."""
    return torch.Generator().manual_seed(int(generator(seed, purpose).integers(2**63)))


def train(training: Training, sentences: Sequence[str], device: torch.device, advance: Advance) -> Trained:
    """Train one model from scratch.

    Args:
        training: what to do.
        sentences: the text that `training.text` names.
        device: to train on.
        advance: told of every 10⁹ floating-point operations.
    """
    setup = training.setup
    text = GrowthText(sentences, setup, training.seed)
    model = GrowthModel(setup.architecture, torch_generator(training.seed, "growth weights")).to(device)
    if training.rounding_seed is not None:
        round_otherwise(model, torch_generator(training.rounding_seed, "growth rounding"))
    assert len(text.vocabulary.words) == setup.architecture.vocabulary
    assert model.parameter_count == setup.architecture.parameters
    validations, seconds = _train(model, training, text, device, advance)
    running = training.phases[-1].running
    prompts = [text.vocabulary.encode(prompt) for prompt in setup.prompts]
    completions = complete(model, prompts, running, setup.completion_tokens)
    return Trained(
        parameters=model.parameter_count,
        steps=training.steps,
        flops=training.flops,
        seconds=seconds,
        validations=tuple(validations),
        completions=tuple(text.vocabulary.decode([id_ for id_ in ids if id_ != END]) for ids in completions),
        ended=tuple(ids[-1] == END for ids in completions),
    )


def _train(
    model: GrowthModel, training: Training, text: GrowthText, device: torch.device, advance: Advance
) -> tuple[list[Validation], float]:
    """All phases; the validations, and the seconds of the steps alone."""
    noise = torch_generator(training.seed, "growth noise")
    seen, held_out = (_on(text.validation(each), device) for each in (text.seen, text.held_out))
    batches = text.batches()
    validations: list[Validation] = []
    done, seconds = 0, 0.0
    for phase in training.phases:
        started = time.perf_counter()
        for clone in phase.clones:
            clone_layer(model, clone, noise)
        step = _stepper(model, training, phase)
        seconds += time.perf_counter() - started
        for steps in _stretches(phase.steps, training.setup.evaluate_every):
            started = time.perf_counter()
            losses = [step(_on(batch, device)) for batch in islice(batches, steps)]
            mean = float(torch.stack(losses).mean())  # waits for the device
            seconds += time.perf_counter() - started
            done += steps
            advance(steps * step_flops(training.setup, phase) // GIGA)
            validations.append(
                Validation(done, mean, *(validation_loss(model, rows, phase.running) for rows in (seen, held_out)))
            )
    return validations, seconds


def _stretches(steps: int, longest: int) -> Iterator[int]:
    """How many steps to take before each validation."""
    for start in range(0, steps, longest):
        yield min(longest, steps - start)


def _stepper(model: GrowthModel, training: Training, phase: Phase) -> Callable[[Tensor], Tensor]:
    """Freeze what the phase does not train; return its training step, which begins with a new optimiser."""
    model.requires_grad_(False)
    model.zero_grad()
    for layer in phase.trained:
        model.layers[layer].requires_grad_(True)
    for shared in (model.embedding, model.norm):
        shared.requires_grad_(phase.trains_embedding)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    setup = training.setup
    optimiser = torch.optim.AdamW(trained, lr=training.learning_rate, weight_decay=setup.weight_decay, fused=True)

    def step(rows: Tensor) -> Tensor:
        optimiser.zero_grad()
        loss = next_token_loss(model, rows, phase.running)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, setup.gradient_norm, foreach=True)
        optimiser.step()
        return loss.detach()

    return step


def next_token_loss(model: GrowthModel, rows: Tensor, running: Sequence[int]) -> Tensor:
    """Mean negative log-likelihood in nats of every token but the first of each row."""
    logits = model(rows[:, :-1], running)
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def validation_loss(model: GrowthModel, rows: Tensor, running: Sequence[int]) -> float:
    """The same as a number, without a graph."""
    return float(next_token_loss(model, rows, running))


@torch.no_grad()
def complete(
    model: GrowthModel, prompts: Sequence[Sequence[int]], running: Sequence[int], at_most: int
) -> list[list[int]]:
    """The likeliest next tokens of each prompt, one after another, up to the end of a sentence.

    Prompts go together, padded on the right, which attention to earlier tokens alone never sees.
    """
    rows = [list(prompt) for prompt in prompts]
    device = model.embedding.weight.device
    for _ in range(at_most):
        open_rows = [row for row, prompt in zip(rows, prompts, strict=True) if END not in row[len(prompt) :]]
        if not open_rows:
            break
        longest = max(map(len, open_rows))
        padded = torch.tensor([row + [END] * (longest - len(row)) for row in open_rows], device=device)
        last = torch.tensor([len(row) - 1 for row in open_rows], device=device)
        likeliest = model(padded, running)[torch.arange(len(open_rows), device=device), last].argmax(dim=-1)
        for row, token in zip(open_rows, likeliest.tolist(), strict=True):
            row.append(token)
    return [row[len(prompt) :] for row, prompt in zip(rows, prompts, strict=True)]


def _on(rows: Ids, device: torch.device) -> Tensor:
    return torch.from_numpy(rows).to(device)
