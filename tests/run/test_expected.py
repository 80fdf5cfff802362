"""A record found by the model's name: held against the weights it is of, wherever they lie, and told when of others."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from anatomy_bench import cli
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Verdict, VerdictWord
from anatomy_bench.registry import all_claims
from anatomy_bench.run.expected import (
    CONSISTENCY_TABLE,
    JudgedObject,
    Outcome,
    expected_path,
    read_expected,
    record_expected,
)
from anatomy_bench.run.judging import Judging
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run

CLAIM = all_claims()["anatomical-heterogeneity.delta-correlation.universal"]
JUDGED = JudgedObject("x", "0" * 64)
BEFORE_PAPERS = f"""# A file's own words.
subject = "{JUDGED.name}"
digest = "{JUDGED.digest}"

[verdicts.quick]
# About importance.
"importance-hierarchy.spread" = "SUPPORTED" # 300; published 107; holds if > 100
"anatomical-heterogeneity.anti-layers.l17" = "REFUTED" # newer
"anti-layers.l17" = "SUPPORTED" # older
"anti-layers.l14" = "INCONCLUSIVE"

[verdicts.paper]
"recovery.instant" = "REFUTED" # by hand
"""
"""With ids as they were: of the finding and the claim alone."""

NOW = f"""# A file's own words.
subject = "{JUDGED.name}"
digest = "{JUDGED.digest}"

[verdicts.quick]
# About importance.
"anatomical-heterogeneity.importance-hierarchy.spread" = "SUPPORTED" # 300; published 107; holds if > 100
"anatomical-heterogeneity.anti-layers.l17" = "REFUTED" # newer
"anatomical-heterogeneity.anti-layers.l14" = "INCONCLUSIVE"

[verdicts.paper]
"anatomical-heterogeneity.recovery.instant" = "REFUTED" # by hand
"""


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


def test_recording_gives_claims_the_ids_that_they_have_now(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(BEFORE_PAPERS)
    record_expected(path, JUDGED, "quick", all_claims(), {})
    assert path.read_text() == NOW
    record_expected(path, JUDGED, "quick", all_claims(), {})
    assert path.read_text() == NOW
    assert set(read_expected(path, all_claims()).words) == {"quick", "paper"}


def test_a_verdict_that_is_recorded_anew_takes_the_place_of_the_one_by_the_old_id(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(BEFORE_PAPERS)
    renamed = "anatomical-heterogeneity.importance-hierarchy.spread"
    record_expected(path, JUDGED, "quick", all_claims(), {renamed: Verdict(renamed, VerdictWord.REFUTED, 7.0)})
    words = read_expected(path, all_claims()).words["quick"]
    assert next(iter(words.items())) == (renamed, VerdictWord.REFUTED)
    assert len(words) == 3


def test_an_id_without_its_paper_is_an_error_that_says_what_the_claim_is_called_now(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(BEFORE_PAPERS)
    told = "claim 'anti-layers.l14' is now 'anatomical-heterogeneity.anti-layers.l14'; --record-expected renames it"
    with pytest.raises(UsageError, match=re.escape(told)):
        read_expected(path, all_claims())


@pytest.mark.parametrize("claims", [["one.finding.claim", "another.finding.claim"], ["one.finding.other"]])
def test_an_id_that_no_claim_or_more_than_one_may_have_now_is_not_guessed(tmp_path: Path, claims: list[str]) -> None:
    path = tmp_path / "x.toml"
    text = BEFORE_PAPERS.partition("[verdicts")[0] + '[verdicts.quick]\n"finding.claim" = "REFUTED"\n'
    path.write_text(text)
    with pytest.raises(UsageError, match=r"there is no claim 'finding\.claim'; remove it or record again"):
        read_expected(path, claims)
    record_expected(path, JUDGED, "paper", dict.fromkeys(claims, CLAIM), {})
    assert text.strip() in path.read_text()
