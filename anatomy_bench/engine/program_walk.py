"""Score many programs in one run: what they have in common is computed once (`program_graph.py`).

Runs that wait for the same layer pass it in one call, as many as a call is best at: of the layers that runs wait for,
the one that most of them wait for comes next. A layer is called with the arguments that the model's own forward gives
it in its own place, so that it keeps its attention type, mask and rotary embedding wherever it runs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from anatomy_bench.base.progress import Advance, Progress, SilentProgress
from anatomy_bench.engine.arrangement import Arrangement, ProgramScores
from anatomy_bench.engine.divergence import scores_against_intact
from anatomy_bench.engine.head import without_logits
from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.engine.limits import PROGRAMS_PER_WALK, TOKENS_PER_CALL, TOKENS_PER_WALK
from anatomy_bench.engine.memory import in_pieces_that_fit
from anatomy_bench.engine.program_graph import Graph, Run, Sum, runs_in_common
from anatomy_bench.engine.rows import WALK_PRICE_TOKENS, Padded, batches_of_like_length, joined, pad
from anatomy_bench.engine.stack import Forward, LayerStack, hidden_input

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Of a layer: positional and named."""


def score_programs(
    stack: LayerStack,
    sentences: Sequence[Sequence[int]],
    arrangements: Sequence[Arrangement],
    progress: Progress | None = None,
) -> dict[Arrangement, ProgramScores]:
    """Score every sentence under every arrangement.

    Args:
        stack: the model's layers.
        sentences: token ids, at least two each.
        arrangements: what to score.
        progress: where to report how far the work is.

    Returns:
        The scores of each arrangement. The model's weights are never written.

    Raises:
        ValueError: an arrangement names a layer that the model lacks.
    """
    distinct = list(dict.fromkeys(arrangements))
    groups = [distinct[start : start + PROGRAMS_PER_WALK] for start in range(0, len(distinct), PROGRAMS_PER_WALK)]
    bound = TOKENS_PER_WALK // (1 + max(map(len, groups), default=0))
    batches = batches_of_like_length(sentences, bound, WALK_PRICE_TOKENS[stack.device.type])
    steps = len(batches) * sum(runs_in_common(group, len(stack.layers)) for group in groups)
    nats = {each: torch.zeros(len(sentences), 3, dtype=torch.float64) for each in distinct}
    with torch.inference_mode(), (progress or SilentProgress()).stage("programs", steps) as advance:

        def walk(batch: Sequence[int], group: Sequence[Arrangement]) -> None:
            padded = pad([sentences[each] for each in batch], stack.device)
            streams = _Walk(stack, padded, group, advance).run()
            scores = scores_against_intact(stack, padded, streams)
            for arrangement, of_sentences in zip(group, scores[1:], strict=True):
                nats[arrangement][list(batch)] = of_sentences

        for batch in batches:
            for group in groups:
                in_pieces_that_fit(walk, batch, group)
    return {each: ProgramScores(*map(tuple, nats[each].T.tolist())) for each in arrangements}


class _Walk:
    """The streams of some programs, from the arguments that the model's own forward gives its layers."""

    def __init__(self, stack: LayerStack, padded: Padded, group: Sequence[Arrangement], advance: Advance) -> None:
        self._stack = stack
        self._padded = padded
        self._advance = advance
        self._graph = Graph(len(stack.layers))
        self._ends = [self._graph.intact[-1], *(self._graph.end_of(each) for each in group)]
        self._per_call = max(1, TOKENS_PER_CALL[stack.device.type] // padded.input_ids.numel())
        self._streams: dict[int, Tensor] = {}
        self._readers = Counter(source for node in self._graph.nodes for source in set(node.sources))
        self._readers.update(set(self._ends))
        self._missing = [len(set(node.sources)) for node in self._graph.nodes]
        self._wanted_by: dict[int, list[int]] = {}
        for number, node in enumerate(self._graph.nodes):
            for source in set(node.sources):
                self._wanted_by.setdefault(source, []).append(number)
        self._ready: dict[tuple[int, Intervention], list[int]] = {}

    def run(self) -> list[Tensor]:
        """The streams that the head reads: the intact one, then one an arrangement.

        Returns:
            Each of shape (sentences, tokens, width).
        """
        arguments = self._arguments()
        self._keep(0, hidden_input(*arguments[0]))
        while self._ready:
            layer, change = max(self._ready, key=lambda kind: (len(self._ready[kind]), -kind[0]))
            numbers = self._ready.pop((layer, change))
            for number, stream in zip(numbers, self._passed(layer, change, numbers, arguments[layer]), strict=True):
                self._keep(number, stream)
            self._advance(len(numbers))
        return [self._streams[end] for end in self._ends]

    def _arguments(self) -> list[Arguments]:
        """What the model's own forward gives each layer; the layers are passed by."""
        seen: dict[int, Arguments] = {}

        def noted(index: int, _: Forward) -> Forward:
            def note(*args: Any, **kwargs: Any) -> Any:
                seen[index] = (args, kwargs)
                return self._stack.pass_by(*args, **kwargs)

            return note

        with without_logits(self._stack), self._stack.forwards(noted):
            self._stack.model(input_ids=self._padded.input_ids, use_cache=False)
        return [seen[index] for index in range(len(self._stack.layers))]

    def _keep(self, number: int, stream: Tensor) -> None:
        """A stream is there: nodes that waited for it alone are ready, sums at once."""
        self._streams[number] = stream
        for reader in self._wanted_by.get(number, ()):
            self._missing[reader] -= 1
            if self._missing[reader]:
                continue
            node = self._graph.nodes[reader]
            if isinstance(node, Sum):
                self._keep(reader, self._sum(node))
                self._release(node.sources)
            elif isinstance(node, Run):
                self._ready.setdefault((node.layer, node.change), []).append(reader)

    def _passed(
        self, layer: int, change: Intervention, numbers: Sequence[int], arguments: Arguments
    ) -> Iterator[Tensor]:
        """The streams of some nodes after a layer, as many in a call as it is best at."""
        weights = self._stack.replacement(change, layer) if change.touched else {}
        nodes = [self._graph.nodes[number] for number in numbers]
        for start in range(0, len(nodes), self._per_call):
            some = [node for node in nodes[start : start + self._per_call] if isinstance(node, Run)]
            streams = [self._read(node.source, node.first) for node in some]
            yield from streams if weights is None else self._called(layer, weights, streams, arguments)
        for node in nodes:
            self._release(node.sources)

    def _called(
        self, layer: int, weights: Mapping[str, Tensor], streams: Sequence[Tensor], arguments: Arguments
    ) -> Sequence[Tensor]:
        args, kwargs = joined(streams, *arguments)
        module = self._stack.layers[layer]
        output = functional_call(module, dict(weights), args, kwargs) if weights else module(*args, **kwargs)
        return self._stack.as_hidden(output).chunk(len(streams))

    def _read(self, source: int, first: int | None) -> Tensor:
        """A stream, with the first token of another one where that is asked."""
        stream = self._streams[source]
        return stream if first is None else torch.cat([self._streams[first][:, :1], stream[:, 1:]], dim=1)

    def _sum(self, node: Sum) -> Tensor:
        """The stream h + Σ c (b − h), added up in the model's own precision."""
        stream = self._streams[node.source]
        for coefficient, branch in node.branches:
            stream = stream + coefficient * (self._streams[branch] - self._streams[node.source])
        return stream if node.first is None else torch.cat([self._streams[node.first][:, :1], stream[:, 1:]], dim=1)

    def _release(self, sources: Sequence[int]) -> None:
        """Forget streams that nobody will read any more."""
        for source in set(sources):
            self._readers[source] -= 1
            if not self._readers[source]:
                del self._streams[source]
