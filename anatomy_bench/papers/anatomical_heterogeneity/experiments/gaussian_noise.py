"""Gaussian noise in a layer's weights, as a frozen value (paper 3.6)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from anatomy_bench.engine.interventions import OneLayer, is_matrix, registered
from anatomy_bench.values.randomness import generator

if TYPE_CHECKING:
    from torch import Tensor

    from anatomy_bench.engine.interventions import Weights, WeightsOf

SigmaOf = Literal["matrix", "layer", "parameter"]
"""Whose standard deviation is the unit of the noise (`GaussianNoise`)."""


@registered
@dataclass(frozen=True)
class GaussianNoise(OneLayer):
    """Add Gaussian noise of σ = `deviations` · std to a layer (paper 3.6: "σ = 0.5 × std(W_l)").

    Attributes:
        layer: the layer.
        deviations: σ in standard deviations of the weights; 0 leaves the layer as it was.
        seed: of the noise; each parameter has a random stream of its own, as in `Noise`.
        sigma_of: what W_l means. `matrix`: each matrix has its own σ; norms and biases are kept. This is the closest to
            the text, in whose formulas W is always a weight matrix. `layer`: one σ, of all the layer's matrices
            together. `parameter`: each parameter has its own σ, vectors too, as in a loop over the parameters.
    """

    deviations: float
    seed: int
    sigma_of: SigmaOf = "matrix"
    kind: Literal["gaussian_noise"] = "gaussian_noise"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The layer's parameters with noise."""
        from anatomy_bench.engine.matrices import gaussian_like

        del layer_count
        weights = weights_of(layer)
        noised = {
            name: tensor for name, tensor in weights.items() if is_matrix(name, tensor) or self.sigma_of == "parameter"
        }
        shared = _deviation(list(noised.values())) if self.sigma_of == "layer" else None
        return {
            name: tensor
            + gaussian_like(
                tensor,
                self.deviations * (_deviation([tensor]) if shared is None else shared),
                zlib.crc32(f"{self.seed} {layer} {name}".encode()),
            )
            if name in noised
            else tensor
            for name, tensor in weights.items()
        }


def noise_seeds(seed: int, draws: int) -> tuple[int, ...]:
    """Seeds of a run's Gaussian noises; with more draws, the first ones stay the same."""
    return tuple(generator(seed, "gaussian noise").integers(2**31, size=draws).tolist())


def _deviation(tensors: "Sequence[Tensor]") -> float:
    """Standard deviation of all entries of the tensors around their common mean."""
    entries = sum(tensor.numel() for tensor in tensors)
    mean = sum(float(tensor.double().sum()) for tensor in tensors) / entries
    squares = sum(float((tensor.double() - mean).square().sum()) for tensor in tensors)
    return float((squares / entries) ** 0.5)
