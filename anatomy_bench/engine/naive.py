"""The plain reference: one variant, one sentence, one forward pass at a time.

Tests and benchmarks compare every fast path with this one.
"""

from collections.abc import Sequence
from typing import Any

import torch

from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.engine.arrangement import Arrangement, ProgramScores
from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.engine.programs import Chain, Layer, intact
from anatomy_bench.engine.stack import Forward, LayerStack, hidden_input, with_hidden


def sentence_nll_nats(model: Any, sentence: Sequence[int]) -> float:
    """Negative log-likelihood of a sentence's tokens after the first, in nats, by one plain forward pass."""
    input_ids = torch.tensor([list(sentence)], device=next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(input_ids=input_ids, use_cache=False).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, input_ids[0, 1:], reduction="sum"))


def score(stack: LayerStack, sentences: Sequence[Sequence[int]], intervention: Intervention) -> list[float]:
    """Negative log-likelihood of each sentence, in nats, with the intervention applied in place."""
    with stack.applied(intervention):
        return [sentence_nll_nats(stack.model, sentence) for sentence in sentences]


def scores(
    stack: LayerStack,
    sentences: Sequence[Sequence[int]],
    variants: Sequence[Intervention],
    progress: Progress | None = None,
) -> dict[Intervention, list[float]]:
    """The same result as `engine.sweep.sweep`, for models whose layers cannot take copies in one call."""
    with (progress or SilentProgress()).stage("scoring", len(variants)) as advance:
        scored: dict[Intervention, list[float]] = {}
        for variant in variants:
            scored[variant] = score(stack, sentences, variant)
            advance(1)
        return scored


def score_program(stack: LayerStack, sentences: Sequence[Sequence[int]], arrangement: Arrangement) -> ProgramScores:
    """What `engine.program_walk.score_programs` returns of one arrangement, a sentence and a layer at a time.

    The last layer's place in the model's own forward runs the whole program, each layer with the arguments that it is
    given in its own place; the other places pass the stream on.
    """
    found = [_program_nats(stack, sentence, arrangement) for sentence in sentences]
    return ProgramScores(*zip(*found, strict=True))


def _program_nats(stack: LayerStack, sentence: Sequence[int], arrangement: Arrangement) -> tuple[float, float, float]:
    input_ids = torch.tensor([list(sentence)], device=stack.device)
    with torch.inference_mode():
        kept: dict[int, torch.Tensor] = {}
        unchanged = _logits(stack, input_ids, Arrangement(intact(len(stack.layers))), kept)
        changed = _logits(stack, input_ids, arrangement, dict(kept))
    targets = input_ids[0, 1:]
    nll_nats = torch.nn.functional.cross_entropy(changed, targets, reduction="sum")
    kl_nats = torch.nn.functional.kl_div(
        changed.log_softmax(-1), unchanged.log_softmax(-1), reduction="none", log_target=True
    ).sum(dim=-1)
    return float(nll_nats), float(kl_nats.sum()), float(kl_nats[-1])


def _logits(
    stack: LayerStack, input_ids: torch.Tensor, arrangement: Arrangement, kept: dict[int, torch.Tensor]
) -> torch.Tensor:
    """In float64, shape (tokens − 1, vocabulary).

    Args:
        stack: the model's layers.
        input_ids: of one sentence.
        arrangement: to run.
        kept: the intact model's first token before each layer and behind the last; filled in by the intact run.
    """
    seen: dict[int, tuple[Any, Any]] = {}
    last = len(stack.layers) - 1

    def replaced(index: int, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            seen[index] = (args, kwargs)
            calls[index] = forward
            hidden = hidden_input(args, kwargs)
            return stack.as_output(end(hidden) if index == last else hidden)

        return run

    def end(hidden: torch.Tensor) -> torch.Tensor:
        hidden = run_program(arrangement.program, hidden)
        kept.setdefault(last + 1, hidden[:, :1])
        return first_kept(hidden, last + 1)

    def run_program(program: Chain, hidden: torch.Tensor) -> torch.Tensor:
        for step in program.steps:
            if isinstance(step, Layer):
                hidden = run_layer(step.index, hidden)
            else:
                ends = [(each, run_program(branch, hidden)) for each, branch in step.branches]
                hidden = hidden + sum(each * (reached - hidden) for each, reached in ends)
        return hidden

    def run_layer(index: int, hidden: torch.Tensor) -> torch.Tensor:
        kept.setdefault(index, hidden[:, :1])
        args, kwargs = with_hidden(first_kept(hidden, index), *seen[index])
        return stack.as_hidden(calls[index](*args, **kwargs))

    def first_kept(hidden: torch.Tensor, place: int) -> torch.Tensor:
        return torch.cat([kept[place], hidden[:, 1:]], dim=1) if arrangement.keeps_first_token else hidden

    calls: dict[int, Forward] = {}
    with stack.applied(arrangement.intervention), stack.forwards(replaced):
        logits: torch.Tensor = stack.model(input_ids=input_ids, use_cache=False).logits
    return logits[0, :-1].double()
