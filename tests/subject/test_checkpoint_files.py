"""What a config and an index may name, decided before the loading library sees them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.subject.checkpoint_files import check_checkpoint_files

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "models" / "model"))


def load(folder: Path, **options: Any) -> None:
    _ = Run(Options(str(folder), device="cpu", allow_untrained=True, **options)).subject


def change(file: Path, **entries: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def index_to(folder: Path, name: str) -> None:
    """The weights under another name, with an index that leads to them."""
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    target = folder / name
    target.parent.mkdir(exist_ok=True, parents=True)
    if name.endswith(".safetensors"):
        save_file(weights, target, metadata={"format": "pt"})
    else:
        torch.save(weights, target)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(weights, name)}))


def test_an_index_of_safetensors_loads(folder: Path) -> None:
    index_to(folder, "model-00001-of-00001.safetensors")
    load(folder)


def test_an_index_that_names_pickled_weights_is_refused_unless_they_are_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_to(folder, "weights.bin")
    unpickled: list[Any] = []
    read = torch.load
    monkeypatch.setattr(torch, "load", lambda *given, **options: (unpickled.append(given), read(*given, **options))[1])
    with pytest.raises(UnfitModelError, match=r"names weights\.bin.*--allow-pickled-weights"):
        load(folder)
    assert unpickled == []
    load(folder, allow_pickled_weights=True)
    assert unpickled


@pytest.mark.parametrize("name", ["../outside.safetensors", "inner/model.safetensors"])
@pytest.mark.parametrize("allowed", [False, True])
def test_an_index_stays_in_its_folder(folder: Path, name: str, allowed: bool) -> None:
    index_to(folder, name)
    with pytest.raises(UnfitModelError, match="outside its folder"):
        load(folder, allow_pickled_weights=allowed)


@pytest.mark.parametrize("content", ["[]", '{"weight_map": []}', '{"weight_map": {"a": 1}}', '{"weight_map": "x.bin"}'])
def test_an_index_that_makes_no_sense_is_refused(folder: Path, content: str) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(content)
    with pytest.raises(UnfitModelError):
        load(folder)


def test_an_index_beside_whole_weights_is_not_read_by_anybody(folder: Path) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "weights.bin"}}))
    load(folder)


@pytest.mark.parametrize("named", ["adapter_model.bin", "weights.bin", "../model.safetensors", ["a"]])
def test_a_config_that_names_other_weights_is_refused(folder: Path, named: Any) -> None:
    """`adapter_model.bin` is the one name without safetensors that the library takes from a config."""
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    change(folder / "config.json", transformers_weights=named)
    with pytest.raises(UnfitModelError, match="names"):
        load(folder)


def test_a_config_that_names_an_index_is_held_to_it(folder: Path) -> None:
    index_to(folder, "weights.bin")
    (folder / INDEX).rename(folder / "own.safetensors.index.json")
    change(folder / "config.json", transformers_weights="own.safetensors.index.json")
    with pytest.raises(UnfitModelError, match=r"own\.safetensors\.index\.json of .* names weights\.bin"):
        load(folder)


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("depth", ["top", "nested", "by part"])
def test_a_kernel_of_the_hub_is_refused(folder: Path, key: str, depth: str) -> None:
    entries: dict[str, Any] = {
        "top": {key: "someone/kernel"},
        "nested": {"text_config": {"inner": [{key: "someone/kernel@main:name"}]}},
        "by part": {key: {"": "sdpa", "text_config": "someone/kernel"}},
    }[depth]
    change(folder / "config.json", **entries)
    with pytest.raises(UnfitModelError, match=f"asks for code from the hub .{key}: someone/kernel"):
        load(folder)


@pytest.mark.parametrize("wanted", ["sdpa", "eager", "flash_attention_2", None])
def test_what_an_implementation_of_the_library_asks_for_is_overridden(folder: Path, wanted: str | None) -> None:
    change(folder / "config.json", _attn_implementation=wanted)
    run = Run(Options(str(folder), device="cpu", allow_untrained=True))
    assert run.subject.attention == "sdpa"


def test_a_model_of_the_hub_is_held_to_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_to(folder, "weights.bin")
    asked: list[tuple[str, str | None]] = []

    def cached_file(model: str, file: str, *, revision: str | None, **_: Any) -> str | None:
        asked.append((model, revision))
        return str(folder / file) if (folder / file).is_file() else None

    monkeypatch.setattr("transformers.utils.cached_file", cached_file)
    with pytest.raises(UnfitModelError, match=r"weights\.bin"):
        check_checkpoint_files("some/model", "some/model", "abc", pickled=False)
    assert set(asked) == {("some/model", "abc")}
