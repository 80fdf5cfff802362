"""A model that was changed in memory is noticed, however it was changed, and nothing measured on it is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.claim.claim import Need
from anatomy_bench.engine.interventions import NeighbourAverage
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject.unchanged import fingerprint, first_difference


def weight(model: Any) -> torch.Tensor:
    return model.model.layers[1].mlp.up_proj.weight


def through_numpy(model: Any) -> None:
    weight(model).numpy()[0, 0] += 1


def through_data(model: Any) -> None:
    weight(model).data.mul_(2)


def in_inference_mode(model: Any) -> None:
    with torch.inference_mode():
        weight(model).add_(1e-6)


def negated(model: Any) -> None:
    with torch.no_grad():
        weight(model).neg_()


def rows_swapped(model: Any) -> None:
    with torch.no_grad():
        weight(model).copy_(weight(model).flip(0))


def one_bit(model: Any) -> None:
    weight(model).data.view(torch.int32)[-1, -1] ^= 1


def another_tensor(model: Any) -> None:
    model.model.layers[1].mlp.up_proj.weight = torch.nn.Parameter(weight(model) * 1.01, requires_grad=False)


def hooked(model: Any) -> None:
    model.model.layers[0].register_forward_hook(lambda *_: None)


def own_forward(model: Any) -> None:
    model.model.layers[0].forward = model.model.layers[1].forward


def other_layer(model: Any) -> None:
    model.model.layers[2] = model.model.layers[1]


CHANGES: list[Callable[[Any], Any]] = [
    through_numpy,
    through_data,
    in_inference_mode,
    negated,
    rows_swapped,
    one_bit,
    another_tensor,
    hooked,
    own_forward,
    other_layer,
    lambda model: model.model.rotary_emb.inv_freq.mul_(2),
    lambda model: model.train(),
    lambda model: setattr(model.config, "rms_norm_eps", 0.1),
    lambda model: model.half(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(change: Callable[[Any], Any]):
    model = tiny.model()
    before = fingerprint(model)
    assert first_difference(before, fingerprint(model)) is None
    change(model)
    assert first_difference(before, fingerprint(model)) is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.bool])
@pytest.mark.parametrize("count", [0, 1, 7, 65_536, 400_001])
def test_every_place_of_a_tensor_counts(dtype: torch.dtype, count: int):
    values = torch.arange(count).remainder(100).to(dtype)
    holder = torch.nn.Module()
    holder.register_buffer("values", values)
    holder.config = tiny.model().config  # type: ignore[assignment]
    before = fingerprint(holder)
    for place in {0, count // 2, count - 1} if count else ():
        kept = values[place].clone()
        values[place] = not kept if dtype is torch.bool else kept + 1
        assert first_difference(before, fingerprint(holder)) == "values"
        values[place] = kept
    assert first_difference(before, fingerprint(holder)) is None


@pytest.mark.parametrize("architecture", [*tiny.CONFIGS, *tiny.UNWALKABLE])
def test_what_measuring_does_is_no_change(architecture: str, tmp_path: Path):
    """Each architecture, scored in every way and changed in place: afterwards it is as it was loaded."""
    model = tiny.save(tmp_path / "model", tiny.model(architecture))
    subject = Run(Options(str(model), device="cpu", allow_untrained=True)).subject
    sentences = subject.tokenize(["A short sentence.", "Another one, which is longer than that."])
    subject.score(sentences, [NeighbourAverage(1)])
    subject.score_plainly_in_float32(sentences, [NeighbourAverage(1)])
    with subject.applied(NeighbourAverage(1)):
        pass
    subject.require_as_loaded()


def test_nothing_measured_on_a_changed_model_is_kept(tiny_folder: Path, tmp_path: Path):
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    run = Run(options, store=Store(tmp_path))
    kept = weight(run.subject.model)[0, 0].clone()
    through_numpy(run.subject.model)
    with pytest.raises(UnfitModelError, match=r"changed in memory after loading \(model.layers.1.mlp.up_proj.weight\)"):
        run.measure(Need("ablation"))
    with pytest.raises(UnfitModelError):
        run.measure(Need("structure"))
    assert list(tmp_path.rglob("*.json")) == []
    weight(run.subject.model).data[0, 0] = kept
    intact = Run(options, store=Store(tmp_path / "other")).measure(Need("ablation"))
    assert run.measure(Need("ablation")).layers == intact.layers  # type: ignore[attr-defined]


def test_text_of_a_length_that_a_model_adapts_to_is_no_change():
    """Frequencies that a model sets anew for each text are its own doing."""
    from transformers import AutoModelForCausalLM

    config = tiny.CONFIGS["llama"](3)
    config.max_position_embeddings = 8
    config.rope_parameters = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    before, frequencies = fingerprint(model), model.model.rotary_emb.inv_freq.clone()
    model(input_ids=torch.ones((1, 20), dtype=torch.long))
    assert not torch.equal(model.model.rotary_emb.inv_freq, frequencies)
    assert first_difference(before, fingerprint(model)) is None
