"""What a checkpoint's config and index may name: decided by what would be read, before anything is loaded."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UnfitModelError

_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_NAMED_WEIGHTS = "transformers_weights"
"""Entry of a config that names the file of the weights, in place of the usual names."""

_IMPLEMENTATION = "implementation"
"""How the entries of a config end that choose code: `attn_implementation`, `_experts_implementation` and so on."""

_PLAIN_NAME = re.compile(r"[^/\\]+")


def check_checkpoint_files(name: str, location: Path | str, revision: str | None, *, pickled: bool) -> None:
    """Refuse a checkpoint that asks for code of the hub, for pickled weights, or for files outside its folder.

    The loading library goes by names: whatever an index of safetensors names that does not end so, it unpickles.

    Args:
        name: of the model, for messages.
        location: a folder or a hub id.
        revision: of the hub id.
        pickled: whether pickled weights may be loaded.

    Raises:
        UnfitModelError: it asks for such a thing.
    """
    config = _content(location, _CONFIG, revision)
    for entry, wanted in _implementations(config):
        if "/" in wanted:
            raise UnfitModelError(
                f"the config of {name} asks for code from the hub ({entry}: {wanted}), which is not run; "
                "take that entry out of its config.json"
            )
    named = config.get(_NAMED_WEIGHTS) if isinstance(config, dict) else None
    if named is not None:
        _check_name(name, _CONFIG, named, (".safetensors", ".safetensors.index.json"), pickled=pickled)
    index = _index_name(location, revision, named)
    content = _content(location, index, revision) if index else {}
    weight_map = content.get("weight_map") if isinstance(content, dict) else content
    if weight_map is None:
        return
    if not isinstance(weight_map, dict):
        raise UnfitModelError(f"cannot load {name}: its {index} is malformed")
    for file in dict.fromkeys(map(str, weight_map.values())):
        _check_name(name, str(index), file, (".safetensors",), pickled=pickled)


def _check_name(name: str, source: str, file: Any, endings: tuple[str, ...], *, pickled: bool) -> None:
    if not isinstance(file, str) or not _PLAIN_NAME.fullmatch(file) or file in (".", ".."):
        raise UnfitModelError(f"the {source} of {name} names weights outside its folder: {file}")
    if not pickled and not file.endswith(endings):
        raise UnfitModelError(
            f"the {source} of {name} names {file}, which is not safetensors; "
            "--allow-pickled-weights loads .bin files, which can run code"
        )


def _implementations(value: Any) -> Iterator[tuple[str, str]]:
    """Every entry that chooses an implementation, however deep, with what it chooses for each part."""
    if isinstance(value, list):
        for each in value:
            yield from _implementations(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if _IMPLEMENTATION in key:
                yield from (
                    (key, wanted)
                    for wanted in (each.values() if isinstance(each, dict) else [each])
                    if isinstance(wanted, str)
                )
            else:
                yield from _implementations(each)


def _index_name(location: Path | str, revision: str | None, named: Any) -> str | None:
    """The index that would be read, if one would."""
    if isinstance(named, str):
        return named if named.endswith(".index.json") else None
    return None if _file(location, _WEIGHTS, revision) else _INDEX


def _content(location: Path | str, file: str, revision: str | None) -> Any:
    """A JSON file's content; an empty one if there is none, or loading will say what is wrong with it."""
    path = _file(location, file, revision)
    if path is None:
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}


def _file(location: Path | str, file: str, revision: str | None) -> Path | None:
    """Where a file of the checkpoint is, fetched if it is on the hub; `None` if there is none, or it cannot be had."""
    if isinstance(location, Path):
        return location / file if (location / file).is_file() else None
    from transformers.utils import cached_file

    try:
        found = cached_file(location, file, revision=revision, _raise_exceptions_for_missing_entries=False)
    except Exception:  # noqa: BLE001 (loading meets the same one, and says it in one line)
        return None
    return Path(found) if found else None
