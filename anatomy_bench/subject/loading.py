"""Load a subject: weights, tokenizer, device and precision, all of them explicit."""

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.engine.arithmetic import plain_arithmetic
from anatomy_bench.subject.fitness import check_fitness, check_loading
from anatomy_bench.subject.gguf import converted
from anatomy_bench.subject.source import Source
from anatomy_bench.subject.subject import Subject

DTypeName = Literal["float32", "bfloat16"]
_LONGEST_QUOTE = 160
"""Characters of a library's message that are passed on."""

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")


@dataclass(frozen=True)
class Permissions:
    """What is refused unless a user asks for it.

    Attributes:
        remote_code: run Python code that comes with the model.
        pickled_weights: load `.bin` files, which can run code as well.
        untrained: measure a model that predicts no better than token frequencies.
    """

    remote_code: bool = False
    pickled_weights: bool = False
    untrained: bool = False


def resolve_device(device: str) -> torch.device:
    """`auto` takes CUDA where there is one.

    Raises:
        UsageError: a device that this machine lacks.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise UsageError(f"unknown device {device!r}; give auto, cpu, cuda or cuda:N") from None
    if resolved.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}; give auto, cpu, cuda or cuda:N")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices; use cpu or auto"
        )
    return resolved


@plain_arithmetic()
def load_subject(
    source: Source,
    *,
    device: str = "auto",
    dtype: DTypeName = "float32",
    permissions: Permissions | None = None,
) -> Subject:
    """Load a model and refuse it, in one line, if nothing measured on it would mean anything.

    Args:
        source: from `resolve_source`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: precision of weights and arithmetic.
        permissions: what is allowed beyond the safe defaults.

    Raises:
        UsageError: the model cannot be had, or the device is not there.
        UnfitModelError: see `subject/fitness.py`.
    """
    allowed = permissions or Permissions()
    target = resolve_device(device)
    with _quiet_transformers():
        location = converted(Path(source.location)) if source.is_gguf else source.location
        _check_config(source, location, allowed)
        tokenizer = _load_tokenizer(source, location, allowed)
        model, info = _load_weights(source, location, allowed, getattr(torch, dtype))
    check_loading(source.name, model, info)

    def load_in_float32() -> Any:
        with _quiet_transformers():
            weights, _ = _load_weights(source, location, allowed, torch.float32)
        return weights.to(target).eval().requires_grad_(False)

    subject = Subject(
        model.to(target).eval().requires_grad_(False),
        tokenizer,
        name=source.name,
        commit=source.commit,
        note=source.note,
        read_by="gguf" if source.is_gguf else None,
        load_in_float32=load_in_float32,
    )
    check_fitness(subject, allow_untrained=allowed.untrained)
    return subject


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence the libraries' own bars and warnings: what matters of them is checked and told in one line."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as model_logging

    verbosity, hub_verbosity = model_logging.get_verbosity(), hub_logging.get_verbosity()
    bars = model_logging.is_progress_bar_enabled()
    model_logging.set_verbosity_error()
    hub_logging.set_verbosity(logging.CRITICAL)  # it tells of every retry, as an error
    model_logging.disable_progress_bar()
    try:
        yield
    finally:
        model_logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            model_logging.enable_progress_bar()


def _check_config(source: Source, location: Path | str, allowed: Permissions) -> None:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    with _told_in_one_line(source, "the config of "):
        config = AutoConfig.from_pretrained(location, revision=source.revision, trust_remote_code=allowed.remote_code)
    if getattr(config, "is_encoder_decoder", False):
        raise UnfitModelError(f"{source.name} is an encoder-decoder ({config.model_type}); give a decoder-only model")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and "AutoModelForCausalLM" not in getattr(
        config, "auto_map", {}
    ):
        raise UnfitModelError(f"{source.name} is no causal language model ({config.model_type})")


def _load_tokenizer(source: Source, location: Path | str, allowed: Permissions) -> Any:
    from transformers import AutoTokenizer

    if isinstance(location, Path) and not any((location / file).is_file() for file in _TOKENIZER_FILES):
        raise UnfitModelError(f"{source.name} has no tokenizer; save the tokenizer beside the model")
    with _told_in_one_line(source, "the tokenizer of "):
        return AutoTokenizer.from_pretrained(location, revision=source.revision, trust_remote_code=allowed.remote_code)


def _load_weights(
    source: Source, location: Path | str, allowed: Permissions, dtype: torch.dtype
) -> tuple[Any, dict[str, Any]]:
    from transformers import AutoModelForCausalLM

    def load(attention: str) -> tuple[Any, dict[str, Any]]:
        loaded: tuple[Any, dict[str, Any]] = AutoModelForCausalLM.from_pretrained(
            location,
            revision=source.revision,
            trust_remote_code=allowed.remote_code,
            use_safetensors=None if allowed.pickled_weights else True,
            dtype=dtype,
            attn_implementation=attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # not ignored: `check_loading` names them
        )
        return loaded

    with _told_in_one_line(source, ""):
        try:
            return load("sdpa")
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            return load("eager")  # an architecture without fused attention


@contextmanager
def _told_in_one_line(source: Source, part: str) -> Iterator[None]:
    """Turn whatever the loading library trips over into one line about the model."""
    try:
        yield
    except Exception as error:
        told = _mended(_first_sentence(error))
        if isinstance(source.location, str) and isinstance(error, OSError):
            raise UsageError(f"cannot get {part}{source.name} from the hub: {told}") from error
        raise UnfitModelError(f"cannot load {part}{source.name}: {told}") from error


def _first_sentence(error: Exception) -> str:
    """The first line of a message, with the second if the first only announces it."""
    first, second, *_ = [*str(error).strip().splitlines(), "", ""]
    if not first or isinstance(error, KeyError | TypeError | AttributeError):  # tripped over, not complained of
        return f"malformed ({type(error).__name__}: {first})"
    return f"{first} {second.strip()}" if first.endswith(":") else first


def _mended(told: str) -> str:
    """What the library says, in our options' words where it speaks of its own."""
    if "no file named model.safetensors" in told or "cannot be loaded with `safetensors`" in told:
        return "it has no safetensors weights; --allow-pickled-weights loads .bin files, which can run code"
    if "custom code which must be executed" in told:
        return "it comes with Python code of its own; --trust-remote-code runs it"
    return textwrap.shorten(told, _LONGEST_QUOTE, placeholder=" …")
