"""Strategies on sets of layers do what plain arithmetic on the layers' tensors does."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor

from anatomy_bench.engine.matrices import noise_like, with_magnitudes_of
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import (
    Blend,
    Clone,
    LowRankBlend,
    Noise,
    Scale,
    SkipAll,
    nearest_others,
    writes_residual,
)
from anatomy_bench.subject import Subject
from anatomy_bench.values.record import from_data, to_data

LAYERS = 7
SET = (0, 3, 4)
ARCHITECTURES = ["llama", "gpt2", "opt", "gpt-neox"]
WRITERS = {
    "llama": {"self_attn.o_proj", "mlp.down_proj"},
    "gemma3": {"self_attn.o_proj", "mlp.down_proj"},
    "gpt2": {"attn.c_proj", "mlp.c_proj"},
    "gpt-j": {"attn.out_proj", "mlp.fc_out"},
    "gpt-neo": {"attn.attention.out_proj", "mlp.c_proj"},
    "gpt-neox": {"attention.dense", "mlp.dense_4h_to_h"},
    "opt": {"self_attn.out_proj", "fc2"},
    "phi": {"self_attn.dense", "mlp.fc2"},
    "bloom": {"self_attention.dense", "mlp.dense_4h_to_h"},
    "mpt": {"attn.out_proj", "ffn.down_proj"},
}
rank_of = np.linalg.matrix_rank


@cache
def subject_of(architecture: str) -> Subject:
    return Subject(tiny.model(architecture, LAYERS), tiny.tokenizer(), name=architecture)


def original(architecture: str, layer: int) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in subject_of(architecture).layers[layer].named_parameters()}


def written(architecture: str, intervention: Any, layer: int) -> dict[str, Tensor]:
    with subject_of(architecture).applied(intervention):
        return original(architecture, layer)


@pytest.mark.parametrize("architecture", WRITERS)
def test_matrices_that_write_to_the_residual_stream_are_known_by_name(architecture: str):
    assert set(filter(writes_residual, subject_of(architecture).record.components)) == WRITERS[architecture]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("matrices", ["all", "residual_writing"])
def test_scaling_multiplies_the_chosen_matrices_and_keeps_norms_and_biases(architecture: str, matrices: Any):
    own, found = original(architecture, 3), written(architecture, Scale(SET, 0.7, matrices), 3)
    changed = {name for name, tensor in found.items() if not torch.equal(tensor, own[name])}
    matrix_names = {name for name, tensor in own.items() if tensor.ndim == 2}
    assert changed == {name for name in matrix_names if matrices == "all" or writes_residual(name)}
    for name in changed:
        assert_allclose(found[name], 0.7 * own[name].numpy(), rtol=1e-6)


def test_scaling_to_nothing_is_skipping_where_there_are_no_biases():
    sentences, subject = tiny.sentences((9, 5)), subject_of("llama")
    scores = subject.score(sentences, [SkipAll(SET), Scale(SET, 0.0), Scale(SET, 0.0, "residual_writing")])
    skipped, scaled, written_to_nothing = scores.values()
    assert skipped == pytest.approx(scaled, rel=1e-6)
    assert skipped == pytest.approx(written_to_nothing, rel=1e-6)


def test_scaling_what_is_written_needs_a_matrix_that_writes():
    with pytest.raises(ValueError, match="no matrix of layer 1"):
        Scale((1,), 0.5, "residual_writing").replacement(1, lambda _: {"mixer.weight": torch.ones(2, 2)}, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("layer", "nearest"), [(0, 1), (3, 2), (4, 5)])
def test_a_clone_is_the_nearest_layer_outside_the_set_whole(architecture: str, layer: int, nearest: int):
    found, expected = written(architecture, Clone(SET), layer), original(architecture, nearest)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_of_two_layers_at_the_same_distance_the_earlier_is_nearer():
    assert nearest_others(3, (3,), LAYERS, 4) == (2, 4, 1, 5)
    assert nearest_others(0, (0, 3), 6, 4) == (1, 2, 4, 5)
    assert nearest_others(1, (1,), 3, 4) == (0, 2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_blend_weighs_the_four_nearest_by_one_over_distance(architecture: str):
    found = written(architecture, Blend(SET), 4)
    parts = [(original(architecture, layer), 1 / distance) for layer, distance in ((5, 1), (2, 2), (6, 2), (1, 3))]
    for name, tensor in found.items():
        expected = sum(share * part[name].numpy().astype(float) for part, share in parts) / (1 + 1 / 2 + 1 / 2 + 1 / 3)
        assert_allclose(tensor, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("rank", [None, 5])
def test_a_low_rank_blend_has_the_neighbours_vectors_and_its_own_singular_values(architecture: str, rank: int | None):
    found, own, neighbour = (
        written(architecture, LowRankBlend(SET, rank), 4), original(architecture, 4), original(architecture, 5),
    )  # fmt: skip
    for name, tensor in found.items():
        if tensor.ndim == 1:
            assert torch.equal(tensor, own[name])
            continue
        left, _, right = np.linalg.svd(neighbour[name].double().numpy(), full_matrices=False)
        values = np.linalg.svd(own[name].double().numpy(), compute_uv=False)[:rank]
        assert_allclose(tensor, (left[:, :rank] * values) @ right[:rank], atol=1e-5)
        assert rank is None or rank_of(tensor.numpy(), tol=1e-3) == rank


def test_directions_that_the_neighbour_lacks_are_left_out():
    lone = torch.zeros(4, 6)
    lone[1, 2] = 3.0
    magnitudes = torch.diag(torch.tensor([9.0, 7.0, 5.0, 1.0])) @ torch.eye(4, 6)
    expected = torch.zeros(4, 6)
    expected[1, 2] = 9.0
    assert torch.allclose(with_magnitudes_of(lone, magnitudes, None), expected)
    assert not with_magnitudes_of(torch.zeros(4, 6), magnitudes, None).any()


def test_a_stack_of_matrices_is_blended_one_by_one():
    first, second = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = with_magnitudes_of(first, second, 2)
    for index in range(3):
        assert torch.allclose(found[index], with_magnitudes_of(first[index], second[index], 2), atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_noise_moves_every_matrix_as_far_as_scaling_does_and_no_vector(architecture: str):
    own, noised = original(architecture, 3), written(architecture, Noise(SET, 0.1, 5), 3)
    scaled = written(architecture, Scale(SET, 0.9), 3)
    for name, tensor in own.items():
        moved, removed = float((noised[name] - tensor).norm()), float((scaled[name] - tensor).norm())
        assert moved == pytest.approx(removed, rel=1e-4, abs=1e-12)
        assert torch.equal(noised[name], tensor) == (tensor.ndim == 1)


def test_noise_is_standard_normal_but_for_its_norm():
    noise = noise_like(torch.full((200, 300), 2.0), 0.5, 1)
    assert noise.std() == pytest.approx(1.0, rel=1e-3)
    assert noise.mean() == pytest.approx(0.0, abs=4 / 60_000**0.5)
    assert (noise.abs() < 1.96).float().mean() == pytest.approx(0.95, abs=0.005)


def test_the_same_seed_is_the_same_noise_whatever_else_is_drawn_and_whatever_set_the_layer_is_in():
    first = written("llama", Noise(SET, 0.1, 5), 3)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    again, alone = written("llama", Noise(SET, 0.1, 5), 3), written("llama", Noise((3,), 0.1, 5), 3)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator was not touched
    assert all(torch.equal(first[name], again[name]) and torch.equal(first[name], alone[name]) for name in first)


def test_seeds_layers_and_matrices_have_noises_of_their_own():
    def noise(seed: int, layer: int, name: str) -> Tensor:
        return written("llama", Noise(SET, 0.1, seed), layer)[name] - original("llama", layer)[name]

    query, output = "self_attn.q_proj.weight", "self_attn.o_proj.weight"
    noises = [noise(5, 3, query), noise(6, 3, query), noise(5, 4, query), noise(5, 3, output)]
    correlations = np.corrcoef([each.flatten().numpy() for each in noises])
    assert np.abs(correlations - np.eye(4)).max() < 0.15  # 1024 numbers each: five standard errors


def test_layers_of_a_set_see_each_others_original_weights():
    model = tiny.model("llama", LAYERS)
    subject = Subject(model, tiny.tokenizer(), name="llama")
    before = model.model.layers[2].mlp.up_proj.weight.clone()
    with subject.applied(Clone((1, 3))):  # both have layer 2 or 0, neither has a changed one
        assert torch.equal(model.model.layers[3].mlp.up_proj.weight, before)


@pytest.mark.parametrize("make", [Clone, Blend, lambda layers: LowRankBlend(layers, None)])
def test_nothing_can_be_copied_where_every_layer_is_in_the_set(make: Any):
    with pytest.raises(ValueError, match="none is left"), subject_of("llama").applied(make(tuple(range(LAYERS)))):
        pytest.fail("the body must not run")


@pytest.mark.parametrize("make", [Clone, Blend, lambda layers: LowRankBlend(layers, None)])
def test_layers_of_other_shapes_are_refused(make: Any):
    def weights_of(layer: int) -> dict[str, Tensor]:
        return {"weight": torch.ones(2, 2 + layer)}

    with pytest.raises(ValueError, match="different names or shapes"):
        make((1,)).replacement(1, weights_of, 3)


@given(
    layers=st.sets(st.integers(0, 9), min_size=1, max_size=9).map(lambda chosen: tuple(sorted(chosen))),
    make=st.sampled_from([Clone, Blend]),
    data=st.data(),
)
def test_the_smallest_set_takes_from_the_same_layers(layers: tuple[int, ...], make: Any, data: Any):
    layer = data.draw(st.sampled_from(layers))
    whole = make(layers)
    smallest = whole.at(layer, 10)
    assert {layer} <= set(smallest.layers) <= set(layers)
    assert smallest.others(layer, 10) == whole.others(layer, 10)


@pytest.mark.parametrize("layers", [(), (2, 1), (1, 1)])
def test_a_set_is_written_in_one_way_only(layers: tuple[int, ...]):
    with pytest.raises(ValueError, match="ascending"):
        SkipAll(layers)


@pytest.mark.parametrize(
    "value",
    [SkipAll(SET), Scale(SET, 0.9), Scale(SET, 0.9, "residual_writing"), Clone(SET), Blend(SET), LowRankBlend(SET, 4),
     LowRankBlend(SET, None), Noise(SET, 0.1, 3)],
)  # fmt: skip
def test_strategies_survive_json_and_are_values(value: Any):
    assert from_data(type(value), to_data(value)) == value
    assert to_data(value)["kind"]
    assert len({value, from_data(type(value), to_data(value))}) == 1
