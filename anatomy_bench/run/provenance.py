"""How and with what a measurement was made."""

import hashlib
import importlib.util
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.experiments.experiment import Experiment, FollowUp
from anatomy_bench.registry import experiment_names, experiment_package, get_experiment
from anatomy_bench.values.measurement import Made, Provenance, Versions
from anatomy_bench.values.profile import Profile

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject

_ROOT = Path(__file__).parent.parent.parent
_SHARED = ("anatomy_bench.values", "anatomy_bench.engine")
"""Rooms that every result depends on."""

_OF_SUBJECT = "anatomy_bench.subject"
_CORE_EXPERIMENTS = "anatomy_bench.experiments"


@cache
def code_digest(experiment: str) -> str:
    """Digest of the sources that decide an experiment's results: its version, which nobody can forget to raise.

    They are found by folders: the rooms `values` and `engine`, and `subject` if it reads one; what lies directly in the
    core's `experiments`; the paper's room, but for its findings, figures and other experiments; the experiment's own
    folder, with its data; and all these of another whose measurement its config follows from.
    """
    digest = hashlib.sha256()
    for name, path in sorted(measuring_sources(experiment).items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def measuring_sources(experiment: str) -> dict[str, Path]:
    """Every file that decides an experiment's results, by a name that is the same on every machine."""
    made, package = get_experiment(experiment), experiment_package(experiment)
    beside = package.rpartition(".")[0]
    rooms = [*_SHARED, *([_OF_SUBJECT] if made.reads_subject else [])]
    sources = _files(package, "**/*")  # with whatever data lie in it
    for room in rooms:
        sources |= _files(room, "**/*.py")
    sources |= _files(_CORE_EXPERIMENTS, "*.py")
    if beside != _CORE_EXPERIMENTS:
        sources |= _of_room(beside.rpartition(".")[0], package.rpartition(".")[2])
    return sources | (measuring_sources(made.follows) if isinstance(made, FollowUp) else {})


def _of_room(room: str, experiment: str) -> dict[str, Path]:
    """What an experiment may share with others of its paper: all sources but those that read results, and theirs."""
    found = _files(room, "**/*.py")
    others = {
        f"{room}/experiments/{path.parent.name}/"
        for name, path in found.items()
        if path.name == "experiment.py" and name.count("/") == 3 and path.parent.name != experiment  # noqa: PLR2004
    }
    left_out = (f"{room}/findings/", f"{room}/figures/", *others)
    return {name: path for name, path in found.items() if not name.startswith(left_out)}


def _files(package: str, pattern: str) -> dict[str, Path]:
    spec = importlib.util.find_spec(package)  # found, not imported: the subject's room loads torch
    return {
        f"{package}/{path.relative_to(folder).as_posix()}": path
        for folder in map(Path, (spec.submodule_search_locations if spec else None) or ())
        for path in folder.glob(pattern)
        if path.is_file() and path.parent.name != "__pycache__"
    }


def is_current(key: Mapping[str, Any]) -> bool:
    """Whether a run of today, with the sources and libraries that are installed, could still ask for a stored job."""
    experiment, then = key["experiment"], key.get("versions")
    try:
        if experiment not in experiment_names() or key.get("code") != code_digest(experiment):
            return False
    except UsageError:  # a room that is broken at the moment: nobody can say, so that nothing is thrown away
        return True
    try:
        return then == asdict(versions("gguf" if isinstance(then, dict) and then.get("gguf") else None))
    except PackageNotFoundError:
        return False


def provenance(subject: "Subject", experiment: Experiment, profile: Profile, seed: int) -> Provenance:
    """Of a measurement that is made now."""
    commit, dirty = _git_state()
    return Provenance(
        seed=seed,
        profile=profile.value,
        device=subject.device.type,
        device_name=subject.device_name or processor_name(),
        dtype=subject.dtype,
        attention=subject.attention,
        code=code_digest(experiment.name),
        git_commit=commit,
        git_dirty=dirty,
        threads=subject.threads,
        instructions=subject.instructions,
        versions=versions(subject.read_by),
    )


def made_now(subject: "Subject") -> Made:
    """By this process, at this moment."""
    commit, dirty = _git_state()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Made(subject.device_name or processor_name(), commit, dirty, at)


@cache
def versions(read_by: str | None = None) -> Versions:
    """Of the software that decides results.

    Args:
        read_by: the package that read the weights, where it is not the one that loads models.
    """
    return Versions(
        anatomy_bench=version("anatomy_bench"),
        python=platform.python_version(),
        torch=version("torch"),
        transformers=version("transformers"),
        numpy=version("numpy"),
        scipy=version("scipy"),
        scikit_learn=version("scikit-learn"),
        gguf=version("gguf") if read_by == "gguf" else None,
    )


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
    root = _ROOT
    if not (root / ".git").exists():
        return None, None
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel").strip()).resolve() != root.resolve():
            return None, None  # its own `.git` is none, and a folder above has one
        commit = _git(root, "rev-parse", "HEAD")
        return commit.strip() or None, bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(root: Path, *arguments: str) -> str:
    """What git says of that folder, whatever repository a hook or a script has set in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(  # noqa: S603
        ["git", "-C", str(root), *arguments],  # noqa: S607
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
