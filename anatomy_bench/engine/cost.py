"""What a job costs, before it is done: operations and memory, by arithmetic on the sizes of model and text.

Operations are those of matrix products, two for each multiply-add. Bytes are the memory at the peak, beyond the
model's own weights; each function says what it counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from anatomy_bench.engine.arrangement import Arrangement
from anatomy_bench.engine.interventions import Intervention, Skip
from anatomy_bench.engine.limits import (
    COLUMNS_PER_PRODUCT,
    TOKENS_PER_CALL,
    TOKENS_PER_HEAD_CALL,
    TOKENS_PER_TRAINING_WALK,
    TOKENS_PER_WALK,
)
from anatomy_bench.engine.program_graph import runs_in_common
from anatomy_bench.values.measurement import CorpusRecord

FLOAT32_BYTES = 4
FLOAT64_BYTES = 8

WORKSPACE_BYTES = 1 << 26
"""Memory that is not counted otherwise: for libraries when they are first used, and as workspace of products."""


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a subject.

    Attributes:
        layers: decoder layers.
        layer_parameters: parameters of the largest layer.
        largest_matrix: parameters of the largest matrix in a layer.
        width: of the residual stream.
        widest: the largest width of any matrix in a layer, usually the inner width of the feed-forward block.
        vocabulary: rows of the head.
        parameters: of the whole model.
        bytes_per_parameter: in memory.
        device: kind of device.
    """

    layers: int
    layer_parameters: int
    largest_matrix: int
    width: int
    widest: int
    vocabulary: int
    parameters: int
    bytes_per_parameter: int
    device: str

    @property
    def weight_bytes(self) -> int:
        """Memory of the whole model's weights."""
        return self.parameters * self.bytes_per_parameter

    def pass_flops(self, layers: int, tokens: int) -> int:
        """Operations of that many tokens in that many layers."""
        return 2 * layers * self.layer_parameters * tokens

    def head_flops(self, tokens: int) -> int:
        """Operations of the logits of that many tokens."""
        return 2 * self.vocabulary * self.width * tokens


@dataclass(frozen=True)
class Cost:
    """What a job costs.

    Attributes:
        flops: floating-point operations of its matrix products.
        bytes: of memory at the peak, beyond the model's weights.
    """

    flops: int
    bytes: int


def sweep_cost(interventions: Sequence[Intervention], size: ModelSize, corpus: CorpusRecord) -> Cost:
    """The cost of scoring interventions in one sweep.

    Operations: the clean stream in all layers, each copy from the first layer that it touches, and the head for all.
    Memory: the streams before and after a layer, one call of a layer, one layer's weights three times in float32
    while they are changed, and a chunk of logits.
    """
    changed = [intervention for intervention in interventions if intervention.touched]
    copies = 1 + len(changed)
    passed = size.layers + sum(_passed_layers(intervention, size.layers) for intervention in changed)
    tokens = min(TOKENS_PER_WALK, copies * _padded_tokens(corpus))
    call_tokens = min(tokens, max(TOKENS_PER_CALL[size.device], *corpus.sentence_tokens))
    streams = 2 * tokens * size.width * size.bytes_per_parameter
    call = call_tokens * (6 * size.width + 4 * size.widest) * size.bytes_per_parameter
    weights = 3 * size.layer_parameters * FLOAT32_BYTES
    flops = size.pass_flops(passed, corpus.tokens) + size.head_flops(copies * corpus.tokens)
    return Cost(flops, streams + call + weights + _logits_bytes(size, tokens))


def programs_cost(arrangements: Sequence[Arrangement], size: ModelSize, corpus: CorpusRecord) -> Cost:
    """Of scoring programs in one walk, with their divergences from the intact model.

    Operations: of every layer that is run for any of them, once for all that run it on the same stream, and the head's
    of all. Memory: as for a sweep, with a stream for each program.
    """
    tokens = min(TOKENS_PER_WALK, (1 + len(arrangements)) * _padded_tokens(corpus))
    call_tokens = min(tokens, max(TOKENS_PER_CALL[size.device], *corpus.sentence_tokens))
    streams = 2 * tokens * size.width * size.bytes_per_parameter
    call = call_tokens * (6 * size.width + 4 * size.widest) * size.bytes_per_parameter
    passed = runs_in_common(arrangements, size.layers)
    flops = size.pass_flops(passed, corpus.tokens) + size.head_flops((1 + len(arrangements)) * corpus.tokens)
    return Cost(flops, streams + call + _logits_bytes(size, tokens))


def plain_cost(interventions: Sequence[Intervention], size: ModelSize, corpus: CorpusRecord) -> Cost:
    """The cost of plain forward passes in float32, one sentence and one variant at a time.

    Memory: a second copy of the model if the subject has another precision, one changed layer, and the logits of one
    sentence.
    """
    longest = max(corpus.sentence_tokens)
    again = 0 if size.bytes_per_parameter == FLOAT32_BYTES else size.parameters * FLOAT32_BYTES
    tokens = len(interventions) * corpus.tokens
    return Cost(
        size.pass_flops(size.layers, tokens) + size.head_flops(tokens),
        again + 3 * size.layer_parameters * FLOAT32_BYTES + _logits_bytes(size, longest),
    )


def training_cost(
    layers: Sequence[int], steps: int, batch_sentences: int, size: ModelSize, corpus: CorpusRecord
) -> Cost:
    """The cost of training noised layers in one loop, and of scoring the corpus after every step.

    Sentences of the training text are taken to be as long as those of the corpus. Operations of a step: each copy's
    rows pass their own layer and the later ones forward and backward, with the gradient of the copy's own weights; the
    clean stream passes the model once; the scored text passes forward only. Memory: for each copy its weights, their
    gradient and two moments in float32, the clean streams at each of the layers, and the activations kept for the
    backward pass.
    """
    trained = batch_sentences * corpus.tokens // corpus.sentences
    later = sum(size.layers - layer for layer in layers)
    step = (
        size.pass_flops(size.layers, trained)
        + size.pass_flops(2 * later + len(layers), trained)
        + size.head_flops(2 * len(layers) * trained)
        + size.pass_flops(later, corpus.tokens)
        + size.head_flops(len(layers) * corpus.tokens)
    )
    rows = min(TOKENS_PER_TRAINING_WALK, len(layers) * trained)
    copies = 4 * len(layers) * size.layer_parameters * FLOAT32_BYTES
    clean = len(layers) * _padded_tokens(corpus) * size.width * size.bytes_per_parameter
    kept = rows * (size.layers - min(layers)) * (8 * size.width + 4 * size.widest) * size.bytes_per_parameter
    return Cost(steps * step, copies + clean + kept + _logits_bytes(size, rows))


def products_cost(size: ModelSize) -> Cost:
    """The cost of the inner products of all layers of a component, in float64, which takes twice as long.

    Memory: the component twice in float32, while its layers are stacked, and the part of it that is widened.
    """
    flops = 2 * 2 * size.layers**2 * size.largest_matrix
    widened = size.layers * min(size.largest_matrix, COLUMNS_PER_PRODUCT) * FLOAT64_BYTES
    return Cost(flops, 2 * size.layers * size.largest_matrix * FLOAT32_BYTES + widened)


def _passed_layers(intervention: Intervention, layers: int) -> int:
    """Layers to compute, from the first one touched; layers that are skipped cost nothing."""
    skipped = sum(intervention.at(layer, layers) == Skip(layer) for layer in intervention.touched)
    return layers - min(intervention.touched) - skipped


def _padded_tokens(corpus: CorpusRecord) -> int:
    """Upper bound: sentences are padded to the longest one of their batch."""
    return corpus.sentences * max(corpus.sentence_tokens)


def _logits_bytes(size: ModelSize, positions: int) -> int:
    """As the model makes them, and in float32."""
    held = min(positions, TOKENS_PER_HEAD_CALL[size.device])
    return held * size.vocabulary * (size.bytes_per_parameter + FLOAT32_BYTES)
