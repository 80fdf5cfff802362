"""GGUF files, converted once to safetensors in the user's cache. A file is its bytes: nothing beside it is read."""

import importlib.util
import io
import os
import shutil
import sys
import warnings
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import torch

from anatomy_bench.base.atomic import folder_atomically
from anatomy_bench.base.conversions import conversion_of, folder_name
from anatomy_bench.base.errors import DamagedUnitWarning, UnfitModelError, UsageError
from anatomy_bench.base.locations import cache_folder, converted_folder
from anatomy_bench.base.locks import exclusively, waiting_for
from anatomy_bench.base.plain import make_own, remove
from anatomy_bench.base.progress import say
from anatomy_bench.base.sealed import file_sha256, is_as_sealed, seal, sealed_about
from anatomy_bench.subject.gguf_metadata import check_honoured

_LINK = "model.gguf"


def converted(gguf_file: Path) -> Path:
    """The folder with the file's weights as float32 safetensors, converted now if it is not there, whole.

    Dequantising takes some twenty seconds; loading the copy takes about one. Every file of it is checked against its
    digest each time. Other processes that need the same file wait for the one that converts it.

    Raises:
        UsageError: the packages that read GGUF files are not installed, or the cache cannot be written to.
        UnfitModelError: the file cannot be read as a language model.
    """
    missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"reading {gguf_file.name} needs {' and '.join(missing)}; run: pip install anatomy_bench[gguf]"
        )
    about = conversion_of(file_sha256(gguf_file))
    root = cache_folder() and converted_folder()
    folder = root / folder_name(about)
    try:
        make_own(root, root)
        says = True
        while not _is_there(folder, about):
            with exclusively(root / f"{folder.name}.lock", f"converting {gguf_file.name}", wait=True) as is_ours:
                if is_ours and not _is_there(folder, about):
                    _convert_anew(gguf_file, folder, about)
            if says and not is_ours:
                say(waiting_for(root / f"{folder.name}.lock"))
                says = False
    except OSError as error:
        raise UsageError(f"cannot write to the cache {folder}: {error.strerror or error}") from error
    return folder


def _is_there(folder: Path, about: dict[str, Any]) -> bool:
    return sealed_about(folder) == about and is_as_sealed(folder)


def _convert_anew(gguf_file: Path, folder: Path, about: dict[str, Any]) -> None:
    """Convert, in place of what is there: a damaged conversion, and what a killed one has left."""
    if os.path.lexists(folder):
        told = f"the conversion of {gguf_file.name} in {folder} was damaged; converting again"
        warnings.warn(told, DamagedUnitWarning, stacklevel=2)
        remove([folder])
    remove(folder.parent.glob(f".{folder.name}.*"))
    with folder_atomically(folder) as temporary:
        _convert(gguf_file, temporary)
        if file_sha256(gguf_file) != about["source"]:
            raise UsageError(f"{gguf_file} was changed while it was read; run again")
        seal(temporary, about)


def _convert(gguf_file: Path, folder: Path) -> None:
    """Write what the file holds into a folder.

    It is read through a link in a folder of its own, by its full name: the library looks for a tokenizer, a config
    and code beside the file, and for a file of that name in the current folder.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    alone = folder / "source"
    alone.mkdir()
    link = alone.absolute() / _LINK
    link.symlink_to(gguf_file.absolute())
    # The reader draws its bar whatever the library's settings: shown on a terminal, dropped elsewhere.
    shown = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
    try:
        model: Any
        with shown:
            model, info = AutoModelForCausalLM.from_pretrained(
                alone, gguf_file=str(link), dtype=torch.float32, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=str(link), trust_remote_code=False)
    except Exception as error:  # whatever error the reader raises, the cause is the file
        told = _first_line(error).replace(str(link), gguf_file.name)
        raise UnfitModelError(f"cannot read {gguf_file} as a language model: {told}") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        raise UnfitModelError(f"{gguf_file} lacks weights: {', '.join(sorted(map(str, info['missing_keys'])))[:200]}")
    check_honoured(gguf_file, model)
    # The weights are plain float32 now; the quantiser's mark in the config would prevent saving them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    shutil.rmtree(alone)
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except Exception as error:  # safetensors and tokenizers have errors of their own for a full disk
        raise UsageError(f"cannot write to the cache {folder.parent}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
