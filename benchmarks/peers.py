"""The same map with other libraries, as far as they are installed (`pip install -e .[peers]`).

Both intervene on activations. A skip is such an intervention; an average is not, and its weights are written in place.
"""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from loops import Loop, MaskedBatch, Scores, Sentences

from anatomy_bench.engine.interventions import Intervention, Skip
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.subject import Subject


def nnsight_loop(subject: Subject) -> Loop:
    """Skips in nnsight's trace, a trace for every variant."""
    nnsight = pytest.importorskip("nnsight")
    stack = subject.stack
    traced = nnsight.NNsight(stack.model)
    names = {module: name for name, module in stack.model.named_modules()}

    def loop(sentences: Sentences, variants: Sequence[Intervention]) -> Scores:
        batch = MaskedBatch(sentences, stack.device)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.mask, "use_cache": False}
        scores: Scores = {}
        for variant in variants:
            with torch.inference_mode():
                if isinstance(variant, Skip):
                    layer = traced.get(names[stack.layers[variant.layer]])
                    with traced.trace(**inputs):
                        layer.output = layer.input
                        logits = traced.output.logits.save()
                else:
                    with stack.applied(variant), traced.trace(**inputs):
                        logits = traced.output.logits.save()
            scores[variant] = batch.nll_nats(logits)
        return scores

    return loop


def transformer_lens_loop(subject: Subject) -> Loop:
    """Skips as hooks of TransformerLens' bridge, which puts its own modules into a model: into a copy, here."""
    bridges = pytest.importorskip("transformer_lens.model_bridge")
    names = {module: name for name, module in subject.model.named_modules()}
    model = copy.deepcopy(subject.model)
    stack = LayerStack(model, [model.get_submodule(names[layer]) for layer in subject.stack.layers])
    bridge = bridges.TransformerBridge.boot_transformers(
        subject.record.name, hf_model=model, tokenizer=copy.deepcopy(subject.tokenizer), device=str(subject.device)
    )

    def loop(sentences: Sentences, variants: Sequence[Intervention]) -> Scores:
        batch = MaskedBatch(sentences, stack.device)
        scores: Scores = {}
        for variant in variants:
            with torch.inference_mode():
                if isinstance(variant, Skip):
                    with bridge.hooks(fwd_hooks=_passing_by(variant.layer)):
                        logits = bridge(batch.input_ids, attention_mask=batch.mask)
                else:
                    with stack.applied(variant):
                        logits = bridge(batch.input_ids, attention_mask=batch.mask)
            scores[variant] = batch.nll_nats(logits)
        return scores

    return loop


def _passing_by(layer: int) -> list[tuple[str, Any]]:
    """Hooks that put out what a layer was given."""
    given: list[torch.Tensor] = []

    def keep(stream: torch.Tensor, **_: Any) -> None:
        given[:] = [stream]

    def put_out(_: torch.Tensor, **__: Any) -> torch.Tensor:
        return given[0]

    return [(f"blocks.{layer}.hook_in", keep), (f"blocks.{layer}.hook_out", put_out)]
