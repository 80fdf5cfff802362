"""What a user asks for, the same for pytest and the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anatomy_bench.experiments.experiment import Profile

DEFAULT_MODEL = "bundled"


@dataclass(frozen=True)
class Options:
    """Options of a run, as passed.

    Attributes:
        model: hub id, directory, GGUF file, or `bundled`.
        revision: of a hub model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: precision of weights and arithmetic.
        profile: `None` is `paper` on CUDA and `quick` on the CPU.
        corpus: a file that takes the place of `ten`.
        seed: of every random generator.
        fresh: measure again what the store already holds.
        trust_remote_code: run Python code that comes with the model.
        allow_pickled_weights: load `.bin` weights.
        allow_untrained: measure a model that predicts no better than token frequencies.
    """

    model: str = DEFAULT_MODEL
    revision: str | None = None
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    profile: Profile | None = None
    corpus: Path | None = None
    seed: int = 0
    fresh: bool = False
    trust_remote_code: bool = False
    allow_pickled_weights: bool = False
    allow_untrained: bool = False
