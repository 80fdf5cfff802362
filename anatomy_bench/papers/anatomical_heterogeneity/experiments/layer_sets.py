"""Named sets of layers, shared by the experiments that change several layers."""

import numpy as np

PAPER_LAYER_COUNT = 30
PAPER_REDUNDANT = (0, 3, 5, 6, 12, 14, 17, 19, 29)
"""The nine layers that Table 1 calls redundant."""

PAPER_INTERIOR = PAPER_REDUNDANT[1:-1]
"""The seven of them that were really ablated: the first and the last layer lack one of the two neighbours."""

PAPER_ANTI_LAYERS = (14, 17)


def interior_size(layer_count: int) -> int:
    """Number of interior layers in proportion to the depth, like the paper's seven of 30; at least one."""
    return max(1, round(layer_count * len(PAPER_INTERIOR) / PAPER_LAYER_COUNT))


def random_interior(layer_count: int, how_many: int, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """Random sets of `interior_size` layers, without the first and the last layer.

    Args:
        layer_count: layers of the model, at least three.
        how_many: number of sets.
        rng: draws the sets.
    """
    size = interior_size(layer_count)
    drawn = [rng.choice(np.arange(1, layer_count - 1), size, replace=False) for _ in range(how_many)]
    return tuple(tuple(sorted(layers.tolist())) for layers in drawn)


PAPER_RECOVERY = (0, 1, 3, 5, 8, 10, 11, 14, 17, 23, 24, 27, 29)
"""The thirteen layers whose recovery the paper reports (3.6, Table 5)."""


def recovery_layers(layer_count: int) -> tuple[int, ...]:
    """The paper's thirteen; on another depth thirteen spread evenly, or all layers if there are fewer."""
    if layer_count == PAPER_LAYER_COUNT:
        return PAPER_RECOVERY
    count = min(len(PAPER_RECOVERY), layer_count)
    return tuple(round(place * (layer_count - 1) / (count - 1)) for place in range(count))
