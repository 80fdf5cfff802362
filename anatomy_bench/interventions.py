"""Changes to a model's layers, as frozen values.

An intervention only describes; `Subject.applied` carries it out in place and
undoes it, and the sweep (`engine/sweep.py`) scores it without touching the model.
Those of several layers at once are in `strategies.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from anatomy_bench.record import Record
from anatomy_bench.strategies import Blend, Clone, LowRankBlend, Noise, Scale, SkipAll, require_alike

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]
    """Parameters of one decoder layer by name."""

    WeightsOf = Callable[[int], Weights]
    """From a layer's index to the weights that it was loaded with."""


@dataclass(frozen=True)
class Intact(Record):
    """No change: the baseline."""

    kind: Literal["intact"] = "intact"

    @property
    def touched(self) -> tuple[int, ...]:
        """No layer."""
        return ()

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """Never asked for, since no layer is touched."""
        del weights_of, layer_count
        raise ValueError(f"the intact model changes no layer, not even {layer}")


@dataclass(frozen=True)
class NeighbourAverage(Record):
    """W_l ← (W_{l−1} + W_{l+1}) / 2 for every parameter of the layer, norms included (paper 3.2).

    A first or last layer has one neighbour and takes a copy of it.
    """

    layer: int
    kind: Literal["neighbour_average"] = "neighbour_average"

    @property
    def touched(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The mean of the neighbours' parameters.

        Raises:
            ValueError: the neighbours' parameters differ in name or shape.
        """
        neighbours = [each for each in (layer - 1, layer + 1) if 0 <= each < layer_count]
        require_alike(layer, weights_of, neighbours)
        first, *others = [weights_of(each) for each in neighbours]
        if not others:
            return first
        return {name: (tensor + others[0][name]) / 2 for name, tensor in first.items()}


@dataclass(frozen=True)
class Skip(Record):
    """The layer passes its input on unchanged: a true removal, residual stream only."""

    layer: int
    kind: Literal["skip"] = "skip"

    @property
    def touched(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """`None`: the layer is passed by."""
        del layer, weights_of, layer_count
        return None


Intervention = Intact | NeighbourAverage | Skip | SkipAll | Scale | Clone | Blend | LowRankBlend | Noise
