"""Which layers are replaced by their predictions."""

from typing import Literal

from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import FIRST_TARGET

Choice = Literal["spread", "together", "single"]
"""Which layers are replaced: evenly spread over those that can be, neighbours in the middle, or a single one."""


def chosen_layers(layer_count: int, count: int, choice: Choice) -> tuple[int, ...]:
    """That many of the layers that can be predicted, 2 to N − 1."""
    eligible = layer_count - FIRST_TARGET
    if choice == "spread":  # the middles of that many equal parts
        return tuple(FIRST_TARGET + (2 * part + 1) * eligible // (2 * count) for part in range(count))
    first = FIRST_TARGET + (eligible - count + 1) // 2
    return tuple(range(first, first + count))
