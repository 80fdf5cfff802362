"""Nothing of the store or the cache follows a link, and a folder that others could have filled is refused."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anatomy_bench import cli
from anatomy_bench.base.errors import DamagedUnitWarning, UsageError
from anatomy_bench.base.locations import cache_folder, converted_folder, store_folder
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.run.inventory import Selection, prune_rubbish, prune_store, take_inventory, verify_store
from anatomy_bench.run.store import LOCKS, Store, file_of

KEY = {"experiment": "ablation", "units": [{}]}
FINISHED = [Finished(SentenceScores((1.5,)), 0.5)]
NOBODY = 65534
PRECIOUS = "precious\n"

FOLDERS = ("store", "store/ablation", f"store/ablation/{file_of(KEY).parent.name}", f"store/{LOCKS}", "converted")
USES: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get(KEY, SentenceScores),
    "put": lambda store: store.put(KEY, FINISHED),
    "verify": lambda store: verify_store(store.folder),
    "list": lambda store: take_inventory(store.folder),
    "prune": lambda store: prune_store(store.folder, Selection(older_than_days=0)),
    "rubbish": lambda store: prune_rubbish(store.folder),
}


def claim(store: Store) -> None:
    with store.claimed(KEY, wait=True):
        pass


USES["claim"] = claim


@pytest.fixture
def store(cache: Path) -> Store:
    made = Store(cache / "store")
    made.put(KEY, FINISHED)
    claim(made)
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the cache, which must be as it was in the end."""
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    names = ("job.json", "job.damaged", ".job.json.abc", "x.lock", "x.holder", "inner/job.json", "inner/job.damaged")
    for name in names:
        (folder / name).write_text(PRECIOUS)
        os.utime(folder / name, (0, 0))
    yield folder
    found = {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}
    assert found == dict.fromkeys(names, PRECIOUS)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("folder", FOLDERS[:3])
def test_a_linked_folder_is_refused_in_one_line(store: Store, outside: Path, folder: str, use: str) -> None:
    path = store.folder.parent / folder
    path.rename(outside.parent / "moved")
    path.symlink_to(outside)
    if use == "claim" and folder != "store":
        return  # locks lie elsewhere
    with pytest.raises(UsageError, match="is a link"):
        USES[use](store)


def test_linked_locks_are_refused(store: Store, outside: Path) -> None:
    (store.folder / LOCKS).rename(outside.parent / "moved")
    (store.folder / LOCKS).symlink_to(outside)
    with pytest.raises(UsageError, match="is a link"):
        claim(store)
    with pytest.raises(UsageError, match="is a link"):
        cache_folder()


def test_a_linked_lock_empties_nothing(store: Store, outside: Path) -> None:
    (lock,) = (store.folder / LOCKS).glob("*.lock")
    lock.unlink()
    lock.symlink_to(outside / "x.lock")
    with pytest.raises(UsageError, match="cannot write to the store"):
        claim(store)


def test_a_linked_holder_is_replaced(store: Store, outside: Path) -> None:
    (lock,) = (store.folder / LOCKS).glob("*.lock")
    lock.with_suffix(".holder").symlink_to(outside / "x.holder")
    assert "says nothing" in store.waiting_for(KEY)
    claim(store)


@pytest.mark.parametrize("target", ["job.json", "nowhere"], ids=["of a file", "dangling"])
def test_a_link_where_a_job_belongs_is_set_aside_or_replaced(store: Store, outside: Path, target: str) -> None:
    path = store.folder / file_of(KEY)
    path.unlink()
    path.symlink_to(outside / target)
    assert take_inventory(store.folder).damaged == 1
    with pytest.warns(DamagedUnitWarning):
        assert store.get(KEY, SentenceScores) is None
    assert path.with_suffix(".damaged").is_symlink()
    path.symlink_to(outside / target)
    store.put(KEY, FINISHED)
    assert not path.is_symlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.get(KEY, SentenceScores) == tuple(FINISHED)
    assert [each.name for each in prune_rubbish(store.folder)] == [path.with_suffix(".damaged").name]
    assert verify_store(store.folder) == (1, ())


def test_a_pipe_where_a_job_belongs_does_not_block(store: Store) -> None:
    path = store.folder / file_of(KEY)
    path.unlink()
    os.mkfifo(path)
    assert verify_store(store.folder) == (0, (path.with_suffix(".damaged"),))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_anybody_can_write_to_is_refused(store: Store, folder: str) -> None:
    path = store.folder.parent / folder
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
    with pytest.raises(UsageError, match=r"chmod o-w .*" + path.name):
        _use_all(store)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_a_folder_of_somebody_else_is_refused(store: Store, folder: str) -> None:
    path = store.folder.parent / folder
    path.mkdir(exist_ok=True)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(UsageError, match=f"{path} belongs to another user"):
        _use_all(store)
    os.chown(path, 0, 0)
    _use_all(store)


def _use_all(store: Store) -> None:
    for use in (cache_folder, store_folder, converted_folder):
        use()
    for read in ("get", "list"):
        USES[read](store)


@pytest.mark.parametrize("arguments", [["list"], ["verify"], ["prune", "--rubbish"]])
def test_the_command_says_it_in_one_line(
    store: Store, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.folder.chmod(0o777)
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "store", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_folders_are_made_for_their_owner_alone_under_any_umask(cache: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(cache_folder() / "store")
        store.put(KEY, FINISHED)
        claim(store)
    finally:
        os.umask(before)
    assert {each.stat().st_mode & 0o777 for each in cache.rglob("*") if each.is_dir()} == {0o700}
    assert store.get(KEY, SentenceScores) == tuple(FINISHED)


def test_a_cache_may_itself_lie_behind_a_link_of_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to("disk")
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "cache"))
    store = Store(cache_folder() / "store")
    store.put(KEY, FINISHED)
    assert (tmp_path / "disk" / "store" / file_of(KEY)).is_file()
