"""Checkpoints whose files do not hold the plain weights: quantised ones, and adapters beside their base model.

What is measured is plain floating-point weights. A checkpoint in another form is brought into that one when it is
loaded, and the subject's note says so, or it is refused by name.
"""

import importlib.util
import inspect
import json
import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UnfitModelError, UsageError

if TYPE_CHECKING:
    import torch

ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model"
_WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class StoredForm:
    """How a checkpoint's files hold its weights.

    Attributes:
        config: of the model.
        method: of quantisation, such as `fp8`; nothing if the weights are plain.
        dequantises_loaded: whether the library dequantises the model once it is loaded, rather than while loading.
        adapter: folder or hub id of a PEFT adapter that is merged into the weights, or `None`.
        revision: of that hub id.
    """

    config: Any
    method: str = ""
    dequantises_loaded: bool = False
    adapter: str | None = None
    revision: str | None = None

    @property
    def note(self) -> str:
        """What a reader must know of it; nothing of plain weights."""
        dequantised = f"quantised ({self.method}), measured with its weights dequantised" if self.method else ""
        merged = "with its PEFT adapter merged into the weights" if self.adapter else ""
        return "; ".join(filter(None, (dequantised, merged)))

    def arguments(self) -> dict[str, Any]:
        """What `from_pretrained` needs beside the usual."""
        arguments: dict[str, Any] = {}
        if self.method and not self.dequantises_loaded:
            config = deepcopy(self.config)
            _quantisation_of(config)["dequantize"] = True
            arguments["config"] = config
        if self.adapter is not None:
            # The library would leave the adapter beside the weights; where it sees none it loads the base alone.
            arguments["adapter_kwargs"] = {"subfolder": "the adapter is merged once the base is loaded"}
        return arguments

    def plain(self, model: Any, dtype: "torch.dtype") -> Any:
        """The loaded model with plain weights: dequantised, and with its adapter merged."""
        if self.dequantises_loaded:
            model = model.dequantize(dtype)
        if self.adapter is not None:
            from peft import PeftModel

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the two libraries about each other
                model = PeftModel.from_pretrained(model, self.adapter, revision=self.revision).merge_and_unload()
        return model


def stored_form(name: str, location: Path | str, revision: str | None, config: Any, *, pickled: bool) -> StoredForm:
    """The form of a checkpoint.

    Args:
        name: of the model, for messages.
        location: its folder or hub id.
        revision: of the hub id.
        config: of the model.
        pickled: whether pickled weights may be loaded.

    Raises:
        UsageError: a library that reads it is not installed.
        UnfitModelError: the weights cannot be had in plain form.
    """
    adapter = _adapter(name, location, revision, pickled=pickled)
    quantisation = _quantisation_of(config)
    if not quantisation:
        return StoredForm(config, adapter=adapter, revision=revision)
    method = _method(quantisation)
    return StoredForm(config, method, _dequantises_loaded(name, method), adapter, revision)


def check_not_adapter_alone(name: str, folder: Path) -> None:
    """Refuse a folder that holds an adapter and no model.

    Raises:
        UnfitModelError: it is one; the message names the base.
    """
    if not (folder / ADAPTER_CONFIG).is_file():
        return
    files = [each for each in folder.iterdir() if each.suffix in _WEIGHTS and _ADAPTER_WEIGHTS not in each.stem]
    if not files or not (folder / "config.json").is_file():
        base = _read(folder / ADAPTER_CONFIG).get("base_model_name_or_path", "unknown")
        raise UnfitModelError(
            f"{name} holds a PEFT adapter alone, without its base model ({base}); put the adapter's files into a copy "
            "of the base model's folder, or give the merged model"
        )


def _adapter(name: str, location: Path | str, revision: str | None, *, pickled: bool) -> str | None:
    from transformers.utils import find_adapter_config_file

    found = find_adapter_config_file(str(location), revision=revision)
    if found is None:
        return None
    if isinstance(location, Path):
        check_not_adapter_alone(name, location)
        if not pickled and not (location / f"{_ADAPTER_WEIGHTS}.safetensors").is_file():
            raise UnfitModelError(
                f"the adapter of {name} has no safetensors weights; --allow-pickled-weights loads .bin files"
            )
    if _read(Path(found)).get("megatron_config"):
        raise UnfitModelError(f"the adapter of {name} names a module to import (megatron_core); it is not run")
    if importlib.util.find_spec("peft") is None:
        raise UsageError(
            f"{name} has a PEFT adapter ({ADAPTER_CONFIG}), which must be merged into the weights; run: "
            f"pip install peft (without the adapter's files, the base model alone is measured)"
        )
    return str(location)


def _quantisation_of(config: Any) -> dict[str, Any]:
    """The part of a config that says how weights are quantised; empty if they are not."""
    found = getattr(config, "quantization_config", None)
    if found is None and hasattr(config, "get_text_config"):
        found = getattr(config.get_text_config(), "quantization_config", None)
    if found is None:
        return {}
    quantisation: dict[str, Any] = found if isinstance(found, dict) else found.to_dict()
    return quantisation


def _method(quantisation: Mapping[str, Any]) -> str:
    bits = next((f"_{bits}bit" for bits in (4, 8) if quantisation.get(f"load_in_{bits}bit")), "")
    method = quantisation.get("quant_method") or ("bitsandbytes" if bits else "unknown method")
    return f"{getattr(method, 'value', method)}{bits}"


def _dequantises_loaded(name: str, method: str) -> bool:
    """Whether the library dequantises after loading; False if it does while loading.

    Raises:
        UnfitModelError: it does neither.
    """
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING
    from transformers.quantizers.base import HfQuantizer

    kind = AUTO_QUANTIZATION_CONFIG_MAPPING.get(method)
    if kind is not None and "dequantize" in inspect.signature(kind.__init__).parameters:
        return False
    quantizer = AUTO_QUANTIZER_MAPPING.get(method)
    if quantizer is not None and quantizer._dequantize is not HfQuantizer._dequantize:
        return True
    raise UnfitModelError(
        f"{name} is quantised ({method}), and its weights cannot be dequantised here; give the model that it was made "
        "from, or a dequantised copy"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content
