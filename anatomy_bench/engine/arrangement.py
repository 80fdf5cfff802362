"""A program and the weights that its layers run with: all that determines what a model computes of a text."""

from dataclasses import dataclass, field, replace

import numpy as np

from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.engine.programs import Chain
from anatomy_bench.values.record import Record


@dataclass(frozen=True)
class Arrangement:
    """What is scored.

    Attributes:
        program: in what order layers run.
        intervention: what is done to their weights, wherever they run.
        keeps_first_token: whether every layer, and the head, reads the first token's stream as the intact model has it
            there. It is the control for attention sinks: many tokens attend to the first one, whatever it is, so that a
            layer can be critical for that token alone.
    """

    program: Chain
    intervention: Intervention = field(default_factory=Intact)
    keeps_first_token: bool = False


@dataclass(frozen=True)
class ProgramScores(Record):
    """Scores of each sentence under an arrangement, in nats.

    Attributes:
        nll_nats: negative log-likelihood, summed over a sentence's predicted tokens.
        kl_nats: KL(intact ‖ changed) of the next token, summed likewise.
        last_kl_nats: the same at the last predicted token alone.
    """

    nll_nats: tuple[float, ...]
    kl_nats: tuple[float, ...]
    last_kl_nats: tuple[float, ...]

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> "ProgramScores":
        """The same with each likelihood off by a factor of 1 ± `relative_error` (a standard deviation)."""
        factors = 1 + relative_error * rng.standard_normal(len(self.nll_nats))
        return replace(self, nll_nats=tuple((np.array(self.nll_nats) * factors).tolist()))
