"""Load a subject with an explicit device and precision."""

import logging
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from anatomy_bench.base.errors import DeviceWarning, UnfitModelError, UsageError
from anatomy_bench.engine.arithmetic import plain_arithmetic
from anatomy_bench.engine.memory import is_out_of_memory
from anatomy_bench.subject.checkpoint_files import check_checkpoint_files
from anatomy_bench.subject.fitness import check_fitness, check_loading, check_parameters
from anatomy_bench.subject.gguf import converted
from anatomy_bench.subject.source import Source
from anatomy_bench.subject.stored_form import StoredForm, stored_form
from anatomy_bench.subject.subject import Subject

DTypeName = Literal["float32", "bfloat16"]
LEAST_CONTEXT = 2
"""Tokens: one to see, one to predict."""

_LONGEST_QUOTE = 160
"""Characters of a library's message that are shown to the user."""

_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json",
    "tokenizer_config.json",  # of bytes or characters, there is nothing else
)  # fmt: skip
_SAMPLE = "The quick brown fox jumps over the lazy dog: 0123456789."
"""Any tokenizer makes several tokens of it; where files are missing, the library makes one that knows none."""


@dataclass(frozen=True)
class Permissions:
    """What is refused unless the user allows it.

    Attributes:
        remote_code: run Python code that comes with the model.
        pickled_weights: load `.bin` files, which can run code as well.
        untrained: measure a model that predicts no better than token frequencies.
    """

    remote_code: bool = False
    pickled_weights: bool = False
    untrained: bool = False


def resolve_device(device: str) -> torch.device:
    """`auto` takes CUDA where there is one, and warns where a driver is there that does not serve.

    Raises:
        UsageError: an unknown device, or one that this machine lacks.
    """
    if device == "auto":
        count, complaint = _cuda_devices()
        if complaint:
            with warnings.catch_warnings():  # never an error: there is a CPU to run on
                warnings.simplefilter("always", DeviceWarning)
                warnings.warn(f"no GPU is used: {complaint}", DeviceWarning, stacklevel=2)
        return torch.device("cuda" if count else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise UsageError(f"unknown device {device!r}; give auto, cpu, cuda or cuda:N") from None
    if resolved.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}; give auto, cpu, cuda or cuda:N")
    if resolved.type == "cuda":
        count, complaint = _cuda_devices()
        if (resolved.index or 0) >= count:
            because = f" ({complaint})" if complaint else ""
            raise UsageError(f"--device {device}: this machine has {count} CUDA devices{because}; use cpu or auto")
    return resolved


def _cuda_devices() -> tuple[int, str]:
    """How many can be used; and what PyTorch says of the driver, where it warns that it cannot use it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # where warnings are errors, the driver would end the run
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    complaint = "" if count or not said else _shortened(_first_sentence(said[0].message))
    return count, complaint


@plain_arithmetic()
def load_subject(
    source: Source,
    *,
    device: str = "auto",
    dtype: DTypeName = "float32",
    permissions: Permissions | None = None,
    texts: Sequence[str] | None = None,
) -> Subject:
    """Load a model and refuse it, in one line, if nothing measured on it would mean anything.

    Args:
        source: from `resolve_source`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: precision of weights and arithmetic.
        permissions: what is allowed beyond the safe defaults.
        texts: that the model must be fit for (`check_fitness`).

    Raises:
        UsageError: the model cannot be found or read, or the machine lacks the device.
        UnfitModelError: see `subject/fitness.py`.
    """
    allowed = permissions or Permissions()
    target = resolve_device(device)
    with _quiet_transformers():
        location = converted(Path(source.location)) if source.is_gguf else source.location
        check_checkpoint_files(source.name, location, source.revision, pickled=allowed.pickled_weights)
        config = _checked_config(source, location, allowed)
        form = stored_form(source.name, location, source.revision, config, pickled=allowed.pickled_weights)
        tokenizer = _load_tokenizer(source, location, allowed)
        model, info = _load_weights(source, location, allowed, getattr(torch, dtype), form)
    check_loading(source.name, model, info)
    check_parameters(source.name, model)

    def load_in_float32() -> Any:
        with _quiet_transformers():
            weights, _ = _load_weights(source, location, allowed, torch.float32, form)
        return weights.to(target).eval().requires_grad_(False)

    if target.type == "cuda":
        # cuDNN plans its attention anew for every shape, and a walk has many.
        torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    with _device_errors_in_one_line(source, target):
        subject = Subject(
            model.to(target).eval().requires_grad_(False),
            tokenizer,
            name=source.name,
            commit=source.commit,
            note="; ".join(filter(None, (source.note, form.note))),
            read_by="gguf" if source.is_gguf else None,
            load_in_float32=load_in_float32,
        )
        check_fitness(subject, texts, allow_untrained=allowed.untrained)
    return subject


@contextmanager
def _device_errors_in_one_line(source: Source, device: torch.device) -> Iterator[None]:
    """Turn what a device cannot do into one line: too little memory, a driver or a card that PyTorch cannot use."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            other = "; --dtype bfloat16 takes half as much, --device cpu that of the machine" * (device.type == "cuda")
            raise UsageError(f"{source.name} does not fit the memory of {device}{other}") from error
        if device.type == "cuda" and "CUDA" in str(error):
            told = _shortened(_first_sentence(error))
            raise UsageError(f"cannot use {device}: {told}; use --device cpu") from error
        raise


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence the libraries' own bars and warnings; what matters in them is checked here and reported in one line."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as model_logging

    verbosity, hub_verbosity = model_logging.get_verbosity(), hub_logging.get_verbosity()
    bars = model_logging.is_progress_bar_enabled()
    model_logging.set_verbosity_error()
    hub_logging.set_verbosity(logging.CRITICAL)  # it reports every retry as an error
    model_logging.disable_progress_bar()
    try:
        yield
    finally:
        model_logging.set_verbosity(verbosity)
        hub_logging.set_verbosity(hub_verbosity)
        if bars:
            model_logging.enable_progress_bar()


def _checked_config(source: Source, location: Path | str, allowed: Permissions) -> Any:
    from transformers import AutoConfig

    with _errors_in_one_line(source, "the config of "):
        config = AutoConfig.from_pretrained(location, revision=source.revision, trust_remote_code=allowed.remote_code)
    if getattr(config, "is_encoder_decoder", False):
        raise UnfitModelError(f"{source.name} is an encoder-decoder ({config.model_type}); give a decoder-only model")
    if _model_class(config) is None:
        raise UnfitModelError(f"{source.name} is no causal language model ({config.model_type})")
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(context, int) and context < LEAST_CONTEXT:
        raise UnfitModelError(
            f"the config of {source.name} says that it reads {context} tokens (max_position_embeddings); correct it"
        )
    return config


def _model_class(config: Any) -> Any:
    """What loads models of this kind: causal ones, also inside wrappers that take images as well; else `None`."""
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in getattr(config, "auto_map", {}):
        return AutoModelForCausalLM
    return AutoModelForImageTextToText if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING else None


def _load_tokenizer(source: Source, location: Path | str, allowed: Permissions) -> Any:
    from transformers import AutoTokenizer

    lacks_it = UnfitModelError(f"{source.name} has no tokenizer; save the tokenizer beside the model")
    if isinstance(location, Path) and not any((location / file).is_file() for file in _TOKENIZER_FILES):
        raise lacks_it
    with _errors_in_one_line(source, "the tokenizer of "):
        tokenizer = AutoTokenizer.from_pretrained(
            location, revision=source.revision, trust_remote_code=allowed.remote_code
        )
        tokens = set(tokenizer(_SAMPLE)["input_ids"])
    if len(tokens) <= tokenizer.num_special_tokens_to_add() + 1:
        raise lacks_it
    return tokenizer


def _load_weights(
    source: Source, location: Path | str, allowed: Permissions, dtype: torch.dtype, form: StoredForm
) -> tuple[Any, dict[str, Any]]:
    def load(attention: str) -> tuple[Any, dict[str, Any]]:
        model, info = _model_class(form.config).from_pretrained(
            location,
            revision=source.revision,
            trust_remote_code=allowed.remote_code,
            use_safetensors=None if allowed.pickled_weights else True,
            dtype=dtype,
            attn_implementation=attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `check_loading` refuses them with their names
            # The config as it was read: one that is read anew would keep its own choice of attention.
            **({"config": form.config} | form.arguments()),
        )
        return form.plain(model, dtype), info

    with _errors_in_one_line(source, ""):
        try:
            return load("sdpa")
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            return load("eager")  # an architecture without fused attention


@contextmanager
def _errors_in_one_line(source: Source, part: str) -> Iterator[None]:
    """Turn any error of the loading library into one line about the model."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise UsageError(f"not enough memory to load {part}{source.name}") from error
        message = _mended(_first_sentence(error))
        if isinstance(source.location, str) and isinstance(error, OSError):
            raise UsageError(f"cannot get {part}{source.name} from the hub: {message}") from error
        raise UnfitModelError(f"cannot load {part}{source.name}: {message}") from error


def _first_sentence(error: Exception | Warning | str) -> str:
    """The first line of a message, with the second if the first only announces it."""
    first, second, *_ = [*str(error).strip().splitlines(), "", ""]
    if not first or isinstance(error, KeyError | TypeError | AttributeError):  # an accident, not a complaint
        return f"malformed ({type(error).__name__}: {first})"
    return f"{first} {second.strip()}" if first.endswith(":") else first


def _mended(message: str) -> str:
    """The library's message; where it names the library's options, ours instead."""
    if "no file named model.safetensors" in message or "cannot be loaded with `safetensors`" in message:
        return "it has no safetensors weights; --allow-pickled-weights loads .bin files, which can run code"
    if "custom code which must be executed" in message:
        return "it comes with Python code of its own; --trust-remote-code runs it"
    return _shortened(message)


def _shortened(message: str) -> str:
    return textwrap.shorten(message, _LONGEST_QUOTE, placeholder=" …")
