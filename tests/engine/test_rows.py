"""Sentences are cut into batches of as little padding as can be."""

from itertools import combinations, pairwise

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from anatomy_bench.engine.rows import batches_of_like_length, pad


def cost(batches: list[list[int]], lengths: list[int], price: int) -> int:
    return sum(price + len(batch) * max(lengths[each] for each in batch) for batch in batches)


def every_cut(lengths: list[int]) -> list[list[list[int]]]:
    order = sorted(range(len(lengths)), key=lambda each: lengths[each])
    inner = range(1, len(order))
    cuts = [(0, *chosen, len(order)) for count in range(len(order)) for chosen in combinations(inner, count)]
    return [[order[start:end] for start, end in pairwise(ends)] for ends in cuts]


@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=7),
    tokens=st.integers(1, 120),
    price=st.integers(0, 40),
)
def test_no_other_cut_costs_less(lengths: list[int], tokens: int, price: int) -> None:
    found = batches_of_like_length([[0] * length for length in lengths], tokens, price)
    assert sorted(each for batch in found for each in batch) == list(range(len(lengths)))
    allowed = [
        batches
        for batches in every_cut(lengths)
        if all(len(batch) == 1 or len(batch) * max(lengths[each] for each in batch) <= tokens for batch in batches)
    ]
    assert cost(found, lengths, price) == min(cost(batches, lengths, price) for batches in allowed)


def test_a_batch_costs_nothing_unless_told() -> None:
    assert len(batches_of_like_length([[0] * 5, [0] * 9, [0] * 5], 1000)) == 2


@pytest.mark.parametrize("lengths", [(2,), (7, 2, 23), (5, 5)])
def test_every_token_but_the_last_is_read_and_every_one_but_the_first_predicted(lengths: tuple[int, ...]) -> None:
    sentences = tiny.sentences(lengths)
    padded = pad(sentences, torch.device("cpu"))
    assert padded.input_ids.shape == (len(lengths), max(lengths) - 1)
    read = padded.before_targets(padded.input_ids[None, :, :, None])[0, :, 0].tolist()
    assert read == [token for sentence in sentences for token in sentence[:-1]]
    assert padded.targets.tolist() == [token for sentence in sentences for token in sentence[1:]]
    sums = [float(sum(sentence[1:])) for sentence in sentences]
    copies = torch.stack([padded.targets, -padded.targets]).float()
    assert padded.sentence_sums(copies).tolist() == [sums, [-each for each in sums]]
