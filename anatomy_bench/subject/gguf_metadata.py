"""What a GGUF file says of its arithmetic, held against the model that was read from it.

The library that reads GGUF files takes over the keys and tensors that it knows and drops the rest in silence, so that a
file with scaled rotary frequencies would give another model's numbers. Every key of the architecture counts here: it
is found in the config that came out, or has a value that changes nothing, or the file is refused by that key's name.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UnfitModelError

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.scale": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (0.0, 1.0),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "nextn_predict_layers": (0,),
    "residual_scale": (0.0, 1.0),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scaling.factor": (0.0, 1.0),
    "rope.scaling.type": ("none",),
}
"""Values that ask for nothing."""

_WITHOUT_EFFECT = frozenset(
    {
        "context_length",  # how long a text may be; longer ones are refused by the config's own
        "rope.scaling.finetuned",  # says how it was trained
        "rope.scaling.original_context_length",  # is read with a type of scaling alone, and that is refused
        "tensor_data_layout",  # the order of rows, which the reader knows by the architecture
        "vocab_size",  # rows of the embedding, which are loaded as they are
    }
)

_IN_CONFIG: Mapping[str, tuple[str, ...]] = {
    "attention.key_length": ("head_dim",),
    "attention.value_length": ("v_head_dim", "head_dim"),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "expert_feed_forward_length": ("moe_intermediate_size", "intermediate_size"),
    "logit_scale": ("logit_scale", "logits_scaling"),
    "rope.dimension_count": ("rotary_dim", "qk_rope_head_dim", "head_dim"),
    "rope.freq_base": ("rope_theta",),
    "rope.freq_base_swa": ("rope_local_base_freq", "rope_theta"),
}
"""Entries of a config that hold a key's value where the reader does not say so: the config's own default is right."""

_EPSILON = 1e-6
"""Keys are float32."""


def check_honoured(gguf_file: Path, model: Any) -> None:
    """Refuse a file that says something of its arithmetic which the model does not do.

    Args:
        gguf_file: the file.
        model: read from it.

    Raises:
        UnfitModelError: a key or a tensor was dropped; the message names it.
    """
    from gguf import GGUFReader

    reader = GGUFReader(gguf_file)
    field = reader.get_field("general.architecture")
    architecture = str(field.contents()) if field is not None else ""
    entries = {
        name.removeprefix(f"{architecture}."): each.contents()
        for name, each in reader.fields.items()
        if name.startswith(f"{architecture}.")
    }
    for key, value in entries.items():
        if not _is_honoured(key, value, architecture, model.config.get_text_config()):
            shown = f"{value:g}" if isinstance(value, float) else str(value)[:40]
            raise _refusal(gguf_file, f"{architecture}.{key} = {shown}")
    _check_tensors(gguf_file, reader.tensors, model)


def _is_honoured(key: str, value: Any, architecture: str, config: Any) -> bool:
    if key in _WITHOUT_EFFECT or any(value == neutral for neutral in _NEUTRAL.get(key, ())):
        return True
    if key == "attention.sliding_window" and value >= (getattr(config, "max_position_embeddings", None) or value + 1):
        return True  # no text is long enough to see it
    read_as = _read_as(architecture, key, config)
    names = (read_as,) if read_as else _IN_CONFIG.get(key, ())
    found = [each for name in names for each in _entries(config, name)]
    return any(_same(value, each) for each in found)


def _read_as(architecture: str, key: str, config: Any) -> str | None:
    """The entry of the config that the reader puts a key into."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    kinds = (str(config.model_type), str(config.model_type).removesuffix("_text"), architecture)
    found = [GGUF_CONFIG_MAPPING[kind].get(key) for kind in kinds if kind in GGUF_CONFIG_MAPPING]
    return next((name for name in found if isinstance(name, str)), None)


def _entries(config: Any, name: str) -> list[Any]:
    """A config's values of that name; those of rotary embeddings lie one folder deeper, for each kind of layer."""
    rotary = getattr(config, "rope_parameters", None) or {}
    nested = [rotary, *(each for each in rotary.values() if isinstance(each, dict))]
    values = [getattr(config, name, None), *(each.get(name) for each in nested)]
    if name == "head_dim" and values[0] is None:
        values.append(config.hidden_size // config.num_attention_heads)
    if name in ("head_dim", "rotary_dim"):
        shares = [each.get("partial_rotary_factor") for each in nested] + [getattr(config, "partial_rotary_factor", 1)]
        values += [share * width for share in shares if share for width in values if isinstance(width, int)]
    return [each for each in values if each is not None]


def _same(value: Any, found: Any) -> bool:
    if isinstance(value, list):  # one for each layer
        return value == found or (bool(value) and not isinstance(found, list) and max(value) == found)
    if isinstance(value, int | float) and isinstance(found, int | float):
        return abs(value - found) <= _EPSILON * max(abs(value), abs(found))
    return bool(value == found)


def _check_tensors(gguf_file: Path, tensors: Iterable[Any], model: Any) -> None:
    """Every number of the file is a weight of the model: what the reader does not know it drops."""
    sizes = {tensor.name: int(tensor.n_elements) for tensor in tensors}
    dropped = sum(sizes.values()) - sum(parameter.numel() for parameter in model.parameters())
    if dropped > 0:
        rotary = [name for name in sizes if name.startswith("rope_")]
        biases = [name for name in sizes if name.endswith(".bias")]
        named = next(iter([*rotary, *biases]), "tensors")
        raise _refusal(gguf_file, f"{named} ({dropped} numbers are no weights of the model that was read)")


def _refusal(gguf_file: Path, what: str) -> UnfitModelError:
    return UnfitModelError(
        f"{gguf_file} says {what}, which its reader drops: the numbers would be another model's; give the model as "
        "safetensors"
    )
