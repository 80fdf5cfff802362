"""`--fresh -n 2 --report`: each job is measured once in the run, by whichever process, and told of by all alike."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from anatomy_bench.notebook import judge
from anatomy_bench.run.ledger import read_ledger

FINDINGS = ("importance-hierarchy", "manipulation")
"""The second follows up the first's measurement, and both rest on the noise floor."""

CLAIM_TESTS = "import pytest\n" + "".join(
    f"""
@pytest.mark.finding({finding!r})
def test_{finding.replace("-", "_")}(claim, uphold):
    uphold(claim)
"""
    for finding in FINDINGS
)
NOTING = """
import json
import os
from pathlib import Path
from anatomy_bench.run.store import Store

put = Store.put

def noted(self, key, finished):
    with Path(__file__).with_name("jobs").open("a") as file:
        file.write(json.dumps([key["experiment"], key["units"], os.getpid()]) + "\\n")
    put(self, key, finished)

Store.put = noted
"""


def run_claims(folder: Path, model: Path, *arguments: str) -> list[tuple[str, int]]:
    """Run pytest in a process of its own; the jobs that it stored, and which of its processes did."""
    (folder / "test_claims.py").write_text(CLAIM_TESTS)
    (folder / "conftest.py").write_text(NOTING)
    noted = folder / "jobs"
    noted.unlink(missing_ok=True)
    options = {"model": str(model), "device": "cpu", "profile": "quick"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "test_claims.py"]
    command += [f"--anatomy-{name}={value}" for name, value in options.items()]
    command += ["--anatomy-allow-untrained", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    jobs = [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
    return [(json.dumps(key), process) for *key, process in jobs]


def test_each_job_is_measured_once_and_figures_are_those_of_the_verdicts(tiny_folder: Path, tmp_path: Path):
    first = run_claims(tmp_path, tiny_folder, "--anatomy-report=first")
    assert first
    fresh = run_claims(tmp_path, tiny_folder, "--anatomy-fresh", "--anatomy-report=fresh")
    times = Counter(job for job, _ in fresh)
    assert set(times) == {job for job, _ in first}
    assert set(times.values()) == {1}
    ledger = read_ledger(tmp_path / "fresh")
    judged = {claim.id: claim.verdict for finding in ledger.findings for claim in finding.claims}
    again = {claim.id: claim.verdict for finding in judge(ledger).ledger.findings for claim in finding.claims}
    assert {name: again[name] for name in judged} == judged
    assert any(verdict.value is not None for verdict in judged.values())
    seconds = {kept.need: kept.data["seconds"] for kept in ledger.measurements}
    stored = {kept.need: kept.data["seconds"] for kept in read_ledger(tmp_path / "first").measurements}
    assert all(seconds[need] != stored[need] for need in seconds)  # nothing of what was stored before
