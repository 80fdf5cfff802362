"""Executable claims about transformer layer anatomy, judged on any Hugging Face causal language model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anatomy_bench.notebook import judge, load_subject, measure, score

__version__ = "0.1.0"
__all__ = ["__version__", "judge", "load_subject", "measure", "score"]


def __getattr__(name: str) -> Any:
    """What notebooks call, loaded when it is first asked for: importing the package stays cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module("anatomy_bench.notebook"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
