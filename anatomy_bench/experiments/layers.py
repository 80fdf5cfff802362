"""Layers that a user names."""

from anatomy_bench.base.errors import UsageError


def require_layers(layers: tuple[int, ...], layer_count: int) -> tuple[int, ...]:
    """Return the layers if the model has them.

    Raises:
        UsageError: the model lacks one of them.
    """
    absent = [layer for layer in layers if not 0 <= layer < layer_count]
    if absent:
        raise UsageError(f"no layer {absent[0]}: the model has layers 0 to {layer_count - 1}")
    return layers
