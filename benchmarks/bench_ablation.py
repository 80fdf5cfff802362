"""The whole map of ten sentences, every layer averaged away and skipped: loops, and one walk over the layers."""

from collections.abc import Callable
from functools import partial

import pytest
from loops import Loop, Scores, average_and_skip, batched_loop, loop_flops, naive_loop
from measuring import flops_of
from peers import nnsight_loop, transformer_lens_loop
from timing import ROUNDING, Timer, assert_same

from anatomy_bench.engine.sweep import sweep
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus

GROUP = "ablation: every layer averaged away and skipped, ten sentences"
ROUNDS = 2
SOME = 2
"""Sentences on which a way is held against the naive loop where that has not run on all of them."""

LOOPS: dict[str, Callable[[Subject], Loop]] = {
    "batched loop": lambda subject: partial(batched_loop, subject.stack),
    "nnsight": nnsight_loop,
    "TransformerLens": transformer_lens_loop,
}

RateOf = Callable[[Subject], float]


def sentences_of(subject: Subject) -> list[list[int]]:
    """The corpus `ten`."""
    return subject.tokenize(load_corpus("ten").sentences)


@pytest.fixture(scope="module")
def plain_scores() -> Scores:
    """Those of the naive loop, once it has run."""
    return {}


def plain_or_some(known: Scores, subject: Subject) -> Scores:
    """The naive loop's scores where it has run, else of some sentences."""
    return known or naive_loop(subject.stack, sentences_of(subject)[:SOME], average_and_skip(subject.stack))


def test_naive_loop(subject: Subject, timer: Timer, rate_of: RateOf, plain_scores: Scores) -> None:
    """The paper's way: a forward pass for every sentence and variant."""
    sentences, variants = sentences_of(subject), average_and_skip(subject.stack)
    _, flops = loop_flops(partial(naive_loop, subject.stack), sentences, variants)
    plain_scores |= timer.time(
        lambda: naive_loop(subject.stack, sentences, variants),
        GROUP,
        f"naive loop, {subject.dtype}",
        flops=flops,
        product_rate=rate_of(subject),
    )


@pytest.mark.parametrize("way", LOOPS)
def test_batched_loop(way: str, subject: Subject, timer: Timer, rate_of: RateOf, plain_scores: Scores) -> None:
    """A forward pass for every variant, of all sentences at once."""
    loop = LOOPS[way](subject)
    sentences, variants = sentences_of(subject), average_and_skip(subject.stack)
    _, flops = loop_flops(loop, sentences, variants)
    found = timer.time(
        lambda: loop(sentences, variants),
        GROUP,
        f"{way}, {subject.dtype}",
        flops=flops,
        product_rate=rate_of(subject),
    )
    assert_same(found, plain_or_some(plain_scores, subject), ROUNDING[subject.dtype])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_walk(
    dtype: str, load: Callable[[str], Subject], subject: Subject, timer: Timer, rate_of: RateOf, plain_scores: Scores
) -> None:
    """This package's way, in either precision."""
    walked = load(dtype)
    sentences, variants = sentences_of(walked), average_and_skip(walked.stack)
    _, flops = flops_of(lambda: sweep(walked.stack, sentences, variants))
    found = timer.time(
        lambda: sweep(walked.stack, sentences, variants),
        GROUP,
        f"one walk, {dtype}",
        rounds=ROUNDS,
        flops=flops,
        product_rate=rate_of(walked),
    )
    assert_same(found, plain_or_some(plain_scores if walked is subject else {}, walked), ROUNDING[dtype])
