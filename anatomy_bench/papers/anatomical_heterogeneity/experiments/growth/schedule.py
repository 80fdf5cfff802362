"""What the growth experiment trains, as values: sizes, phases, and the floating-point operations that they cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from anatomy_bench.values.record import Record

GIGA = 10**9


@dataclass(frozen=True)
class Architecture(Record):
    """Sizes of the model (Table 6).

    Attributes:
        vocabulary: tokens, tied between input and output.
        width: of the residual stream.
        heads: of attention.
        ffn_multipliers: width of each layer's feed-forward block, in widths of the stream.
    """

    vocabulary: int
    width: int
    heads: int
    ffn_multipliers: tuple[int, ...]

    @property
    def every_layer(self) -> tuple[int, ...]:
        """All layers by their number."""
        return tuple(range(len(self.ffn_multipliers)))

    def layer_matrices(self, layer: int) -> int:
        """Weights in a layer's matrices: four of attention, three of the gated feed-forward block."""
        return (4 + 3 * self.ffn_multipliers[layer]) * self.width**2

    @property
    def parameters(self) -> int:
        """All weights: the layers' with two norms each, the embedding, the final norm."""
        layers = sum(self.layer_matrices(layer) + 2 * self.width for layer in self.every_layer)
        return layers + (self.vocabulary + 1) * self.width


@dataclass(frozen=True)
class LayerClone(Record):
    """A layer that begins as a noisy copy of another.

    Attributes:
        relative_noise: standard deviation of the noise, in those of each copied matrix.
        ffn_scale: what the copied feed-forward matrices are multiplied by.
    """

    source: int
    target: int
    relative_noise: float
    ffn_scale: float = 1.0


@dataclass(frozen=True)
class Phase(Record):
    """Some steps with one optimiser, which begins anew with every phase.

    Attributes:
        steps: how many.
        running: layers that the stream passes, in ascending order; the others are skipped.
        trained: those of them that learn; the others are frozen.
        clones: layers copied before the first step, in this order.
        trains_embedding: whether the embedding and the final norm learn too.
    """

    steps: int
    running: tuple[int, ...]
    trained: tuple[int, ...]
    clones: tuple[LayerClone, ...] = ()
    trains_embedding: bool = True


@dataclass(frozen=True)
class Setup(Record):
    """What all arms have in common.

    Attributes:
        architecture: of the model.
        rows: windows in a batch.
        window_tokens: length of a window.
        held_out_share: of the sentences, never trained on.
        weight_decay: of AdamW.
        gradient_norm: longer gradients are cut to this length.
        evaluate_every: steps between two validations; each phase ends with one.
        prompts: completed after training; the sentences that they begin are never held out.
        completion_tokens: at most so many.
    """

    architecture: Architecture
    rows: int
    window_tokens: int
    held_out_share: float
    weight_decay: float
    gradient_norm: float
    evaluate_every: int
    prompts: tuple[str, ...]
    completion_tokens: int


@dataclass(frozen=True)
class Training(Record):
    """One model trained from scratch: all that determines the outcome.

    Attributes:
        setup: shared by all arms.
        phases: one after another.
        learning_rate: of AdamW, constant.
        seed: of the weights, the split, the order of sentences, the batches and the noise of clones. Trainings that
            share it begin alike and see the same batches.
        text: digest of the sentences.
        rounding_seed: decides for each first weight whether it is the next greater or the next smaller number in place
            of itself, so that the training shows how far rounding moves it; `None` leaves them as they were drawn.
    """

    setup: Setup
    phases: tuple[Phase, ...]
    learning_rate: float
    seed: int
    text: str
    rounding_seed: int | None = None

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def flops(self) -> int:
        """Floating-point operations of all steps."""
        return sum(phase.steps * step_flops(self.setup, phase) for phase in self.phases)


@dataclass(frozen=True)
class Validation(Record):
    """Losses after so many steps, in nats a token.

    Attributes:
        training_nats: mean of the batches since the validation before.
        seen_nats: on sentences of the training text.
        held_out_nats: on sentences that are in no batch.
    """

    step: int
    training_nats: float
    seen_nats: float
    held_out_nats: float


@dataclass(frozen=True)
class Trained(Record):
    """What a training came to.

    Attributes:
        parameters: of the model, counted on it.
        steps: that were taken.
        flops: counted by `step_flops`.
        seconds: of the steps alone, without validation and completions.
        validations: in order; the last is the final one.
        completions: of each prompt, greedily, up to the end of the sentence.
        ended: whether each came to the end of a sentence.
    """

    parameters: int
    steps: int
    flops: int
    seconds: float
    validations: tuple[Validation, ...]
    completions: tuple[str, ...]
    ended: tuple[bool, ...]

    @property
    def final(self) -> Validation:
        """The last validation."""
        return self.validations[-1]

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> "Trained":
        """The same with both final losses off by a factor of 1 ± `relative_error` (a standard deviation)."""
        seen, held_out = (1 + relative_error * rng.standard_normal(2)).tolist()
        final = replace(
            self.final, seen_nats=self.final.seen_nats * seen, held_out_nats=self.final.held_out_nats * held_out
        )
        return replace(self, validations=(*self.validations[:-1], final))


def in_proportion(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """A total shared out in whole numbers in proportion to weights, by largest remainders (earlier ones first)."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    shares = [int(each) for each in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: (shares[index] - exact[index], index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return tuple(shares)


def with_steps(phases: Sequence[Phase], steps: int) -> tuple[Phase, ...]:
    """The same phases in the same proportions, with so many steps in all."""
    shared = in_proportion(steps, [phase.steps for phase in phases])
    return tuple(replace(phase, steps=share) for phase, share in zip(phases, shared, strict=True))


def step_flops(setup: Setup, phase: Phase) -> int:
    """Floating-point operations of one training step: matrix products only, two operations a multiply-add.

    A layer's forward pass takes 2 · tokens · weights, and 4 · width · window for each token's attention (scores and
    mixture in full, though half is masked). The gradient of its input takes as much again, down to the lowest part
    that learns; the gradient of its weights 2 · tokens · weights more, in layers that are trained. Attention, without
    weights, has gradients of both its operands: twice its forward pass. The tied head always runs and passes
    gradients on, and has a third product where it learns. The optimiser, norms and activations are not counted.

    Args:
        setup: sizes of model and batch.
        phase: which layers run and which are trained.
    """
    sizes, tokens = setup.architecture, setup.rows * setup.window_tokens
    attention = 4 * sizes.width * setup.window_tokens * tokens
    lowest = -1 if phase.trains_embedding else min(phase.trained)
    total = (3 if phase.trains_embedding else 2) * 2 * tokens * sizes.vocabulary * sizes.width
    for layer in phase.running:
        matrices = 2 * tokens * sizes.layer_matrices(layer)
        total += matrices + attention
        total += matrices + 2 * attention if layer >= lowest else 0
        total += matrices if layer in phase.trained else 0
    return total
