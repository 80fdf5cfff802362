"""The commit of the hub to which a revision points at the moment."""

import logging
import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONFIG = "config.json"
"""A file that every model has, and that loading requests first anyway."""


def commit_of(model: str, revision: str | None) -> str | None:
    """The commit that a branch or tag points to, or `None` if neither the hub nor its cache can tell.

    If the hub cannot be reached, it is the commit that was downloaded last.

    Args:
        model: a hub id.
        revision: branch, tag or commit; `None` is the default branch.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging as hub_logging

    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.CRITICAL)  # it reports every retry as an error
    try:
        commit = Path(hf_hub_download(model, _CONFIG, revision=revision)).parent.name
    except Exception:  # noqa: BLE001 (loading meets the same error and reports it in one line)
        return None
    finally:
        hub_logging.set_verbosity(verbosity)
    return commit if _COMMIT.fullmatch(commit) else None
