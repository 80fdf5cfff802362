"""The sweep scores what the plain loop scores, on every architecture, and leaves no trace."""

from functools import partial
from typing import Any

import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stacks import stack_of, subject_of, unchanged

from anatomy_bench.engine import head, naive, sweep
from anatomy_bench.engine.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import (
    Blend,
    Clone,
    LowRankBlend,
    Noise,
    Scale,
    SkipAll,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.predicted import Predicted
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import READINGS

# Both sides compute in float32, with sums in another order: one part in 10⁷ a rounding, and some hundred
# roundings meet in a logit. The weakest effect of any intervention on these models is above 1 part in 100.
ROUNDING = 1e-5

LENGTHS = (7, 2, 23, 40, 23, 11)
NO_FUSED_ATTENTION = {"gpt-j", "gpt-neo"}
CASES = [
    (architecture, attention)
    for architecture in tiny.CONFIGS
    for attention in ("eager", "sdpa")
    if not (attention == "sdpa" and architecture in NO_FUSED_ATTENTION)
]


class BrokenError(Exception):
    pass


def broken(*args: Any, **kwargs: Any) -> None:
    raise BrokenError


def all_variants(stack: LayerStack) -> list[Intervention]:
    last = len(stack.layers) - 1
    several: list[tuple[int, ...]] = [(2,), (last,), tuple(range(2, last + 1))] if last > 2 else [(2,)]
    return [
        Intact(),
        *(make(layer) for layer in range(len(stack.layers)) for make in (NeighbourAverage, Skip)),
        *(Predicted(layers, reading, 1.0) for layers in several for reading in READINGS),
    ]


def variants_of_several_layers() -> list[Intervention]:
    """Of a model of six layers: sets that begin at other layers, touch, and overlap; two of every layer."""
    every = tuple(range(6))
    on_sets = [
        (SkipAll(chosen), Scale(chosen, 0.5), Scale(chosen, 0.5, "residual_writing"), Clone(chosen), Blend(chosen),
         LowRankBlend(chosen, None), LowRankBlend(chosen, 3), Noise(chosen, 0.5, 1), Noise(chosen, 0.5, 2))
        for chosen in ((0, 2, 3), (3, 5))
    ]  # fmt: skip
    return [Intact(), *on_sets[0], *on_sets[1], Scale(every, 0.9), Noise(every, 0.1, 1)]


def plain_scores(
    stack: LayerStack, sentences: list[list[int]], variants: list[Intervention]
) -> dict[Intervention, list[float]]:
    return {variant: naive.score(stack, sentences, variant) for variant in variants}


def approximately(scores: dict[Intervention, list[float]]) -> dict[Intervention, Any]:
    return {variant: pytest.approx(values, rel=ROUNDING) for variant, values in scores.items()}


@pytest.mark.parametrize(("architecture", "attention"), CASES)
def test_scores_as_the_plain_loop_does(architecture: str, attention: str) -> None:
    stack = stack_of(architecture, attention)
    sentences, variants = tiny.sentences(LENGTHS), all_variants(stack)
    expected = plain_scores(stack, sentences, variants)
    assert len({tuple(values) for values in expected.values()}) == len(variants)  # every intervention matters
    with unchanged(stack):
        assert sweep.sweep(stack, sentences, variants) == approximately(expected)


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_scores_changes_of_several_layers_as_the_plain_loop_does(architecture: str) -> None:
    stack = stack_of(architecture)
    sentences, variants = tiny.sentences(LENGTHS), variants_of_several_layers()
    expected = plain_scores(stack, sentences, variants)
    assert len({tuple(values) for values in expected.values()}) == len(variants)
    with unchanged(stack):
        assert sweep.sweep(stack, sentences, variants) == approximately(expected)


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_architectures_that_can_be_walked_are(architecture: str) -> None:
    assert sweep.can_walk(stack_of(architecture))


@pytest.mark.parametrize("architecture", tiny.UNWALKABLE)
@pytest.mark.parametrize("lengths", [LENGTHS, (5, 5, 5, 5)])  # four sentences: as many as there are heads
def test_a_subject_that_cannot_be_walked_is_scored_plainly(architecture: str, lengths: tuple[int, ...]) -> None:
    subject = subject_of(architecture)
    sentences, variants = tiny.sentences(lengths), all_variants(subject.stack)
    assert not sweep.can_walk(subject.stack)
    assert subject.score(sentences, variants) == plain_scores(subject.stack, sentences, variants)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt-neo", "opt"])
@pytest.mark.parametrize(
    ("constant", "small"),
    [
        ("TOKENS_PER_WALK", 90),
        ("VARIANTS_PER_WALK", 5),
        ("TOKENS_PER_CALL", {"cpu": 1}),
        ("TOKENS_PER_CALL", {"cpu": 600}),
    ],
)
def test_is_the_same_in_small_pieces(
    architecture: str, constant: str, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = stack_of(architecture)
    sentences, variants = tiny.sentences(LENGTHS), all_variants(stack)
    whole = sweep.sweep(stack, sentences, variants)
    monkeypatch.setattr(sweep, constant, small)
    assert sweep.sweep(stack, sentences, variants) == approximately(whole)


@pytest.mark.parametrize("positions", [1, 7, 64])
def test_is_the_same_however_few_logits_are_held_at_once(positions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of("gpt2")
    sentences, variants = tiny.sentences(LENGTHS), all_variants(stack)[:4]
    expected = plain_scores(stack, sentences, variants)
    held: list[int] = []
    monkeypatch.setattr(head, "TOKENS_PER_HEAD_CALL", {"cpu": positions})
    counting = stack.model.get_output_embeddings().register_forward_hook(
        lambda _, __, logits: held.append(logits.shape[:-1].numel())
    )
    found = sweep.sweep(stack, sentences, variants)
    counting.remove()
    assert found == approximately(expected)
    assert max(held) == positions


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(LENGTHS))))
def test_order_of_sentences_does_not_matter(order: list[int]) -> None:
    stack = stack_of("llama", layers=3)
    sentences, variants = tiny.sentences(LENGTHS), all_variants(stack)[:5]
    straight = sweep.sweep(stack, sentences, variants)
    shuffled = sweep.sweep(stack, [sentences[each] for each in order], variants)
    assert shuffled == approximately({key: [row[each] for each in order] for key, row in straight.items()})


def test_a_sentence_scores_the_same_alone_and_beside_a_longer_one() -> None:
    stack = stack_of("gemma3")
    short, long = tiny.sentences((6, 60))
    variants = all_variants(stack)
    alone = sweep.sweep(stack, [short], variants)
    beside = sweep.sweep(stack, [long, short], variants)
    assert {variant: row[1:] for variant, row in beside.items()} == approximately(alone)


def test_answers_for_just_the_variants_asked_for() -> None:
    stack = stack_of("llama")
    sentences = tiny.sentences((5, 9))
    asked: list[Intervention] = [Skip(3), NeighbourAverage(1)]
    found = sweep.sweep(stack, sentences, asked)
    assert list(found) == asked
    assert found == approximately(plain_scores(stack, sentences, asked))


def test_one_intervention_may_touch_several_layers() -> None:
    stack = stack_of("llama")
    sentences, variants = tiny.sentences(LENGTHS), [Scale((1, 2, 4), 0.5), Skip(2), Scale((0, 5), 0.5)]
    assert sweep.sweep(stack, sentences, variants) == approximately(plain_scores(stack, sentences, variants))


def test_variants_that_change_a_layer_alike_share_its_new_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of("llama")
    made: list[int] = []
    replacement = stack.replacement
    monkeypatch.setattr(stack, "replacement", lambda change, layer: made.append(layer) or replacement(change, layer))
    sweep.sweep(stack, tiny.sentences((5,)), [Predicted(each, "sorted", 1.0) for each in [(2,), (2, 4), (2, 4, 5)]])
    assert made == [2, 4, 5]
    made.clear()
    sweep.sweep(stack, tiny.sentences((5,)), [Clone(each) for each in [(0, 2), (2, 5), (2, 3)]])
    assert made == [0, 2, 2, 3, 5]  # layer 2 takes from layer 1 whichever of its farther neighbours change


def test_the_baseline_alone_needs_no_variant() -> None:
    stack = stack_of("gpt-neox")
    sentences = tiny.sentences((5, 9))
    assert sweep.sweep(stack, sentences, [Intact()]) == approximately(plain_scores(stack, sentences, [Intact()]))


def test_a_forward_that_is_already_replaced_is_put_back() -> None:
    stack = stack_of("llama")
    layer: Any = stack.layers[2]
    replaced = layer.forward = partial(layer.forward)
    sweep.sweep(stack, tiny.sentences((5,)), [Skip(2), NeighbourAverage(2)])
    assert vars(layer)["forward"] is replaced


@pytest.mark.parametrize("architecture", ["llama", "gpt-j"])
def test_leaves_no_trace_when_a_forward_raises(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(architecture)

    monkeypatch.setattr(type(stack.layers[0].mlp), "forward", broken)
    with unchanged(stack), pytest.raises(BrokenError):
        sweep.sweep(stack, tiny.sentences((5,)), [NeighbourAverage(3)])


def test_leaves_no_trace_when_the_head_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of("llama")

    monkeypatch.setattr(head, "_nll_nats", broken)
    with unchanged(stack), pytest.raises(BrokenError):
        sweep.sweep(stack, tiny.sentences((5,)), [NeighbourAverage(3)])


def test_a_layer_the_model_lacks_is_refused() -> None:
    stack = stack_of("llama", layers=4)
    # No layer that is walked would meet it: without a check its scores would be those of nothing at all.
    with unchanged(stack), pytest.raises(ValueError, match="no layer 4"):
        sweep.sweep(stack, tiny.sentences((5,)), [Skip(4)])
