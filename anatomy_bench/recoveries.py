"""Recovery of one layer from noise, by training it alone: what is done, and what came of it."""

from dataclasses import dataclass
from typing import Literal

from anatomy_bench.record import Record
from anatomy_bench.strategies import GaussianNoise

Text = Literal["recovery", "scored"]
"""What a layer is trained on: the corpus `recovery`, or the scored sentences themselves."""


@dataclass(frozen=True)
class Optimiser(Record):
    """AdamW, as a step of training uses it.

    Attributes:
        learning_rate: paper 3.6.
        gradient_norm: to which the layer's gradient is clipped (paper 3.6).
        weight_decay: of AdamW, on every parameter of the layer.
    """

    learning_rate: float
    gradient_norm: float
    weight_decay: float


@dataclass(frozen=True)
class RecoveryUnit(Record):
    """One layer's recovery. The order of the text follows from the seed of the noise.

    Attributes:
        start: the noise that the layer starts from.
        text: what it is trained on.
        text_digest: of that text; `None` where it is the scored one, which the store knows.
        steps: of training.
        batch_sentences: sentences in a step.
        optimiser: of the layer's parameters.
    """

    start: GaussianNoise
    text: Text
    text_digest: str | None
    steps: int
    batch_sentences: int
    optimiser: Optimiser
    kind: Literal["recovery"] = "recovery"


@dataclass(frozen=True)
class TrainedLayer(Record):
    """Result of such a unit.

    Attributes:
        sentence_nll_nats: of each scored sentence, after noise and after each step; shape (steps + 1, sentences).
        training_loss_nats: mean over a step's predicted tokens, before its update; shape (steps,).
    """

    sentence_nll_nats: tuple[tuple[float, ...], ...]
    training_loss_nats: tuple[float, ...]
