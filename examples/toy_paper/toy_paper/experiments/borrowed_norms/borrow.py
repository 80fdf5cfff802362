"""The experiment's own intervention, as a frozen value."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from anatomy_bench.engine.interventions import OneLayer, is_matrix, registered, require_alike

if TYPE_CHECKING:
    from anatomy_bench.engine.interventions import Weights, WeightsOf

Parts = Literal["norms", "matrices"]
PARTS: tuple[Parts, ...] = ("norms", "matrices")


@registered
@dataclass(frozen=True)
class Borrow(OneLayer):
    """A layer takes some of its weights from the layer before it and keeps the others.

    Attributes:
        layer: that borrows; not the first.
        parts: `norms`, which stands for all vectors (biases too, where there are any), or `matrices`.
    """

    parts: Parts
    kind: Literal["borrow"] = "borrow"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The layer's weights, some of them from the layer before it.

        Raises:
            ValueError: the two layers' parameters differ in name or shape.
        """
        del layer_count
        require_alike(layer, weights_of, [layer - 1])
        own, lent = weights_of(layer), weights_of(layer - 1)
        takes_matrices = self.parts == "matrices"
        return {name: (lent if is_matrix(name, own[name]) == takes_matrices else own)[name] for name in own}
