"""A record found by the model's name: held against the weights it is of, wherever they lie, and told when of others."""

import shutil
import sys
from pathlib import Path

import pytest

from anatomy_bench import cli
from anatomy_bench.claim.claim import Verdict, VerdictWord
from anatomy_bench.registry import all_claims
from anatomy_bench.run.expected import CONSISTENCY_TABLE, Outcome, expected_path
from anatomy_bench.run.judging import Judging
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run

CLAIM = all_claims()["anatomical-heterogeneity.delta-correlation.universal"]


@pytest.fixture
def refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claim is refuted, and nothing measured."""
    monkeypatch.setattr(Run, "judge", lambda run, claim: Verdict(claim.id, VerdictWord.REFUTED, 1.0))


def judging(model: Path | str, root: Path, **others: bool) -> Judging:
    return Judging(Run(Options(str(model), device="cpu", allow_untrained=True)), root=root, **others)


def put_on_record(model: Path, root: Path) -> Path:
    recording = judging(model, root, record=True)
    verdict = recording.judge(CLAIM).verdict
    (path,) = recording.write_record({CLAIM.id: verdict})
    return path


@pytest.mark.usefixtures("refuted")
def test_a_local_model_is_known_by_its_weights_however_its_folder_is_given(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_record(tiny_folder, tmp_path)
    monkeypatch.chdir(tiny_folder.parent)
    held = judging(f"./{tiny_folder.name}", tmp_path)
    assert held.judge(CLAIM).outcome is Outcome.EXPECTED_FAILURE
    assert held.notice == ""


@pytest.mark.usefixtures("refuted")
def test_a_record_of_other_weights_holds_nothing_and_is_told(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put_on_record(tiny_folder, tmp_path)
    other = shutil.copytree(tiny_folder, tmp_path / tiny_folder.name)
    config = other / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert judging(other, tmp_path).judge(CLAIM).outcome is Outcome.FAILED

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["anatomy-bench", "verify", "--model", str(other), "--device", "cpu", "--allow-untrained"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 0
    assert told.count("\n") == 1
    assert all(each in told for each in (str(path), "--record-expected"))


def test_there_is_no_notice_without_a_record_or_of_the_one_being_written(tiny_folder: Path, tmp_path: Path) -> None:
    assert judging(tiny_folder, tmp_path).notice == ""
    path = expected_path(tmp_path, str(tiny_folder))
    path.parent.mkdir(parents=True)
    path.write_text(f'subject = "x"\ndigest = "{"0" * 64}"\n[verdicts.{CONSISTENCY_TABLE}]\n')
    assert "0" * 12 in judging(tiny_folder, tmp_path).notice
    assert judging(tiny_folder, tmp_path, record=True).notice == ""
