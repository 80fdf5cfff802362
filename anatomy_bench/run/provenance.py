"""How and with what a measurement was made."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from anatomy_bench import __version__
from anatomy_bench.experiments.experiment import Profile
from anatomy_bench.registry import get_experiment
from anatomy_bench.values.measurement import Provenance, Versions

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

_PACKAGE = Path(__file__).parent
_MEASURING = (
    "engine/head.py",
    "engine/matrices.py",
    "engine/memory.py",
    "engine/naive.py",
    "engine/rows.py",
    "engine/stack.py",
    "engine/sweep.py",
    "subject/*.py",
    "gaussian_noise.py",
    "interventions.py",
    "layer_sets.py",
    "limits.py",
    "regressions.py",
    "ridge.py",
    "scored.py",
    "statistics.py",
    "strategies.py",
)
"""Sources that every measurement on a subject depends on."""

_OF_EXPERIMENT = ("experiments/{}.py", "engine/{}.py", "engine/{}_*.py", "{}_*.py")
"""Sources that one experiment alone depends on: editing a training loop makes no ablation stale."""


@cache
def code_digest(experiment: str) -> str:
    """Digest of the sources that make an experiment's measurements: its version, which nobody can forget to raise."""
    shared = _MEASURING if get_experiment(experiment).reads_subject else ()
    digest = hashlib.sha256()
    for pattern in (*shared, *(each.format(experiment) for each in _OF_EXPERIMENT)):
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def provenance(subject: "Subject", experiment: str, profile: Profile, seed: int) -> Provenance:
    """Of a measurement that is made now."""
    commit, dirty = _git_state()
    return Provenance(
        seed=seed,
        profile=profile.value,
        device=subject.device.type,
        device_name=_device_name(subject),
        dtype=subject.dtype,
        attention=subject.attention,
        code=code_digest(experiment),
        git_commit=commit,
        git_dirty=dirty,
        versions=Versions(
            anatomy_bench=__version__,
            python=platform.python_version(),
            torch=version("torch"),
            transformers=version("transformers"),
            numpy=version("numpy"),
        ),
    )


def _device_name(subject: "Subject") -> str:
    if subject.device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(subject.device)
    return processor_name()


@cache
def processor_name() -> str:
    """As the operating system tells it; Python's own `platform` knows no more than the architecture on Linux."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@cache
def _git_state() -> tuple[str | None, bool | None]:
    """Commit and dirtiness of the checkout that this package runs from, if it does."""
    root = _PACKAGE.parent
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit.strip() or None, bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607
