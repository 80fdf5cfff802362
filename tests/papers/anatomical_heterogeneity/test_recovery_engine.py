"""Layers trained together recover as each alone does, on every architecture, and leave no trace."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from ledgers import PROVENANCE
from stacks import stack_of, subject_of, unchanged

from anatomy_bench.base.progress import SilentProgress
from anatomy_bench.engine import head
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Setting
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import Optimiser, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine import batched as recovery
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import recover
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.plain import recover_plainly
from anatomy_bench.registry import get_experiment
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.profile import Profile

# Ten times the paper's rate, so that six steps move the loss by up to two parts in a hundred; rounding, which Adam
# passes on undiminished, leaves some parts in 10⁷.
OPTIMISER = Optimiser(learning_rate=1e-3, gradient_norm=1.0, weight_decay=0.01)
ROUNDING = 1e-5
BATCHES = [tiny.sentences((7, 12, 5), seed) for seed in range(6)]
SCORED = tiny.sentences((9, 4, 14), 99)
STARTS = [GaussianNoise(3, 0.5, 1), GaussianNoise(0, 0.5, 1), GaussianNoise(1, 0.5, 2), GaussianNoise(1, 0.0, 2)]
ARCHITECTURES = ["llama", "llama-tied", "gpt2", "gpt-neox", "qwen3", "gemma3", "opt"]


def curves(results: dict[GaussianNoise, TrainedLayer]) -> np.ndarray:
    return np.array([each.sentence_nll_nats for each in results.values()])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_recovers_as_one_layer_at_a_time_does(architecture: str) -> None:
    stack = stack_of(architecture, layers=4)
    with unchanged(stack):
        together = recover(stack, BATCHES, SCORED, STARTS, OPTIMISER)
    with unchanged(stack):
        alone = recover_plainly(stack, BATCHES, SCORED, STARTS, OPTIMISER)
    assert list(together) == list(alone) == STARTS
    assert curves(together).shape == (len(STARTS), len(BATCHES) + 1, len(SCORED))
    np.testing.assert_allclose(curves(together), curves(alone), rtol=ROUNDING)
    np.testing.assert_allclose(
        [each.training_loss_nats for each in together.values()],
        [each.training_loss_nats for each in alone.values()],
        rtol=ROUNDING,
    )
    assert (np.abs(curves(together)[:, -1] - curves(together)[:, 0]).max(axis=1) > 1e-2).all()


def test_is_the_same_whichever_layers_are_trained_beside_it() -> None:
    stack = stack_of("llama", layers=4)
    together = recover(stack, BATCHES, SCORED, STARTS, OPTIMISER)
    for start in STARTS:
        alone = recover(stack, BATCHES, SCORED, [start], OPTIMISER)
        np.testing.assert_allclose(curves(alone)[0], together[start].sentence_nll_nats, rtol=ROUNDING)


@pytest.mark.parametrize(
    ("piece", "constant", "small"),
    [
        (recovery, "TOKENS_PER_TRAINING_WALK", 50),
        (recovery, "TOKENS_PER_CALL", {"cpu": 1}),
        (head, "TOKENS_PER_HEAD_CALL", {"cpu": 7}),
    ],
)
def test_is_the_same_in_small_pieces(piece, constant: str, small, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of("gemma3", layers=4)
    whole = curves(recover(stack, BATCHES, SCORED, STARTS, OPTIMISER))
    monkeypatch.setattr(piece, constant, small)
    np.testing.assert_allclose(curves(recover(stack, BATCHES, SCORED, STARTS, OPTIMISER)), whole, rtol=ROUNDING)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("way", [recover, recover_plainly])
def test_parameters_ask_for_gradients_afterwards_as_before(way, asks: bool) -> None:
    stack = stack_of("llama", layers=3)
    stack.model.requires_grad_(asks)
    way(stack, BATCHES[:1], SCORED, STARTS[1:2], OPTIMISER)
    assert {parameter.requires_grad for parameter in stack.model.parameters()} == {asks}
    assert all(parameter.grad is None for parameter in stack.model.parameters())


def test_restores_the_weights_when_training_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of("llama", layers=3)
    bad = [[[1, tiny.VOCABULARY + 1]]]
    for way in (recover, recover_plainly):
        with unchanged(stack), pytest.raises(IndexError):
            way(stack, bad, SCORED, STARTS[1:2], OPTIMISER)


def test_training_without_a_rate_changes_nothing() -> None:
    stack = stack_of("opt", layers=4)
    still = curves(recover(stack, BATCHES, SCORED, STARTS, replace(OPTIMISER, learning_rate=0.0)))
    np.testing.assert_allclose(still, np.repeat(still[:, :1], len(BATCHES) + 1, axis=1), rtol=ROUNDING)


def test_half_precision_learns_what_it_could_not_hold() -> None:
    stack = stack_of("llama", layers=3)
    stack.model.to(torch.bfloat16)
    slow = replace(OPTIMISER, learning_rate=1e-5)
    losses = curves(recover(stack, BATCHES * 5, SCORED, STARTS[1:2], slow))
    assert len(np.unique(losses[0].sum(axis=1))) > 1


def test_an_architecture_that_cannot_be_walked_is_trained_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, corpus = subject_of("bloom", layers=3), load_corpus("ten")
    experiment = get_experiment("recovery")
    config = replace(experiment.configure(Profile.QUICK, (1,)), steps=2)
    setting = Setting(subject.record, subject.corpus_record(corpus), PROVENANCE)
    (job,) = [each for each in experiment.jobs(experiment.units(setting, config)) if each != (Intact(),)]
    monkeypatch.setattr(recovery, "recover", lambda *_, **__: pytest.fail("walked"))
    ((unit, finished),) = experiment.run(job, subject, corpus, SilentProgress()).items()
    before, *_, after = finished.result.sentence_nll_nats
    assert list(before) == subject.score(subject.tokenize(corpus.sentences), [unit.start])[unit.start]
    assert before != after


def noise_of(start: GaussianNoise) -> dict[str, torch.Tensor]:
    stack = stack_of("gpt2", layers=3)
    weights, noised = stack.weights_of(start.layer), stack.replacement(start, start.layer)
    return {name: noised[name] - weights[name] for name in weights}


def test_noise_is_as_large_as_each_reading_says() -> None:
    weights = stack_of("gpt2", layers=3).weights_of(1)
    matrices = {name: tensor for name, tensor in weights.items() if tensor.ndim > 1}
    of_layer = torch.cat([tensor.flatten() for tensor in matrices.values()]).std()
    for name, tensor in weights.items():
        sizes = {each: float(noise_of(GaussianNoise(1, 0.5, 7, each))[name].std()) for each in
                 ("matrix", "layer", "parameter")}  # fmt: skip
        own = 0.5 * float(tensor.std())
        if name in matrices:
            assert sizes == pytest.approx({"matrix": own, "layer": 0.5 * float(of_layer), "parameter": own}, rel=0.1)
        else:
            assert (sizes["matrix"], sizes["layer"]) == (0.0, 0.0)
            assert sizes["parameter"] == pytest.approx(own, rel=0.4)


def test_noise_follows_seed_and_layer() -> None:
    one, again, seed = (noise_of(GaussianNoise(1, 0.5, each)) for each in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    name = next(name for name in one if one[name].ndim > 1)
    assert not torch.equal(one[name], seed[name])
    assert not torch.equal(one[name], noise_of(GaussianNoise(2, 0.5, 1))[name])
