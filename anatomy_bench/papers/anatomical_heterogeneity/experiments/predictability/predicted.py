"""Layers replaced by predictions from their depth, as a frozen value (paper 3.3, 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from anatomy_bench.engine.interventions import is_matrix, registered
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    Reading,
    layer_coefficients,
    rank_order,
)
from anatomy_bench.values.record import Record

if TYPE_CHECKING:
    from torch import Tensor

    from anatomy_bench.engine.interventions import Weights, WeightsOf


@registered
@dataclass(frozen=True)
class Predicted(Record):
    """Each layer's weight matrices predicted from earlier layers by ridge regression on depth (paper 3.3, 4.2).

    Always predicted from the original weights, even of layers that are themselves replaced. Norms and biases are
    kept. In the reading `sorted`, only a layer's distribution is predicted: the sorted values are put where the rank
    order of the layer's own weights says, which no prediction could know. This is the most favourable form of that
    reading.

    Attributes:
        layers: the layers to replace; each has two or more before it.
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
        """The prediction of that layer alone."""
        del layer_count
        return replace(self, layers=(layer,))

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The predicted matrices, and the layer's own vectors.

        Raises:
            ValueError: fewer than two layers come before it.
        """
        coefficients = layer_coefficients(layer_count, layer, self.reading, self.alpha)
        known = [weights_of(earlier) for earlier in range(len(coefficients))]
        combine = _sorted_combination if self.reading == "sorted" else _combination
        return {
            name: combine([weights[name] for weights in known], coefficients, own) if is_matrix(name, own) else own
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
    """Sort in numpy, which is twenty times as fast as torch on a CPU."""
    return tensor.detach().float().cpu().numpy().ravel()
