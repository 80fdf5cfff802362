"""How the map's time grows with layers and with sentences: the naive loop, and one walk.

A model of fewer layers is the first ones of the model; the others are passed by.
"""

import pytest
from loops import Scores, average_and_skip, naive_loop
from timing import ROUNDING, Timer, assert_same

from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.engine.sweep import sweep
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus

GROUP = "scaling"
DEPTHS = (6, 12, 24, 30)
SENTENCES = (10, 50, 200)
SHALLOW = DEPTHS[0]
"""Depth at which sentences are added: what grows is told apart, and a loop over hundreds stays a matter of minutes."""

FEW = SENTENCES[0]
SOME = 2
"""Sentences on which every walk is held against the naive loop."""

NAIVE_UP_TO = 50
"""Sentences; each more takes the naive loop as long as the one before."""

SIZES = [(depth, FEW) for depth in DEPTHS] + [(SHALLOW, count) for count in SENTENCES if count != FEW]


def sentences_of(subject: Subject, count: int) -> list[list[int]]:
    """The first ones of the corpus `wide`."""
    return subject.tokenize(load_corpus("wide").sentences[:count])


def shallow(subject: Subject, depth: int) -> LayerStack:
    """The first layers alone, for use where the others are passed by."""
    if depth > len(subject.layers):
        pytest.skip(f"the model has {len(subject.layers)} layers")
    return LayerStack(subject.model, subject.layers[:depth])


@pytest.mark.parametrize(("depth", "count"), [size for size in SIZES if size[1] <= NAIVE_UP_TO])
def test_naive_loop(depth: int, count: int, subject: Subject, timer: Timer) -> None:
    """A forward pass for every sentence and variant."""
    stack = shallow(subject, depth)
    sentences, variants = sentences_of(subject, count), average_and_skip(stack)
    with subject.stack.forwards(lambda index, _: subject.stack.pass_by if index >= depth else None):
        timer.time(lambda: naive_loop(stack, sentences, variants), GROUP, "naive loop", layers=depth, sentences=count)


@pytest.mark.parametrize(("depth", "count"), SIZES)
def test_one_walk(depth: int, count: int, subject: Subject, timer: Timer) -> None:
    """All variants in one walk over the layers."""
    stack = shallow(subject, depth)
    sentences, variants = sentences_of(subject, count), average_and_skip(stack)
    with subject.stack.forwards(lambda index, _: subject.stack.pass_by if index >= depth else None):
        found = timer.time(lambda: sweep(stack, sentences, variants), GROUP, "one walk", layers=depth, sentences=count)
        plain: Scores = naive_loop(stack, sentences[:SOME], variants)
    assert_same(found, plain, ROUNDING[subject.dtype])
