"""Every mistake of the table is told in one line with the right exit code, and nothing is left behind."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import MISTAKES, PLUGIN_MISTAKES, Mistake, leftovers, make_files, told_wrongly
from claim_runs import SHORT_NAMES

from anatomy_bench import cli

COMMAND = Path(sys.executable).with_name("anatomy-bench")
CLAIM_TEST = "import pytest\n@pytest.mark.finding('delta-correlation')\ndef test_it(claim, uphold): uphold(claim)\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_files(tmp_path_factory.mktemp("bad") / "files")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(sys, "argv", sys.argv)  # given back in the end
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.arguments[:80] or "nothing")
def test_a_mistake_is_told_in_one_line(
    mistake: Mistake, files: Path, here: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.argv = ["anatomy-bench", *mistake.filled(files)]
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert told_wrongly(mistake, int(ended.value.code or 0), *capsys.readouterr()) == []
    assert leftovers(here, cache) == []


@pytest.mark.parametrize(
    "mistake", [MISTAKES[2], MISTAKES[3], Mistake("measure ablation --json /proc/x", 2, ("/proc",))]
)
def test_the_installed_command_does_the_same(mistake: Mistake, files: Path, here: Path, cache: Path) -> None:
    ended = subprocess.run([COMMAND, *mistake.filled(files)], capture_output=True, text=True, check=False)
    assert told_wrongly(mistake, ended.returncode, ended.stdout, ended.stderr) == []
    assert leftovers(here, cache) == []


@pytest.mark.parametrize("mistake", PLUGIN_MISTAKES, ids=lambda mistake: mistake.arguments[:80])
def test_pytest_ends_in_one_line(mistake: Mistake, files: Path, pytester: pytest.Pytester, cache: Path) -> None:
    pytester.makepyfile(test_claims=CLAIM_TEST)
    pytester.makeconftest(SHORT_NAMES)
    lean = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:benchmark", "--assert=plain")
    result = pytester.runpytest_inprocess(*lean, "test_claims.py", "--device", "cpu", *mistake.filled(files))
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == mistake.code
    assert [each for each in ("Traceback", "INTERNALERROR", " passed", " failed") if each in output] == []
    assert [each for each in mistake.named if each not in output] == []
    written = {path.name for path in pytester.path.iterdir()} - {"test_claims.py", "conftest.py", "__pycache__"}
    assert written == set()
    assert leftovers(pytester.path / "nothing", cache) == []


@pytest.mark.parametrize(
    ("command", "target", "code"), [(["claims"], "/dev/full", 2), (["claims"], "/dev/null", 0)], ids=["full", "null"]
)
def test_output_that_cannot_be_written_is_told(command: list[str], target: str, code: int) -> None:
    with Path(target).open("w") as out:
        ended = subprocess.run([COMMAND, *command], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == code
    assert ended.stderr.count("\n") == (code != 0)


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    with subprocess.Popen([COMMAND, "claims", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_stream_is_written_to_and_never_replaced(tmp_path: Path, files: Path) -> None:
    target = tmp_path / "link"
    target.symlink_to("/dev/null")
    from anatomy_bench.base.atomic import check_file, write_atomically

    for path in (target, Path("/dev/null")):
        check_file(path)
        write_atomically(path, b"content")
    assert target.is_symlink()
    assert Path("/dev/null").is_char_device()


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    from anatomy_bench.base.atomic import write_atomically

    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_atomically(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"
