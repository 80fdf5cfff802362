"""The workflow that replicates on a new model does what its page says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml

import anatomy_bench
from anatomy_bench.run.options import Keeping, Options, Selection, declared

ROOT = Path(anatomy_bench.__file__).parent.parent
PATH = ROOT / ".github" / "workflows" / "replicate.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
TRIGGERS = WORKFLOW[True]  # YAML reads the key `on` as a boolean
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["replicate"]["steps"]
COMMIT = "a" * 40


def script(name: str) -> str:
    return next(str(step["run"]) for step in STEPS if step.get("name") == name)


def test_it_can_be_started_by_hand_and_called() -> None:
    by_hand, called = (TRIGGERS[each]["inputs"] for each in ("workflow_dispatch", "workflow_call"))
    assert set(by_hand) == set(called) >= {"model", "revision", "profile"}
    for name, each in by_hand.items():
        assert each.get("default") == called[name].get("default")
    assert by_hand["profile"]["options"] == ["quick", "paper"]
    page = (ROOT / "docs" / "replicate.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in by_hand)


def test_no_input_is_pasted_into_a_script() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")


def test_the_report_is_kept_whatever_the_verdicts() -> None:
    kept = next(step for step in STEPS if "upload-artifact" in step.get("uses", ""))
    assert kept["if"] == "always()"
    assert "report/" in kept["with"]["path"]


def run(folder: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A step's script as the runner starts it."""
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script(name)],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def install(folder: Path, command: str, content: str) -> None:
    path = folder / ".venv" / "bin" / command
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("recorded", "option"),
    [(None, "--record-expected"), ("quick", "--strict"), ("paper", "--record-expected")],
    ids=["none", "this profile", "another profile"],
)
def test_verdicts_are_held_against_the_record_where_there_is_one(
    tmp_path: Path, recorded: str | None, option: str
) -> None:
    install(tmp_path, "anatomy-bench", '#!/bin/sh\nprintf "%s\\n" "$@" > arguments\nexit 1\n')
    if recorded:
        (tmp_path / "record.toml").write_text(f'[verdicts.{recorded}]\n"some.claim" = "SUPPORTED"\n')
    hostile = "some/model; touch harmed $(touch harmed)"
    ended = run(tmp_path, "Judge every claim", MODEL=hostile, COMMIT=COMMIT, PROFILE="quick", RECORD="record.toml")
    assert ended.returncode == 1  # that of the command
    arguments = (tmp_path / "arguments").read_text().splitlines()
    expected = ["verify", "--model", hostile, "--revision", COMMIT, "--profile", "quick", "--expected", "record.toml"]
    assert arguments == [*expected, option, "--report", "report"]
    names = {each.name for kind in (Options, Selection, Keeping) for each in declared(kind)} | {"strict"}
    assert {each[2:].replace("-", "_") for each in arguments if each.startswith("--")} <= names
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("model", "told"),
    [("some/tiny", {"name": "some--tiny", "commit": COMMIT}), ("bundled", {"name": "bundled", "commit": ""})],
)
def test_a_branch_is_resolved_to_a_commit(tmp_path: Path, model: str, told: dict[str, str]) -> None:
    snapshot = tmp_path / "hub" / "models--some--tiny" / "snapshots" / COMMIT
    tiny.model().config.save_pretrained(snapshot)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text(COMMIT)
    install(tmp_path, "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    ended = run(
        tmp_path, "Resolve the revision", MODEL=model, REVISION="main", RECORD="", SUITE="", PYTHONPATH=str(ROOT),
        HF_HUB_CACHE=str(tmp_path / "hub"), GITHUB_OUTPUT=str(tmp_path / "output"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    output = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert output == {**told, "record": f"claims/expected/{told['name']}.toml"}


def test_a_model_that_nobody_has_ends_the_run_in_one_line(tmp_path: Path) -> None:
    install(tmp_path, "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    ended = run(
        tmp_path, "Resolve the revision", MODEL="some/none", REVISION="main", RECORD="", SUITE="",
        PYTHONPATH=str(ROOT), HF_HUB_CACHE=str(tmp_path / "hub"), GITHUB_OUTPUT=str(tmp_path / "output"),
    )  # fmt: skip
    assert ended.returncode == 2
    assert re.fullmatch(r"::error::.*some/none.*\n", ended.stdout)
