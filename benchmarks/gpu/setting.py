"""What the sections share: the device, the models on it, the texts, and how large everything is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from loops import Sentences, average_and_skip
from measuring import synchronize

from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import Optimiser
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.experiment import training_text
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus
from gpu.figures import Figures

DType = Literal["float32", "bfloat16"]
OPTIMISER = Optimiser(learning_rate=1e-4, gradient_norm=1.0, weight_decay=0.01)
BATCH = 4


@dataclass(frozen=True)
class Sizes:
    """How large everything is: as here for the page, smaller where it is only seen to run.

    Attributes:
        copy_bytes: copied on the device.
        square: side of the products that are the ceiling.
        layer_matrix: the largest matrix of a layer of the bundled model.
        rounds: of every timing.
        every: one variant of so many is timed in the naive loop.
        recovered_layers: trained at once.
        recovery_steps: of each.
        growth_steps: of an arm.
        growth_width: of the model that it trains.
        large: the shape of a large random model (transformers' `LlamaConfig`).
        large_rounds: of its map.
    """

    copy_bytes: int = 1 << 30
    square: int = 8192
    layer_matrix: tuple[int, int] = (576, 1536)
    rounds: int = 7
    every: int = 5
    recovered_layers: int = 13
    recovery_steps: int = 2
    growth_steps: int = 41
    growth_width: int = 256
    large: dict[str, int] = field(
        default_factory=lambda: {
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        }
    )
    large_rounds: int = 3


SMALL = Sizes(
    copy_bytes=1 << 16,
    square=64,
    layer_matrix=(16, 32),
    rounds=2,
    every=5,
    recovered_layers=3,
    recovery_steps=1,
    growth_steps=6,
    growth_width=8,
    large={
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    large_rounds=1,
)
"""To see that everything runs."""


@dataclass
class Setting:
    """A run on one device.

    Attributes:
        figures: where they are kept.
        device: `cuda`, or `cpu` to see that everything runs.
        model: as `--model` has it.
        sizes: of everything.
        allow_untrained: take a random model.
        workers: processes that measure the paper on the device.
        report: folder of the paper's report.
        profile: of the paper.
    """

    figures: Figures
    device: str
    model: str
    sizes: Sizes
    allow_untrained: bool = False
    workers: int = 4
    report: str = ".benchmarks/cuda-report"
    profile: str = "paper"
    _subjects: dict[tuple[str, str], Subject] = field(default_factory=dict)

    def subject(self, dtype: DType = "float32", device: str | None = None) -> Subject:
        """The model under study on a device; loaded once."""
        where = device or self.device
        if (where, dtype) not in self._subjects:
            options = Options(model=self.model, device=where, dtype=dtype, allow_untrained=self.allow_untrained)
            self._subjects[where, dtype] = Run(options).subject
        return self._subjects[where, dtype]

    def forget(self) -> None:
        """Let go of all models, and of their memory."""
        self._subjects.clear()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Until the device has done what it was given."""
        synchronize(torch.device(self.device))

    @cached_property
    def ten(self) -> list[list[int]]:
        """Token ids of the ten sentences."""
        return self.subject().tokenize(load_corpus("ten").sentences)

    @cached_property
    def batches(self) -> list[Sentences]:
        """Token ids of each recovery step's sentences."""
        text = self.subject().tokenize(training_text().sentences[: self.sizes.recovery_steps * BATCH])
        return [text[step * BATCH : (step + 1) * BATCH] for step in range(self.sizes.recovery_steps)]

    @property
    def variants(self) -> list[Intervention]:
        """Of the whole map."""
        return average_and_skip(self.subject().stack)

    def starts(self, count: int) -> Sequence[GaussianNoise]:
        """Noised layers, spread evenly over the model."""
        last = len(self.subject().layers) - 1
        return [GaussianNoise(layer, 0.5, 0) for layer in sorted({round(i * last / (count - 1)) for i in range(count)})]
