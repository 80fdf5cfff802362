"""Runs that are killed, interrupted or short of disk lose nothing that was finished: a sample of `make faults`."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import crashes
import pytest
from crashes import DAMAGES, EXPERIMENTS, Counts, Reference
from processes import run_command

CLAIM_TEST = "import pytest\n@pytest.mark.finding('delta-correlation')\ndef test_it(claim, uphold): uphold(claim)\n"
# As if somebody pressed Ctrl-C when the first job has just been kept.
INTERRUPTED = """
import os, signal
from anatomy_bench.run.store import Store

put = Store.put

def put_and_interrupt(self, key, finished):
    put(self, key, finished)
    os.kill(os.getpid(), signal.SIGINT)

Store.put = put_and_interrupt
"""


@pytest.fixture(scope="module")
def references(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    folder = tmp_path_factory.mktemp("references")
    return {each: Reference.of(each, tiny_folder, folder / each) for each in EXPERIMENTS}


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)


def assert_clean(counts: Counts) -> None:
    assert counts.is_clean, counts


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_goes_on_where_it_was_stopped(
    references: dict[str, Reference], tmp_path: Path, rng: random.Random, experiment: str, number: signal.Signals
) -> None:
    counts = crashes.disturb(references[experiment], tmp_path / experiment, rng, number, most=3)
    assert_clean(counts)
    assert counts.finished == 1


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_told_set_aside_and_measured_again(
    references: dict[str, Reference], tmp_path: Path, rng: random.Random, kind: str
) -> None:
    reference = references["predictability"]
    cache = tmp_path / "cache"
    run_command(reference.arguments, tmp_path / "first", cache)
    counts = crashes.damage(reference, tmp_path, cache, kind, rng)
    assert_clean(counts)
    assert counts.finished == 1


@pytest.mark.parametrize("file_bytes", [400, 4_000], ids=["half a job", "jobs but no measurement"])
def test_a_full_disk_is_told_and_corrupts_nothing(
    references: dict[str, Reference], tmp_path: Path, file_bytes: int
) -> None:
    counts = crashes.starve(references["ablation"], tmp_path, file_bytes)
    assert_clean(counts)
    assert (counts.finished, counts.writing, counts.partial) == (1, 0, int(file_bytes == 4_000))


@pytest.mark.parametrize("kill", [False, True], ids=["both live", "one is killed"])
def test_two_processes_on_one_store_agree(
    references: dict[str, Reference], tmp_path: Path, rng: random.Random, kill: bool
) -> None:
    counts = crashes.together(references["perturbation"], tmp_path, rng, kill=kill)
    assert_clean(counts)
    assert counts.finished >= 1


def test_pytest_keeps_what_was_finished_when_it_is_interrupted(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "test_claims.py").write_text(CLAIM_TEST)
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--anatomy-model", tiny_folder]
    environment = {**os.environ, "ANATOMY_BENCH_CACHE": str(cache)}
    (tmp_path / "conftest.py").write_text(INTERRUPTED)
    command += ["--anatomy-allow-untrained", "--anatomy-device", "cpu"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    kept = crashes.jobs(cache)
    assert ended.returncode == 130  # as the command line, not pytest's own 2
    assert "KeyboardInterrupt" in ended.stdout
    assert len(kept) == 1
    arguments = ["measure", "structure", "--device", "cpu", "--model", str(tiny_folder), "--allow-untrained"]
    assert run_command(arguments, tmp_path / "again", cache).code == 0
    assert kept.items() <= crashes.jobs(cache).items()
