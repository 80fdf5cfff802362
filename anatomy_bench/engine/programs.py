"""In what order layers run: programs, as frozen values.

A weight intervention says what a layer *is*, a program in what order layers *run*: it takes the hidden states h that
enter the first layer to those that the head reads. Three things suffice for skipping, exchanging, repeating, reversing,
running in parallel and looping layers:

- `Layer(i)`: run layer i, with its own attention type, mask and rotary embedding, wherever it stands;
- `Chain(p, q, …)`: one after another; the empty chain passes the stream on unchanged;
- `Mix((c₁, p₁), (c₂, p₂), …)`: h ← h + Σ cₖ (pₖ(h) − h).

Their text form is in `program_text.py`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anatomy_bench.base.errors import UsageError

MOST_RUNS = 4096
"""Layers that a program may run: far more than any protocol's, and too few to wait for ever."""


@dataclass(frozen=True)
class Layer:
    """Run one layer.

    Attributes:
        index: from 0.
    """

    index: int


@dataclass(frozen=True)
class Mix:
    """Run branches on the same stream, and add their changes to it: h ← h + Σ cₖ (pₖ(h) − h).

    Attributes:
        branches: of each its coefficient and its program.
    """

    branches: tuple[tuple[float, "Chain"], ...]

    def __post_init__(self) -> None:
        """Take steps for chains, and refuse what is no mix.

        Raises:
            ValueError: no branch, or a coefficient that is not finite.
        """
        if not self.branches:
            raise ValueError("a mix needs a branch")
        if not all(math.isfinite(coefficient) for coefficient, _ in self.branches):
            raise ValueError("coefficients of a mix must be finite")
        branches = tuple((float(coefficient), chain(program)) for coefficient, program in self.branches)
        object.__setattr__(self, "branches", branches)


Step: TypeAlias = Layer | Mix


@dataclass(frozen=True)
class Chain:
    """Run steps one after another; none passes the stream on unchanged.

    Attributes:
        steps: in order.
    """

    steps: tuple[Step, ...] = ()


Program: TypeAlias = Layer | Mix | Chain


def chain(*programs: Program) -> Chain:
    """Programs one after another, as one flat chain: the form in which equal programs are equal values."""
    steps: list[Step] = []
    for program in programs:
        steps += program.steps if isinstance(program, Chain) else [program]
    return Chain(tuple(steps))


def layers(*indices: int) -> Chain:
    """Layers in that order."""
    return Chain(tuple(Layer(index) for index in indices))


def parallel(programs: Sequence[Program]) -> Mix:
    """Programs side by side on the same stream, their outputs averaged."""
    return Mix(tuple((1 / len(programs), chain(each)) for each in programs))


def damped(block: Program, times: int) -> Chain:
    """A block that runs so many times, each by a share 1/times of its change: x ← x + (g(x) − x) / K."""
    return Chain((Mix(((1 / times, chain(block)),)),) * times)


def anchored(block: Program, loop: Program, beta: float) -> Mix:
    """What a block gives, and what looping it gives, mixed: β · block + (1 − β) · loop."""
    return Mix(((beta, chain(block)), (1 - beta, chain(loop))))


def intact(layer_count: int) -> Chain:
    """The model as it is."""
    return layers(*range(layer_count))


def runs_of(program: Program) -> Iterator[int]:
    """The layers that a program runs, as often as it does."""
    for step in chain(program).steps:
        if isinstance(step, Layer):
            yield step.index
        else:
            for _, branch in step.branches:
                yield from runs_of(branch)


def check_program(program: Program, layer_count: int, text: str) -> None:
    """Refuse a program that this model cannot run.

    Args:
        program: to check.
        layer_count: of the model.
        text: what the user wrote, for the message.

    Raises:
        UsageError: it names a layer that the model lacks.
    """
    absent = sorted({layer for layer in runs_of(program) if not 0 <= layer < layer_count})
    if absent:
        raise UsageError(f"program {text!r} runs layer {absent[0]}; the model has layers 0 to {layer_count - 1}")
