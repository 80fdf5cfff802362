"""What a user names as a model: told in one line what it is instead, where it is none."""

import json
import os
from pathlib import Path

import pytest
import tiny
import torch

from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.subject import Subject, load_subject, resolve_source
from anatomy_bench.subject.loading import Permissions


def test_a_folder_of_gguf_files_suggests_the_file(tmp_path: Path) -> None:
    (tmp_path / "model-Q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(UnfitModelError, match=r"give the file itself: .*model-Q4\.gguf"):
        resolve_source(str(tmp_path))


@pytest.mark.parametrize("suffix", [".gguf", ".GGUF", ".Gguf"])
def test_a_gguf_file_is_one_however_it_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"GGUF")
    assert resolve_source(str(path)).is_gguf


def test_an_adapter_without_a_config_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "the/base"}))
    with pytest.raises(UnfitModelError, match=r"PEFT adapter alone, without its base model \(the/base\)"):
        resolve_source(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_weights_without_permission_are_said_to_be_so(tmp_path: Path) -> None:
    weights = tiny.save(tmp_path / "model") / "model.safetensors"
    weights.chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        resolve_source(str(tmp_path / "model"))


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "model")
    opened = Path.open

    def denied(self: Path, *arguments, **named):
        if self.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UsageError, match=r"cannot read .*model.safetensors: Permission denied"):
        resolve_source(str(folder))


def test_a_first_forward_pass_that_fails_is_one_line(tmp_path: Path) -> None:
    model = tiny.model()
    model.model.rotary_emb.register_buffer("inv_freq", torch.ones(3), persistent=False)
    with pytest.raises(UnfitModelError, match="its first forward pass fails") as refused:
        Subject(model, tiny.tokenizer(), name="broken")
    assert "\n" not in str(refused.value)


def test_an_interrupt_during_the_first_forward_pass_is_still_one() -> None:
    model = tiny.model()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    model.model.layers[0].forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        Subject(model, tiny.tokenizer(), name="interrupted")


def test_stacked_biases_and_norms_are_no_weight_matrices() -> None:
    model = tiny.model()
    for layer in model.model.layers:
        layer.mlp.up_proj_bias = torch.nn.Parameter(torch.ones(4, 48), requires_grad=False)
        layer.self_attn.q_norm = torch.nn.Module()
        layer.self_attn.q_norm.weight = torch.nn.Parameter(torch.ones(4, 8), requires_grad=False)
    found = Subject(model, tiny.tokenizer(), name="experts").record.components
    assert "mlp.up_proj" in found
    assert not {"mlp.up_proj_bias", "self_attn.q_norm"} & set(found)


def test_a_folder_loads_with_upper_case_gguf_beside_it(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    (folder / "other.GGUF").write_bytes(b"GGUF")
    load_subject(resolve_source(str(folder)), device="cpu", permissions=Permissions(untrained=True))
