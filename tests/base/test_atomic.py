"""Files keep who may read them, new ones are as open as the umask allows, and streams are written on."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anatomy_bench.base.atomic import write_atomically

WRITE = "import sys; from pathlib import Path; from anatomy_bench.base.atomic import write_atomically as w\n"
WRITE += "sys.stdout.write('before\\n'); sys.stdout.flush(); w(Path(sys.argv[1]), b'content\\n')"


@pytest.fixture(params=[0o077, 0o027, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_as_open_as_the_umask_allows(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "new", b"")
    assert mode(tmp_path / "new") == 0o666 & ~umask


@pytest.mark.parametrize("before", [0o600, 0o640, 0o644, 0o664, 0o444])
def test_a_file_that_is_replaced_hands_its_mode_on(tmp_path: Path, umask: int, before: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(before)
    write_atomically(path, b"new")
    assert (mode(path), path.read_text()) == (before, "new")


def test_it_is_never_more_open_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o600)
    seen: list[int] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        seen.extend(mode(each) for each in tmp_path.iterdir())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"new")
    assert seen == [0o600, 0o600]


def test_a_link_keeps_its_target_and_the_targets_mode(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("file")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (mode(tmp_path / "file"), (tmp_path / "file").read_text()) == (0o600, "new")


def test_where_links_are_not_followed_the_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for name, target in (("link", "file"), ("dangling", "nowhere")):
        (tmp_path / name).symlink_to(target)
        write_atomically(tmp_path / name, b"new", follow_link=False)
        assert not (tmp_path / name).is_symlink()
    assert (tmp_path / "file").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("opened", ["a", "w"], ids=[">>", ">"])
def test_an_open_descriptor_is_written_on(tmp_path: Path, name: str, opened: str) -> None:
    """Not truncated, not overwritten from its beginning, and not replaced by another file."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    log = tmp_path / "log"
    log.write_text("yesterday\n")
    inode = log.stat().st_ino
    with log.open(opened) as out:
        subprocess.run([sys.executable, "-c", WRITE, name], stdout=out, cwd=tmp_path, check=True)
    kept = "yesterday\n" if opened == "a" else ""
    assert log.read_text() == f"{kept}before\ncontent\n"
    assert log.stat().st_ino == inode


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WRITE, "/dev/stdout"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert ended.stdout == "before\ncontent\n"
