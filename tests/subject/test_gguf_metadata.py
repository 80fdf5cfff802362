"""A GGUF file is measured as it says, or refused by the name of what its reader would drop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import tiny
import torch
from transformers import LlamaConfig

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.loading import Permissions

_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_HEADS = {"attn_q": 4, "attn_k": 2}
Writing = Callable[[Any], None]


def write(path: Path, model: Any, more: Writing = lambda _: None) -> Path:
    """The model as llama.cpp would have it, with the tiny tokenizer."""
    file = gguf.GGUFWriter(str(path), "llama")
    config: LlamaConfig = model.config
    file.add_block_count(config.num_hidden_layers)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_dimension_count(config.hidden_size // 4)
    file.add_rope_freq_base(10000.0)
    file.add_vocab_size(config.vocab_size)
    tokens = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    file.add_tokenizer_model("gpt2")
    file.add_token_list(sorted(tokens["vocab"], key=tokens["vocab"].get))
    file.add_token_merges([" ".join(each) for each in tokens["merges"]])
    file.add_token_types([1] * len(tokens["vocab"]))
    file.add_eos_token_id(0)
    more(file)
    weights = model.state_dict()
    for name in ("model.embed_tokens", "model.norm", "lm_head"):
        short = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[name]
        file.add_tensor(f"{short}.weight", weights[f"{name}.weight"].numpy())
    for layer in range(config.num_hidden_layers):
        for name, short in _NAMES.items():
            tensor = weights[f"model.layers.{layer}.{name}.weight"]
            if short in _HEADS:  # llama.cpp has the halves of each head in turn
                heads = _HEADS[short]
                rows = len(tensor) // heads // 2
                tensor = tensor.view(heads, 2, rows, -1).transpose(1, 2).reshape(tensor.shape)
            file.add_tensor(f"blk.{layer}.{short}.weight", np.ascontiguousarray(tensor.numpy()))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def load(path: Path) -> Subject:
    return load_subject(resolve_source(str(path)), device="cpu", permissions=Permissions(untrained=True))


def refusal(path: Path) -> str:
    with pytest.raises(UnfitModelError) as refused:
        load(path)
    told = str(refused.value)
    assert "\n" not in told
    return told


def test_a_plain_file_gives_the_numbers_of_the_model_that_it_was_made_from(tmp_path: Path) -> None:
    model = tiny.model()
    subject = load(write(tmp_path / "plain.gguf", model))
    sentences = tiny.sentences((9, 5))
    truth = Subject(model, tiny.tokenizer(), name="truth").score(sentences, [Intact()])[Intact()]
    assert subject.score(sentences, [Intact()])[Intact()] == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("value", [4.0, 1.5])
def test_scaled_rotary_frequencies_are_refused_by_name(tmp_path: Path, value: float) -> None:
    def scaled(file: Any) -> None:
        file.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        file.add_rope_scaling_factor(value)

    assert "llama.rope.scaling.type = linear" in refusal(write(tmp_path / "scaled.gguf", tiny.model(), scaled))


def test_a_scaling_of_none_is_no_scaling(tmp_path: Path) -> None:
    def none(file: Any) -> None:
        file.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        file.add_rope_scaling_factor(1.0)

    load(write(tmp_path / "none.gguf", tiny.model(), none))


def test_a_tensor_of_rotary_factors_is_refused_by_name(tmp_path: Path) -> None:
    factors = np.array([1, 2, 4, 8], dtype=np.float32)
    path = write(tmp_path / "factors.gguf", tiny.model(), lambda file: file.add_tensor("rope_freqs.weight", factors))
    assert "rope_freqs.weight" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value", "is_harmless"),
    [
        ("attention.sliding_window", 8, False),
        ("attn_logit_softcapping", 50.0, False),
        ("final_logit_softcapping", 30.0, False),
        ("logit_scale", 0.5, False),
        ("attention.scale", 0.25, False),
        ("residual_scale", 0.25, False),
        ("attention.key_length", 4, False),
        ("attention.key_length", 8, True),
        ("logit_scale", 1.0, True),
        ("expert_count", 0, True),
        ("an_invention_of_next_year", 3, False),
    ],
)
def test_every_key_of_the_architecture_is_honoured_or_refused(
    tmp_path: Path, key: str, value: float, *, is_harmless: bool
) -> None:
    def more(file: Any) -> None:
        (file.add_uint32 if isinstance(value, int) else file.add_float32)(f"llama.{key}", value)

    path = write(tmp_path / "more.gguf", tiny.model(), more)
    if is_harmless:
        load(path)
    else:
        assert f"llama.{key} = " in refusal(path)


def test_biases_that_the_reader_does_not_know_are_refused(tmp_path: Path) -> None:
    bias = torch.ones(32).numpy()
    path = write(tmp_path / "bias.gguf", tiny.model(), lambda file: file.add_tensor("blk.0.attn_q.bias", bias))
    assert "blk.0.attn_q.bias" in refusal(path)
