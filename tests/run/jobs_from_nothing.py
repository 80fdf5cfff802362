"""What the work of experiments loads, from a state in which nothing of anatomy_bench is loaded.

    python jobs_from_nothing.py MODEL_FOLDER NAME=PACKAGE…

prints, as JSON by name of the experiment: the modules of anatomy_bench (with their files) that are loaded once the
model is read and jobs are done, and the data of the package that were read while jobs were done.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

STEPS = {"full_steps": 12, "half_steps": 6, "steps": 2}
WIDTH = 16
"""Of training, and of a model that is trained from scratch: what is loaded depends on neither."""

_opened: list[str] = []


def main(folder: str, experiments: Sequence[str]) -> None:
    sys.addaudithook(lambda event, arguments: _opened.append(str(arguments[0])) if event == "open" else None)
    packages = dict(each.split("=") for each in experiments)
    told = {}
    for name in packages:
        for module in _ours():
            del sys.modules[module]
        told[name] = work(name, packages, folder)
    print(json.dumps(told))


def _ours() -> list[str]:
    return [module for module in sys.modules if module.partition(".")[0] == "anatomy_bench"]


def work(name: str, packages: dict[str, str], folder: str) -> dict[str, Any]:
    """Do jobs of an experiment; the modules and the data that this took."""
    experiment = import_module(f"{packages[name]}.experiment").EXPERIMENT
    subject = read_subject(folder) if experiment.reads_subject else no_subject()
    _, jobs, corpus = planned(experiment, packages, subject)
    import_module("anatomy_bench.values.published").load.cache_clear()
    _opened.clear()
    for job in one_of_each_kind(jobs):
        finished(experiment, job, subject, corpus)
    root = str(Path(sys.modules["anatomy_bench"].__file__).parent)
    data = {path for path in _opened if path.startswith(root) and Path(path).suffix not in (".py", ".pyc")}
    return {"modules": {module: sys.modules[module].__file__ for module in _ours()}, "data": sorted(data)}


def one_of_each_kind(jobs: Sequence[Any]) -> list[Any]:
    """Jobs with all kinds of units that there are: types of units, and what else these tell apart by a name."""
    chosen: list[Any] = []
    seen: set[Any] = set()
    for job in jobs:
        kinds = {(type(unit), getattr(unit, "kind", ""), getattr(unit, "path", "")) for unit in job}
        if kinds - seen:
            chosen.append(job)
            seen |= kinds
    return chosen


def read_subject(folder: str) -> Any:
    from anatomy_bench.subject.loading import Permissions, load_subject
    from anatomy_bench.subject.source import resolve_source

    return load_subject(
        resolve_source(folder, None), device="cpu", dtype="float32", permissions=Permissions(untrained=True)
    )


def no_subject() -> Any:
    """All that an experiment which reads no subject may ask of it; anything else that it asks for is an error."""
    return SimpleNamespace(device=import_module("torch").device("cpu"), record=None)


def planned(experiment: Any, packages: dict[str, str], subject: Any) -> tuple[Any, Sequence[Any], Any]:
    """Setting, jobs and text of a quick measurement, with less training."""
    from anatomy_bench.experiments.experiment import FollowUp, Profile, Setting
    from anatomy_bench.values.corpus import load_corpus
    from anatomy_bench.values.measurement import Provenance, Versions

    corpus = load_corpus("ten")
    versions = Versions(*["none"] * 7, None)
    made = Provenance(0, "quick", "cpu", "none", "float32", "sdpa", "none", 1, "none", None, None, versions)
    setting = Setting(subject.record, subject.corpus_record(corpus) if experiment.reads_corpus else None, made)
    config = experiment.configure(Profile.QUICK, None)
    config = replace(config, **{name: steps for name, steps in STEPS.items() if hasattr(config, name)})
    if hasattr(config, "setup"):
        narrow = replace(config.setup.architecture, width=WIDTH)
        config = replace(config, setup=replace(config.setup, architecture=narrow))
    if isinstance(experiment, FollowUp):
        earlier = import_module(f"{packages[experiment.follows]}.experiment").EXPERIMENT
        config = experiment.follow(config, measured(earlier, packages, subject))
    return setting, experiment.jobs(experiment.units(setting, config)), corpus


def measured(experiment: Any, packages: dict[str, str], subject: Any) -> Any:
    from anatomy_bench.experiments.experiment import Profile

    setting, jobs, corpus = planned(experiment, packages, subject)
    results = {unit: each for job in jobs for unit, each in finished(experiment, job, subject, corpus).items()}
    return experiment.assemble(setting, experiment.configure(Profile.QUICK, None), results)


def finished(experiment: Any, job: Any, subject: Any, corpus: Any) -> Any:
    from anatomy_bench.base.progress import SilentProgress

    return experiment.run(job, subject, corpus, SilentProgress())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
