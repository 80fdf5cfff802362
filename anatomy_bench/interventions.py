"""Changes to a model's layers, as frozen values.

An intervention only describes; `Subject.applied` carries it out in place and
undoes it, and the sweep (`engine/sweep.py`) scores it without touching the model.
Those of several layers at once are in `strategies.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from anatomy_bench.gaussian_noise import GaussianNoise
from anatomy_bench.record import Record
from anatomy_bench.ridge import Reading, layer_coefficients, rank_order
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


@dataclass(frozen=True)
class Predicted(Record):
    """Each layer's weight matrices predicted from earlier layers by ridge regression on depth (paper 3.3, 4.2).

    All of them from the layers as they were loaded, also where those are replaced as well. Norms
    and biases stay. As `sorted`, only a layer's distribution is predicted: the sorted values go to
    the places that the rank order of the layer's own weights gives them, which no prediction
    could know. That is the most favourable that this reading can be.

    Attributes:
        layers: to replace, each with two or more before it.
        reading: what is regressed (`ridge.Reading`).
        alpha: the ridge penalty.
    """

    layers: tuple[int, ...]
    reading: Reading
    alpha: float
    kind: Literal["predicted"] = "predicted"

    @property
    def touched(self) -> tuple[int, ...]:
        """The replaced layers."""
        return self.layers

    def at(self, layer: int, layer_count: int) -> "Predicted":
        """The same of that layer alone."""
        del layer_count
        return replace(self, layers=(layer,))

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The predicted matrices, and the layer's own vectors.

        Raises:
            ValueError: fewer than two layers come before it.
        """
        coefficients = layer_coefficients(layer_count, layer, self.reading, self.alpha)
        known = [weights_of(each) for each in range(len(coefficients))]
        combine = _sorted_combination if self.reading == "sorted" else _combination
        return {
            name: combine([weights[name] for weights in known], coefficients, own) if own.ndim > 1 else own
            for name, own in weights_of(layer).items()
        }


def _combination(known: "Sequence[Tensor]", coefficients: Sequence[float], own: "Tensor") -> "Tensor":
    """Σ c_k W_k, summed in float32."""
    total = known[0].float() * coefficients[0]
    for matrix, coefficient in zip(known[1:], coefficients[1:], strict=True):
        total.add_(matrix.float(), alpha=coefficient)
    return total.to(own.dtype)


def _sorted_combination(known: "Sequence[Tensor]", coefficients: Sequence[float], own: "Tensor") -> "Tensor":
    """Σ c_k sorted(W_k), laid out in the rank order of the layer's own weights."""
    total = np.zeros(own.numel(), dtype=np.float32)
    for matrix, coefficient in zip(known, coefficients, strict=True):
        total += np.float32(coefficient) * np.sort(_flat(matrix))
    placed = np.empty_like(total)
    placed[rank_order(_flat(own))] = total
    return own.new_tensor(placed).view(own.shape)


def _flat(tensor: "Tensor") -> NDArray[np.float32]:
    """In numpy, whose sort is twenty times as fast as torch's on a CPU."""
    return tensor.detach().float().cpu().numpy().ravel()


_OfOneLayer = Intact | NeighbourAverage | Skip | GaussianNoise

Intervention = (
    Intact
    | NeighbourAverage
    | Skip
    | SkipAll
    | Scale
    | Clone
    | Blend
    | LowRankBlend
    | Noise
    | GaussianNoise
    | Predicted
)


def change_of(intervention: Intervention, layer: int, layer_count: int) -> Intervention:
    """What an intervention does to one of its layers: where that is equal, so are the layer's new weights."""
    return intervention if isinstance(intervention, _OfOneLayer) else intervention.at(layer, layer_count)
