"""Ledgers of models that never were: every experiment's measurement assembled from invented results, without torch."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from anatomy_bench.claim.claim import Need, judge
from anatomy_bench.engine.interventions import Intact
from anatomy_bench.experiments.experiment import Finished, FollowUp, Setting
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained, Training, Validation
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import (
    RegressionUnit,
    component_predictability,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryUnit, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentUnit,
    component_structure,
)
from anatomy_bench.registry import all_findings, get_experiment
from anatomy_bench.run.ledger import KeptMeasurement, Ledger, make_ledger
from anatomy_bench.run.numerical_error import Assembled
from anatomy_bench.run.options import Options
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
PARAMETERS = 60
DRAWS = 40


def subject(layers: int = 30, **changes: Any) -> SubjectRecord:
    made = SubjectRecord("invented", "5" * 64, "LlamaForCausalLM", layers, 1_000_000, COMPONENTS, (), None, "")
    return replace(made, **changes)


PROVENANCE = Provenance(
    seed=0, profile="quick", device="cpu", device_name="a processor", dtype="float32", attention="sdpa", code="c" * 16,
    git_commit=None, git_dirty=None, versions=Versions("0", "3.11", "2", "5", "2"),
)  # fmt: skip


def score(unit: Any) -> SentenceScores:
    """A damage of its own for each unit, for some less than none, that no other unit changes."""
    rng = generator(0, str(unit))
    base = generator(0, "base").uniform(60, 90, SENTENCES)
    damage = 0.0 if isinstance(unit, Intact) else rng.choice([-0.01, 0.1, 1.0, 5.0]) * TOKENS
    return SentenceScores(tuple(base + damage * (1 + rng.normal(0, 0.3, SENTENCES))))


def weights(unit: Any) -> Any:
    return generator(0, unit.component).normal(size=(LAYERS_OF[unit], PARAMETERS)).astype(np.float32)


def trained_layer(unit: RecoveryUnit) -> TrainedLayer:
    """A recovery that comes from some damage to some other, each layer's at a pace of its own."""
    rng = generator(0, str(unit))
    base = np.array(score(Intact()).nll_nats)
    start = TOKENS * rng.choice([-0.1, 0.3, 1.0, 4.0]) if unit.start.deviations else 0.0
    left = np.exp(-np.arange(unit.steps + 1) / rng.uniform(2, 100))
    curve = base + np.outer(left * start - 0.1 * TOKENS * (1 - left), 1 + rng.normal(0, 0.1, SENTENCES))
    losses = tuple((curve.mean(axis=1)[:-1] / TOKENS).tolist())
    return TrainedLayer(tuple(map(tuple, curve.tolist())), losses)


def trained(unit: Training) -> Trained:
    """A training from a loss that knows nothing to one that follows from its phases, in no time at all."""
    rng = generator(unit.seed, repr(unit.phases))
    steps = sorted({*range(unit.setup.evaluate_every, unit.steps, unit.setup.evaluate_every), unit.steps})
    pace = rng.uniform(40, 120)
    seen = {step: 0.1 + 6 * np.exp(-step / pace) * rng.lognormal(0, 0.1) for step in steps}
    validations = tuple(Validation(step, 1.1 * loss, loss, 2 + 0.5 * loss) for step, loss in seen.items())
    prompts = len(unit.setup.prompts)
    return Trained(
        unit.setup.architecture.parameters, unit.steps, unit.flops, unit.flops / 1e11, validations,
        ("astray",) * prompts, (True,) * prompts,
    )  # fmt: skip


LAYERS_OF: dict[Any, int] = {}
INVENTED: dict[type, Callable[[Any], Record]] = {
    ComponentUnit: lambda unit: component_structure(weights(unit), unit),
    RegressionUnit: lambda unit: component_predictability(weights(unit).astype(np.float64), unit),
    RecoveryUnit: trained_layer,
    Training: trained,
}
EXPERIMENTS = ("ablation", "structure", "predictability", "manipulation", "perturbation", "recovery", "growth")
"""Those whose results can be invented: findings on others are left out."""


def invented(unit: Any) -> Record:
    return INVENTED.get(type(unit), score)(unit)


def measured(need: Need, of: SubjectRecord, profile: Profile, invent: Callable[[Any], Record] = invented) -> Any:
    made = assembled(need, of, profile, invent)
    return made.experiment.assemble(made.setting, made.config, made.finished)


def assembled(need: Need, of: SubjectRecord, profile: Profile, invent: Callable[[Any], Record] = invented) -> Assembled:
    experiment = get_experiment(need.experiment)
    config = experiment.configure(profile, need.layers)
    if isinstance(experiment, FollowUp):
        config = experiment.follow(config, _earlier(Need(experiment.follows, need.corpus), of, profile))
    config = replace(config, **{name: DRAWS for name in ("null_draws", "resamples") if hasattr(config, name)})
    corpus = CorpusRecord(need.corpus or "ten", "d" * 64, SENTENCES, SENTENCES * TOKENS, (TOKENS,) * SENTENCES)
    units = experiment.units(of, config, 0)
    LAYERS_OF.update(dict.fromkeys(units, of.layers))
    finished = {unit: Finished(invent(unit), 0.1) for unit in units}
    return Assembled(experiment, Setting(of, corpus if experiment.reads_corpus else None, PROVENANCE), config, finished)


@cache
def _earlier(need: Need, of: SubjectRecord, profile: Profile) -> Any:
    return measured(need, of, profile)


@cache
def ledger(layers: int = 30, profile: Profile = Profile.QUICK) -> Ledger:
    """Every claim whose experiment can be invented, judged on an invented model."""
    made, verdicts = {}, {}
    for finding in all_findings():
        if {need.experiment for claim in finding.claims for need in claim.needs} <= set(EXPERIMENTS):
            for claim in finding.claims:
                applies = not claim.runs_model or claim.applies(layers) is None
                for need in claim.needs if applies else ():
                    made[need] = made.get(need) or measured(need, subject(layers), profile)
                needs = [made[need] for need in claim.needs] if applies else []
                verdicts[claim.id] = judge(claim, layers if claim.runs_model else None, needs)
    return make_ledger(all_findings(), verdicts, made, Options(model="invented"))


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
