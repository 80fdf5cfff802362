"""A random Llama of eight billion parameters: the map's seconds and memory, and what happens where memory is short."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from loops import average_and_skip

from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.engine.sweep import sweep
from gpu.figures import interleaved
from gpu.parity import worst
from gpu.setting import Setting

_SENTENCES, _TOKENS = 10, 24
_SHORT_BYTES = 2.5e9
_GIGA = 10**9
_SECONDS = 20.0


def large(setting: Setting) -> None:
    """Of ten random sentences, every layer averaged away and skipped, in bfloat16."""
    setting.forget()
    note = setting.figures.note
    stack = random_model(setting)
    generator = torch.Generator().manual_seed(0)
    vocabulary = setting.sizes.large["vocab_size"]
    sentences = torch.randint(0, vocabulary, (_SENTENCES, _TOKENS), generator=generator).tolist()
    variants = average_and_skip(stack)
    parameters = sum(each.numel() for each in stack.model.parameters())
    what = f"{parameters / 1e9:.2f} billion parameters, {len(variants)} variants, bfloat16"
    before = _allocated(peak=False)
    ways = {"": lambda: sweep(stack, sentences, variants)}
    rounds = interleaved(ways, setting.wait, setting.sizes.large_rounds, _SECONDS)[""]
    note("large", f"map, {what}", sorted(rounds)[len(rounds) // 2], "s", rounds=rounds)
    note("large", "weights", before / _GIGA, "GB")
    note("large", "peak memory beside the weights", (_allocated(peak=True) - before) / _GIGA, "GB")
    if setting.device.startswith("cuda"):
        whole = list(sweep(stack, sentences, variants).values())
        with memory_of(before + _SHORT_BYTES):
            halved = list(sweep(stack, sentences, variants).values())
        what = f"largest relative difference where {_SHORT_BYTES / _GIGA} GB are left beside the weights"
        note("large", what, worst(halved, whole))


def random_model(setting: Setting) -> LayerStack:
    """Made on the device itself: its weights never pass the host."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(**setting.sizes.large)
    with torch.random.fork_rng(), torch.device(setting.device):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16)
    model = model.eval().requires_grad_(False)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    return LayerStack(model, tuple(model.model.layers))


@contextmanager
def memory_of(most_bytes: float) -> Iterator[None]:
    """Let PyTorch take no more of the card, so that the walk has to halve its work."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(most_bytes / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _allocated(*, peak: bool) -> int:
    if not torch.cuda.is_initialized():
        return 0
    return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
