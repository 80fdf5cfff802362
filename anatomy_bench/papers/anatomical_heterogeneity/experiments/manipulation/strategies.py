"""The paper's strategies for manipulating several layers at once, as frozen values (3.5, 4.4, Table 4).

All of them use the weights with which the model was loaded, so that a layer of a set is not affected by what is done
to another. *Matrices* are the parameters with two or more dimensions, in the paper's model the seven projections.
Norms and biases are vectors; each strategy says what it does with them.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from anatomy_bench.engine.interventions import Skip, is_matrix, registered, require_alike
from anatomy_bench.values.record import Record

if TYPE_CHECKING:
    from anatomy_bench.engine.interventions import Weights, WeightsOf

BLENDED_NEIGHBOURS = 4
"""Layers that `Blend` averages (paper 3.5)."""

_WRITES_RESIDUAL = re.compile(
    r"(^|\.)(o_proj|out_proj|c_proj|dense|wo|down_proj|fc2|fc_out|dense_4h_to_h|w2)(\.weight)?$"
)


def writes_residual(name: str) -> bool:
    """Whether a component or parameter of that name writes to the residual stream.

    Attention's output and the MLP's second projection, by the names that Llama (`o_proj`, `down_proj`),
    GPT-2 (`c_proj`), GPT-NeoX (`dense`, `dense_4h_to_h`), OPT (`out_proj`, `fc2`), Phi, GPT-J and Mixtral give
    them. Shapes do not show it: query and output projections are both square.
    """
    return bool(_WRITES_RESIDUAL.search(name))


def nearest_others(layer: int, layers: Sequence[int], layer_count: int, how_many: int) -> tuple[int, ...]:
    """The layers outside the set that are nearest to one of its layers, nearest first; fewer if there are no more.

    The paper does not say how ties are broken; of two layers at the same distance the earlier comes first.

    Raises:
        ValueError: the set contains every layer.
    """
    others = sorted(set(range(layer_count)) - set(layers), key=lambda each: (abs(each - layer), each))
    if not others:
        raise ValueError("every layer is in the set: none is left to copy from")
    return tuple(others[:how_many])


@dataclass(frozen=True)
class _OnLayers(Record):
    """Anything done to several layers at once.

    Attributes:
        layers: in ascending order, so that the same change is always the same value.
    """

    layers: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse layers in another order, or repeated."""
        if not self.layers or list(self.layers) != sorted(set(self.layers)):
            raise ValueError(f"layers {self.layers} are not distinct and in ascending order")

    @property
    def touched(self) -> tuple[int, ...]:
        """The layers of the set."""
        return self.layers

    def at(self, layer: int, layer_count: int) -> Any:
        """The change of the smallest set that gives the layer the same weights; equal changes can share a call."""
        del layer_count
        return replace(self, layers=(layer,))


@dataclass(frozen=True)
class _FromOthers(_OnLayers):
    """Anything whose new weights come from the nearest layers outside the set.

    Attributes:
        how_many: number of layers outside the set.
    """

    how_many: ClassVar[int] = 1

    def others(self, layer: int, layer_count: int) -> tuple[int, ...]:
        """The layers from which one of the set takes weights, nearest first.

        Raises:
            ValueError: the set contains every layer.
        """
        return nearest_others(layer, self.layers, layer_count, self.how_many)

    def at(self, layer: int, layer_count: int) -> Any:
        """The smallest set that leads to the same layers being used: those as near as the farthest layer used.

        If fewer layers are available than wanted, the whole set decides, because any layer outside it would be used.
        """
        others = self.others(layer, layer_count)
        if len(others) < self.how_many:
            return self
        reach = max(abs(other - layer) for other in others)
        return replace(self, layers=tuple(other for other in self.layers if abs(other - layer) <= reach))


@registered
@dataclass(frozen=True)
class SkipAll(_OnLayers):
    """The layers return their input unchanged: "set weights to zero, relying on residual connections"."""

    kind: Literal["skip_all"] = "skip_all"

    def at(self, layer: int, layer_count: int) -> Skip:
        """The same as skipping that layer alone."""
        del layer_count
        return Skip(layer)

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """`None`: the layer is skipped."""
        del layer, weights_of, layer_count
        return None


@registered
@dataclass(frozen=True)
class Scale(_OnLayers):
    """W ← α W for the matrices. Norms and biases are kept: the paper scales weights, and its model has no biases.

    Attributes:
        alpha: the factor.
        matrices: `all`, as the paper says; or only the `residual_writing` ones, which scales what the layer adds to
            the residual stream and leaves its attention pattern and gates unchanged.
    """

    alpha: float
    matrices: Literal["all", "residual_writing"] = "all"
    kind: Literal["scale"] = "scale"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The layer's parameters with the chosen matrices multiplied.

        Raises:
            ValueError: no matrix of the layer is known to write to the residual stream.
        """
        del layer_count
        weights = weights_of(layer)
        chosen = {name for name, tensor in weights.items() if is_matrix(name, tensor) and self._is_chosen(name)}
        if not chosen:
            raise ValueError(f"no matrix of layer {layer} is known to write to the residual stream")
        return {name: tensor * self.alpha if name in chosen else tensor for name, tensor in weights.items()}

    def _is_chosen(self, name: str) -> bool:
        return self.matrices == "all" or writes_residual(name)


@registered
@dataclass(frozen=True)
class Clone(_FromOthers):
    """Each layer becomes a complete copy of the nearest layer outside the set, with its norms and biases."""

    kind: Literal["clone"] = "clone"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The neighbour's parameters.

        Raises:
            ValueError: no layer is outside the set, or the neighbour's parameters differ in name or shape.
        """
        (nearest,) = self.others(layer, layer_count)
        require_alike(layer, weights_of, (nearest,))
        return weights_of(nearest)


@registered
@dataclass(frozen=True)
class Blend(_FromOthers):
    """Each layer becomes the average of the four nearest layers outside the set, weighted by 1/distance.

    Norms and biases are averaged like the matrices, as in neighbour averaging.
    """

    how_many: ClassVar[int] = BLENDED_NEIGHBOURS
    kind: Literal["blend"] = "blend"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The weighted mean of the neighbours' parameters.

        Raises:
            ValueError: no layer is outside the set, or the neighbours' parameters differ in name or shape.
        """
        neighbours = self.others(layer, layer_count)
        require_alike(layer, weights_of, neighbours)
        nearness = [1 / abs(neighbour - layer) for neighbour in neighbours]
        parts = [(weights_of(each), near / sum(nearness)) for each, near in zip(neighbours, nearness, strict=True)]
        first, *rest = [{name: tensor * share for name, tensor in weights.items()} for weights, share in parts]
        for part in rest:
            first = {name: tensor + part[name] for name, tensor in first.items()}
        return first


@registered
@dataclass(frozen=True)
class LowRankBlend(_FromOthers):
    """Each matrix takes the singular vectors of the nearest layer outside the set and keeps its own singular values.

    "Directions from neighbor, magnitudes from original." Norms and biases have no singular vectors and are kept.

    Attributes:
        rank: how many singular values, the largest first; `None` for all. The strategy is called low-rank, but the
            paper gives no number.
    """

    rank: int | None
    kind: Literal["low_rank_blend"] = "low_rank_blend"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The layer's parameters, with every matrix a hybrid of two layers.

        Raises:
            ValueError: no layer is outside the set, or the neighbour's parameters differ in name or shape.
        """
        from anatomy_bench.engine.matrices import with_magnitudes_of

        (nearest,) = self.others(layer, layer_count)
        require_alike(layer, weights_of, (nearest,))
        directions = weights_of(nearest)
        return {
            name: with_magnitudes_of(directions[name], tensor, self.rank) if is_matrix(name, tensor) else tensor
            for name, tensor in weights_of(layer).items()
        }


@registered
@dataclass(frozen=True)
class Noise(_OnLayers):
    """Add Gaussian noise to every matrix, of a size in proportion to the matrix; norms and biases are kept.

    With a relative norm of 1 − α, each matrix moves exactly as far as when it is scaled by α, in another direction.

    Attributes:
        relative_norm: Frobenius norm of the noise over that of the matrix.
        seed: of the noise. Each matrix of each layer has a random stream of its own, drawn on the CPU, so that no
            draw depends on the device, on the order, or on the other layers of the set.
    """

    relative_norm: float
    seed: int
    kind: Literal["noise"] = "noise"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The layer's parameters with every matrix noised."""
        from anatomy_bench.engine.matrices import noise_like

        del layer_count
        return {
            name: tensor + noise_like(tensor, self.relative_norm, zlib.crc32(f"{self.seed} {layer} {name}".encode()))
            if is_matrix(name, tensor)
            else tensor
            for name, tensor in weights_of(layer).items()
        }
