"""Growth training: freezing with the gradients of all layers at hand, and with those of a phase alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import pytest
import torch
from measuring import product_rate
from timing import Timer, assert_same

from anatomy_bench.corpus import load_corpus
from anatomy_bench.engine.growth import next_token_loss, torch_generator, train, validation_loss
from anatomy_bench.engine.growth_model import GrowthModel, clone_layer
from anatomy_bench.experiments import Profile, get_experiment
from anatomy_bench.experiments.growth import TEXT
from anatomy_bench.growth_arms import growth
from anatomy_bench.growth_schedule import Training
from anatomy_bench.growth_text import GrowthText
from anatomy_bench.subject import Subject

STEPS = 16
"""Of the paper's 656: some in every phase."""

GROUP = f"growth: {STEPS} steps of the six phases, 12 layers"
ROUNDING = 1e-4


def growth_training() -> Training:
    """The paper's schedule in few steps, validated at the end of each phase."""
    setup = get_experiment("growth").configure(Profile.QUICK, None).setup
    return Training(replace(setup, evaluate_every=STEPS, prompts=()), growth(STEPS), 1e-3, 0, load_corpus(TEXT).digest)


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


WAYS: dict[str, Callable[..., list[float]]] = {
    "all gradients": held_out_of_all_gradients,
    "those that are used": held_out,
}


@pytest.mark.parametrize("way", WAYS)
def test_growth(way: str, subject: Subject, timer: Timer) -> None:
    """All phases, from fresh weights to the last validation."""
    training, sentences = growth_training(), load_corpus(TEXT).sentences
    device = subject.device
    matrices = GrowthModel(training.setup.architecture, torch_generator(0, "growth weights")).to(device)
    rate = product_rate(
        [each for each in matrices.parameters() if each.ndim > 1], training.setup.rows * training.setup.window_tokens
    )
    found = timer.time(
        lambda: WAYS[way](training, sentences, device),
        GROUP,
        f"{way}, float32",
        flops=training.flops if WAYS[way] is held_out else None,
        product_rate=rate,
    )
    plain = held_out_of_all_gradients(training, sentences, device) if WAYS[way] is held_out else found
    assert_same({"held out": found}, {"held out": plain}, ROUNDING)
