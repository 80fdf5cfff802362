"""Changes to a model's layers, as frozen values.

An intervention only describes a change. `Subject.applied` makes it in place and undoes it; the sweep
(`engine/sweep.py`) scores it without touching the model. Every class with the members of `Intervention` is one.
An experiment's own interventions are in its folder, here or in another package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar

from anatomy_bench.values.record import Record, from_data

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]
    """Parameters of one decoder layer by name."""

    WeightsOf = Callable[[int], Weights]
    """Takes a layer's index; returns the weights with which the layer was loaded."""


class Intervention(Protocol):
    """A change to some of a model's layers: hashable, picklable, and equal to another where it does the same.

    A frozen dataclass that is a `Record`, with a field `kind` that names it in JSON (see `registered`).
    """

    @property
    def kind(self) -> str:
        """Its name in JSON, such as `neighbour_average`."""
        ...

    @property
    def touched(self) -> tuple[int, ...]:
        """The layers that it changes."""
        ...

    def at(self, layer: int, layer_count: int) -> "Intervention":
        """What it does to one of its layers; where two are equal, the layer's new weights are, and are made once."""
        ...

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The new weights of one of its layers; `None` if the layer is skipped.

        Args:
            layer: one of `touched`.
            weights_of: takes any layer's index; returns the weights with which that layer was loaded.
            layer_count: number of layers of the model.

        Raises:
            ValueError: this model cannot be changed in this way.
        """
        ...


_STACKED_VECTORS = re.compile(r"bias(es)?$|norm(\.weight)?$")

KindT = TypeVar("KindT", bound=type[Record])

_KINDS: dict[str, type[Record]] = {}


def registered(intervention: KindT) -> KindT:
    """Class decorator: `intervention_from_data` reads JSON with the `kind` of this class as an instance of it.

    Raises:
        ValueError: another class has that kind; both places are named.
    """
    kind = str(getattr(intervention, "kind"))  # noqa: B009 (a field's default, which no `Record` declares)
    other = _KINDS.setdefault(kind, intervention)
    if _place(other) != _place(intervention):  # the same class again is fine: its module was reloaded
        raise ValueError(f"two kinds of intervention are called {kind!r}: {_place(other)} and {_place(intervention)}")
    _KINDS[kind] = intervention
    return intervention


def _place(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def intervention_from_data(data: Mapping[str, Any]) -> Intervention:
    """Build an intervention from the output of `to_data`.

    Raises:
        ValueError: no such kind is registered, or the fields do not fit it.
    """
    kind = str(data.get("kind"))
    if kind not in _KINDS:
        raise ValueError(f"no kind of intervention {kind!r}; there are: {', '.join(sorted(_KINDS))}")
    found: Any = from_data(_KINDS[kind], data)
    intervention: Intervention = found
    return intervention


def is_matrix(name: str, tensor: "Tensor") -> bool:
    """Whether a parameter is a weight matrix: has rows and columns, and is no stack of biases or norms.

    Layers of experts keep a bias for each expert in one tensor, and some norms have a row for each head.
    """
    return tensor.ndim >= 2 and not _STACKED_VECTORS.search(name)  # noqa: PLR2004 (rows and columns)


def require_alike(layer: int, weights_of: "WeightsOf", others: Sequence[int]) -> None:
    """Check that a layer could take the parameters of others.

    Raises:
        ValueError: their parameters differ in name or shape.
    """
    own, *rest = ({name: tensor.shape for name, tensor in weights_of(one).items()} for one in (layer, *others))
    if any(other != own for other in rest):
        raise ValueError(f"layer {layer} and its neighbours have parameters of different names or shapes")


@registered
@dataclass(frozen=True)
class Intact(Record):
    """No change: the baseline."""

    kind: Literal["intact"] = "intact"

    @property
    def touched(self) -> tuple[int, ...]:
        """No layer."""
        return ()

    def at(self, layer: int, layer_count: int) -> Self:
        """Never asked for, since no layer is touched."""
        del layer, layer_count
        return self

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """Never asked for, since no layer is touched."""
        del weights_of, layer_count
        raise ValueError(f"the intact model changes no layer, not even {layer}")


@dataclass(frozen=True)
class OneLayer(Record):
    """Anything done to a single layer.

    Attributes:
        layer: the layer.
    """

    layer: int

    @property
    def touched(self) -> tuple[int, ...]:
        """The one layer."""
        return (self.layer,)

    def at(self, layer: int, layer_count: int) -> Self:
        """Itself, because it changes no other layer."""
        del layer, layer_count
        return self


@registered
@dataclass(frozen=True)
class NeighbourAverage(OneLayer):
    """W_l ← (W_{l−1} + W_{l+1}) / 2 for every parameter of the layer, norms included (arXiv 2603.19348, 3.2).

    A first or last layer has one neighbour and takes a copy of it.
    """

    kind: Literal["neighbour_average"] = "neighbour_average"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """The mean of the neighbours' parameters.

        Raises:
            ValueError: the neighbours' parameters differ in name or shape.
        """
        neighbours = [neighbour for neighbour in (layer - 1, layer + 1) if 0 <= neighbour < layer_count]
        require_alike(layer, weights_of, neighbours)
        first, *others = [weights_of(neighbour) for neighbour in neighbours]
        if not others:
            return first
        return {name: (tensor + others[0][name]) / 2 for name, tensor in first.items()}


@registered
@dataclass(frozen=True)
class Skip(OneLayer):
    """The layer returns its input unchanged: a true removal, which leaves only the residual stream."""

    kind: Literal["skip"] = "skip"

    def replacement(self, layer: int, weights_of: "WeightsOf", layer_count: int) -> "Weights | None":
        """`None`: the layer is skipped."""
        del layer, weights_of, layer_count
        return None
