"""Train a small causal language model from scratch in minutes, to try the suite on another architecture without a hub.

    python examples/train_small_model.py qwen3 small-qwen3
    anatomy-bench verify --model small-qwen3 --report report

The text is the Python reference that every Python carries, and the suite's own training sentences; the sentences that
the suite scores are not among them. What comes out is a real decoder of its architecture, better than token frequencies
and no more: it shows that the suite runs on such a model, not what a model trained on a trillion tokens would do.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedTokenizerFast, Qwen3Config

from anatomy_bench.values.corpus import load_corpus

VOCABULARY = 1024
WIDTH = 96
HEADS = 4
CONTEXT = 256
"""Positions of a model that learns one embedding for each; the suite's longest sentence has fewer tokens."""

ROWS, ROW_TOKENS = 8, 64
PEAK_RATE = 4e-3

ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=8, n_head=HEADS,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
    ),
    "qwen3": lambda: Qwen3Config(
        vocab_size=VOCABULARY, max_position_embeddings=CONTEXT, hidden_size=WIDTH, intermediate_size=3 * WIDTH,
        num_hidden_layers=12, num_attention_heads=HEADS, num_key_value_heads=HEADS // 2, head_dim=WIDTH // HEADS,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=None,
    ),
}  # fmt: skip


def training_text() -> list[str]:
    """Paragraphs of the Python reference, and the sentences that the recovery experiment trains on."""
    paragraphs = [" ".join(each.split()) for page in topics.values() for each in page.split("\n\n")]
    return [each for each in paragraphs if each] + list(load_corpus("recovery").sentences)


def train_tokenizer(text: list[str]) -> PreTrainedTokenizerFast:
    """Byte pairs: a small vocabulary that can spell any sentence."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        text, trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def batches(stream: Tensor, steps: int) -> Iterator[Tensor]:
    """Rows that begin anywhere in the stream."""
    for _ in range(steps):
        starts = torch.randint(len(stream) - ROW_TOKENS, (ROWS, 1))
        yield stream[starts + torch.arange(ROW_TOKENS)]


def train(model: Any, stream: Tensor, steps: int) -> None:
    """AdamW with one cycle of the learning rate."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.1)
    model.train()
    for step, rows in enumerate(batches(stream, steps), start=1):
        logits = model(input_ids=rows).logits[:, :-1]
        loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            print(f"step {step} of {steps}: {loss.item():.3f} nats a token", flush=True)


def main() -> None:
    """Train one model and save it with its tokenizer."""
    parser = argparse.ArgumentParser(description="Train a small causal language model from scratch.")
    parser.add_argument("architecture", choices=sorted(ARCHITECTURES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    text = training_text()
    tokenizer = train_tokenizer(text)
    stream = torch.tensor(tokenizer("\n".join(text))["input_ids"])
    model = AutoModelForCausalLM.from_config(ARCHITECTURES[options.architecture]())
    print(f"{options.architecture}: {model.num_parameters():,} parameters, {len(stream):,} tokens of text")
    train(model, stream, options.steps)
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)


if __name__ == "__main__":
    main()
