"""What the programs of a run have in common: streams as nodes of a graph, equal ones once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anatomy_bench.engine.arrangement import Arrangement
from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.engine.programs import Chain, Layer, intact


@dataclass(frozen=True)
class Start:
    """What enters the first layer."""

    @property
    def sources(self) -> tuple[int, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Run:
    """A stream after a layer.

    Attributes:
        layer: that runs.
        change: what an intervention does to its weights; `Intact()` where nothing.
        source: number of the stream that it runs on.
        first: number of the stream that the first token is read from; `None` for the source.
    """

    layer: int
    change: Intervention
    source: int
    first: int | None

    @property
    def sources(self) -> tuple[int, ...]:
        """Numbers of the streams that are needed."""
        return (self.source,) if self.first is None else (self.source, self.first)


@dataclass(frozen=True)
class Sum:
    """A stream h with changes added: h + Σ c (b − h).

    Attributes:
        source: number of the stream.
        branches: coefficients and numbers of the branches' ends.
        first: number of the stream that the first token is read from; `None` for the sum itself.
    """

    source: int
    branches: tuple[tuple[float, int], ...]
    first: int | None = None

    @property
    def sources(self) -> tuple[int, ...]:
        """Numbers of the streams that are needed."""
        ends = tuple(end for _, end in self.branches)
        return (self.source, *ends) if self.first is None else (self.source, *ends, self.first)


Node: TypeAlias = Start | Run | Sum


class Graph:
    """Nodes by number, the start first; a node comes after those that it needs."""

    def __init__(self, layer_count: int) -> None:
        self.nodes: list[Node] = [Start()]
        self._numbers: dict[Node, int] = {self.nodes[0]: 0}
        self._layer_count = layer_count
        # The intact model's streams before each layer, and behind the last.
        self.intact: list[int] = [0]
        for step in intact(layer_count).steps:
            assert isinstance(step, Layer)
            self.intact.append(self._number(Run(step.index, Intact(), self.intact[-1], None)))

    def end_of(self, arrangement: Arrangement) -> int:
        """Number of the stream that an arrangement hands to the head.

        Raises:
            ValueError: a layer of the program or of the intervention that the model lacks.
        """
        end = self._after(arrangement.program, 0, arrangement)
        if not arrangement.keeps_first_token or end == self.intact[-1]:
            return end
        return self._number(Sum(end, (), self.intact[-1]))

    def _after(self, program: Chain, source: int, of: Arrangement) -> int:
        for step in program.steps:
            if isinstance(step, Layer):
                source = self._run(step.index, source, of)
            else:
                ends = tuple((each, self._after(branch, source, of)) for each, branch in step.branches)
                source = self._number(Sum(source, ends))
        return source

    def _run(self, layer: int, source: int, of: Arrangement) -> int:
        if not 0 <= layer < self._layer_count:
            raise ValueError(f"no layer {layer}: the model has {self._layer_count}")
        change: Intervention = Intact()
        if layer in of.intervention.touched:
            change = of.intervention.at(layer, self._layer_count)
        kept = self.intact[layer]
        return self._number(Run(layer, change, source, kept if of.keeps_first_token and kept != source else None))

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[node]


def runs_in_common(arrangements: Sequence[Arrangement], layer_count: int) -> int:
    """Layers that are run for all of them, the intact model's among them: what the time goes with."""
    graph = Graph(layer_count)
    for each in arrangements:
        graph.end_of(each)
    return sum(isinstance(node, Run) for node in graph.nodes)
