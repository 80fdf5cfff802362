"""A model's decoder layers, each of which can be changed, skipped or intercepted."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.engine.memory import is_out_of_memory

Forward = Callable[..., Any]


class LayerStack:
    """The decoder layers of a model.

    Attributes:
        model: the whole model.
        layers: its decoder layers, first to last.
        hands_on: those that hand more on to later layers than hidden states, such as keys and values that they share.
    """

    def __init__(self, model: Any, layers: Sequence[nn.Module]) -> None:
        """Run two tokens through the model to see how it calls its layers; change nothing.

        Raises:
            UnfitModelError: the model does not call each layer once, in order, on hidden states.
        """
        self.model = model
        self.layers = tuple(layers)
        self.hands_on: set[int] = set()
        self._output_form = self._observe_calls()

    def _observe_calls(self) -> int | None:
        """Length of the tuple that the layers return, or `None` if they return bare hidden states."""
        calls: list[int] = []
        outputs: list[Any] = []

        def observed(index: int, forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                calls.append(index)
                before = _entries(kwargs)
                outputs.append(forward(*args, **kwargs))
                if _entries(kwargs) != before:
                    self.hands_on.add(index)
                return outputs[-1]

            return run

        try:
            with self.forwards(observed), torch.inference_mode():
                self.model(input_ids=torch.zeros((1, 2), dtype=torch.long, device=self.device), use_cache=False)
        except Exception as error:  # whatever it trips over, the checkpoint cannot be run
            if is_out_of_memory(error) or "CUDA" in str(error):  # of the device, not of the model
                raise
            line = next(iter(str(error).strip().splitlines()), "")
            raise UnfitModelError(
                f"{type(self.model).__name__} loads, but its first forward pass fails; config.json may not fit the "
                f"weights ({type(error).__name__}: {line[:120]})"
            ) from error
        forms = {len(output) if isinstance(output, tuple) else None for output in outputs}
        are_hidden = all(isinstance(output[0] if isinstance(output, tuple) else output, Tensor) for output in outputs)
        if calls != list(range(len(self.layers))) or len(forms) != 1 or not are_hidden:
            raise UnfitModelError(
                f"{type(self.model).__name__} does not call its {len(self.layers)} layers once each, in order, "
                "from hidden states to hidden states; its architecture is not supported"
            )
        return forms.pop()

    def as_output(self, hidden: Tensor) -> Any:
        """Hidden states in the form in which this model's layers return them."""
        return hidden if self._output_form is None else (hidden, *[None] * (self._output_form - 1))

    def as_hidden(self, output: Any) -> Tensor:
        """The hidden states in a layer's return value."""
        hidden: Tensor = output if self._output_form is None else output[0]
        return hidden

    @property
    def device(self) -> torch.device:
        """The device that has the weights."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def weights_of(self, layer: int) -> Mapping[str, Tensor]:
        """The layer's parameters by name: the tensors themselves, not copies."""
        return dict(self.layers[layer].named_parameters())

    def require(self, layer: int) -> None:
        """Check that there is such a layer.

        Raises:
            ValueError: there is none.
        """
        if not 0 <= layer < len(self.layers):
            raise ValueError(f"no layer {layer}: the model has {len(self.layers)}")

    def replacement(self, intervention: Intervention, layer: int) -> Mapping[str, Tensor] | None:
        """The weights that the intervention gives to the layer; `None` if the layer is skipped.

        Raises:
            ValueError: no such layer.
        """
        self.require(layer)
        with torch.no_grad():
            return intervention.replacement(layer, self.weights_of, len(self.layers))

    @contextmanager
    def forwards(self, replace: Callable[[int, Forward], Forward | None]) -> Iterator[None]:
        """Within the context, call other functions instead of the layers' forward.

        Args:
            replace: takes a layer's index and its own forward; returns the function to call
                instead, or `None` to leave the layer as it is.
        """
        with ExitStack() as undo:
            for index, layer in enumerate(self.layers):
                substitute = replace(index, layer.forward)
                if substitute is not None:
                    undo.callback(_restore_forward, layer, vars(layer).get("forward"))
                    layer.forward = substitute
            yield

    @contextmanager
    def applied(self, intervention: Intervention) -> Iterator[None]:
        """Change the layers' weights in place; restore every bit on leaving, also when the body raises."""
        replacements = {layer: self.replacement(intervention, layer) for layer in intervention.touched}
        passed_by = {layer for layer, weights in replacements.items() if weights is None}
        originals = {
            layer: {name: tensor.detach().clone() for name, tensor in self.weights_of(layer).items()}
            for layer in replacements
            if layer not in passed_by
        }
        # All new weights are computed before any is written, because neighbouring layers may both be changed.
        changed = {
            layer: {name: tensor.detach().clone() for name, tensor in (weights or {}).items()}
            for layer, weights in replacements.items()
            if layer not in passed_by
        }
        try:
            for layer, weights in changed.items():
                self._write(layer, weights)
            with self.forwards(lambda index, forward: self._passing_by(index, forward) if index in passed_by else None):
                yield
        finally:
            self._restore(originals)

    def pass_by(self, *args: Any, **kwargs: Any) -> Any:
        """A forward that returns its input, in the form in which the layer would return it."""
        return self.as_output(hidden_input(args, kwargs))

    def _passing_by(self, index: int, forward: Forward) -> Forward:
        """What takes the place of a layer that is passed by.

        A layer whose keys and values later layers read still makes them; its output goes nowhere.
        """
        if index not in self.hands_on:
            return self.pass_by

        def run(*args: Any, **kwargs: Any) -> Any:
            forward(*args, **kwargs)
            return self.pass_by(*args, **kwargs)

        return run

    def _restore(self, originals: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Write all weights back; start again if an interrupt comes in between."""
        try:
            for layer, weights in originals.items():
                self._write(layer, weights)
        except BaseException:
            for layer, weights in originals.items():
                self._write(layer, weights)
            raise

    def _write(self, layer: int, weights: Mapping[str, Tensor]) -> None:
        parameters = self.weights_of(layer)
        with torch.no_grad():
            for name, tensor in weights.items():
                parameters[name].copy_(tensor)


def _entries(kwargs: Mapping[str, Any]) -> dict[str, list[int]]:
    """What lies in the containers that a layer is given, by their names: some put their keys and values there."""
    containers = {name: value for name, value in kwargs.items() if isinstance(value, MutableMapping)}
    return {name: [id(each) for each in value.values()] for name, value in containers.items()}


def _restore_forward(layer: nn.Module, previous: Forward | None) -> None:
    if previous is None:
        del layer.forward
    else:
        layer.forward = previous


def hidden_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The hidden states among a decoder layer's arguments: the first one, or the one of that name."""
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden


def with_hidden(
    hidden: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments with other hidden states."""
    if args:
        return (hidden, *args[1:]), dict(kwargs)
    return (), {**kwargs, "hidden_states": hidden}
