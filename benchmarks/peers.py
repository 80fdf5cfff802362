"""The same map with other libraries, as far as they are installed (`pip install -e .[peers]`)."""

from collections.abc import Sequence

import pytest
import torch
from loops import Loop, MaskedBatch, Scores, Sentences

from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.interventions import Intervention, Skip


def nnsight_loop() -> Loop:
    """Skips as an intervention in nnsight's trace; averages, which are none of activations, written in place."""
    nnsight = pytest.importorskip("nnsight")

    def loop(stack: LayerStack, sentences: Sentences, variants: Sequence[Intervention]) -> Scores:
        batch = MaskedBatch(sentences, stack.device)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.mask, "use_cache": False}
        traced = nnsight.NNsight(stack.model)
        names = {module: name for name, module in stack.model.named_modules()}
        scores: Scores = {}
        for variant in variants:
            skipped = [variant.layer] if isinstance(variant, Skip) else []
            with torch.inference_mode():
                if skipped:
                    layer = traced.get(names[stack.layers[skipped[0]]])
                    with traced.trace(**inputs):
                        layer.output = layer.input
                        logits = traced.output.logits.save()
                else:
                    with stack.applied(variant), traced.trace(**inputs):
                        logits = traced.output.logits.save()
            scores[variant] = batch.nll_nats(logits)
        return scores

    return loop
