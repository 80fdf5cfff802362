"""What every measurement records, whatever the experiment."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from anatomy_bench.base.errors import InapplicableError
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record


@dataclass(frozen=True)
class SubjectRecord(Record):
    """The model under study, as JSON names it.

    Attributes:
        name: as the user gave it.
        digest: of weights, config and tokenizer; changes with any of them.
        architecture: the model class.
        layers: number of decoder layers.
        parameters: number of parameters, tied ones counted once.
        components: the weight matrices that every decoder layer has.
        fused: those components that hold several projections in one matrix.
        commit: the hub commit that was loaded, or `None` for local files.
        note: what a reader must know of this subject.
        layer_kinds: a number for each layer, equal for layers whose parameters have the same names and shapes, such as
            (0, 1, 1, 1) where a dense layer stands before layers of experts. Empty, and left out of JSON, where all
            layers are alike.
    """

    name: str
    digest: str
    architecture: str
    layers: int
    parameters: int
    components: tuple[str, ...]
    fused: tuple[str, ...]
    commit: str | None
    note: str
    layer_kinds: Annotated[tuple[int, ...], Field(exclude_if=lambda kinds: not kinds)] = ()

    def are_alike(self, layers: Sequence[int]) -> bool:
        """Whether these layers can take each other's parameters."""
        return not self.layer_kinds or len({self.layer_kinds[layer] for layer in layers}) <= 1

    def can_average(self, layer: int) -> bool:
        """Whether the layer can take the average of its neighbours: all of them have the same parameters."""
        return self.are_alike([each for each in (layer - 1, layer, layer + 1) if 0 <= each < self.layers])

    def require_one_kind(self, purpose: str) -> None:
        """Check that all layers are of one kind.

        Args:
            purpose: what needs that, for the message.

        Raises:
            InapplicableError: they are of several.
        """
        if self.layer_kinds:
            odd = next(layer for layer, kind in enumerate(self.layer_kinds) if kind != self.layer_kinds[0])
            raise InapplicableError(
                f"{purpose} needs layers of one kind; parameters of layers 0 and {odd} differ in name or shape"
            )


@dataclass(frozen=True)
class CorpusRecord(Record):
    """The text that was scored.

    Attributes:
        tokens: predicted tokens in all sentences together.
        sentence_tokens: predicted tokens of each sentence.
        token_digest: of the token ids; `None` where a text has no tokenizer's tokens.
        copy_of: for each sentence the place of the first one of the same tokens; empty where no two are the same.
    """

    name: str
    digest: str
    sentences: int
    tokens: int
    sentence_tokens: tuple[int, ...]
    token_digest: str | None = None
    copy_of: tuple[int, ...] = ()

    @property
    def distinct_sentences(self) -> int:
        """How many there are without those that are there already."""
        return len(set(self.copy_of)) if self.copy_of else self.sentences


@dataclass(frozen=True)
class Versions(Record):
    """The software that measured.

    Attributes:
        gguf: `None` unless that package read the weights.
    """

    anatomy_bench: str
    python: str
    torch: str
    transformers: str
    numpy: str
    scipy: str
    scikit_learn: str
    gguf: str | None


@dataclass(frozen=True)
class Made(Record):
    """Where and when a job was measured.

    Attributes:
        device_name: the processor or accelerator.
        git_commit: of the checkout that ran, or `None` outside one.
        git_dirty: whether that checkout had uncommitted changes.
        at: when it was done, UTC, such as `2026-11-27T23:17:00+00:00`.
    """

    device_name: str
    git_commit: str | None
    git_dirty: bool | None
    at: str


@dataclass(frozen=True)
class Provenance(Record):
    """All that is needed to repeat a measurement.

    Attributes:
        seed: of every random generator.
        profile: `quick` or `paper`.
        device: kind of device, such as `cpu` or `cuda`.
        device_name: the processor or accelerator.
        dtype: of the weights and the arithmetic.
        attention: attention implementation.
        code: digest of the sources that measured.
        threads: of the processor, among which a matrix product was divided.
        instructions: instruction set of the processor that products used, such as `AVX2`, and whatever the environment
            tells the libraries that make them.
        git_commit: of the checkout that ran, or `None` outside one.
        git_dirty: whether that checkout had uncommitted changes.
        elsewhere: what other machines or checkouts measured some or all of it, as the store has kept it; each once,
            with the time of its last job. Device and commit above are those of the run that put it together.
    """

    seed: int
    profile: str
    device: str
    device_name: str
    dtype: str
    attention: str
    code: str
    threads: int
    instructions: str
    git_commit: str | None
    git_dirty: bool | None
    versions: Versions
    elsewhere: tuple[Made, ...] = ()

    def with_makers(self, makers: Iterable[Made | None]) -> "Provenance":
        """The same, naming those that are not what this names itself."""
        own = (self.device_name, self.git_commit, self.git_dirty)
        others: dict[Any, Made] = {}
        for made in sorted(filter(None, makers), key=lambda made: made.at):
            place = (made.device_name, made.git_commit, made.git_dirty)
            if place != own:
                others[place] = made
        return replace(self, elsewhere=tuple(others.values()))


@dataclass(frozen=True)
class Measurement(Record, ABC):
    """What an experiment measured. Each experiment adds its own fields.

    Attributes:
        schema: name and version of the fields, such as `anatomy_bench/ablation/1`.
        experiment: name of the experiment.
        subject: the model.
        corpus: the text, or `None` for experiments that read weights only.
        provenance: how it was measured.
        seconds: time of the measuring alone, without loading the model.
    """

    schema: str
    experiment: str
    subject: SubjectRecord
    corpus: CorpusRecord | None
    provenance: Provenance
    seconds: float

    @abstractmethod
    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Headers and rows for a reader at a terminal."""

    def generator(self, purpose: str) -> np.random.Generator:
        """A random generator that depends on the run's seed and the purpose alone."""
        return generator(self.provenance.seed, purpose)
