"""Training in phases: the published schedule, parity with a plain reference, and that what is frozen stays."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth import arms as growth_arms
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine import training as engine
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import GrowthModel, clone_layer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import ARCHITECTURE
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    Architecture,
    Phase,
    Setup,
    Trained,
    Training,
    in_proportion,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import (
    BEGIN,
    END,
    GrowthText,
    Vocabulary,
    growth_corpus,
)
from anatomy_bench.registry import get_experiment
from anatomy_bench.values.profile import Profile

CORPUS = growth_corpus()
TINY = Setup(
    replace(ARCHITECTURE, width=16, heads=2), rows=4, window_tokens=12, held_out_share=0.2, weight_decay=0.01,
    gradient_norm=1.0, evaluate_every=3, prompts=growth_arms.prompts(), completion_tokens=3,
)  # fmt: skip
CPU = torch.device("cpu")


def training(phases: tuple[Phase, ...], seed: int = 3) -> Training:
    return Training(TINY, phases, learning_rate=1e-2, seed=seed, text=CORPUS.digest)


def train(phases: tuple[Phase, ...], seed: int = 3) -> Trained:
    return engine.train(training(phases, seed), CORPUS.sentences, CPU, lambda _: None)


def test_phases_share_the_steps_in_the_published_proportions():
    epochs = (30, 20, 20, 12, 6, 15)
    for steps in (656, 416):
        phases = growth_arms.growth(steps)
        assert sum(phase.steps for phase in phases) == steps
        assert all(
            abs(phase.steps - steps * share / sum(epochs)) < 1 for phase, share in zip(phases, epochs, strict=True)
        )
    assert [phase.steps for phase in growth_arms.growth(656)] == [191, 127, 127, 77, 38, 96]


def test_largest_remainders_decide_and_ties_go_to_the_first():
    assert in_proportion(10, (1, 1, 1)) == (4, 3, 3)
    assert in_proportion(5, (3, 1)) == (4, 1)
    assert in_proportion(2, (0, 5, 5)) == (0, 1, 1)


def test_phases_grow_train_and_clone_what_table_7_says():
    phases = growth_arms.growth(656)
    assert [phase.trained for phase in phases] == [(4, 5), (1, 2), (8, 9), (7, 10), (0, 3, 6, 11), tuple(range(12))]
    assert [phase.running for phase in phases[:3]] == [(4, 5), (1, 2, 4, 5), (1, 2, 4, 5, 8, 9)]
    clones = [[(clone.source, clone.target, clone.ffn_scale) for clone in phase.clones] for phase in phases]
    assert clones == [
        [], [(4, 1, 1), (5, 2, 1)], [(4, 8, 1), (5, 9, 1)], [(5, 7, 1), (9, 10, 1)],
        [(1, 0, 0.5), (4, 3, 0.5), (5, 6, 0.5), (10, 11, 0.5)], [],
    ]  # fmt: skip


@pytest.mark.parametrize("steps", [656, 82])
def test_controls_differ_from_growth_in_one_thing(steps: int):
    grown = growth_arms.growth(steps)
    every = grown[-1].running
    assert growth_arms.growth_fresh(steps) == tuple(replace(phase, clones=()) for phase in grown)
    assert growth_arms.growth_all_running(steps) == tuple(replace(phase, running=every) for phase in grown)
    restarted = growth_arms.uniform_restarted(steps)
    assert [phase.steps for phase in restarted] == [phase.steps for phase in grown]
    assert {(phase.running, phase.trained, phase.clones) for phase in restarted} == {(every, every, ())}
    frozen = [phase.trains_embedding for phase in growth_arms.growth_embedding_frozen(steps)]
    assert frozen == [True, False, False, False, False, True]
    setup = replace(TINY, architecture=ARCHITECTURE)
    whole, equal, uniform = (
        Training(setup, phases, 1e-3, 0, "")
        for phases in (grown, growth_arms.uniform_equal_compute(steps, setup), growth_arms.uniform(steps))
    )
    assert abs(equal.flops - whole.flops) <= uniform.flops / steps / 2
    assert equal.steps < uniform.steps == whole.steps == steps


def reference(plan: Training) -> list[float]:
    """The loss of each step, plainly: every layer computed, skipped ones' output thrown away, autograd everywhere."""
    text = GrowthText(CORPUS.sentences, plan.setup, plan.seed)
    model = GrowthModel(plan.setup.architecture, engine.torch_generator(plan.seed, "growth weights"))
    noise, batches, losses = engine.torch_generator(plan.seed, "growth noise"), text.batches(), []
    for phase in plan.phases:
        for clone in phase.clones:
            clone_layer(model, clone, noise)
        shared = [*model.embedding.parameters(), *model.norm.parameters()] if phase.trains_embedding else []
        trained = [*shared, *(each for index in phase.trained for each in model.layers[index].parameters())]
        optimiser = torch.optim.AdamW(
            trained, lr=plan.learning_rate, weight_decay=plan.setup.weight_decay, foreach=False
        )
        for rows in itertools.islice(batches, phase.steps):
            tokens = torch.from_numpy(rows)
            model.zero_grad()
            stream, rotation = model.embedding(tokens[:, :-1]), engine_rotation(model, tokens.shape[1] - 1)
            for index, layer in enumerate(model.layers):
                stream = layer(stream, rotation) if index in phase.running else stream + 0 * layer(stream, rotation)
            logits = functional.linear(model.norm(stream), model.embedding.weight)
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, plan.setup.gradient_norm, foreach=False)
            optimiser.step()
            losses.append(float(loss.detach()))
    return losses


def engine_rotation(model: GrowthModel, tokens: int):
    from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import _rotation

    return _rotation(tokens, model.head_width, CPU)


@pytest.fixture
def in_double():
    """A new optimiser divides tiny gradients by themselves, which turns float32's rounding into whole steps."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("arm", ["growth", "growth_embedding_frozen", "growth_all_running"])
def test_training_is_that_of_the_plain_reference(arm: str):
    phases = growth_arms.BY_NAME[arm](14)
    trained = train(phases)
    losses = reference(training(phases))
    assert trained.steps == len(losses) == 14
    ends = [0, *(each.step for each in trained.validations)]
    means = [np.mean(losses[start:end]) for start, end in itertools.pairwise(ends)]
    np.testing.assert_allclose([each.training_nats for each in trained.validations], means, rtol=1e-9)
    assert means[-1] < means[0]


def test_frozen_layers_stay_bit_for_bit_and_have_no_gradients():
    phase = Phase(4, (0, 1, 2, 3), (1, 3), trains_embedding=False)
    plan = training((phase,))
    model = GrowthModel(TINY.architecture, torch.Generator().manual_seed(0))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for layer in model.layers:  # left from an earlier phase
        layer.query.weight.grad = torch.ones_like(layer.query.weight)
    step = engine._stepper(model, plan, phase)
    for rows in itertools.islice(GrowthText(CORPUS.sentences, TINY, 0).batches(), phase.steps):
        step(torch.from_numpy(rows))
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    with_gradient = {name for name, weight in model.named_parameters() if weight.grad is not None}
    of_trained = {name for name in before if name.startswith(("layers.1.", "layers.3."))}
    assert changed == with_gradient == of_trained


def without_seconds(trained: Trained) -> Trained:
    return replace(trained, seconds=0.0)


def test_the_same_training_gives_the_same_numbers_whatever_the_global_generator_is_at():
    phases = growth_arms.growth(12)
    first = train(phases)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = train(phases)
    assert without_seconds(first) == without_seconds(again)
    assert without_seconds(train(phases, seed=4)) != without_seconds(first)


def test_validations_come_at_intervals_and_at_the_end_of_every_phase():
    trained = train((Phase(4, (4, 5), (4, 5)), Phase(7, (1, 4, 5), (1,))))
    assert [each.step for each in trained.validations] == [3, 4, 7, 10, 11]
    assert trained.final.step == trained.steps == 11


def test_progress_counts_operations():
    tenfold = replace(TINY, rows=40, window_tokens=24)
    plan = replace(training(growth_arms.growth(12)), setup=tenfold)
    told: list[int] = []
    engine.train(plan, CORPUS.sentences, CPU, told.append)
    assert sum(told) == pytest.approx(plan.flops / 1e9, abs=len(told))


def test_the_text_has_494_tokens_and_prompts_are_always_trained_on():
    assert len(Vocabulary.of(CORPUS.sentences).words) == ARCHITECTURE.vocabulary == 494
    for seed in range(20):
        text = GrowthText(CORPUS.sentences, TINY, seed)
        assert len(text.held_out) == 42
        assert sorted((*text.training, *text.held_out)) == sorted(CORPUS.sentences)
        assert all(any(each.startswith(prompt) for each in text.training) for prompt in growth_arms.prompts())
        assert not any(each.startswith(growth_arms.prompts()) for each in text.held_out)
        assert set(text.seen) <= set(text.training)


def test_an_epoch_is_one_pass_over_the_stream_and_eight_steps_of_the_paper():
    setup = get_experiment("growth").configure(Profile.PAPER, None).setup
    text = GrowthText(CORPUS.sentences, setup, seed=0)
    stream = [token for each in text.training for token in (*text.vocabulary.encode(each), END)]
    assert len(stream) // setup.window_tokens // setup.rows == 8
    inputs = np.concatenate([rows[:, :-1].ravel() for rows in itertools.islice(text.batches(), 8)])
    most = {token: stream.count(token) for token in set(stream)}
    assert all((inputs == token).sum() <= most[token] for token in most)
    follows = set(itertools.pairwise([*stream, *stream]))
    for rows in itertools.islice(text.batches(), 20):
        assert rows.shape == (setup.rows, setup.window_tokens + 1)
        assert {pair for row in rows.tolist() for pair in itertools.pairwise(row)} <= follows


def test_words_are_read_back_and_unknown_ones_are_not_words():
    vocabulary = Vocabulary.of(["a b", "b c"])
    assert vocabulary.encode("c a") == [BEGIN, 6, 4]
    assert vocabulary.decode([6, 4]) == "c a"
    assert vocabulary.decode(vocabulary.encode("z")[1:]) == "<unknown>"


def test_a_text_of_another_vocabulary_is_refused():
    plan = replace(training(growth_arms.uniform(1)), setup=replace(TINY, architecture=Architecture(9, 16, 2, (1, 1))))
    with pytest.raises(AssertionError):
        engine.train(plan, CORPUS.sentences, CPU, lambda _: None)


def test_quick_cuts_steps_arms_and_rates_and_nothing_of_the_model():
    experiment = get_experiment("growth")
    paper, quick = (experiment.configure(profile, None) for profile in (Profile.PAPER, Profile.QUICK))
    assert (paper.full_steps, paper.half_steps) == (656, 416)
    assert (quick.full_steps, quick.half_steps) == (82, 52)
    assert quick.setup == paper.setup
    assert set(quick.arms) < set(paper.arms)
    assert quick.seeds == paper.seeds == 3
