"""Interventions do what they say, and afterwards the model is bit for bit what it was."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import tiny
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from anatomy_bench.engine.interventions import Intact, Intervention, NeighbourAverage, Skip
from anatomy_bench.engine.naive import sentence_nll_nats
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise, SigmaOf
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import (
    Blend,
    Clone,
    LowRankBlend,
    Noise,
    Scale,
    SkipAll,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.predicted import Predicted
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import READINGS, depth_features
from anatomy_bench.subject import Subject

LAYERS = 5
ARCHITECTURES = ["llama-tied", "gemma3", "gpt2", "gpt-j"]
layers = st.integers(0, LAYERS - 1)
predictable = st.sets(st.integers(2, LAYERS - 1), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
predictions = st.builds(Predicted, predictable, st.sampled_from(READINGS), st.sampled_from([1e-3, 1.0]))
sets = st.sets(layers, min_size=1, max_size=LAYERS - 1).map(lambda chosen: tuple(sorted(chosen)))
interventions = st.one_of(
    st.just(Intact()),
    st.builds(NeighbourAverage, layers),
    st.builds(Skip, layers),
    st.builds(SkipAll, sets),
    st.builds(Scale, sets, st.floats(0, 2), st.sampled_from(["all", "residual_writing"])),
    st.builds(Clone, sets),
    st.builds(Blend, sets),
    st.builds(LowRankBlend, sets, st.sampled_from([None, 3])),
    st.builds(Noise, sets, st.floats(0, 2), st.integers(0, 2**31)),
    st.builds(GaussianNoise, layers, st.floats(0, 2), st.integers(0, 2**31), st.sampled_from(get_args(SigmaOf))),
    predictions,
)
architectures = st.sampled_from(ARCHITECTURES)


@cache
def subject_of(architecture: str) -> Subject:
    return Subject(tiny.model(architecture, LAYERS), tiny.tokenizer(), name=architecture)


def weights(subject: Subject) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}


def same_bits(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def layer_weights(subject: Subject, layer: int) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in subject.layers[layer].named_parameters()}


def has_own_forwards(subject: Subject) -> bool:
    return not any("forward" in vars(layer) for layer in subject.layers)


@settings(max_examples=40, deadline=None)
@given(architectures, interventions)
def test_every_parameter_is_restored_bit_for_bit(architecture: str, intervention: Intervention) -> None:
    subject = subject_of(architecture)
    before = weights(subject)
    with subject.applied(intervention):
        pass
    assert same_bits(weights(subject), before)
    assert has_own_forwards(subject)


@settings(max_examples=40, deadline=None)
@given(architectures, interventions)
def test_every_parameter_is_restored_when_the_body_raises(architecture: str, intervention: Intervention) -> None:
    subject = subject_of(architecture)
    before = weights(subject)
    with pytest.raises(KeyboardInterrupt), subject.applied(intervention):
        raise KeyboardInterrupt
    assert same_bits(weights(subject), before)
    assert has_own_forwards(subject)


@settings(max_examples=40, deadline=None)
@given(architectures, interventions, st.data())
def test_every_parameter_is_restored_when_changing_or_restoring_is_interrupted(
    architecture: str, intervention: Intervention, data: st.DataObject
) -> None:
    """With some layers written, one half written, and the others still as they were."""
    subject = subject_of(architecture)
    before = weights(subject)
    written = 0 if isinstance(intervention, Skip | SkipAll) else len(intervention.touched)
    assume(written)
    left = iter(range(data.draw(st.integers(0, 2 * written - 1)), -1, -1))
    write = LayerStack._write

    def interrupted(stack: LayerStack, layer: int, changed: Mapping[str, Tensor]) -> None:
        if next(left, None) != 0:
            return write(stack, layer, changed)
        write(stack, layer, dict(list(changed.items())[: len(changed) // 2]))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LayerStack, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt), subject.applied(intervention):
            pass
    assert same_bits(weights(subject), before)
    assert has_own_forwards(subject)


@settings(max_examples=40, deadline=None)
@given(architectures, st.lists(interventions, min_size=2, max_size=3))
def test_nested_interventions_are_undone_one_by_one(architecture: str, chain: list[Intervention]) -> None:
    subject = subject_of(architecture)
    states = [weights(subject)]

    def nest(rest: list[Intervention]) -> None:
        if not rest:
            return
        with subject.applied(rest[0]):
            states.append(weights(subject))
            nest(rest[1:])
            assert same_bits(weights(subject), states.pop())

    nest(chain)
    assert same_bits(weights(subject), states.pop())
    assert has_own_forwards(subject)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layer", range(1, LAYERS - 1))
def test_neighbour_average_writes_the_mean_of_every_parameter(architecture: str, layer: int) -> None:
    subject = subject_of(architecture)
    below, own, above = (layer_weights(subject, each) for each in (layer - 1, layer, layer + 1))
    with subject.applied(NeighbourAverage(layer)):
        written = layer_weights(subject, layer)
    assert written.keys() == own.keys()
    assert any(tensor.ndim == 1 for tensor in written.values())  # norms are among them
    for name, tensor in written.items():
        # Halving is exact in binary, so the one rounding of the sum is all there is: equal to the bit.
        assert torch.equal(tensor, (below[name] + above[name]) / 2)
        assert not torch.equal(tensor, own[name])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("boundary", "neighbour"), [(0, 1), (LAYERS - 1, LAYERS - 2)])
def test_a_boundary_layer_takes_a_copy_of_its_one_neighbour(architecture: str, boundary: int, neighbour: int) -> None:
    subject = subject_of(architecture)
    with subject.applied(NeighbourAverage(boundary)):
        assert same_bits(layer_weights(subject, boundary), layer_weights(subject, neighbour))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("layer", [0, 2, LAYERS - 1])
def test_neighbour_average_touches_no_other_layer(architecture: str, layer: int) -> None:
    subject = subject_of(architecture)
    others = [each for each in range(LAYERS) if each != layer]
    before = {each: layer_weights(subject, each) for each in others}
    with subject.applied(NeighbourAverage(layer)):
        assert all(same_bits(layer_weights(subject, each), before[each]) for each in others)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("reading", READINGS)
def test_predictions_are_those_of_scikit_learn_from_the_layers_as_loaded(architecture: str, reading: Any) -> None:
    """Also where the layers that a layer is predicted from are replaced themselves."""
    subject, features = subject_of(architecture), depth_features(LAYERS)
    loaded = [layer_weights(subject, layer) for layer in range(LAYERS)]
    with subject.applied(Predicted((2, 3, 4), reading, 0.5)):
        written = {layer: layer_weights(subject, layer) for layer in (2, 3, 4)}
    for layer, weights in written.items():
        known = layer + 1 if reading == "in_sample" else layer
        for name, tensor in weights.items():
            if tensor.ndim == 1:
                assert torch.equal(tensor, loaded[layer][name])
                continue
            flat = np.stack([each[name].flatten().double().numpy() for each in loaded])
            own = flat[layer]
            if reading == "sorted":
                flat = np.sort(flat, axis=1)
            expected = Ridge(alpha=0.5).fit(features[:known], flat[:known]).predict(features[layer : layer + 1])[0]
            if reading == "sorted":
                expected = expected[own.argsort(kind="stable").argsort(kind="stable")]
            np.testing.assert_allclose(tensor.flatten().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layer_without_two_before_it_cannot_be_predicted(layer: int) -> None:
    subject = subject_of("llama-tied")
    with pytest.raises(ValueError, match="2 layers before"), subject.applied(Predicted((layer,), "elementwise", 1.0)):
        pytest.fail("the body must not run")


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_skip_passes_hidden_states_on(architecture: str) -> None:
    subject = subject_of(architecture)
    input_ids = torch.tensor(tiny.sentences((9,)))

    def hidden_states() -> tuple[Tensor, ...]:
        """What enters layer 2 and what enters layer 3. A skipped layer's own hooks still run."""
        entering: list[Tensor] = []

        def observe(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            entering.append(args[0] if args else kwargs["hidden_states"])

        hooks = [layer.register_forward_pre_hook(observe, with_kwargs=True) for layer in subject.layers[2:4]]
        subject.model(input_ids=input_ids, use_cache=False)
        for hook in hooks:
            hook.remove()
        return tuple(entering)

    entered, left = hidden_states()
    assert not torch.equal(entered, left)
    with subject.applied(Skip(2)):
        entered, left = hidden_states()
    assert torch.equal(entered, left)


def test_skipping_is_what_a_model_without_that_layer_does() -> None:
    subject = Subject(tiny.model("llama", LAYERS), tiny.tokenizer(), name="llama")
    (sentence,) = tiny.sentences((20,))
    with subject.applied(Skip(2)):
        skipped = sentence_nll_nats(subject.model, sentence)
    del subject.model.model.layers[2]
    subject.model.config.num_hidden_layers -= 1
    assert skipped == sentence_nll_nats(subject.model, sentence)


def test_averaging_away_equal_layers_changes_nothing() -> None:
    model = tiny.model("llama", LAYERS)
    for layer in model.model.layers[1:4]:
        layer.load_state_dict(model.model.layers[1].state_dict())
    subject = Subject(model, tiny.tokenizer(), name="three alike")
    before = weights(subject)
    with subject.applied(NeighbourAverage(2)):
        assert same_bits(weights(subject), before)


@pytest.mark.parametrize("make", [NeighbourAverage, Skip])
@pytest.mark.parametrize("layer", [-1, LAYERS, 99])
def test_a_layer_out_of_range_is_refused(make: Any, layer: int) -> None:
    subject = subject_of("llama-tied")
    before = weights(subject)
    with pytest.raises(ValueError, match=f"no layer {layer}"), subject.applied(make(layer)):
        pytest.fail("the body must not run")
    assert same_bits(weights(subject), before)


def test_interventions_are_values() -> None:
    assert NeighbourAverage(3) == NeighbourAverage(3)
    assert len({NeighbourAverage(3), NeighbourAverage(3), Skip(3), Skip(4), Intact(), Intact()}) == 4
