"""Many models side by side: which findings and claims hold on which of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Verdict
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.registry import experiment_names, get_experiment
from anatomy_bench.report.repeating import run_command
from anatomy_bench.run.ledger import JudgedClaim, JudgedFinding, Ledger
from anatomy_bench.values.measurement import Provenance, SubjectRecord

NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Model:
    """A column of the atlas: one run on one model.

    Attributes:
        label: short and unique.
        ledger: of the run.
        subject: of the ledger, never `None` here.
        made: how it was measured, never `None` here.
    """

    label: str
    ledger: Ledger
    subject: SubjectRecord
    made: Provenance


@dataclass(frozen=True)
class ClaimRow:
    """A claim on every model.

    Attributes:
        claim: from the first ledger that has it.
        verdicts: one for each model; `None` where its ledger does not judge the claim.
    """

    claim: JudgedClaim
    verdicts: Sequence[Verdict | None]


@dataclass(frozen=True)
class FindingRow:
    """A finding on every model.

    Attributes:
        finding: from the first ledger that has it.
        conclusions: one for each model; `None` where its ledger does not judge the finding.
        across: summary of the conclusions, in words.
        claims: those that run a model.
    """

    finding: JudgedFinding
    conclusions: Sequence[Conclusion | None]
    across: str
    claims: Sequence[ClaimRow]


@dataclass(frozen=True)
class Atlas:
    """What the pages show.

    Attributes:
        models: the columns, in the order given.
        findings: in the papers' order, without those on a paper's own arithmetic, which are the same for all models.
        differences: the respects in which the runs differ, with the values found.
    """

    models: Sequence[Model]
    findings: Sequence[FindingRow]
    differences: Mapping[str, Sequence[str]]


def make_atlas(ledgers: Sequence[tuple[Path, Ledger]]) -> Atlas:
    """Ledgers side by side.

    Args:
        ledgers: with the files that they were read from.

    Raises:
        UsageError: one of them judged no model.
    """
    subjects = [_subject(path, ledger) for path, ledger in ledgers]
    models = [
        Model(label, ledger, *subject)
        for label, (_, ledger), subject in zip(_labels(subjects), ledgers, subjects, strict=True)
    ]
    return Atlas(models, _rows(models), _differences(models))


def _subject(path: Path, ledger: Ledger) -> tuple[SubjectRecord, Provenance]:
    if ledger.subject is None or ledger.provenance is None:
        raise UsageError(f"{path} has no model: it has only claims on papers' own arithmetic")
    return ledger.subject, ledger.provenance


def _labels(subjects: Sequence[tuple[SubjectRecord, Provenance]]) -> list[str]:
    """The last part of each name, with more of it where that is needed to make them differ."""
    short = [Path(subject.name).name or subject.name for subject, _ in subjects]
    profiled = [f"{name}, {made.profile}" for name, (_, made) in zip(short, subjects, strict=True)]
    counts = Counter(short)
    labels = [long if counts[name] > 1 else name for name, long in zip(short, profiled, strict=True)]
    repeated, seen = Counter(labels), Counter[str]()
    for place, label in enumerate(labels):
        seen[label] += 1
        labels[place] = f"{label} ({seen[label]})" if repeated[label] > 1 else label
    return labels


def _rows(models: Sequence[Model]) -> list[FindingRow]:
    by_model = [{finding.id: finding for finding in model.ledger.findings} for model in models]
    digests = [model.subject.digest for model in models]
    asked = [
        finding.id
        for model in models
        for finding in model.ledger.findings
        if any(claim.needs for claim in finding.claims)
    ]
    return [_row([found.get(finding) for found in by_model], digests) for finding in dict.fromkeys(asked)]


def _row(found: Sequence[JudgedFinding | None], digests: Sequence[str]) -> FindingRow:
    first = next(finding for finding in found if finding is not None)
    by_model = [{claim.id: claim for claim in finding.claims} if finding else {} for finding in found]
    claims: dict[str, JudgedClaim] = {}
    for judged in by_model:
        claims = {**judged, **claims}
    rows = [
        ClaimRow(claim, [judged[claim.id].verdict if claim.id in judged else None for judged in by_model])
        for claim in claims.values()
        if claim.needs
    ]
    conclusions = [finding.conclusion if finding else None for finding in found]
    across = _across(conclusions, digests) if _is_of_subject(rows) else _whichever(conclusions)
    return FindingRow(first, conclusions, across, rows)


def _is_of_subject(rows: Sequence[ClaimRow]) -> bool:
    """Whether anything is measured on the models of the columns, not only on an experiment's own model."""
    needed = {need.experiment for row in rows for need in row.claim.needs}
    own_model = {name for name in needed & set(experiment_names()) if not get_experiment(name).reads_subject}
    return bool(needed - own_model)


def _whichever(conclusions: Sequence[Conclusion | None]) -> str:
    """For a model trained from scratch, where every column repeats the same training and agreement means nothing."""
    words = ", ".join(dict.fromkeys(conclusion.value for conclusion in conclusions if conclusion is not None))
    return f"{words}, on a model trained from scratch, the same for every column"


def _across(conclusions: Sequence[Conclusion | None], digests: Sequence[str]) -> str:
    """A summary such as `reproduced on 1, inconclusive on 2`; a model counts once, however often it ran."""
    pairs = set(zip(digests, conclusions, strict=True))
    answers = {(digest, word) for digest, word in pairs if word not in (None, Conclusion.NOT_APPLICABLE)}
    asked = {digest for digest, _ in answers}
    if not asked:
        return "could be asked of no model"
    counts = Counter[Conclusion | None](word for _, word in answers)
    unasked = len(set(digests) - asked)
    alike = len(counts) == 1
    summary = [f"{word.value} on {_all(count) if alike else count}" for word in Conclusion if (count := counts[word])]
    disagreeing = len(answers) - len(asked)
    return (
        ", ".join(summary)
        + (f"; runs differ on {disagreeing}" if disagreeing else "")
        + (f"; {unasked} not asked" if unasked else "")
    )


def _all(count: int) -> str:
    return {1: "the only one asked", 2: "both"}.get(count, f"all {count}")


def _differences(models: Sequence[Model]) -> dict[str, list[str]]:
    """Differences between the runs that a reader must know before comparing columns."""
    made = [asdict(model.made) for model in models]
    aspects: dict[str, list[Any]] = {
        name: [column[name] for column in made] for name in ("profile", "dtype", "device", "attention", "seed")
    }
    aspects["text"] = [_own_text(model.ledger) for model in models]
    aspects |= {f"code of {name}": values for name, values in _sources(models).items()}
    found = {name: _distinct(values) for name, values in aspects.items()}
    return {name: values for name, values in found.items() if len(values) > 1}


def _sources(models: Sequence[Model]) -> dict[str, list[Any]]:
    """Digests of the measuring sources by experiment, because not every model was measured by all experiments."""
    found: dict[str, list[Any]] = {}
    for kept in (kept for model in models for kept in model.ledger.measurements):
        found.setdefault(kept.need.experiment, []).append(kept.data.get("provenance", {}).get("code"))
    return found


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _own_text(ledger: Ledger) -> str | None:
    """The run's own corpus by name and digest, if anything was scored on it."""
    for kept in ledger.measurements:
        corpus = kept.data.get("corpus")
        if kept.need.corpus is None and corpus:
            return f"{corpus['name']} ({corpus['digest'][:8]})"
    return None


def model_facts(model: Model) -> list[tuple[str, str]]:
    """What is needed to repeat a column."""
    subject, made = model.subject, model.made
    facts = {
        "model": subject.name,
        "hub commit": subject.commit or "none: local files",
        "digest of weights, config and tokenizer": subject.digest,
        "architecture": subject.architecture,
        "layers": str(subject.layers),
        "parameters": f"{subject.parameters:,}",
        "profile": made.profile,
        "device": f"{made.device} ({made.device_name})",
        "dtype": made.dtype,
        "attention": made.attention,
        "seed": str(made.seed),
        "text": _own_text(model.ledger) or "none",
        "measuring sources": made.code,
        "checkout": f"{made.git_commit}{', with changes' if made.git_dirty else ''}" if made.git_commit else "none",
        **{f"version of {name}": value for name, value in asdict(made.versions).items() if value},
        "repeat with": run_command(model.ledger),
    }
    return [*facts.items(), *([("note", subject.note)] if subject.note else [])]
