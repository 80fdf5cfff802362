"""Growth training: gradients of all layers, or of those that a phase trains; seeds one by one, or in one batch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import pytest
import torch
from measuring import product_rate
from timing import Timer, assert_same
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.arms import growth, uniform
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import GrowthModel, clone_layer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training import (
    next_token_loss,
    torch_generator,
    train,
    validation_loss,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Phase, Training
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import GrowthText, growth_corpus
from anatomy_bench.registry import get_experiment
from anatomy_bench.subject import Subject
from anatomy_bench.values.profile import Profile

STEPS = 41
"""A sixteenth of the paper's 656: some in every phase."""

SEEDS, SEED_STEPS, ROUNDS = 3, 8, 3
GROUP = f"growth: {STEPS} steps of the six phases, 12 layers"
SEEDS_GROUP = f"growth of {SEEDS} seeds: {SEED_STEPS} steps of all 12 layers for each"
ROUNDING = 1e-4


def training_of(phases: Sequence[Phase], seed: int = 0) -> Training:
    """As the experiment trains, validated at the end of each phase."""
    setup = get_experiment("growth").configure(Profile.QUICK, None).setup
    return Training(replace(setup, evaluate_every=STEPS, prompts=()), tuple(phases), 1e-3, seed, growth_corpus().digest)


def held_out_of_all_gradients(training: Training, sentences: Sequence[str], device: torch.device) -> list[float]:
    """Every running layer has gradients; an optimiser of the phase's parameters makes use of some."""
    text = GrowthText(sentences, training.setup, training.seed)
    model = GrowthModel(training.setup.architecture, torch_generator(training.seed, "growth weights")).to(device)
    noise, batches = torch_generator(training.seed, "growth noise"), text.batches()
    seen, held_out = (torch.from_numpy(text.validation(each)).to(device) for each in (text.seen, text.held_out))
    losses: list[float] = []
    for phase in training.phases:
        for clone in phase.clones:
            clone_layer(model, clone, noise)
        chosen = [model.layers[layer] for layer in phase.trained]
        chosen += [model.embedding, model.norm] if phase.trains_embedding else []
        # In the model's order: the norm of all gradients is a sum, and sums round.
        ids = {id(parameter) for module in chosen for parameter in module.parameters()}
        trained = [parameter for parameter in model.parameters() if id(parameter) in ids]
        adamw = torch.optim.AdamW(
            trained, lr=training.learning_rate, weight_decay=training.setup.weight_decay, fused=True
        )
        for rows in islice(batches, phase.steps):
            model.zero_grad()
            torch.autograd.backward(next_token_loss(model, torch.from_numpy(rows).to(device), phase.running))
            torch.nn.utils.clip_grad_norm_(trained, training.setup.gradient_norm, foreach=True)
            adamw.step()
        validation_loss(model, seen, phase.running)  # which the package's way does as well
        losses.append(validation_loss(model, held_out, phase.running))
    return losses


def held_out(training: Training, sentences: Sequence[str], device: torch.device) -> list[float]:
    """This package's way."""
    trained = train(training, sentences, device, lambda _: None)
    return [each.held_out_nats for each in trained.validations]


def held_out_one_by_one(seeds: Sequence[Training], sentences: Sequence[str], device: torch.device) -> list[float]:
    """This package's way."""
    return [loss for each in seeds for loss in held_out(each, sentences, device)]


def held_out_in_a_batch(seeds: Sequence[Training], sentences: Sequence[str], device: torch.device) -> list[float]:
    """The weights of all seeds stacked, so that each product is one batched product. They have a phase in common."""
    setup, (phase,) = seeds[0].setup, seeds[0].phases
    texts = [GrowthText(sentences, setup, each.seed) for each in seeds]
    models = [
        GrowthModel(setup.architecture, torch_generator(each.seed, "growth weights")).to(device) for each in seeds
    ]
    weights, _ = stack_module_state(models)
    adamw = torch.optim.AdamW(
        list(weights.values()), lr=seeds[0].learning_rate, weight_decay=setup.weight_decay, fused=True
    )

    def loss_of(weights: dict[str, Tensor], rows: Tensor) -> Tensor:
        logits = functional_call(models[0], weights, (rows[:, :-1], phase.running))
        return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    for batches in islice(zip(*(text.batches() for text in texts), strict=True), phase.steps):
        adamw.zero_grad()
        rows = torch.stack([torch.from_numpy(each) for each in batches]).to(device)
        with sdpa_kernel(SDPBackend.MATH):  # the others have no batched form
            loss = torch.vmap(loss_of)(weights, rows).sum()
        torch.autograd.backward(loss)
        cut_to_length([each.grad for each in weights.values() if each.grad is not None], setup.gradient_norm)
        adamw.step()
    with torch.no_grad():
        return [
            float(loss_of({name: each[index] for name, each in weights.items()}, rows))
            for index, text in enumerate(texts)
            for rows in [torch.from_numpy(text.validation(text.held_out)).to(device)]
        ]


def cut_to_length(gradients: Sequence[Tensor], longest: float) -> None:
    """Cut the gradients of each model, stacked along the first axis, to a length in common, as PyTorch does for one."""
    lengths = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients]).norm(dim=0)
    factors = (longest / (lengths + 1e-6)).clamp(max=1)
    for each in gradients:
        each.mul_(factors.view(-1, *[1] * (each.ndim - 1)))


WAYS: dict[str, Callable[..., list[float]]] = {
    "all gradients": held_out_of_all_gradients,
    "those that are used": held_out,
}


WAYS_OF_SEEDS: dict[str, Callable[..., list[float]]] = {
    "one by one": held_out_one_by_one,
    "in one batch": held_out_in_a_batch,
}


def rate_of_products(arm: Training, device: torch.device) -> float:
    """Floating-point operations a second of plain products with the model's matrices and as many rows as a step has."""
    model = GrowthModel(arm.setup.architecture, torch_generator(0, "growth weights")).to(device)
    matrices = [each for each in model.parameters() if each.ndim > 1]
    return product_rate(matrices, arm.setup.rows * arm.setup.window_tokens)


@pytest.mark.parametrize("way", WAYS)
def test_growth(way: str, subject: Subject, timer: Timer) -> None:
    """All phases, from fresh weights to the last validation."""
    arm, sentences, device = training_of(growth(STEPS)), growth_corpus().sentences, subject.device
    found = timer.time(
        lambda: WAYS[way](arm, sentences, device),
        GROUP,
        f"{way}, float32",
        rounds=ROUNDS,
        flops=arm.flops if WAYS[way] is held_out else None,
        product_rate=rate_of_products(arm, device),
    )
    plain = held_out_of_all_gradients(arm, sentences, device) if WAYS[way] is held_out else found
    assert_same({"held out": found}, {"held out": plain}, ROUNDING)


@pytest.mark.parametrize("way", WAYS_OF_SEEDS)
def test_seeds(way: str, subject: Subject, timer: Timer) -> None:
    """The first steps of uniform training, and a validation."""
    sentences, device = growth_corpus().sentences, subject.device
    seeds = [training_of(uniform(SEED_STEPS), seed) for seed in range(SEEDS)]
    found = timer.time(
        lambda: WAYS_OF_SEEDS[way](seeds, sentences, device),
        SEEDS_GROUP,
        f"{way}, float32",
        rounds=ROUNDS,
        flops=sum(each.flops for each in seeds),
        product_rate=rate_of_products(seeds[0], device),
    )
    plain = [held_out_of_all_gradients(each, sentences, device)[-1] for each in seeds]
    assert_same({"held out": found}, {"held out": plain}, ROUNDING)
