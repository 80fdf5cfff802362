"""A GGUF file of a tiny random Llama, so that what it holds is known."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tiny

NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def save(path: Path, seed: int = 0) -> Path:
    """Write the file; returns its path. Its weights are those of `tiny.model("llama", seed=seed)`."""
    made = tiny.model("llama", seed=seed)
    config = made.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    for name, tensor in _tensors(made):
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any) -> None:
    content = json.loads(tiny.tokenizer().backend_tokenizer.to_str())
    vocabulary = {**content["model"]["vocab"], **{each["content"]: each["id"] for each in content["added_tokens"]}}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    merges = [each if isinstance(each, str) else " ".join(each) for each in content["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<end>" else 1 for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def _tensors(made: Any) -> list[tuple[str, Any]]:
    weights = {name: tensor.detach().numpy() for name, tensor in made.state_dict().items()}
    tensors = [
        ("token_embd.weight", weights["model.embed_tokens.weight"]),
        ("output_norm.weight", weights["model.norm.weight"]),
        ("output.weight", weights["lm_head.weight"]),
    ]
    heads = {"attn_q": made.config.num_attention_heads, "attn_k": made.config.num_key_value_heads}
    for layer in range(made.config.num_hidden_layers):
        for name, short in NAMES.items():
            tensor = weights[f"model.layers.{layer}.{name}.weight"]
            tensor = _permuted(tensor, heads[short]) if short in heads else tensor
            tensors.append((f"blk.{layer}.{short}.weight", tensor))
    return tensors


def _permuted(matrix: Any, heads: int) -> Any:
    """Rows in the order in which llama.cpp rotates them."""
    rows = matrix.reshape(heads, 2, matrix.shape[0] // heads // 2, *matrix.shape[1:])
    return rows.swapaxes(1, 2).reshape(matrix.shape)
