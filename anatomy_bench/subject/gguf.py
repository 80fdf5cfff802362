"""GGUF files, converted once to safetensors in the user's cache."""

import hashlib
import importlib.util
import io
import sys
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from anatomy_bench.base.atomic import folder_atomically
from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.base.locations import cache_folder
from anatomy_bench.subject.gguf_metadata import check_honoured


def converted(gguf_file: Path) -> Path:
    """The folder with the file's weights as float32 safetensors, converted now if it is not there.

    Dequantising takes some twenty seconds; loading the copy takes about one. Other
    processes that need the same file wait for the one that converts it.

    Raises:
        UsageError: the packages that read GGUF files are not installed.
        UnfitModelError: the file cannot be read as a language model.
    """
    missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"reading {gguf_file.name} needs {' and '.join(missing)}; run: pip install anatomy_bench[gguf]"
        )
    with gguf_file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_folder() / "converted" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with folder_atomically(folder) as temporary:
                _convert(gguf_file, temporary)
    return folder


def _convert(gguf_file: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # The reader draws its bar whatever the library's settings: shown on a terminal, dropped elsewhere.
    shown = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
    try:
        model: Any
        with shown:
            model, info = AutoModelForCausalLM.from_pretrained(
                gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    except Exception as error:  # whatever error the reader raises, the cause is the file
        raise UnfitModelError(f"cannot read {gguf_file} as a language model: {_first_line(error)}") from error
    if info["missing_keys"] or info["mismatched_keys"]:
        raise UnfitModelError(f"{gguf_file} lacks weights: {', '.join(sorted(map(str, info['missing_keys'])))[:200]}")
    check_honoured(gguf_file, model)
    # The weights are plain float32 now; the quantiser's mark in the config would prevent saving them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
