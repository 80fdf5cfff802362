"""Digest of a subject: changes with any weight, the config or the tokenizer."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch

_VOLATILE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "_attn_implementation"}
"""Config entries that say how a model was loaded, not what it is."""


def subject_digest(model: Any, tokenizer: Any) -> str:
    """SHA-256 of the weights, the config and the tokenizer, in hexadecimal.

    Half-precision weights are hashed as the float32 values that they represent, so a model has the
    same digest whether it is loaded in float32 or as stored.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(lasting_config(model), sort_keys=True, default=str).encode())
    digest.update(_tokenizer_text(tokenizer).encode())
    seen: set[int] = set()
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.data_ptr() in seen:  # tied weights, once
            continue
        seen.add(tensor.data_ptr())
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous()
        if values.dtype in (torch.bfloat16, torch.float16):
            values = values.float()
        digest.update(memoryview(values.numpy()).cast("B") if values.numel() else b"")
    return digest.hexdigest()


def tokens_digest(sentences: Sequence[Sequence[int]]) -> str:
    """SHA-256 of the token ids of each sentence, in hexadecimal.

    They depend on more than the tokenizer's own file: on `split_special_tokens` and the like, and on its library.
    """
    return hashlib.sha256(json.dumps([list(sentence) for sentence in sentences]).encode()).hexdigest()


def copies(sentences: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """For each sentence the place of the first one of the same tokens; nothing where no two are the same."""
    first: dict[tuple[int, ...], int] = {}
    places = tuple(first.setdefault(tuple(sentence), place) for place, sentence in enumerate(sentences))
    return places if len(first) < len(places) else ()


def lasting_config(model: Any) -> dict[str, Any]:
    """A model's config without what says how it was loaded."""
    return _lasting(model.config.to_dict())


def _lasting(config: dict[str, Any]) -> dict[str, Any]:
    """A config and those nested in it, without the entries that say how it was loaded."""
    return {
        key: _lasting(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in _VOLATILE
    }


def _tokenizer_text(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return str(backend.to_str())
    return json.dumps(tokenizer.get_vocab(), sort_keys=True)
