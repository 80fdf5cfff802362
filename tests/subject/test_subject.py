"""A subject knows its layers and components, has a digest of its own, and scores text as Hugging Face does."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, OpenAIGPTConfig, OpenAIGPTLMHeadModel, PreTrainedTokenizerFast

from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.digest import subject_digest
from anatomy_bench.subject.loading import Permissions
from anatomy_bench.values.corpus import load_corpus

UNTRAINED = Permissions(untrained=True)
LLAMA_COMPONENTS = {
    *(f"self_attn.{each}_proj" for each in "qkvo"),
    *(f"mlp.{each}_proj" for each in ("gate", "up", "down")),
}
COMPONENTS = {
    **dict.fromkeys(("llama", "llama-tied", "mistral", "qwen2", "qwen3", "olmo2", "gemma3"), LLAMA_COMPONENTS),
    "gpt2": {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"},
    "gpt-neox": {"attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"},
    "opt": {*(f"self_attn.{each}_proj" for each in ("q", "k", "v", "out")), "fc1", "fc2"},
    "phi": {*(f"self_attn.{each}" for each in ("q_proj", "k_proj", "v_proj", "dense")), "mlp.fc1", "mlp.fc2"},
    "gpt-j": {*(f"attn.{each}_proj" for each in ("q", "k", "v", "out")), "mlp.fc_in", "mlp.fc_out"},
    "gpt-neo": {*(f"attn.attention.{each}_proj" for each in ("q", "k", "v", "out")), "mlp.c_fc", "mlp.c_proj"},
}
FUSED = {"gpt2": ("attn.c_attn",), "gpt-neox": ("attention.query_key_value",)}


def subject_of(model: Any, name: str = "tiny") -> Subject:
    return Subject(model, tiny.tokenizer(), name=name)


def load(folder: Path, **options: Any) -> Subject:
    return load_subject(resolve_source(str(folder)), device="cpu", permissions=UNTRAINED, **options)


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_layers_and_components_are_found_by_structure(architecture: str) -> None:
    subject = subject_of(tiny.model(architecture, layers=5))
    assert [type(layer).__name__ for layer in subject.layers] == [type(subject.layers[0]).__name__] * 5
    assert subject.record.layers == 5
    assert set(subject.record.components) == COMPONENTS[architecture]
    assert subject.record.fused == FUSED.get(architecture, ())


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_component_weights_are_the_layers_own(architecture: str) -> None:
    subject = subject_of(tiny.model(architecture))
    for component in subject.components:
        weights = subject.component_weights(component.name)
        for layer, row in zip(subject.layers, weights, strict=True):
            assert np.array_equal(row, layer.get_parameter(component.parameter).numpy().ravel())


def test_a_longer_list_of_lighter_modules_is_not_taken_for_the_layers() -> None:
    model = tiny.model("llama")
    model.model.decoys = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(4))
    assert subject_of(model).layers == tuple(model.model.layers)


def test_a_tied_weight_counts_once() -> None:
    tied, untied = (subject_of(tiny.model(each)).record for each in ("llama-tied", "llama"))
    assert untied.parameters - tied.parameters == tiny.VOCABULARY * 32


DIGESTED = tiny.model("gpt2", layers=3)
WEIGHTS = sorted(DIGESTED.state_dict())
DIGEST = subject_digest(DIGESTED, tiny.tokenizer())


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(WEIGHTS), st.data())
def test_digest_changes_with_any_single_weight(name: str, data: st.DataObject) -> None:
    values = DIGESTED.state_dict()[name].view(-1)
    index = data.draw(st.integers(0, len(values) - 1))
    before = values[index].clone()
    values[index] = torch.nextafter(before, torch.tensor(torch.inf))
    try:
        assert subject_digest(DIGESTED, tiny.tokenizer()) != DIGEST
    finally:
        values[index] = before
    assert subject_digest(DIGESTED, tiny.tokenizer()) == DIGEST


UNTIED = tiny.model("llama", layers=3)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(UNTIED.state_dict())), st.text(min_size=1, max_size=3))
def test_digest_changes_with_any_single_name(name: str, more: str) -> None:
    renamed = {name + more if each == name else each: tensor for each, tensor in UNTIED.state_dict().items()}
    other = SimpleNamespace(config=UNTIED.config, state_dict=lambda: renamed)
    assert subject_digest(other, tiny.tokenizer()) != subject_digest(UNTIED, tiny.tokenizer())


def test_digest_changes_with_the_order_of_layers() -> None:
    model = tiny.model("llama")
    before = subject_digest(model, tiny.tokenizer())
    first, second = (layer.mlp.state_dict() for layer in model.model.layers[:2])
    first = {name: tensor.clone() for name, tensor in first.items()}
    model.model.layers[0].mlp.load_state_dict(second)
    model.model.layers[1].mlp.load_state_dict(first)
    assert subject_digest(model, tiny.tokenizer()) != before


@pytest.mark.parametrize(("field", "value"), [("rms_norm_eps", 1e-3), ("hidden_act", "gelu")])
def test_digest_changes_with_the_config(field: str, value: Any) -> None:
    model = tiny.model("llama")
    before = subject_digest(model, tiny.tokenizer())
    setattr(model.config, field, value)
    assert subject_digest(model, tiny.tokenizer()) != before


def test_digest_changes_with_the_tokenizer() -> None:
    model = tiny.model("llama")
    before = subject_digest(model, tiny.tokenizer())
    assert subject_digest(model, word_tokenizer(["a", "b"])) != before
    assert subject_digest(model, word_tokenizer(["b", "a"])) != subject_digest(model, word_tokenizer(["a", "b"]))


def test_digest_does_not_depend_on_how_a_checkpoint_is_loaded(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "stored", tiny.model("llama-tied").to(torch.bfloat16))
    shutil.copytree(folder, tmp_path / "elsewhere")
    loaded = [
        load(folder, dtype="float32"),
        load(folder, dtype="bfloat16"),
        load(tmp_path / "elsewhere", dtype="float32"),
    ]
    assert [each.dtype for each in loaded] == ["float32", "bfloat16", "float32"]
    assert len({each.record.digest for each in loaded}) == 1


def test_digest_does_not_depend_on_how_many_files_hold_the_weights(tmp_path: Path) -> None:
    model = tiny.model("llama-tied")
    whole, split = tiny.save(tmp_path / "whole", model), tiny.save(tmp_path / "split", model)
    model.save_pretrained(split, max_shard_size="20KB")
    (split / "model.safetensors").unlink()
    counts = [len(list(folder.glob("*.safetensors"))) for folder in (whole, split)]
    assert counts[0] == 1 < counts[1]
    assert load(whole).record.digest == load(split).record.digest


def word_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(["<end>", *words])}
    tokens = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>")


def test_a_text_with_nothing_to_predict_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'a' is a single token"):
        subject_of(tiny.model()).tokenize(["A sentence.", "a"])


def test_a_text_beyond_the_context_is_refused_by_name() -> None:
    subject = subject_of(tiny.model())
    text = " ".join(["~"] * tiny.CONTEXT)
    with pytest.raises(UsageError, match=rf"'~ ~.*\.\.\.' has \d+ tokens, the model reads {tiny.CONTEXT}"):
        subject.tokenize(["A sentence.", text])


def test_a_text_that_just_fits_the_context_is_scored() -> None:
    # OPT looks positions up in a table with an offset of two: one token too many would raise.
    for architecture in ("llama", "gpt2", "opt"):
        subject = subject_of(tiny.model(architecture))
        (sentence,) = subject.tokenize(["~" * tiny.CONTEXT])
        assert len(sentence) == tiny.CONTEXT
        assert np.isfinite(subject.score([sentence], [Intact()])[Intact()][0])


def test_default_special_tokens_are_kept() -> None:
    tokens = word_tokenizer(["a", "b"])
    from tokenizers.processors import TemplateProcessing

    template = TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 0)])
    tokens.backend_tokenizer.post_processor = template
    subject = Subject(tiny.model(), tokens, name="tiny")
    assert subject.tokenize(["a b", "b"]) == [[0, 1, 2], [0, 2]]


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_scores_are_hugging_faces_own_loss(architecture: str) -> None:
    subject = subject_of(tiny.model(architecture))
    sentences = subject.tokenize(load_corpus("ten").sentences[:4])
    expected = []
    for sentence in sentences:
        ids = torch.tensor([sentence])
        expected.append(float(subject.model(input_ids=ids, labels=ids).loss) * (len(sentence) - 1))
    # float32 on both sides, summed in another order.
    assert subject.score(sentences, [Intact()])[Intact()] == pytest.approx(expected, rel=1e-5)


def test_a_directory_loads_from_end_to_end(tiny_folder: Path) -> None:
    subject = load(tiny_folder)
    original = tiny.model()
    assert (subject.name, subject.device.type, subject.dtype) == (str(tiny_folder), "cpu", "float32")
    assert not subject.model.training
    assert not any(parameter.requires_grad for parameter in subject.model.parameters())
    loaded = subject.model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in original.state_dict().items())
    texts = load_corpus("ten").sentences
    assert subject.tokenize(texts) == [list(ids) for ids in tiny.tokenizer()(list(texts))["input_ids"]]
    assert subject.record.architecture == "LlamaForCausalLM"
    assert json.loads((tiny_folder / "config.json").read_text())["num_hidden_layers"] == subject.record.layers == 4


def test_models_of_fewer_than_three_layers_are_refused() -> None:
    with pytest.raises(UnfitModelError, match="2 layers"):
        subject_of(tiny.model(layers=2))


def test_models_without_a_list_of_layers_are_refused() -> None:
    model = tiny.model()
    model.config = LlamaConfig(num_hidden_layers=7)
    with pytest.raises(UnfitModelError, match="no list of 7 decoder layers"):
        subject_of(model)


def test_layers_that_do_not_return_hidden_states_are_refused() -> None:
    config = OpenAIGPTConfig(vocab_size=tiny.VOCABULARY, n_embd=32, n_head=4, n_layer=4, n_positions=tiny.CONTEXT)
    with pytest.raises(UnfitModelError, match="not supported"):  # they return lists
        subject_of(OpenAIGPTLMHeadModel(config).eval())
