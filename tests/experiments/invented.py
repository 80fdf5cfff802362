"""How results of the core's own experiments are invented."""

from collections.abc import Callable
from typing import Any

from ledgers import SENTENCES, TOKENS

from anatomy_bench.engine.arrangement import ProgramScores
from anatomy_bench.experiments.programs.experiment import ProgramUnit
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record


def program_scores(unit: ProgramUnit, layers: int) -> ProgramScores:
    """A damage and a divergence of its own for each program, more for shorter ones."""
    rng = generator(0, str(unit))
    base = generator(0, "base").uniform(60, 90, SENTENCES)
    damage = rng.uniform(0, 3) * TOKENS / layers
    kl_nats = rng.uniform(0, 1, SENTENCES) * TOKENS
    return ProgramScores(tuple(base + damage), tuple(kl_nats), tuple(kl_nats / TOKENS))


INVENTED: dict[type, Callable[[Any, int], Record]] = {ProgramUnit: program_scores}
