"""Checks of a subject before anything is measured; each failure refuses it with one line."""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.subject.subject import Subject
from anatomy_bench.values.corpus import DEFAULT_CORPUS, load_corpus

_CAUSALITY_TOLERANCE = 1e-4
"""Share of the logits' range by which a later token may move an earlier logit: more than this is not rounding."""

_PLAIN_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_ENOUGH_CHARACTERS = 8192
"""Of text, several times the built-in one."""

_KEYS_SHOWN = 3
_LAYER_NUMBER = re.compile(r"\.\d+\.")


def check_loading(name: str, model: nn.Module, info: dict[str, Any]) -> None:
    """Refuse a checkpoint whose weights do not fit the model.

    Args:
        name: of the model.
        model: as loaded.
        info: what `from_pretrained(output_loading_info=True)` returns about loading.

    Raises:
        UnfitModelError: weights are missing and would be random, have another shape, or belong
            to layers that the config leaves out.
    """
    for problem, verb in (("missing_keys", "lacks"), ("mismatched_keys", "has other shapes for")):
        keys = sorted(key if isinstance(key, str) else key[0] for key in info.get(problem) or ())
        if keys:
            raise UnfitModelError(f"checkpoint {name} {verb} {_some_of(keys)}; they would be random weights")
    known = {_LAYER_NUMBER.sub(".*.", key) for key in model.state_dict()}
    beyond = sorted(key for key in info.get("unexpected_keys") or () if _LAYER_NUMBER.sub(".*.", key) in known)
    if beyond:
        raise UnfitModelError(f"checkpoint {name} has more layers than its config.json says: {_some_of(beyond)}")


def check_parameters(name: str, model: nn.Module) -> None:
    """Refuse a model whose weights are not plain floating-point numbers: packed, quantised, or nowhere.

    Raises:
        UnfitModelError: a parameter is of another kind, or a layer keeps integers beside its parameters.
    """
    for key, parameter in model.named_parameters():
        kind = type(parameter.data).__name__ if type(parameter) is nn.Parameter else type(parameter).__name__
        is_plain = kind == "Tensor" and parameter.device.type != "meta"
        if not is_plain or parameter.dtype not in _PLAIN_DTYPES:
            stored = "not loaded" if parameter.device.type == "meta" else f"{kind} of {_dtype_name(parameter)}"
            raise UnfitModelError(f"weights of {name} are not plain floating-point numbers: {key} is {stored}")
    for key, buffer in model.named_buffers():
        if buffer.ndim == 2 and buffer.dtype in (torch.int32, torch.int8, torch.uint8) and buffer.numel() > 1:  # noqa: PLR2004
            raise UnfitModelError(f"weights of {name} are packed: {key} is a matrix of {_dtype_name(buffer)}")


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _some_of(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_KEYS_SHOWN]) + (f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else "")


def check_fitness(subject: Subject, texts: Sequence[str] | None = None, *, allow_untrained: bool = False) -> None:
    """Refuse a subject on which no measurement would mean anything.

    Args:
        subject: the model.
        texts: that will be scored, of which the first are tried: a model is fit for a language that it was trained on.
            `None` takes the built-in text; empty asks of the weights alone.
        allow_untrained: take one that predicts no better than token frequencies.

    Raises:
        UsageError: one of the texts has nothing to predict, or is longer than the model's context.
        UnfitModelError: NaN or infinite weights or logits, token ids outside the
            embedding, attention that is not causal, or a baseline no better than
            token frequencies (unless allowed).
    """
    _check_weights(subject)
    chosen = load_corpus(DEFAULT_CORPUS).sentences if texts is None else texts
    if not chosen:
        return
    sentences = subject.tokenize(_enough_of(chosen))
    _check_causality(subject, max(sentences, key=len))
    if not allow_untrained:
        _check_baseline(subject, sentences)


def _enough_of(texts: Sequence[str]) -> Sequence[str]:
    """The first texts, at least one where there is any: more would tell no more of the model, and take long."""
    lengths = list(accumulate(map(len, texts)))
    return texts[: 1 + bisect_left(lengths, _ENOUGH_CHARACTERS)]


def _check_weights(subject: Subject) -> None:
    for name, parameter in subject.model.named_parameters():
        # One reduction instead of an elementwise mask: a sum is finite only if all its terms are.
        if not torch.isfinite(parameter.sum(dtype=torch.float64)):
            raise UnfitModelError(f"{subject.name} has NaN or infinite weights in {name}")


def _check_causality(subject: Subject, sentence: Sequence[int]) -> None:
    """Change the last token and check that earlier logits do not move."""
    other = (sentence[-1] + 1) % subject.model.get_input_embeddings().weight.shape[0]
    pair = torch.tensor([[*sentence], [*sentence[:-1], other]], device=subject.device)
    with torch.inference_mode():
        # One sequence per call: within a batch, rows could be computed in a different order.
        logits = torch.cat([subject.model(input_ids=row[None], use_cache=False).logits for row in pair]).float()
    if not torch.isfinite(logits).all():
        raise UnfitModelError(f"{subject.name} gives NaN or infinite logits")
    moved = (logits[0, :-1] - logits[1, :-1]).abs().max().item()
    if moved > _CAUSALITY_TOLERANCE * logits.abs().max().item():
        raise UnfitModelError(
            f"{subject.name} is not causal: its earlier predictions depend on later tokens "
            "(an encoder, or a wrong mask)"
        )


def _check_baseline(subject: Subject, sentences: Sequence[Sequence[int]]) -> None:
    scores = subject.score(sentences, [Intact()])[Intact()]
    tokens = sum(len(sentence) - 1 for sentence in sentences)
    model_perplexity = math.exp(sum(scores) / tokens)
    vocabulary_size = subject.model.get_input_embeddings().weight.shape[0]
    unigram_perplexity = math.exp(unigram_nll_nats(sentences, vocabulary_size) / tokens)
    if not model_perplexity < unigram_perplexity:
        raise UnfitModelError(
            f"{subject.name} predicts no better than token frequencies (perplexity {model_perplexity:,.0f} against "
            f"{unigram_perplexity:,.0f}): untrained, or loaded wrongly; --allow-untrained measures it all the same"
        )


def unigram_nll_nats(sentences: Sequence[Sequence[int]], vocabulary_size: int) -> float:
    """Negative log-likelihood, in nats, of a unigram model of the same text.

    Each sentence is scored by the token frequencies in the others, because a model fitted on the
    sentence itself would know it by heart. Witten-Bell smoothing: tokens not seen there share the
    probability T / (N + T), where N tokens of T kinds were seen.
    """
    total = Counter(token for sentence in sentences for token in sentence[1:])
    nll_nats = 0.0
    for sentence in sentences:
        others = total - Counter(sentence[1:])
        seen, kinds = others.total(), len(others)
        for token in sentence[1:]:
            probability = (others[token] + max(kinds, 1) / vocabulary_size) / (seen + max(kinds, 1))
            nll_nats -= math.log(probability)
    return nll_nats
