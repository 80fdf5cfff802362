"""The device's figures beside the CPU's, and beside its own of a second time."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.arms import growth
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training import train
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Training
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import recover
from anatomy_bench.registry import get_experiment
from anatomy_bench.subject import Subject
from anatomy_bench.values.profile import Profile
from gpu.setting import OPTIMISER, DType, Setting, Sizes

Found = Sequence[Sequence[float]]
_COMPARED_LAYERS = 3


def parity(setting: Setting) -> None:
    """The map, recovery and growth; the map in bfloat16 as well, beside float32 on the CPU."""
    subject, on_cpu = setting.subject(), setting.subject(device="cpu")
    scores, known = _map(setting, subject), _map(setting, on_cpu)
    _note(setting, "the map's scores, float32", scores, known, _map(setting, subject))
    training = arm(setting.sizes)
    losses, known_losses = _growth(training, setting.device), _growth(training, "cpu")
    _note(setting, "losses of one growth arm", losses, known_losses, _growth(training, setting.device))
    curves, known_curves = _recovery(setting, subject), _recovery(setting, on_cpu)
    _note(setting, "curves of recovery, float32", curves, known_curves, _recovery(setting, subject))
    low: DType = "bfloat16"
    half = setting.subject(low)
    _note(setting, "the map's scores, bfloat16 (the CPU's: float32)", _map(setting, half), known, _map(setting, half))


def worst(found: Found, known: Found) -> float:
    """Largest relative difference of two tables of numbers; infinite where one is not finite.

    Raises:
        ValueError: they are not of the same shape.
    """
    first, second = (torch.tensor([list(row) for row in each], dtype=torch.float64) for each in (found, known))
    if first.shape != second.shape:
        raise ValueError(f"shapes differ: {tuple(first.shape)} and {tuple(second.shape)}")
    difference = float(((first - second) / second).abs().max())
    return difference if difference == difference else float("inf")  # noqa: PLR0124 (not a number)


def _note(setting: Setting, what: str, found: Found, known: Found, again: Found) -> None:
    setting.figures.note("parity", f"{what}: largest relative difference from the CPU's", worst(found, known))
    setting.figures.note("parity", f"{what}: the same bits twice", "yes" if again == found else "NO")


def _map(setting: Setting, subject: Subject) -> Found:
    return list(subject.score(setting.ten, setting.variants).values())


def _recovery(setting: Setting, subject: Subject) -> Found:
    starts = setting.starts(_COMPARED_LAYERS)
    trained = recover(subject.stack, setting.batches, setting.ten, starts, OPTIMISER)
    return [step for each in trained.values() for step in each.sentence_nll_nats]


def arm(sizes: Sizes) -> Training:
    """The growth arm, with few steps and without completions."""
    config = get_experiment("growth").configure(Profile.QUICK, None)
    architecture = replace(config.setup.architecture, width=sizes.growth_width)
    setup = replace(config.setup, architecture=architecture, evaluate_every=sizes.growth_steps, prompts=())
    return Training(setup, growth(sizes.growth_steps), config.learning_rate, 0, growth_corpus().digest)


def _growth(training: Training, device: str) -> Found:
    trained = train(training, growth_corpus().sentences, torch.device(device), lambda _: None)
    return [(each.training_nats, each.seen_nats, each.held_out_nats) for each in trained.validations]
