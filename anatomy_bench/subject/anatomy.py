"""Decoder layers and weight components, found by structure rather than by class name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.engine.interventions import is_matrix

LEAST_LAYERS = 3
_FUSED = re.compile(r"qkv|c_attn|query_key_value|W_pack|gate_up|Wqkv")


@dataclass(frozen=True)
class Component:
    """A weight matrix that every decoder layer has.

    Attributes:
        name: such as `self_attn.q_proj`, as the architecture names it.
        parameter: name of the tensor in the layer, such as `self_attn.q_proj.weight`.
        fused: whether it holds several projections (Q, K and V, or gate and up) in one matrix.
    """

    name: str
    parameter: str
    fused: bool


def find_decoder_layers(model: nn.Module, layer_count: int) -> tuple[nn.Module, ...]:
    """The model's decoder layers, in order.

    They are the module list with the most parameters among those as long as the config says. This
    depends on no class name, so it works for Llama's `model.layers` and for GPT-2's `transformer.h`.
    Within a wrapper that reads images or sound as well, they are those of its text model.

    Raises:
        UnfitModelError: there is no such list, or it is shorter than 3.
    """
    lists = _lists_in(_text_model(model), layer_count) or _lists_in(model, layer_count)
    if not lists:
        raise UnfitModelError(f"{type(model).__name__} has no list of {layer_count} decoder layers to work on")
    if layer_count < LEAST_LAYERS:
        raise UnfitModelError(f"the model has {layer_count} layers; claims on layer anatomy need {LEAST_LAYERS}")
    heaviest = max(lists, key=lambda each: sum(parameter.numel() for parameter in each.parameters()))
    return tuple(heaviest)


def _text_model(model: nn.Module) -> nn.Module:
    get_decoder: Any = getattr(model, "get_decoder", None)
    decoder = get_decoder() if callable(get_decoder) else None
    return decoder if isinstance(decoder, nn.Module) else model


def _lists_in(model: nn.Module, layer_count: int) -> list[nn.ModuleList]:
    return [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == layer_count]


def kinds_of_layers(layers: Sequence[nn.Module]) -> tuple[int, ...]:
    """A number for each layer, equal where parameters have the same names and shapes; nothing if all are alike."""
    shapes = [{name: tuple(each.shape) for name, each in layer.named_parameters()} for layer in layers]
    kinds = [next(kind for kind, other in enumerate(shapes) if other == own) for own in shapes]
    distinct = sorted(set(kinds))
    return tuple(distinct.index(kind) for kind in kinds) if len(distinct) > 1 else ()


def find_components(layers: Sequence[nn.Module]) -> tuple[Component, ...]:
    """The weight matrices that all layers share in name and shape, in the first layer's order."""
    shapes = [
        {name: parameter.shape for name, parameter in layer.named_parameters() if is_matrix(name, parameter)}
        for layer in layers
    ]
    shared = [name for name, shape in shapes[0].items() if all(of_layer.get(name) == shape for of_layer in shapes)]
    return tuple(Component(name.removesuffix(".weight"), name, bool(_FUSED.search(name))) for name in shared)
