"""A text of a single sentence is scored like any other, whatever a model's layers are given beside hidden states."""

import odd_models
import pytest
import tiny

from anatomy_bench.engine import naive
from anatomy_bench.engine.interventions import Intact, Skip
from anatomy_bench.subject import Subject


@pytest.mark.parametrize("lengths", [(9,), (9, 5), (7, 7, 4)])
def test_layers_that_are_given_the_embedded_sentences_too(lengths: tuple[int, ...]) -> None:
    subject = Subject(odd_models.one_row(), tiny.tokenizer(), name="zamba2")
    variants = [Intact(), *map(Skip, range(4))]
    sentences = tiny.sentences(lengths)
    found = subject.score(sentences, variants)
    for variant in variants:
        assert found[variant] == pytest.approx(naive.score(subject.stack, sentences, variant), rel=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2", "opt"])
def test_a_walk_over_one_sentence_is_right_where_it_is_used(architecture: str) -> None:
    subject = Subject(tiny.model(architecture), tiny.tokenizer(), name=architecture)
    assert subject.can_be_walked
    variants = [Intact(), Skip(0), Skip(2)]
    sentences = tiny.sentences((8,))
    found = subject.score(sentences, variants)
    for variant in variants:
        assert found[variant] == pytest.approx(naive.score(subject.stack, sentences, variant), rel=1e-5)
