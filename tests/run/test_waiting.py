"""A run that waits says for whom, and takes what is there by then."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anatomy_bench.base import locks
from anatomy_bench.base.progress import NamedProgress, SilentProgress
from anatomy_bench.claim.claim import Need
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import LOCKS, Store

HOLD = """
import sys
from pathlib import Path
from anatomy_bench.base.locks import exclusively
with exclusively(Path(sys.argv[1]), "measuring ablation", wait=False) as is_ours:
    print("held" if is_ours else "not held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "ASK_SECONDS", 0.2)


def run(model: Path, store: Store, **options: Any) -> Run:
    return Run(Options(str(model), device="cpu", allow_untrained=True, **options), store=store)


def test_what_is_stored_is_read_whoever_holds_its_lock(tiny_folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run(tiny_folder, store).measure(Need("ablation"))
    (lock,) = (store.folder / LOCKS).glob("*.lock")
    with held(lock):
        started = time.monotonic()
        run(tiny_folder, store).measure(Need("ablation"))
        assert time.monotonic() - started < 60


@pytest.mark.usefixtures("ask_often")
def test_a_waiting_run_says_for_whom_once_and_goes_on_when_the_result_is_there(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process keeps the lock to the end: its result is read as soon as it is stored."""
    store = Store(tmp_path / "store")
    made = run(tiny_folder, store).measure(Need("ablation"))
    (job,) = store.folder.glob("ablation/*/*.json")
    (lock,) = (store.folder / LOCKS).glob("*.lock")
    job.rename(tmp_path / "job")
    looked: list[int] = []
    get = Store.get

    def get_late(self: Store, *arguments: Any, **options: Any) -> Any:
        looked.append(1)
        if len(looked) == 6:
            (tmp_path / "job").rename(job)
        return get(self, *arguments, **options)

    monkeypatch.setattr(Store, "get", get_late)
    capsys.readouterr()
    with held(lock) as process:
        assert run(tiny_folder, store).measure(Need("ablation")) == made
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"anatomy-bench: waiting for process {process.pid} on {platform.node()}, which has been ")
    assert "measuring ablation since" in told


def test_a_holder_signs_and_takes_its_name_away(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with locks.exclusively(lock, "converting a", wait=False) as is_ours:
        assert is_ours
        assert f"process {os.getpid()} on " in locks.waiting_for(lock)
        assert "converting a since 2" in locks.waiting_for(lock)
    assert "says nothing of itself" in locks.waiting_for(lock)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"pid": 1}', json.dumps({"pid": "x", "host": 1, "work": 2, "since": 3})]
)
def test_a_holder_that_makes_no_sense_is_unknown(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.holder").write_text(content)
    assert "says nothing of itself" in locks.waiting_for(tmp_path / "x.lock")


def test_progress_of_any_kind_passes_the_line_on(capsys: pytest.CaptureFixture[str]) -> None:
    NamedProgress(SilentProgress(), "ablation").note("waiting for \x1b[2J nobody")
    assert capsys.readouterr().err == "anatomy-bench: waiting for ?[2J nobody\n"
