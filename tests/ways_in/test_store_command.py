"""`anatomy-bench store` lists what is there, sets aside what is damaged, and removes what was asked for."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from anatomy_bench import cli
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.run.inventory import Selection, prune_store, take_inventory
from anatomy_bench.run.provenance import code_digest, versions
from anatomy_bench.run.store import Store, file_of

DAY = 86_400
RunStore = Callable[..., str]


def key(
    experiment: str = "ablation", subject: str = "aa" * 32, unit: int = 0, code: str | None = None, **libraries: str
) -> Any:
    return {
        "experiment": experiment, "code": code or code_digest(experiment), "subject": subject, "dtype": "float32",
        "device": "cpu", "versions": {**asdict(versions()), **libraries}, "units": [{"kind": "skip", "layer": unit}],
    }  # fmt: skip


CURRENT = [key(unit=layer) for layer in range(3)]
OUTDATED = [key(code="0" * 16), key(unit=1, torch="1.0")]
OTHER = [key("structure", "bb" * 32)]
OLD = CURRENT[0]


@pytest.fixture
def store(cache: Path) -> Store:
    """Three current units, one ten days old; one of outdated code, one of another torch, one of another model."""
    made = Store(cache / "store")
    for each in (*CURRENT, *OUTDATED, *OTHER):
        made.put(each, [Finished(SentenceScores((1.5,)), 0.5)])
    os.utime(made.folder / file_of(OLD), (time.time() - 10 * DAY,) * 2)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunStore:
    """Run `anatomy-bench store`; standard output, and what was warned of."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["anatomy-bench", "store", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert not ended.value.code
        return captured.out + captured.err

    return call


def kept(store: Store) -> list[Any]:
    every = (*CURRENT, *OUTDATED, *OTHER)
    return [each for each in every if store.get(each, SentenceScores) is not None]


def test_lists_units_by_experiment_subject_and_whether_they_are_outdated(store: Store, run: RunStore) -> None:
    rows = [line.split() for line in run("list").splitlines()[2:5]]
    assert [(row[0], row[1], row[4], row[-1]) for row in rows] == [
        ("ablation", "a" * 12, "3", "current"),
        ("ablation", "a" * 12, "2", "outdated"),
        ("structure", "b" * 12, "1", "current"),
    ]
    listed = json.loads(run("list", "--json"))
    assert [each["units"] for each in listed["holdings"]] == [3, 2, 1]
    assert [each["outdated"] for each in listed["holdings"]] == [False, True, False]
    assert listed["holdings"][0]["oldest_days"] == pytest.approx(10, abs=0.1)
    assert sum(each["bytes"] for each in listed["holdings"]) == sum(
        path.stat().st_size for path in store.folder.rglob("*.json")
    )
    assert run() == run("list")


def test_an_empty_store_is_listed_and_not_made(cache: Path, run: RunStore) -> None:
    assert "0 units" in run("list")
    assert "0 files" in run("verify")
    assert "0 units" in run("prune", "--outdated")
    assert list(cache.iterdir()) == []


def test_verifying_sets_damaged_units_aside_with_a_warning(store: Store, run: RunStore) -> None:
    assert run("verify") == "6 files as stored\n"
    edited, moved = (store.folder / file_of(each) for each in CURRENT[:2])
    edited.write_bytes(edited.read_bytes().replace(b"1.5", b"1.6"))
    moved.replace(moved.with_name(f"{'0' * 64}.json"))
    told = run("verify")
    assert "4 files as stored; 2 damaged" in told
    assert told.count("anatomy-bench: warning: damaged, set aside as") == 2
    assert not edited.exists()
    assert edited.with_suffix(".damaged").exists()
    assert run("verify") == "4 files as stored\n"
    assert "2 damaged" in run("list")
    assert "removed 2" in run("prune", "--rubbish")
    assert take_inventory(store.folder).damaged == 0
    assert len(kept(store)) == 4


@pytest.mark.parametrize(
    ("arguments", "removed"),
    [
        (["--outdated"], OUTDATED),
        (["--older-than", "5"], [OLD]),
        (["--older-than", "11"], []),
        (["--subject", "b"], OTHER),
        (["--subject", "a" * 12], [*CURRENT, *OUTDATED]),
        (["--subject", "a" * 12, "--outdated"], OUTDATED),
        (["--outdated", "--older-than", "5"], []),
        (["--rubbish"], []),
    ],
    ids=lambda value: " ".join(map(str, value)) if value and isinstance(value[0], str) else "",
)
def test_prunes_what_meets_every_condition_and_nothing_else(
    store: Store, run: RunStore, arguments: list[str], removed: list[Any]
) -> None:
    before = kept(store)
    told = run("prune", *arguments, "--dry-run")
    assert told.startswith("would remove")
    assert kept(store) == before
    assert run("prune", *arguments) == told.replace("would remove", "removed")
    assert kept(store) == [each for each in before if each not in removed]
    if "--rubbish" not in arguments:
        assert f"{len(removed)} unit" in told


def test_what_a_killed_write_left_is_removed_once_it_is_old(store: Store, run: RunStore) -> None:
    file = store.folder / file_of(OLD)
    left, fresh = (file.with_name(f".{file.name}.{name}") for name in ("left", "fresh"))
    for each in (left, fresh):
        each.write_text("{")
    os.utime(left, (time.time() - DAY,) * 2)
    assert take_inventory(store.folder).leftovers == 1
    run("prune", "--rubbish")
    assert not left.exists()
    assert fresh.exists()  # another process may be writing it at this moment
    assert len(kept(store)) == 6


def test_an_experiment_that_no_longer_exists_is_outdated(store: Store) -> None:
    gone = key(code="0" * 16) | {"experiment": "dissection"}
    store.put(gone, [Finished(SentenceScores(()), 0.0)])
    removed = prune_store(store.folder, Selection(outdated=True))
    assert sorted(unit.key["experiment"] for unit in removed) == ["ablation", "ablation", "dissection"]
