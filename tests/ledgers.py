"""Ledgers of models that never were: every experiment's measurement assembled from invented results, without torch."""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from anatomy_bench.claim.claim import Need, judge
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, FollowUp, Setting
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.registry import (
    Paper,
    all_papers,
    experiment_names,
    experiment_package,
    get_experiment,
    selected_findings,
)
from anatomy_bench.run.ledger import KeptMeasurement, Ledger, make_ledger
from anatomy_bench.run.numerical_error import Assembled
from anatomy_bench.run.options import Options
from anatomy_bench.run.task import Task
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, Provenance, SubjectRecord, Versions
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Record, to_data

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
COMPONENTS = (*(f"self_attn.{each}" for each in ATTENTION), "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}$\\frac$|`*"
    "[x](http://evil.example)../../../evil"
)
SENTENCES, TOKENS = 10, 20
DRAWS = 40


def subject(layers: int = 30, **changes: Any) -> SubjectRecord:
    made = SubjectRecord("invented", "5" * 64, "LlamaForCausalLM", layers, 1_000_000, COMPONENTS, (), None, "")
    return replace(made, **changes)


PROVENANCE = Provenance(
    seed=0, profile="quick", device="cpu", device_name="a processor", dtype="float32", attention="sdpa", code="c" * 16,
    threads=1, instructions="AVX2", git_commit=None, git_dirty=None,
    versions=Versions("0", "3.11", "2", "5", "2", "1", "1", None),
)  # fmt: skip


def score(unit: Any) -> SentenceScores:
    """A damage of its own for each unit, for some less than none, that no other unit changes."""
    rng = generator(0, str(unit))
    base = generator(0, "base").uniform(60, 90, SENTENCES)
    damage = 0.0 if isinstance(unit, Intact) else rng.choice([-0.01, 0.1, 1.0, 5.0]) * TOKENS
    return SentenceScores(tuple(base + damage * (1 + rng.normal(0, 0.3, SENTENCES))))


Inventor = Callable[[Any, int], Record]
"""From a unit and the number of the model's layers to a result."""


@cache
def inventors() -> dict[type, Inventor]:
    """By kind of unit, from the core's and every paper's tests; scores are what all other units result in."""
    found: dict[type, Inventor] = {}
    for module in (importlib.import_module("experiments.invented"), *of_own_papers("invented").values()):
        found |= module.INVENTED
    return found


def of_own_papers(name: str) -> dict[str, ModuleType]:
    """By id of the paper, the module of that name in its folder of tests, `papers/<room>`, if there is one."""
    places = {paper.id: (room, Path(__file__).parent / "papers" / room / name) for room, paper in own_papers().items()}
    return {
        paper: importlib.import_module(f"papers.{room}.{name}")
        for paper, (room, place) in places.items()
        if place.is_dir() or place.with_suffix(".py").is_file()
    }


def own_papers() -> dict[str, Paper]:
    """By name of their folder, the papers in the package itself: their tests are here, those of others elsewhere."""
    rooms = [(*paper.room.rpartition("."), paper) for paper in all_papers().values()]
    return {name: paper for parent, _, name, paper in rooms if parent == "anatomy_bench.papers"}


def own_experiments() -> list[str]:
    """The experiments of the package itself: the core's and its papers'."""
    return [name for name in experiment_names() if experiment_package(name).startswith("anatomy_bench.")]


def invented(unit: Any, layers: int = 30) -> Record:
    """A result of a unit, of a model of so many layers."""
    return inventors()[type(unit)](unit, layers) if type(unit) in inventors() else score(unit)


def measured(need: Need, of: SubjectRecord, profile: Profile, invent: Callable[[Any], Record] | None = None) -> Any:
    made = assembled(need, of, profile, invent)
    return made.task.assemble(made.finished)


def assembled(
    need: Need, of: SubjectRecord, profile: Profile, invent: Callable[[Any], Record] | None = None
) -> Assembled:
    """What a measurement is assembled from.

    Args:
        need: that it meets.
        of: the model.
        profile: that is run.
        invent: a unit's result, where it is another than in every other ledger.
    """
    experiment = get_experiment(need.experiment)
    config = experiment.configure(profile, need.layers)
    if isinstance(experiment, FollowUp):
        config = experiment.follow(config, _earlier(Need(experiment.follows, need.corpus), of, profile))
    config = replace(config, **{name: DRAWS for name in ("null_draws", "resamples") if hasattr(config, name)})
    corpus = CorpusRecord(need.corpus or "ten", "d" * 64, SENTENCES, SENTENCES * TOKENS, (TOKENS,) * SENTENCES)
    setting = Setting(of, corpus if experiment.reads_corpus else None, PROVENANCE)
    task = Task(need, experiment, config, setting, Corpus(corpus.name, ()))
    make = invent or partial(invented, layers=of.layers)
    return Assembled(task, {unit: Finished(make(unit), 0.1) for unit in task.units})


@cache
def _earlier(need: Need, of: SubjectRecord, profile: Profile) -> Any:
    return measured(need, of, profile)


@cache
def ledger(layers: int = 30, profile: Profile = Profile.QUICK) -> Ledger:
    """Every claim of the package's own papers, judged on an invented model."""
    made, verdicts = {}, {}
    findings = selected_findings(papers=[paper.id for paper in own_papers().values()])
    for finding in findings:
        for claim in finding.claims:
            applies = not claim.runs_model or claim.applies(layers) is None
            for need in claim.needs if applies else ():
                made[need] = made.get(need) or measured(need, subject(layers), profile)
            needs = [made[need] for need in claim.needs] if applies else []
            verdicts[claim.id] = judge(claim, layers if claim.runs_model else None, needs)
    return make_ledger(findings, verdicts, made, Options(model="invented"))


def with_data(of: Ledger, experiment: str, change: Callable[[dict[str, Any]], None]) -> Ledger:
    """The ledger with the JSON of an experiment's measurements changed in place."""
    kept = [KeptMeasurement(each.need, to_data(each)["data"]) for each in of.measurements]
    for each in kept:
        if each.need.experiment == experiment:
            change(each.data)
    return replace(of, measurements=tuple(kept))


def hostile() -> Ledger:
    """A ledger whose every name means harm."""
    made = ledger()
    named = with_data(made, "structure", lambda data: data["components"][0].update(component=HOSTILE))
    named = with_data(named, "ablation", lambda data: data["subject"].update(name=HOSTILE))
    findings = [
        replace(
            finding,
            id=f"{HOSTILE}/drawing" if number else finding.id,
            title=HOSTILE,
            place=HOSTILE,
            paper=HOSTILE if number else finding.paper,
            claims=tuple(replace(claim, statement=HOSTILE, unit=HOSTILE, why=HOSTILE) for claim in finding.claims),
        )
        for number, finding in enumerate(made.findings)
    ]
    findings.append(replace(made.findings[0], id="drawing"))
    findings.append(next(each for each in made.findings if each.id == "delta-correlation"))
    subject = replace(made.subject, name=HOSTILE, note=HOSTILE, architecture=HOSTILE)
    return replace(named, subject=subject, findings=tuple(findings), options=("--model", HOSTILE))


def renamed(of: Ledger, name: str, **changes: Any) -> Ledger:
    """The ledger as if it were of a model of that name, and of a digest of its own."""
    assert of.subject is not None
    assert of.provenance is not None
    record = replace(of.subject, name=name, digest=hashlib.sha256(name.encode()).hexdigest())
    return replace(of, subject=record, provenance=replace(of.provenance, **changes))
