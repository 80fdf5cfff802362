"""Models of the hub, from its cache alone: the commit is recorded, and a branch that moved is told."""

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tiny

from anatomy_bench import cli
from anatomy_bench.claim.claim import Need
from anatomy_bench.registry import all_claims
from anatomy_bench.run.expected import JudgedObject, read_expected, record_expected
from anatomy_bench.run.judging import Judging
from anatomy_bench.run.ledger import make_ledger
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run

MODEL = "some/tiny"
FIRST, SECOND = "1" * 40, "2" * 40
CLAIM = "anatomical-heterogeneity.delta-correlation.universal"


class Hub:
    """The cache of the hub's client with one model in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"models--{MODEL.replace('/', '--')}"

    def commit(self, commit: str, made: Any) -> None:
        """`main` is this commit from now on; earlier ones stay."""
        tiny.save(self.folder / "snapshots" / commit, made)
        (self.folder / "refs").mkdir(exist_ok=True)
        (self.folder / "refs" / "main").write_text(commit)

    def commit_again(self, commit: str, of: str) -> None:
        """The same files under another commit."""
        shutil.copytree(self.folder / "snapshots" / of, self.folder / "snapshots" / commit)
        (self.folder / "refs" / "main").write_text(commit)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    made = Hub(tmp_path / "hub")
    made.commit(FIRST, tiny.model())
    return made


def options(**changes: Any) -> Options:
    return Options(MODEL, device="cpu", allow_untrained=True, **changes)


def judged(record: Path, **changes: Any) -> Judging:
    """The structure of the hub's model judged against a record."""
    judging = Judging(Run(options(**changes)), root=record.parent, expected=record)
    judging.judge(all_claims()[CLAIM])
    return judging


@pytest.fixture
def record(hub: Hub, tmp_path: Path) -> Path:
    path = tmp_path / "record.toml"
    judging = Judging(Run(options()), root=tmp_path, expected=path, record=True)
    verdict = judging.judge(all_claims()[CLAIM]).verdict
    judging.write_record({CLAIM: verdict})
    return path


def test_the_commit_of_a_branch_is_recorded_and_repeats_the_run(hub: Hub) -> None:
    run = Run(options())
    made = run.measure(Need("structure"))
    assert made.subject.commit == FIRST
    ledger = make_ledger((), {}, run.measurements, run.options)
    place = ledger.options.index("--revision")
    assert ledger.options[place + 1] == FIRST


def test_a_record_names_the_commit(record: Path) -> None:
    assert tomllib.loads(record.read_text())["commit"] == FIRST
    assert read_expected(record, all_claims()).judged.commit == FIRST


def test_a_branch_that_moved_to_other_weights_is_refused_before_anything_is_measured(
    hub: Hub, record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.commit(SECOND, tiny.model(seed=1))
    arguments = ["verify", "--model", MODEL, "--device", "cpu", "--allow-untrained", "--expected", str(record)]
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", *arguments])
    monkeypatch.setattr(Run, "measure", lambda run, need: pytest.fail("measured"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    errors = capsys.readouterr().err
    assert ended.value.code == 2
    assert errors.count("\n") == 1
    assert all(each in errors for each in (MODEL, f"--revision {FIRST}", SECOND, "--record-expected"))


def test_the_recorded_commit_is_still_judged(hub: Hub, record: Path) -> None:
    hub.commit(SECOND, tiny.model(seed=1))
    assert judged(record, revision=FIRST).run.subject.record.commit == FIRST


def test_a_branch_that_moved_but_kept_its_weights_is_judged(hub: Hub, record: Path) -> None:
    hub.commit_again(SECOND, of=FIRST)
    assert judged(record).run.subject.record.commit == SECOND


def test_a_file_without_a_commit_gets_one_ahead_of_its_verdicts(record: Path) -> None:
    record.write_text("".join(line for line in record.read_text().splitlines(True) if not line.startswith("commit")))
    before = read_expected(record, all_claims())
    assert before.judged.commit is None
    record_expected(record, JudgedObject(MODEL, before.judged.digest, FIRST), "quick", all_claims(), {})
    assert read_expected(record, all_claims()).judged.commit == FIRST


def test_recording_anew_names_the_new_commit_and_keeps_the_rest(record: Path) -> None:
    before = read_expected(record, all_claims())
    moved = JudgedObject(before.judged.name, before.judged.digest, SECOND)
    record_expected(record, moved, "paper", all_claims(), {})
    after = read_expected(record, all_claims())
    assert after.judged.commit == SECOND
    assert after.words["quick"] == before.words["quick"]
