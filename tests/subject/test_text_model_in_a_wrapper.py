"""A text model inside a wrapper that reads images as well is measured like one that stands alone."""

import copy
from pathlib import Path

import odd_models
import pytest
import tiny
import torch

from anatomy_bench.engine.interventions import NeighbourAverage, Skip
from anatomy_bench.subject import load_subject, resolve_source
from anatomy_bench.subject.loading import Permissions

SENTENCES = tiny.sentences((9, 4, 7))


@pytest.mark.parametrize("name", odd_models.WRAPPED)
def test_its_layers_are_the_text_models(name: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / name, odd_models.model(name))
    subject = load_subject(resolve_source(str(folder)), device="cpu", permissions=Permissions(untrained=True))
    text = subject.model.model.language_model
    assert list(subject.layers) == list(text.layers)
    assert "self_attn.q_proj" in subject.record.components
    found = subject.score(SENTENCES, [Skip(1), NeighbourAverage(2)])
    for variant, values in found.items():
        model = copy.deepcopy(subject.model)
        layers = model.model.language_model.layers
        if isinstance(variant, Skip):
            layers[1].register_forward_hook(lambda _, args, output: args[0])
        else:
            sources = [dict(text.layers[each].named_parameters()) for each in (1, 3)]
            with torch.no_grad():
                for key, parameter in layers[2].named_parameters():
                    parameter.copy_((sources[0][key] + sources[1][key]) / 2)
        with torch.no_grad():
            rows = [torch.tensor([each]) for each in SENTENCES]
            logits = [model(input_ids=each, use_cache=False).logits[0, :-1] for each in rows]
        plain = [
            float(torch.nn.functional.cross_entropy(each, row[0, 1:], reduction="sum"))
            for each, row in zip(logits, rows, strict=True)
        ]
        assert values == pytest.approx(plain, rel=1e-4)
