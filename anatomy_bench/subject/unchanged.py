"""Whether a model in memory still is what was loaded: every number that it computes with, and how its modules run."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from anatomy_bench.subject.digest import lasting_config

_ROW = 1 << 16
"""Words of eight bytes that are summed together."""

_ROWS_AT_ONCE = {"cpu": 2, "cuda": 1 << 10}
"""1 MiB of them, which stays in a processor's cache; on a card 512 MiB, by which it is busy."""

_SET_BY_THE_MODEL = ("dynamic", "longrope")
"""Kinds of rotary embedding whose frequencies a model computes anew for each length of text."""


def fingerprint(model: Any) -> dict[str, Any]:
    """By name, what decides the model's output: its tensors' checksums, each module's way of running, its config.

    Tensors are read whole: counters of their versions do not see writes through `.data`, NumPy or inference mode.
    """
    found: dict[str, Any] = {"the config": json.dumps(lasting_config(model), sort_keys=True, default=str)}
    for name, tensor in _tensors(model):
        found[name] = (str(tensor.dtype), tuple(tensor.shape), _checksum(tensor))
    for name, module in model.named_modules():
        hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
        found[f"module {name or 'itself'}"] = (type(module), module.training, vars(module).get("forward"), hooks)
    return found


def first_difference(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """Name of the first part that was changed, added or removed, or `None`."""
    return next((name for name in (*before, *after) if before.get(name) != after.get(name)), None)


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    for name, buffer in model.named_buffers():
        owner = model.get_submodule(name.rpartition(".")[0])
        kinds = str(getattr(owner, "rope_type", ""))
        if not (name.endswith("inv_freq") and any(kind in kinds for kind in _SET_BY_THE_MODEL)):
            yield name, buffer


@torch.no_grad()
def _checksum(tensor: Tensor) -> int:
    """Changes with any bit: a sum of all words, each times an odd number of its own, computed where the tensor is."""
    content = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    whole = content.numel() // 8 * 8
    aligned = content.storage_offset() % 8 == 0
    words = (content[:whole] if aligned else content[:whole].clone()).view(torch.int64)
    tail = int.from_bytes(bytes(content[whole:].tolist()), "little")
    factors = _factors(tensor.device)
    full = words.numel() // _ROW * _ROW
    pieces = torch.split(words[:full].view(-1, _ROW), _ROWS_AT_ONCE.get(tensor.device.type, 1))
    sums = [(_mixed(rows) * factors).sum(dim=1) for rows in pieces]
    sums.append((_mixed(words[full:]) * factors[: words.numel() - full]).sum()[None])
    return hash((tail, *torch.cat(sums).tolist()))


def _mixed(words: Tensor) -> Tensor:
    """Signs lie in the highest bits, which multiplying alone would move nowhere: two changed signs would cancel."""
    return words ^ (words >> 29)


@cache
def _factors(device: torch.device) -> Tensor:
    """Odd numbers, shape (row,)."""
    rng = torch.Generator().manual_seed(0)
    return (torch.randint(-(2**62), 2**62, (_ROW,), generator=rng) * 2 + 1).to(device)
