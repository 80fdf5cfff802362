"""Tiny models whose layers are of several kinds, share keys and values, or lie within a wrapper."""

from collections.abc import Callable
from typing import Any

import tiny
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    DeepseekV3Config,
    Gemma3Config,
    Gemma3nTextConfig,
    Lfm2Config,
    Mistral3Config,
    PretrainedConfig,
    Qwen2_5_VLConfig,
    Zamba2Config,
)

_SIZES = {
    "vocab_size": tiny.VOCABULARY, "initializer_range": tiny.SPREAD, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": 0, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "max_position_embeddings": tiny.CONTEXT,
}  # fmt: skip
_TEXT = {**_SIZES, "num_key_value_heads": 2, "head_dim": 8, "num_hidden_layers": 4}


def _dense_first() -> PretrainedConfig:
    """One dense layer before layers of experts."""
    return DeepseekV3Config(
        **_SIZES, num_hidden_layers=6, num_key_value_heads=4, n_routed_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=16, n_group=2, topk_group=1, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8,
        qk_rope_head_dim=4, v_head_dim=8, n_shared_experts=1, first_k_dense_replace=1,
    )  # fmt: skip


def _hybrid() -> PretrainedConfig:
    """Convolutions and attention in turn: no layer is like its neighbours."""
    kinds = ["conv", "full_attention"] * 2
    return Lfm2Config(**_SIZES, num_key_value_heads=2, num_hidden_layers=4, layer_types=kinds)


def _shared_keys() -> PretrainedConfig:
    """The last four layers read the keys and values of the two before them."""
    return Gemma3nTextConfig(
        **{**_SIZES, "intermediate_size": [48] * 8}, num_key_value_heads=2, head_dim=8, num_hidden_layers=8,
        sliding_window=8, num_kv_shared_layers=4, vocab_size_per_layer_input=tiny.VOCABULARY,
        hidden_size_per_layer_input=8, layer_types=["sliding_attention", "full_attention"] * 4,
        activation_sparsity_pattern=[0.0] * 8, laurel_rank=4,
    )  # fmt: skip


def _beside_vision() -> PretrainedConfig:
    """A vision tower as deep as the text model, and heavier."""
    vision = {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "image_size": 28, "patch_size": 14, "model_type": "siglip_vision_model",
    }  # fmt: skip
    text = {**_TEXT, "sliding_window": 8, "model_type": "gemma3_text"}
    return Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=5, boi_token_index=6,
        eoi_token_index=7,
    )  # fmt: skip


def _mistral3() -> PretrainedConfig:
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": 28, "patch_size": 14, "head_dim": 8, "model_type": "pixtral",
    }  # fmt: skip
    text = {**_TEXT, "model_type": "mistral"}
    return Mistral3Config(text_config=text, vision_config=vision, image_token_index=10, spatial_merge_size=1)


def _qwen_vl() -> PretrainedConfig:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
    return Qwen2_5_VLConfig(
        text_config={**_TEXT, "rope_parameters": rope},
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 32},
        image_token_id=5, video_token_id=6, vision_start_token_id=7, vision_end_token_id=8,
    )  # fmt: skip


def one_row() -> Any:
    """Zamba 2, whose layers are given the embedded sentences beside the hidden states."""
    config = Zamba2Config(
        **_SIZES, num_key_value_heads=2, num_hidden_layers=4, n_mamba_heads=4, mamba_d_state=8, mamba_headdim=16,
        layers_block_type=["mamba", "hybrid"] * 2, use_mem_rope=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return made.eval().requires_grad_(False)


SEVERAL_KINDS: dict[str, Callable[[], PretrainedConfig]] = {
    "dense-first": _dense_first,
    "hybrid": _hybrid,
    "shared-keys": _shared_keys,
}
WRAPPED: dict[str, Callable[[], PretrainedConfig]] = {
    "beside-vision": _beside_vision,
    "mistral3": _mistral3,
    "qwen-vl": _qwen_vl,
}


def model(name: str) -> Any:
    """A random model of that name, made alike each time."""
    made_by = AutoModelForCausalLM if name in SEVERAL_KINDS else AutoModelForImageTextToText
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = made_by.from_config({**SEVERAL_KINDS, **WRAPPED}[name](), dtype=torch.float32)
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim == 1:
                    parameter.add_(tiny.SPREAD * torch.randn_like(parameter))
    return made.eval().requires_grad_(False)
