"""A measurement names what measured it, which need not be what reads it; and no other repository's commit."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need
from anatomy_bench.run import jobs, provenance
from anatomy_bench.run.jobs import SubjectSource, run_job
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store, StoredJob
from anatomy_bench.values.measurement import Made
from anatomy_bench.values.record import from_json, to_json

ELSEWHERE = Made("Another processor", "a" * 40, False, "2026-01-02T03:04:05+00:00")

HERE = provenance.Provenance(
    seed=0, profile="quick", device="cpu", device_name="here", dtype="float32", attention="sdpa", code="",
    threads=1, instructions="", git_commit=None, git_dirty=None, versions=provenance.versions(),
)  # fmt: skip


def run_of(model: Path, store: Path) -> Run:
    return Run(Options(str(model), device="cpu", allow_untrained=True), store=Store(store))


def test_a_measurement_of_this_machine_names_no_other(tiny_folder: Path, tmp_path: Path):
    for _ in range(2):
        assert run_of(tiny_folder, tmp_path).measure(Need("ablation")).provenance.elsewhere == ()


@pytest.mark.parametrize("experiment", ["ablation", "structure", "growth"])
def test_jobs_of_another_machine_are_told(
    tiny_folder: Path, tmp_path: Path, experiment: str, monkeypatch: pytest.MonkeyPatch, tiny_growth: None
):
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "made_now", lambda _: ELSEWHERE)
        run_of(tiny_folder, tmp_path).measure(Need(experiment))
    read = run_of(tiny_folder, tmp_path).measure(Need(experiment)).provenance
    assert read.elsewhere == (ELSEWHERE,)
    assert read.device_name != ELSEWHERE.device_name


def test_each_maker_is_named_once_with_its_last_job():
    at = [replace(ELSEWHERE, at=f"2026-01-0{day}T00:00:00+00:00") for day in (3, 1, 2)]
    own = Made("here", None, None, at[0].at)
    named = HERE.with_makers([*at, own, None, replace(at[0], git_dirty=True)])
    assert named.elsewhere == (at[0], replace(at[0], git_dirty=True))


def test_who_made_a_job_is_checked_like_its_results(tiny_folder: Path, tmp_path: Path):
    run_of(tiny_folder, tmp_path).measure(Need("ablation"))
    for path in tmp_path.rglob("*.json"):
        job = from_json(StoredJob, path.read_bytes())
        assert job.made is not None
        assert job.is_whole
        assert not replace(job, made=ELSEWHERE).is_whole
        assert not replace(job, made=None).is_whole
        before = StoredJob(job.key, "", job.results, job.seconds)  # as it was stored before makers were
        assert from_json(StoredJob, to_json(replace(before, sha256=before._checksum))).is_whole


def test_a_job_of_another_process_is_refused_where_it_would_have_another_key(tiny_folder: Path, tmp_path: Path):
    run = run_of(tiny_folder, tmp_path)
    task, source = run.task(Need("ablation")), SubjectSource.of(run.options)
    done = run_job(source, task, task.jobs[0])
    assert all(each.made is not None for each in done.values())
    made = task.setting.provenance
    for name, other in {"instructions": "SSE", "code": "another", "dtype": "bfloat16"}.items():
        setting = replace(task.setting, provenance=replace(made, **{name: other}))
        with pytest.raises(UsageError, match=f"something else: its {name} is"):
            run_job(source, replace(task, setting=setting), task.jobs[0])


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@e"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def repository(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", str(folder))
    return git(folder, "rev-parse", "HEAD").strip()


def state() -> tuple[str | None, bool | None]:
    return provenance._git_state.__wrapped__()


def test_a_hook_of_another_repository_names_none_of_its_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own, other = repository(tmp_path / "own"), repository(tmp_path / "other")
    monkeypatch.setattr(provenance, "_ROOT", tmp_path / "own")
    assert state() == (own, False)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert other != own
    assert state() == (own, False)


def test_a_repository_further_up_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    repository(tmp_path)
    inside = tmp_path / "site-packages"
    (inside / ".git").mkdir(parents=True)  # no repository, so that git looks further up
    monkeypatch.setattr(provenance, "_ROOT", inside)
    assert state() == (None, None)
