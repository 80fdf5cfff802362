"""After any run, on any architecture, every parameter and buffer is bit for bit what it was, and still the same one."""

from pathlib import Path
from typing import Any

import odd_models
import pytest
import tiny
import torch

from anatomy_bench.base.errors import InapplicableError
from anatomy_bench.claim.claim import Need
from anatomy_bench.registry import experiment_names, get_experiment
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject import Subject

ODD = (*odd_models.SEVERAL_KINDS, *odd_models.WRAPPED)
WHOLE = ("structure", "predictability")
"""Experiments that measure all layers or none."""


def tensors_of(model: Any) -> dict[str, torch.Tensor]:
    """All parameters and buffers by name, also those that are not saved."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def made(architecture: str) -> Any:
    return odd_models.model(architecture) if architecture in ODD else tiny.model(architecture)


@pytest.mark.parametrize("architecture", [*tiny.CONFIGS, *tiny.UNWALKABLE, *ODD])
def test_every_parameter_and_buffer_is_left_as_it_was(architecture: str, tmp_path: Path) -> None:
    model = made(architecture)
    before = tensors_of(model)
    content = {name: bits(tensor) for name, tensor in before.items()}
    corpus = tmp_path / "texts.txt"
    corpus.write_text("The sun rises in the east.\nWater boils when it is hot.\nA cat sleeps.\n")
    run = Run(Options("tiny", corpus=corpus, allow_untrained=True), store=Store(tmp_path / "store"))
    vars(run)["subject"] = Subject(model, tiny.tokenizer(), name=architecture)
    measured = []
    for name in experiment_names():
        if get_experiment(name).reads_subject:
            try:
                run.measure(Need(name, layers=None if name in WHOLE else (1, 2)))
                measured.append(name)
            except InapplicableError:
                assert run.subject.record.layer_kinds
    assert {"ablation", "recovery", "perturbation", "structure", "noise_floor"} <= set(measured)
    after = tensors_of(model)
    assert list(after) == list(before)
    for name, tensor in after.items():
        assert tensor is before[name], name
        assert bits(tensor) == content[name], name
        assert not tensor.requires_grad
        assert tensor.grad is None


def test_a_single_flipped_bit_would_be_seen() -> None:
    model = tiny.model()
    weight = model.model.layers[1].mlp.up_proj.weight
    before = bits(weight)
    weight.data.view(torch.int32)[0, 0] ^= 1
    assert bits(weight) != before
