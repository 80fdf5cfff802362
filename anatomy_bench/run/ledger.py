"""The ledger of a run: verdicts, and the measurements that they are based on.

Reports are made from it alone, and its measurements can be judged again.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Claim, Finding, Kind, Need, Verdict
from anatomy_bench.claim.conclusion import Conclusion, conclude
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.numerical_error import NOISE_FLOOR, rests_on_noise_floor
from anatomy_bench.run.options import Options, repeating
from anatomy_bench.values.measurement import Measurement, Provenance, SubjectRecord
from anatomy_bench.values.record import Record, from_data, from_json, to_data, to_json

SCHEMA = "anatomy_bench/ledger/3"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LEDGER_FILE = "ledger.json"
"""Its name in the folder of a report."""


@dataclass(frozen=True)
class JudgedClaim(Record):
    """A claim as it stood when it was judged, with its verdict.

    Attributes:
        criterion: as it is shown to readers.
        needs: the measurements that the verdict is based on.
    """

    id: str
    statement: str
    place: str
    kind: Kind
    published: float | None
    unit: str
    criterion: str
    why: str
    verdict: Verdict
    needs: tuple[Need, ...]


@dataclass(frozen=True)
class JudgedFinding(Record):
    """A finding with its conclusion."""

    id: str
    paper: str
    title: str
    place: str
    conclusion: Conclusion
    claims: tuple[JudgedClaim, ...]


@dataclass(frozen=True)
class KeptMeasurement(Record):
    """A whole measurement, with the need for which it was made.

    Attributes:
        data: the JSON that `anatomy-bench measure` writes.
    """

    need: Need
    data: dict[str, Any]


@dataclass(frozen=True)
class Ledger(Record):
    """A run.

    Attributes:
        subject: `None` if only claims that need no model were judged.
        provenance: of the last measurement on the subject; `None` in the same case.
        findings: those that were judged, in the papers' order.
        measurements: those that the verdicts are based on.
        options: command-line options that repeat the run.
    """

    schema: str
    subject: SubjectRecord | None
    provenance: Provenance | None
    findings: tuple[JudgedFinding, ...]
    measurements: tuple[KeptMeasurement, ...]
    options: tuple[str, ...]

    def measurement(self, need: Need) -> Measurement | None:
        """The measurement of that need, as it was made.

        Raises:
            UsageError: this version has no such experiment, or its measurement has other fields.
        """
        for kept in self.measurements:
            if kept.need == need:
                kind = get_experiment(need.experiment).measurement_type
                try:
                    return from_data(kind, kept.data)
                except ValidationError:
                    which = f"the ledger's measurement of {need.experiment}"
                    raise UsageError(f"{which} is not of this version of anatomy_bench, or was altered") from None
        return None


def judged_claim(claim: Claim, verdict: Verdict) -> JudgedClaim:
    """A claim with its verdict, in the form for ledgers."""
    return JudgedClaim(
        claim.id,
        claim.statement,
        claim.place,
        claim.kind,
        claim.published,
        claim.unit,
        str(claim.criterion),
        claim.why,
        verdict,
        claim.needs,
    )


def judged_findings(findings: Sequence[Finding], verdicts: Mapping[str, Verdict]) -> tuple[JudgedFinding, ...]:
    """Those findings of which at least one claim was judged, with their conclusions."""
    judged: list[JudgedFinding] = []
    for finding in findings:
        claims = [claim for claim in finding.claims if claim.id in verdicts]
        if claims:
            conclusion = conclude(finding, [verdicts[claim.id] for claim in claims])
            kept = tuple(judged_claim(claim, verdicts[claim.id]) for claim in claims)
            judged.append(JudgedFinding(finding.id, finding.paper, finding.title, finding.place, conclusion, kept))
    return tuple(judged)


def rests_on(verdicts: Mapping[str, Verdict], claims: Mapping[str, Claim]) -> list[Need]:
    """The measurements that verdicts are based on, each once. Verdicts are given by id of the claim."""
    judged = [verdict for verdict in verdicts.values() if verdict.value is not None]
    needs = [need for verdict in judged for need in claims[verdict.claim].needs]
    disturbed = [need for verdict in judged if verdict.numerical_error for need in claims[verdict.claim].needs]
    if any(map(rests_on_noise_floor, disturbed)):
        needs.append(NOISE_FLOOR)
    return list(dict.fromkeys(needs))


def make_ledger(
    findings: Sequence[Finding],
    verdicts: Mapping[str, Verdict],
    measurements: Mapping[Need, Measurement],
    options: Options,
) -> Ledger:
    """The ledger of a run with those options."""
    last = _last_on_subject(measurements)
    return Ledger(
        schema=SCHEMA,
        subject=last.subject if last else None,
        provenance=last.provenance if last else None,
        findings=judged_findings(findings, verdicts),
        measurements=tuple(KeptMeasurement(need, to_data(made)) for need, made in measurements.items()),
        options=repeating(options, last.subject, last.provenance) if last else (),
    )


def _last_on_subject(measurements: Mapping[Need, Measurement]) -> Measurement | None:
    """The last measurement on the subject itself; the last of a model trained from scratch if there is no other."""
    made = list(measurements.values())
    on_subject = [measurement for measurement in made if get_experiment(measurement.experiment).reads_subject]
    return next(reversed(on_subject or made), None)


def write_ledger(ledger: Ledger, path: Path) -> None:
    """Write the file whole or not at all."""
    write_atomically(path, to_json(ledger, indent=2) + b"\n")


def read_ledger(path: Path) -> Ledger:
    """Read a ledger.

    Args:
        path: its file, or the folder of a report that contains it.

    Raises:
        UsageError: no such file, or not a ledger of this version.
    """
    path = path / LEDGER_FILE if path.is_dir() else path
    try:
        ledger = from_json(Ledger, path.read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        raise UsageError(f"cannot read ledger {path}: {error.strerror}") from None
    except ValidationError:
        raise UsageError(f"{path} is not a ledger of this version of anatomy_bench") from None
    if any(_CONTROL.search(text) for text in _texts(to_data(ledger))):
        raise UsageError(
            f"{path} has control characters, which could take over a terminal; no version of anatomy_bench wrote it"
        )
    if ledger.schema != SCHEMA:
        raise UsageError(f"{path} has schema {ledger.schema}; this version reads {SCHEMA}")
    return ledger


@contextmanager
def believing(*ledgers: Path) -> Iterator[None]:
    """Use what ledgers hold: what does not hang together, such as a layer that is missing, is said in one line.

    Raises:
        UsageError: the body has stumbled over it.
    """
    try:
        yield
    except (LookupError, StopIteration, ArithmeticError, ValueError, TypeError, AssertionError) as error:
        names = " or ".join(map(str, ledgers)) or "the ledger"
        raise UsageError(
            f"{names} does not hang together: a measurement lacks what its own config names ({type(error).__name__}); "
            "no run of this version wrote it"
        ) from error


def _texts(data: Any) -> Iterator[str]:
    """Every string in plain data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        yield from (text for pair in data.items() for part in pair for text in _texts(part))
    elif isinstance(data, list):
        yield from (text for item in data for text in _texts(item))
