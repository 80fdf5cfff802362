"""A record is replaced only by its own subject, text and precision."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from anatomy_bench import cli
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Verdict, VerdictWord
from anatomy_bench.registry import all_claims
from anatomy_bench.run.expected import JudgedObject, check_replaceable, expected_path, read_expected, record_expected
from anatomy_bench.run.judging import Judging
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.values.corpus import read_corpus

ID = next(each.id for each in all_claims().values() if each.runs_model)
CLAIM = all_claims()[ID]


@pytest.fixture(autouse=True)
def refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every claim is refuted, and nothing measured."""
    monkeypatch.setattr(Run, "judge", lambda run, claim: Verdict(claim.id, VerdictWord.REFUTED, 1.0))


def judging(model: Path, root: Path, *, record: bool = False, expected: Path | None = None, **options: Any) -> Judging:
    run = Run(Options(str(model), device="cpu", allow_untrained=True, **options))
    made = Judging(run, root=root, record=record, expected=expected)
    made.prepare()
    return made


def record(model: Path, root: Path, **others: Any) -> Path:
    made = judging(model, root, record=True, **others)
    (path,) = made.write_record({ID: made.judge(CLAIM).verdict})
    return path


@pytest.fixture
def own_text(tmp_path: Path) -> Path:
    (tmp_path / "own.txt").write_text("A sentence of my own.\nAnd another one of mine.\n")
    return tmp_path / "own.txt"


def test_its_own_record_is_renewed(tiny_folder: Path, tmp_path: Path) -> None:
    assert record(tiny_folder, tmp_path).read_bytes() == record(tiny_folder, tmp_path).read_bytes()


def test_another_model_of_the_same_folder_name_replaces_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    before = (path := record(tiny_folder, tmp_path)).read_bytes()
    other = Path(shutil.copytree(tiny_folder, tmp_path / tiny_folder.name))
    config = other / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    with pytest.raises(UsageError, match=r"not replaced.*--expected FILE"):
        judging(other, tmp_path, record=True)
    assert path.read_bytes() == before
    record(other, tmp_path, expected=tmp_path / "beside.toml")
    assert path.read_bytes() == before


def test_another_precision_replaces_nothing_and_is_held_against_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    before = (path := record(tiny_folder, tmp_path)).read_bytes()
    with pytest.raises(UsageError, match=r"not replaced.*--expected FILE"):
        judging(tiny_folder, tmp_path, record=True, dtype="bfloat16")
    assert path.read_bytes() == before
    assert judging(tiny_folder, tmp_path, dtype="bfloat16").notice.count("not checked against") == 1
    with pytest.raises(UsageError, match="--record-expected --expected FILE"):
        judging(tiny_folder, tmp_path, dtype="bfloat16", expected=path)


def test_a_precision_of_the_same_weights_is_told_from_another() -> None:
    """Weights stored in half precision have one digest in both."""
    then, now = (JudgedObject("a", "0" * 64, None, precision) for precision in ("float32", "bfloat16"))
    assert "float32" in then.difference(now)
    assert JudgedObject("a", "0" * 64).difference(then) == ""


def test_a_text_of_ones_own_needs_a_record_of_its_own(tiny_folder: Path, tmp_path: Path, own_text: Path) -> None:
    before = (path := record(tiny_folder, tmp_path)).read_bytes()
    with pytest.raises(UsageError, match="--expected FILE"):
        judging(tiny_folder, tmp_path, record=True, corpus=own_text)
    with pytest.raises(UsageError, match=r"not replaced.*--expected FILE"):
        judging(tiny_folder, tmp_path, record=True, corpus=own_text, expected=path)
    assert path.read_bytes() == before
    beside = record(tiny_folder, tmp_path, corpus=own_text, expected=tmp_path / "beside.toml")
    kept = read_expected(beside, all_claims()).judged
    assert (kept.corpus, kept.precision) == (read_corpus(own_text).digest, "float32")
    judging(tiny_folder, tmp_path, corpus=own_text, expected=beside)
    with pytest.raises(UsageError, match="the suite's own text"):
        judging(tiny_folder, tmp_path, expected=beside)


@pytest.mark.parametrize("content", ['[project]\nname = "mine"\n', "subject = [", '"digest" = "x"\n', "\xff"])
def test_what_is_no_record_is_not_replaced(tiny_folder: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="not replaced"):
        judging(tiny_folder, tmp_path, record=True, expected=path)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_papers_record_follows_its_published_numbers(tmp_path: Path) -> None:
    path = expected_path(tmp_path, "a-paper")
    verdicts = {ID: Verdict(ID, VerdictWord.SUPPORTED, 1.0)}
    for digest in ("0" * 64, "1" * 64):
        record_expected(path, JudgedObject("a-paper", digest), "consistency", all_claims(), verdicts)
        assert read_expected(path, all_claims()).judged.digest == digest
    model = JudgedObject("a-paper", "2" * 64, None, "float32")
    with pytest.raises(UsageError, match="not replaced"):
        check_replaceable(path, model)


def test_the_command_line_refuses_before_it_measures(
    tiny_folder: Path,
    tmp_path: Path,
    own_text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "judge", lambda run, claim: pytest.fail("judged"))
    fit = ["--model", str(tiny_folder), "--device", "cpu", "--allow-untrained"]
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "verify", *fit, "--record-expected", "--corpus", str(own_text)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--expected FILE" in told
