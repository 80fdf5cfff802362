"""Tiny random models of many architectures, and a tokenizer that fits them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MptConfig,
    Olmo2Config,
    OPTConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.utils import logging

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.values.corpus import load_corpus

logging.disable_progress_bar()

VOCABULARY = 320
CONTEXT = 256
# Large enough that layers matter: with the usual 0.02 a layer of width 32 hardly changes its input.
SPREAD = 0.2

_COMMON = {"vocab_size": VOCABULARY, "initializer_range": SPREAD, "bos_token_id": 0, "eos_token_id": 0}
_ROTARY = {
    **_COMMON, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "pad_token_id": 0,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip
_GROUPED = {**_ROTARY, "num_key_value_heads": 2}


def _gpt(config: type[PretrainedConfig], **others: Any) -> Callable[[int], PretrainedConfig]:
    sizes = {"n_embd": 32, "n_head": 4, "n_inner": 48, "n_positions": CONTEXT}
    return lambda layers: config(**_COMMON, **sizes, n_layer=layers, **others)


def _gemma3(layers: int) -> PretrainedConfig:
    """A window much shorter than the sentences, on every layer but each third."""
    kinds = ["full_attention" if layer % 3 == 2 else "sliding_attention" for layer in range(layers)]
    return Gemma3TextConfig(
        **_GROUPED, num_hidden_layers=layers, head_dim=8, query_pre_attn_scalar=8, sliding_window=5, layer_types=kinds
    )


# Architectures whose layers cannot be walked with copies of the sentences.
UNWALKABLE: dict[str, Callable[[int], PretrainedConfig]] = {
    "bloom": lambda layers: BloomConfig(**_COMMON, hidden_size=32, n_head=4, n_layer=layers),
    "mpt": lambda layers: MptConfig(**_COMMON, d_model=32, n_heads=4, n_layers=layers, max_seq_len=CONTEXT),
}

CONFIGS: dict[str, Callable[[int], PretrainedConfig]] = {
    "llama": lambda layers: LlamaConfig(**_GROUPED, num_hidden_layers=layers),
    "llama-tied": lambda layers: LlamaConfig(**_GROUPED, num_hidden_layers=layers, tie_word_embeddings=True),
    "mistral": lambda layers: MistralConfig(**_GROUPED, num_hidden_layers=layers, head_dim=8, sliding_window=5),
    "qwen2": lambda layers: Qwen2Config(**_GROUPED, num_hidden_layers=layers),
    "qwen3": lambda layers: Qwen3Config(**_GROUPED, num_hidden_layers=layers, head_dim=8),
    "olmo2": lambda layers: Olmo2Config(**_GROUPED, num_hidden_layers=layers),
    "gemma3": _gemma3,
    "phi": lambda layers: PhiConfig(**_ROTARY, num_hidden_layers=layers),
    "gpt-neox": lambda layers: GPTNeoXConfig(**_ROTARY, num_hidden_layers=layers),
    "gpt2": _gpt(GPT2Config),
    "gpt-j": _gpt(GPTJConfig, rotary_dim=4),
    "gpt-neo": lambda layers: GPTNeoConfig(
        **_COMMON,
        hidden_size=32,
        intermediate_size=48,
        num_heads=4,
        max_position_embeddings=CONTEXT,
        num_layers=layers,
        attention_types=[[["global", "local"], layers // 2], [["global"], layers % 2]],
        window_size=5,
    ),
    "opt": lambda layers: OPTConfig(
        **{**_COMMON, "init_std": SPREAD},
        hidden_size=32,
        ffn_dim=48,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        num_hidden_layers=layers,
        max_position_embeddings=CONTEXT,
        pad_token_id=1,
    ),
}


def model(architecture: str = "llama", layers: int = 4, attention: str | None = None, seed: int = 0) -> Any:
    """A random model in evaluation mode whose vectors (norms, biases) are random as well as its matrices."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = {**CONFIGS, **UNWALKABLE}[architecture](layers)
        made = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.float32)
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim == 1:
                    parameter.add_(SPREAD * torch.randn_like(parameter))
    return made.eval().requires_grad_(False)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens, trained on the project's own text; adds no special tokens."""
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokens.train_from_iterator(load_corpus("ten").sentences + growth_corpus().sentences, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>")


def save(folder: Path, made: Any = None, tokens: Any = None) -> Path:
    """Write a model with its tokenizer as `save_pretrained` does; returns the folder."""
    (made if made is not None else model()).save_pretrained(folder)
    (tokens if tokens is not None else tokenizer()).save_pretrained(folder)
    return folder


def sentences(lengths: tuple[int, ...], seed: int = 1) -> list[list[int]]:
    """Random token ids."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]
