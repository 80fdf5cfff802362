"""Verdicts of a run, compared with the record; shared by pytest and `anatomy-bench verify`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from anatomy_bench.base.atomic import check_file, check_folder
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Claim, Verdict, VerdictWord
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.registry import all_claims, paper_of
from anatomy_bench.run.expected import (
    CONSISTENCY_TABLE,
    EXPECTED_FOLDER,
    ExpectedVerdicts,
    JudgedObject,
    Outcome,
    check_digest,
    check_replaceable,
    expected_path,
    outcome,
    read_expected,
    record_expected,
)
from anatomy_bench.run.run import Run
from anatomy_bench.values.quantities import quantity


@dataclass(frozen=True)
class Judged:
    """A verdict, and what it means for the run.

    Attributes:
        message: published and measured value, criterion, and the recorded verdict if it differs.
    """

    verdict: Verdict
    outcome: Outcome
    message: str


class Judging:
    """Judges claims in a run and compares the verdicts with the record.

    Attributes:
        run: where measurements come from.
    """

    def __init__(self, run: Run, *, root: Path, expected: Path | None = None, record: bool = False) -> None:
        """Read the record if one was named, so that a bad file is reported before a model is loaded.

        Args:
            run: where measurements come from.
            root: folder that has `claims/expected/`, if any has.
            expected: a file of expected verdicts; `None` takes the subject's own under `root`.
            record: write the verdicts into the record instead of comparing them with it.

        Raises:
            UsageError: the file cannot be read, or with `record` not be written.
        """
        self.run = run
        self._root = root
        self._path = expected or expected_path(root, run.options.model)
        self._is_named = expected is not None
        self._record = record
        self._papers: dict[Path, ExpectedVerdicts | None] = {}
        if record:
            if run.options.corpus is not None and not self._is_named:
                raise UsageError(
                    f"--record-expected would write verdicts on {run.options.corpus} over those on the suite's own "
                    "text; give --expected FILE as well"
                )
            check_file(self._path)
            check_folder(root / EXPECTED_FOLDER)  # of the verdicts on a paper's arithmetic
        self._named = read_expected(self._path, all_claims()) if self._is_named and not record else None

    def prepare(self) -> None:
        """Check the options and the record before anything is measured.

        Raises:
            AnatomyError: the first problem found.
        """
        self.run.prepare()
        if self._record:
            check_replaceable(self._path, self._subject)
        else:
            _ = self._expected_of_subject

    def judge(self, claim: Claim) -> Judged:
        """Judge a claim and compare the verdict with the record."""
        if self._record:
            verdict = self.run.judge(claim)
            return Judged(verdict, outcome(verdict, verdict.word), _message(claim, verdict, None))
        recorded = self._recorded(
            claim
        )  # first, so that a record for other weights is refused before anything is measured
        verdict = self.run.judge(claim)
        return Judged(verdict, outcome(verdict, recorded), _message(claim, verdict, recorded))

    def write_record(self, verdicts: Mapping[str, Verdict]) -> tuple[Path, ...]:
        """Record verdicts: those on the subject in its file, those on a paper's arithmetic in the paper's.

        Returns:
            The files written.
        """
        claims = all_claims()
        files: dict[Path, tuple[JudgedObject, str, dict[str, Verdict]]] = {}
        for claim_id, verdict in verdicts.items():
            if claims[claim_id].runs_model:
                path, judged, table = self._path, self._subject, self.run.profile.value
            else:
                path, judged, table = self._paper_path(claim_id), _paper(claim_id), CONSISTENCY_TABLE
            files.setdefault(path, (judged, table, {}))[2][claim_id] = verdict
        for path, (judged, table, words) in files.items():
            record_expected(path, judged, table, claims, words)
        return tuple(files)

    def _recorded(self, claim: Claim) -> VerdictWord | None:
        if claim.runs_model:
            return self._expected_of_subject.of(self.run.profile.value, claim.id) if self._expected_of_subject else None
        path = self._paper_path(claim.id)
        if path not in self._papers:
            self._papers[path] = _expected_of_paper(path, _paper(claim.id))
        expected = self._papers[path]
        return expected.of(CONSISTENCY_TABLE, claim.id) if expected else None

    @property
    def _subject(self) -> JudgedObject:
        record = self.run.subject.record
        own_text = self.run.corpus.digest if self.run.options.corpus is not None else None
        return JudgedObject(record.name, record.digest, record.commit, self.run.subject.dtype, own_text)

    @cached_property
    def _expected_of_subject(self) -> ExpectedVerdicts | None:
        """The record in the named file, or the one found by the subject's name if it is for these weights."""
        if self._named is not None:
            check_digest(self._named, self._subject, self._path)
            return self._named
        return self._found if self._found and not self._found.judged.difference(self._subject) else None

    @cached_property
    def _found(self) -> ExpectedVerdicts | None:
        """The record found by the subject's name, for whatever weights; none if the text is not the suite's own."""
        if self._is_named or self.run.options.corpus is not None or not self._path.is_file():
            return None
        return read_expected(self._path, all_claims())

    @property
    def notice(self) -> str:
        """One line if the record found by the subject's name is for other weights and therefore ignored, else empty."""
        if self._record or self._found is None or self._expected_of_subject is not None:
            return ""
        return (
            f"{self._path} {self._found.judged.difference(self._subject)}, so these verdicts are not checked against "
            "it; --record-expected --expected FILE writes a record for this run"
        )

    def _paper_path(self, claim_id: str) -> Path:
        return expected_path(self._root, paper_of(claim_id).id)


def _paper(claim_id: str) -> JudgedObject:
    paper = paper_of(claim_id)
    return JudgedObject(paper.id, paper.digest)


def _expected_of_paper(path: Path, paper: JudgedObject) -> ExpectedVerdicts | None:
    if not path.is_file():
        return None
    expected = read_expected(path, all_claims())
    check_digest(expected, paper, path)
    return expected


def _message(claim: Claim, verdict: Verdict, recorded: VerdictWord | None) -> str:
    """One line: the verdict and everything that decided it."""
    if verdict.word is VerdictWord.NOT_APPLICABLE:
        line = f"NOT_APPLICABLE: {verdict.reason}"
    else:
        line = (
            f"{verdict.word}: published {quantity(claim.published)}, measured {measured_text(verdict)} {claim.unit}; "
            f"holds if {claim.criterion}"
        )
        line += "".join(f"; {more}" for more in (verdict.reason, verdict.note) if more)
    if recorded is not None and recorded is not verdict.word:
        line += f" (on record: {recorded})"
    return line
