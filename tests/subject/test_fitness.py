"""Every kind of unfit model is refused, in one line that says why, before anything is measured."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import (
    BertConfig,
    BertLMHeadModel,
    BertModel,
    T5Config,
    T5ForConditionalGeneration,
)

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.loading import Permissions
from anatomy_bench.values.corpus import load_corpus

WEIGHTS = "model.safetensors"
_BERT = {
    "vocab_size": tiny.VOCABULARY, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": tiny.CONTEXT, "initializer_range": tiny.SPREAD,
}  # fmt: skip


def load(model: Path | str, **permissions: bool) -> Subject:
    return load_subject(
        resolve_source(str(model)), device="cpu", permissions=Permissions(**{"untrained": True, **permissions})
    )


def refusal(model: Path | str, **permissions: bool) -> str:
    with pytest.raises(UnfitModelError) as refused:
        load(model, **permissions)
    told = str(refused.value)
    assert "\n" not in told
    assert len(told) < 300
    return told


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be spoilt."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "spoilt"))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


NORM = "model.layers.2.input_layernorm.weight"
DOWN = "model.layers.1.mlp.down_proj.weight"


def test_the_unspoilt_model_is_fit(folder: Path) -> None:
    assert load(folder).record.layers == 4


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    # The library would give it a random head.
    assert "lacks cls.predictions" in refusal(tiny.save(tmp_path / "encoder", BertModel(BertConfig(**_BERT))))


def test_an_encoder_whose_class_has_a_language_modelling_head_is_refused(tmp_path: Path) -> None:
    # BERT is among the causal models of the library and loads as one, silently without a causal mask.
    model = BertLMHeadModel(BertConfig(**_BERT, is_decoder=False))
    assert "not causal" in refusal(tiny.save(tmp_path / "encoder-with-head", model))


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = T5Config(vocab_size=tiny.VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4)
    assert "encoder-decoder" in refusal(tiny.save(tmp_path / "translator", T5ForConditionalGeneration(config)))


def test_two_layers_are_refused(tmp_path: Path) -> None:
    assert "2 layers" in refusal(tiny.save(tmp_path / "flat", tiny.model(layers=2)))


def test_a_missing_weight_is_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop(NORM))
    assert NORM in refusal(folder)


def test_a_misnamed_weight_is_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update(misnamed=weights.pop(DOWN)))
    assert DOWN in refusal(folder)


def test_a_weight_too_many_is_refused_by_name(folder: Path) -> None:
    # A fifth layer's weights: the config must be another model's.
    change_weights(folder, lambda weights: weights.update({DOWN.replace("1", "4"): weights[DOWN].clone()}))
    assert DOWN.replace("1", "4") in refusal(folder)


def test_a_weight_of_another_shape_is_refused_by_name(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update({DOWN: weights[DOWN][:, :-1].contiguous()}))
    assert DOWN in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", [NORM, DOWN, "model.embed_tokens.weight"])
def test_a_single_weight_that_is_not_finite_is_refused_by_name(folder: Path, name: str, value: float) -> None:
    change_weights(folder, lambda weights: weights[name].view(-1).__setitem__(3, value))
    assert name in refusal(folder)


def test_logits_that_overflow_are_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights["lm_head.weight"].fill_(3e38))
    assert "infinite logits" in refusal(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(folder: Path, kept: float) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    refusal(folder)


def test_no_checkpoint_is_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    refusal(folder)


def test_pickled_weights_are_refused_unless_allowed(folder: Path, tiny_folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "--allow-pickled-weights" in refusal(folder)
    assert load(folder, pickled_weights=True).record.digest == load(tiny_folder).record.digest


def test_remote_code_is_not_run_unasked(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (folder / "custom.py").write_text(
        f"open({str(trace)!r}, 'w')\nfrom transformers import LlamaConfig\nclass Custom(LlamaConfig):\n"
        "    model_type = 'custom'\n"
    )
    change_config(folder, model_type="custom", auto_map={"AutoConfig": "custom.Custom"})
    assert "--trust-remote-code" in refusal(folder)
    assert not trace.exists()


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    tiny.model().save_pretrained(tmp_path / "mute")
    assert "no tokenizer" in refusal(tmp_path / "mute")


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    tokens = type(tiny.tokenizer())(
        tokenizer_object=tiny.tokenizer().backend_tokenizer.from_str(tiny.tokenizer().backend_tokenizer.to_str())
    )
    tokens.add_tokens([AddedToken("electricity"), AddedToken("watershed")])
    assert "another model" in refusal(tiny.save(tmp_path / "foreign", tokens=tokens))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_that_sees_the_future_is_refused(
    tiny_folder: Path, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama import modeling_llama

    def full(*, input_embeds: torch.Tensor | None = None, **others: Any) -> torch.Tensor:
        embeds = input_embeds if input_embeds is not None else others["inputs_embeds"]
        return embeds.new_zeros(1, 1, embeds.shape[1], embeds.shape[1])

    subject = Subject(tiny.model(attention=attention), tiny.tokenizer(), name=str(tiny_folder))
    assert subject.attention == attention
    monkeypatch.setattr(modeling_llama, "create_causal_mask", full)
    assert "not causal" in refusal(tiny_folder)


def test_an_untrained_model_is_refused_unless_allowed(tiny_folder: Path) -> None:
    told = refusal(tiny_folder, untrained=False)
    assert "no better than token frequencies" in told
    assert "--allow-untrained" in told
    assert load(tiny_folder, untrained=True).record.layers == 4


def test_a_model_that_has_learnt_something_is_fit(tmp_path: Path) -> None:
    model = tiny.model().requires_grad_(True)
    texts = [torch.tensor([ids]) for ids in tiny.tokenizer()(list(load_corpus("ten").sentences))["input_ids"]]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(8):
        for ids in texts:
            optimizer.zero_grad()
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
    assert load(tiny.save(tmp_path / "learnt", model), untrained=False).record.layers == 4


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64, b"no gguf at all" * 100])
def test_a_damaged_gguf_file_is_refused(content: bytes, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "damaged.gguf"
    file.write_bytes(content)
    refusal(file)
    assert not [path for path in cache.rglob("*") if path.suffix == ".safetensors"]


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"\xff\xd8")
    assert "no config.json" in refusal(tmp_path / "holiday")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"model_type": "no such type"}', "\0\0"])
def test_a_config_that_says_nothing_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    refusal(folder)


def test_a_config_of_impossible_sizes_is_refused(folder: Path) -> None:
    change_config(folder, num_attention_heads=5)
    refusal(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_tokenizer_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    refusal(folder)


def test_a_subject_gives_the_same_scores_after_it_was_checked(tiny_folder: Path) -> None:
    (sentence,) = tiny.sentences((12,))
    fresh = Subject(tiny.model(), tiny.tokenizer(), name="fresh")
    assert load(tiny_folder).score([sentence], [Intact()]) == fresh.score([sentence], [Intact()])
