"""Checkpoints that do not hold plain weights are brought into that form, named so, or refused by name."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig

from anatomy_bench.base.errors import AnatomyError, UnfitModelError, UsageError
from anatomy_bench.engine.interventions import Intact, NeighbourAverage
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.fitness import check_parameters
from anatomy_bench.subject.loading import Permissions

WEIGHTS = "model.safetensors"
BLOCK = 16


def load(folder: Path, **options: Any) -> Subject:
    return load_subject(resolve_source(str(folder)), device="cpu", permissions=Permissions(untrained=True), **options)


def refusal(folder: Path) -> str:
    with pytest.raises(AnatomyError) as refused:
        load(folder)
    told = str(refused.value)
    assert len(told) < 300
    return told


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def quantised(folder: Path, **quantisation: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": quantisation}))
    return folder


def as_fp8(folder: Path) -> dict[str, torch.Tensor]:
    """Write the projections as eight-bit floats with a scale for every block; returns what they stand for."""
    weights, stand_for = load_file(folder / WEIGHTS), {}
    for name in [each for each in weights if "proj" in each]:
        blocks = [-(-size // BLOCK) for size in weights[name].shape]
        scales = torch.rand(blocks) / 448 + 1e-3
        spread = scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        spread = spread[: weights[name].shape[0], : weights[name].shape[1]]
        packed = (weights[name] / spread).clamp(-448, 448).to(torch.float8_e4m3fn)
        stand_for[name] = packed.float() * spread
        weights |= {name: packed, f"{name}_scale_inv": scales}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    quantised(folder, quant_method="fp8", activation_scheme="dynamic", weight_block_size=[BLOCK, BLOCK])
    return stand_for


def test_eight_bit_floats_are_measured_as_the_numbers_that_they_stand_for(folder: Path) -> None:
    stand_for = as_fp8(folder)
    subject = load(folder)
    assert "quantised (fp8), measured with its weights dequantised" in subject.record.note
    loaded = dict(subject.model.named_parameters())
    for name, weights in stand_for.items():
        assert loaded[name].dtype == torch.float32
        torch.testing.assert_close(loaded[name].data, weights, rtol=1e-6, atol=0)
    subject.score(tiny.sentences((8, 5)), [Intact(), NeighbourAverage(1)])
    for name, weights in stand_for.items():
        torch.testing.assert_close(loaded[name].data, weights, rtol=1e-6, atol=0)


@pytest.mark.parametrize("method", ["gptq", "awq", "torchao", "quanto", "hqq", "bitnet", "a-new-one"])
def test_what_cannot_be_dequantised_is_refused_by_name(folder: Path, method: str) -> None:
    quantised(folder, quant_method=method, bits=4, group_size=8)
    assert f"quantised ({method})" in refusal(folder)


def test_a_library_that_is_missing_is_named(folder: Path) -> None:
    if importlib.util.find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed")
    quantised(folder, quant_method="bitsandbytes", load_in_4bit=True, bnb_4bit_quant_type="nf4")
    assert "bitsandbytes" in refusal(folder)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", [4, 8])
def test_bitsandbytes_is_dequantised(folder: Path, bits: int, tmp_path: Path) -> None:
    from bitsandbytes.functional import dequantize_4bit
    from transformers import BitsAndBytesConfig

    asked = BitsAndBytesConfig(**{f"load_in_{bits}bit": True})
    made = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=asked)
    packed = {name: each for name, each in made.named_parameters() if "proj" in name}
    truth = {
        name: dequantize_4bit(each.data, each.quant_state) if bits == 4 else each.CB * each.SCB[:, None] / 127
        for name, each in packed.items()
    }
    subject = load(tiny.save(tmp_path / "packed", made))
    assert f"quantised (bitsandbytes_{bits}bit)" in subject.record.note
    loaded = dict(subject.model.named_parameters())
    for name, weights in truth.items():
        torch.testing.assert_close(loaded[name].data, weights.float(), rtol=1e-6, atol=0)


def with_adapter(folder: Path) -> Path:
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "the/base"})
    )
    save_file({"base_model.model.x": torch.zeros(1)}, folder / "adapter_model.safetensors")
    return folder


def test_an_adapter_is_never_left_out_in_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "peft" else find_spec(name, *more)
    )
    with pytest.raises(UsageError, match="pip install peft"):
        load(with_adapter(folder))


@pytest.mark.parametrize("kept", [(), ("config.json",)])
def test_an_adapter_alone_is_refused_by_the_name_of_its_base(folder: Path, kept: tuple[str, ...]) -> None:
    with_adapter(folder)
    for name in {"config.json", WEIGHTS} - {*kept}:
        (folder / name).unlink()
    assert "PEFT adapter alone, without its base model (the/base)" in refusal(folder)


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_is_merged(folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.2)
    tuned.save_pretrained(folder)
    subject = load(folder)
    assert "PEFT adapter merged" in subject.record.note
    truth = dict(tuned.merge_and_unload().named_parameters())
    for name, parameter in subject.model.named_parameters():
        assert torch.equal(parameter, truth[name])
    assert subject.record.parameters == load(tiny.save(tmp_path / "plain", tiny.model())).record.parameters


class Packed(torch.Tensor):
    """A kind of tensor that does its own arithmetic."""


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (lambda weight: weight.to(torch.uint8), "Tensor of uint8"),
        (lambda weight: weight.to(torch.float8_e4m3fn), "Tensor of float8_e4m3fn"),
        (lambda weight: weight.as_subclass(Packed), "Packed of float32"),
        (lambda weight: weight.to("meta"), "not loaded"),
    ],
)
def test_parameters_that_are_no_plain_numbers_are_refused_by_name(spoilt: Any, told: str) -> None:
    model = tiny.model()
    projection = model.model.layers[1].mlp.up_proj
    projection.weight = torch.nn.Parameter(spoilt(projection.weight.data), requires_grad=False)
    with pytest.raises(UnfitModelError, match=f"model.layers.1.mlp.up_proj.weight is {told}"):
        check_parameters("spoilt", model)


def test_integers_packed_beside_the_parameters_are_refused() -> None:
    model = tiny.model()
    model.model.layers[2].mlp.up_proj.register_buffer("qweight", torch.ones(8, 8, dtype=torch.int32))
    with pytest.raises(UnfitModelError, match="qweight is a matrix of int32"):
        check_parameters("packed", model)


@pytest.mark.parametrize("architecture", [*tiny.CONFIGS, *tiny.UNWALKABLE])
def test_plain_models_are_plain(architecture: str) -> None:
    check_parameters(architecture, tiny.model(architecture))


def test_the_test_of_blocks_has_blocks() -> None:
    config: LlamaConfig = tiny.model().config
    assert config.hidden_size > BLOCK
