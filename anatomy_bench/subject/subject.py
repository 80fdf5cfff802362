"""A model under study: its layers, its components, its scores; restored after every change."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anatomy_bench.base.errors import InapplicableError, UnfitModelError, UsageError
from anatomy_bench.base.progress import Progress, SilentProgress
from anatomy_bench.engine import naive
from anatomy_bench.engine.arithmetic import instructions, plain_arithmetic, require_float32
from anatomy_bench.engine.arrangement import Arrangement, ProgramScores
from anatomy_bench.engine.cost import ModelSize
from anatomy_bench.engine.interventions import Intervention, is_matrix
from anatomy_bench.engine.program_walk import score_programs
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.engine.sweep import can_walk, sweep
from anatomy_bench.subject.anatomy import Component, find_components, find_decoder_layers, kinds_of_layers
from anatomy_bench.subject.digest import copies, subject_digest, tokens_digest
from anatomy_bench.subject.unchanged import fingerprint, first_difference
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, SubjectRecord


class Subject:
    """A causal language model that can be changed, scored and restored.

    Attributes:
        model: the Hugging Face model, in evaluation mode, without gradients.
        tokenizer: its tokenizer.
        name: as the user gave it.
        read_by: the package that read the weights, such as `gguf`, if transformers did not read them alone.
        stack: its decoder layers, as the engine walks them.
        components: the weight matrices that every layer has.
        record: what measurements say about it.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        commit: str | None = None,
        note: str = "",
        read_by: str | None = None,
        load_in_float32: Callable[[], Any] | None = None,
    ) -> None:
        """Find the model's layers and components; change nothing.

        Args:
            model: the Hugging Face model.
            tokenizer: its tokenizer.
            name: as the user gave it.
            commit: of the hub that was loaded, if any.
            note: what a reader must know about it.
            read_by: the package that read the weights, if transformers did not read them alone.
            load_in_float32: loads the model again in float32; needed if it is in any other precision.

        Raises:
            UnfitModelError: the model has no list of at least three decoder layers.
        """
        self._load_in_float32 = load_in_float32
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.read_by = read_by
        text_config = model.config.get_text_config()
        layers = find_decoder_layers(model, int(getattr(text_config, "num_hidden_layers", 0)))
        self.stack = LayerStack(model, layers)
        self.components: tuple[Component, ...] = find_components(layers)
        self._context_tokens = getattr(text_config, "max_position_embeddings", None)
        self.record = SubjectRecord(
            name=name,
            digest=subject_digest(model, tokenizer),
            architecture=type(model).__name__,
            layers=len(layers),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            components=tuple(component.name for component in self.components),
            fused=tuple(component.name for component in self.components if component.fused),
            commit=commit,
            note=note,
            layer_kinds=kinds_of_layers(layers),
        )
        self._as_loaded = fingerprint(model)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The decoder layers, first to last."""
        return self.stack.layers

    @property
    def device(self) -> torch.device:
        """The device that has the weights."""
        return self.stack.device

    @property
    def device_name(self) -> str | None:
        """Name of the GPU; `None` on a CPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else None

    @property
    def threads(self) -> int:
        """Threads among which a product on the CPU is divided."""
        return torch.get_num_threads()

    @property
    def instructions(self) -> str:
        """Instruction set that products on the CPU use, such as `AVX2`, and what the environment tells libraries."""
        return instructions()

    @property
    def dtype(self) -> str:
        """Precision of weights and arithmetic, such as `float32`."""
        return str(next(self.model.parameters()).dtype).removeprefix("torch.")

    @property
    def attention(self) -> str:
        """The attention implementation in use."""
        return str(self.model.config._attn_implementation)

    @property
    def size(self) -> ModelSize:
        """The sizes from which costs are computed."""
        weights = [self.stack.weights_of(layer) for layer in range(len(self.layers))]
        matrices = [tensor for each in weights for name, tensor in each.items() if is_matrix(name, tensor)]
        head = self.model.get_output_embeddings().weight
        return ModelSize(
            layers=len(self.layers),
            layer_parameters=max(sum(tensor.numel() for tensor in weight.values()) for weight in weights),
            largest_matrix=max(matrix.numel() for matrix in matrices),
            width=head.shape[1],
            widest=max(max(matrix.shape) for matrix in matrices),
            vocabulary=head.shape[0],
            parameters=self.record.parameters,
            bytes_per_parameter=head.element_size(),
            device=self.device.type,
        )

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the special tokens that the tokenizer adds by default.

        Raises:
            UsageError: a text has nothing to predict, or is longer than the model's context.
            UnfitModelError: a text has a token that the model has no embedding for.
        """
        rows = self.model.get_input_embeddings().weight.shape[0]
        sentences = [list(ids) for ids in self.tokenizer(list(texts))["input_ids"]]
        for text, ids in zip(texts, sentences, strict=True):
            shown = repr(text if len(text) <= 40 else text[:37] + "...")  # noqa: PLR2004 (fits a terminal line)
            if len(ids) < 2:  # noqa: PLR2004 (one to see, one to predict)
                raise UsageError(f"the text {shown} is a single token: nothing to predict; remove it from the corpus")
            if self._context_tokens is not None and len(ids) > self._context_tokens:
                raise UsageError(
                    f"the text {shown} has {len(ids)} tokens, the model reads {self._context_tokens}; "
                    "split it over lines"
                )
            if max(ids) >= rows:
                raise UnfitModelError(
                    f"the tokenizer of {self.name} gives token {max(ids)} for {shown}, the model has {rows} "
                    "embeddings; the tokenizer belongs to another model, or has tokens that the model never learnt"
                )
        return sentences

    def corpus_record(self, corpus: Corpus) -> CorpusRecord:
        """What measurements say about a corpus: its digest and how many of its tokens this subject predicts."""
        sentences = self.tokenize(corpus.sentences)
        tokens = tuple(len(ids) - 1 for ids in sentences)
        return CorpusRecord(
            name=corpus.name,
            digest=corpus.digest,
            sentences=len(tokens),
            tokens=sum(tokens),
            sentence_tokens=tokens,
            token_digest=tokens_digest(sentences),
            copy_of=copies(sentences),
        )

    def component_weights(self, name: str) -> NDArray[np.float32]:
        """A component's weights in all layers.

        Args:
            name: one of `record.components`.

        Returns:
            Array of shape (layers, parameters), each layer's matrix flattened.
        """
        component = next(component for component in self.components if component.name == name)
        return np.stack(
            [layer.get_parameter(component.parameter).detach().cpu().float().numpy().ravel() for layer in self.layers]
        )

    @contextmanager
    def measuring(self, threads: int | None = None) -> Iterator[None]:
        """Compute as a fresh process would.

        Args:
            threads: that share a product on the CPU; `None` leaves as many as there are.

        Raises:
            UsageError: products of float32 are not computed in float32 here, whatever the settings.
        """
        with plain_arithmetic(threads):
            require_float32(self.device)
            yield

    def require_as_loaded(self) -> None:
        """Check that no weight, buffer, module or config of the model was changed in memory.

        Raises:
            UnfitModelError: one was; what is measured now is not of the model that the digest names.
        """
        changed = first_difference(self._as_loaded, fingerprint(self.model))
        if changed is not None:
            raise UnfitModelError(
                f"{self.name} was changed in memory after loading ({changed}), so that nothing measured on it is kept: "
                "load it anew, or save the changed model and load that"
            )

    @plain_arithmetic()
    def score(
        self,
        sentences: Sequence[Sequence[int]],
        interventions: Sequence[Intervention],
        progress: Progress | None = None,
    ) -> dict[Intervention, list[float]]:
        """Negative log-likelihood of each tokenised sentence, in nats, under each intervention.

        All in one walk over the layers (`engine/sweep.py`), or one at a time if the architecture does not allow that.
        """
        if self.can_be_walked:
            return sweep(self.stack, sentences, interventions, progress)
        return naive.scores(self.stack, sentences, interventions, progress)

    @plain_arithmetic()
    def score_programs(
        self,
        sentences: Sequence[Sequence[int]],
        arrangements: Sequence[Arrangement],
        progress: Progress | None = None,
    ) -> dict[Arrangement, ProgramScores]:
        """Scores of each tokenised sentence, in nats, with the layers in another order.

        All in one walk (`engine/program_walk.py`); one at a time where the architecture cannot be walked.

        Raises:
            InapplicableError: later layers read keys and values that earlier ones have computed.
        """
        if getattr(self.model.config.get_text_config(), "num_kv_shared_layers", 0):
            raise InapplicableError(f"layers of {self.name} share keys and values, and run in their own order only")
        if self.can_be_walked:
            return score_programs(self.stack, sentences, arrangements, progress)
        with (progress or SilentProgress()).stage("programs", len(arrangements)) as advance:
            found: dict[Arrangement, ProgramScores] = {}
            for each in arrangements:
                found[each] = naive.score_program(self.stack, sentences, each)
                advance(1)
            return found

    @plain_arithmetic()
    def score_plainly_in_float32(
        self,
        sentences: Sequence[Sequence[int]],
        interventions: Sequence[Intervention],
        progress: Progress | None = None,
    ) -> dict[Intervention, list[float]]:
        """What `score` would return in float32, without padding and without calls that variants share.

        Raises:
            ValueError: the subject is in another precision and cannot be loaded again.
        """
        stack = self.stack
        if self.dtype != "float32":
            if self._load_in_float32 is None:
                raise ValueError(f"{self.name} is in {self.dtype} and cannot be loaded in float32")
            model = self._load_in_float32()
            stack = LayerStack(model, find_decoder_layers(model, len(self.layers)))
        return naive.scores(stack, sentences, interventions, progress)

    @cached_property
    def can_be_walked(self) -> bool:
        """Whether many changed copies of the sentences can share the calls of its layers (`engine/sweep.py`)."""
        return can_walk(self.stack)

    @contextmanager
    def applied(self, intervention: Intervention) -> Iterator[None]:
        """Apply the intervention in place; on leaving, every parameter is bit for bit what it was.

        This is the plain way, for one variant at a time. To score many, use `score`.
        """
        with self.stack.applied(intervention):
            yield
