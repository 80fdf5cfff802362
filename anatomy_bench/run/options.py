"""What a user asks for, the same for pytest and the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anatomy_bench.experiments.experiment import Profile
from anatomy_bench.values.measurement import Provenance, SubjectRecord

DEFAULT_MODEL = "bundled"
DTypeName = Literal["float32", "bfloat16"]


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
    dtype: DTypeName = "float32"
    profile: Profile | None = None
    corpus: Path | None = None
    seed: int = 0
    fresh: bool = False
    trust_remote_code: bool = False
    allow_pickled_weights: bool = False
    allow_untrained: bool = False


def repeating(options: Options, subject: SubjectRecord, made: Provenance) -> tuple[str, ...]:
    """Options of a command line that repeats a run: nothing is left to what another machine would choose."""
    named = {
        "--model": options.model,
        "--revision": subject.commit or options.revision,
        "--device": made.device,
        "--dtype": made.dtype,
        "--profile": made.profile,
        "--corpus": str(options.corpus) if options.corpus else None,
        "--seed": str(made.seed),
    }
    flags = {
        "--trust-remote-code": options.trust_remote_code,
        "--allow-pickled-weights": options.allow_pickled_weights,
        "--allow-untrained": options.allow_untrained,
    }
    told = [word for name, value in named.items() if value is not None for word in (name, value)]
    return (*told, *(name for name, given in flags.items() if given))
