"""What notebooks and scripts call: load a subject, measure, judge; results show themselves and become data frames."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Claim, Need, NumericalError, Verdict
from anatomy_bench.claim.claim import judge as judge_claim
from anatomy_bench.registry import all_claims, all_findings
from anatomy_bench.run.ledger import (
    Ledger,
    believing,
    judged_findings,
    make_ledger,
    read_ledger,
    rests_on,
    write_ledger,
)
from anatomy_bench.run.options import DEFAULT_MODEL, Options, declared, options_of
from anatomy_bench.run.run import Run
from anatomy_bench.values.measurement import Measurement

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, repr=False)
class Measured:
    """A measurement that a notebook shows as a table with its figures.

    Attributes:
        need: what was measured.
        measurement: whole.
    """

    need: Need
    measurement: Measurement

    def to_frame(self) -> "DataFrame":
        """A row for each innermost thing measured; what it was measured on is in `attrs`.

        Raises:
            UsageError: pandas is not installed.
        """
        from anatomy_bench.report.frames import frame, measurement_rows

        made = self.measurement
        about = {"experiment": made.experiment, "subject": made.subject.name, "digest": made.subject.digest}
        return frame(measurement_rows(made), **about)

    def __repr__(self) -> str:
        from tabulate import tabulate

        headers, rows = self.measurement.table()
        return tabulate(rows, headers, disable_numparse=True)

    def _repr_html_(self) -> str:
        from anatomy_bench.report.cells import measurement_cell

        return measurement_cell(self.need, self.measurement)


@dataclass(frozen=True, repr=False)
class Judged:
    """Verdicts that a notebook shows as tables, with figures where they are of a single finding.

    Attributes:
        ledger: verdicts, and the measurements that they rest on.
    """

    ledger: Ledger

    def to_frame(self) -> "DataFrame":
        """A row a claim.

        Raises:
            UsageError: pandas is not installed.
        """
        from anatomy_bench.report.frames import frame, verdict_rows

        subject = self.ledger.subject
        about = {"subject": subject.name, "digest": subject.digest} if subject else {}
        return frame(verdict_rows(self.ledger), **about)

    def write(self, path: str | Path) -> None:
        """Write the ledger, which `judge` and the command line read.

        Raises:
            UsageError: the place cannot be written to.
        """
        write_ledger(self.ledger, Path(path))

    def __repr__(self) -> str:
        from anatomy_bench.report.terminal import verdict_table

        return verdict_table(self.ledger.findings, {}, colour=False)

    def _repr_html_(self) -> str:
        from anatomy_bench.report.cells import ledger_cell

        return ledger_cell(self.ledger)


def load_subject(model: str | Path = DEFAULT_MODEL, **options: Any) -> Run:
    """Load a model to measure and judge on.

    Args:
        model: hub id, directory, GGUF file, or `bundled`.
        options: those of the command line, such as `device="cpu"`, `profile="quick"`, `corpus=path`.

    Returns:
        A run: it measures each thing at most once, and keeps what is finished for the next one.

    Raises:
        AnatomyError: no such option, the model cannot be had, or nothing measured on it would mean anything.
    """
    run = Run(options_of({"model": model, **options}))
    run.prepare()
    return run


load_subject.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # for help() and completion
    [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY if place else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default,
            annotation=each.annotation,
        )
        for place, each in enumerate(declared(Options))
    ]
)


def measure(
    subject: Run, experiment: str, *, corpus: str | None = None, layers: tuple[int, ...] | None = None
) -> Measured:
    """Make an experiment's measurement, or take it from the store.

    Args:
        subject: from `load_subject`.
        experiment: its name, such as `ablation`.
        corpus: a corpus by name, such as `wide`; `None` is the run's own.
        layers: measure only these; `None` measures all.

    Raises:
        UsageError: no such experiment, corpus or layer.
    """
    need = Need(experiment, corpus, layers)
    return Measured(need, subject.measure(need))


def score(subject: Run, *programs: str, keeps_first_token: bool = False) -> Measured:
    """Score a model with its layers in other orders: change of loss and divergence, with intervals.

    Args:
        subject: from `load_subject`.
        programs: such as `0-13 15-29`, which leaves out layer 14 (`docs/programs.md`).
        keeps_first_token: keep the first token's stream as in the intact model, the control for attention sinks.

    Raises:
        UsageError: a program cannot be read, or runs a layer that the model lacks.
    """
    return Measured(Need("programs"), subject.score(programs, keeps_first_token=keeps_first_token))


def judge(subject: Run | Ledger | str | Path | None = None, finding: str | None = None) -> Judged:
    """Judge claims, on a model or on what was measured before.

    Args:
        subject: from `load_subject`; or a ledger, whose measurements are judged again without a model; `None` judges
            the papers' own arithmetic.
        finding: only this one, by id.

    Raises:
        UsageError: no such finding, or the ledger is not of this version.
    """
    claims = {each.id: each for each in _claims(finding)}
    if isinstance(subject, Run):
        verdicts = {name: subject.judge(claim) for name, claim in claims.items()}
        needs = rests_on(verdicts, claims)
        kept = {need: made for need, made in subject.measurements.items() if need in needs}
        return Judged(make_ledger(all_findings(), verdicts, kept, subject.options))
    if subject is None:
        alone = {name: judge_claim(claim, None, ()) for name, claim in claims.items() if not claim.runs_model}
        return Judged(make_ledger(all_findings(), alone, {}, Options()))
    path = () if isinstance(subject, Ledger) else (Path(subject),)
    with believing(*path):
        return Judged(_judged_again(subject if isinstance(subject, Ledger) else read_ledger(Path(subject)), claims))


def _claims(finding: str | None) -> list[Claim]:
    found = {each.id: each for each in all_findings()}
    if finding is not None and finding not in found:
        raise UsageError(f"no finding {finding!r}; there are {', '.join(found)}")
    return list(found[finding].claims if finding is not None else all_claims().values())


def _judged_again(ledger: Ledger, claims: Mapping[str, Claim]) -> Ledger:
    """The ledger with today's verdicts on its measurements; claims that it lacks a measurement for are left out."""
    layers = ledger.subject.layers if ledger.subject else None
    errors = {each.id: each.verdict.numerical_error for finding in ledger.findings for each in finding.claims}
    verdicts = {
        name: found
        for name, claim in claims.items()
        if (found := _verdict(ledger, claim, layers, errors.get(name))) is not None
    }
    return replace(ledger, findings=judged_findings(all_findings(), verdicts))


def _verdict(
    ledger: Ledger, claim: Claim, layers: int | None, numerical_error: NumericalError | None
) -> Verdict | None:
    if not claim.runs_model:
        return judge_claim(claim, None, ())
    if layers is None:
        return None
    if claim.applies(layers):
        return judge_claim(claim, layers, ())
    measured = [ledger.measurement(need) for need in claim.needs]
    return None if None in measured else judge_claim(claim, layers, measured, numerical_error)
