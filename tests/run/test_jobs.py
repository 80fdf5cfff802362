"""Jobs that several processes share: each is done once, all at the same time, and with the same bits wherever."""

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need
from anatomy_bench.run.jobs import SubjectSource, run_job
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

MEASURE = """
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

from anatomy_bench.claim.claim import Need
from anatomy_bench.values.measurement import CorpusRecord, SubjectRecord
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

store, trace = map(Path, sys.argv[1:3])
layers, at_once = map(int, sys.argv[3:])

class Subject:
    record = SubjectRecord("stub", "digest", "Stub", layers, 1, (), (), None, "")
    device, device_name, dtype, attention = SimpleNamespace(type="cpu"), None, "float32", "eager"
    threads, instructions, read_by = 1, "", None

    def corpus_record(self, corpus):
        return CorpusRecord(corpus.name, corpus.digest, len(corpus.sentences), 10, (1,) * 10)

    def measuring(self, threads):
        return nullcontext()

    def require_as_loaded(self):
        pass

    def tokenize(self, texts):
        return [[1, 2]] * len(texts)

    def score(self, sentences, units, progress):
        with trace.open("a") as file:
            file.write(f"{os.getpid()} {len(units)}\\n")
        deadline = time.monotonic() + 60
        while len({line.split()[0] for line in trace.read_text().splitlines()}) < at_once:
            if time.monotonic() > deadline:
                sys.exit("no other process came to do a job beside this one")
            time.sleep(0.01)
        time.sleep(0.3)  # long enough for another process to come along
        return {unit: [float(each) for each in range(10)] for unit in units}

run = Run(Options(), store=Store(store))
run.subject = Subject()
run.profile
print("ready", flush=True)
sys.stdin.readline()
print(run.measure(Need("ablation")))
assert "torch" not in sys.modules
"""


def measured_by(processes: int, folder: Path, layers: int, at_once: int) -> tuple[list[str], list[tuple[str, int]]]:
    """What several processes measure that begin together on one store.

    Args:
        processes: how many.
        folder: of the store.
        layers: of the model.
        at_once: a job is not finished before so many processes have begun one.

    Returns:
        What each process measured; and the process and the number of units of every job that was done.
    """
    arguments = [folder / "store", folder / "trace", str(layers), str(at_once)]
    command = [sys.executable, "-c", MEASURE, *arguments]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        assert [each.stdout and each.stdout.readline() for each in running] == ["ready\n"] * processes
        for each in running:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        outputs = [each.communicate(timeout=120)[0] for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()
    assert [each.returncode for each in running] == [0] * processes
    done = [line.split() for line in (folder / "trace").read_text().splitlines()]
    return outputs, [(process, int(units)) for process, units in done]


def test_two_processes_on_one_store_measure_once(tmp_path: Path) -> None:
    outputs, done = measured_by(2, tmp_path, layers=4, at_once=1)
    assert outputs[0] == outputs[1] != ""
    assert [units for _, units in done] == [9]  # intact, and two interventions for each of four layers


def test_several_processes_do_different_jobs_of_one_experiment_at_once(tmp_path: Path) -> None:
    layers = 128
    outputs, done = measured_by(3, tmp_path, layers, at_once=3)
    assert outputs[0] == outputs[1] == outputs[2] != ""
    assert sum(units for _, units in done) == 1 + 2 * layers  # no job is done twice, and none is left out
    assert len(done) == len(list((tmp_path / "store").rglob("*.json"))) > 3
    assert len({process for process, _ in done}) == 3


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """One process that begins anew, as on another machine."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as made:
        yield made


@pytest.mark.parametrize("experiment", ["ablation", "predictability", "perturbation", "recovery"])
def test_another_process_does_a_job_with_the_same_bits(
    tiny_folder: Path, tmp_path: Path, pool: ProcessPoolExecutor, experiment: str
) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    run = Run(options, store=Store(tmp_path))
    task = run.task(Need(experiment))
    elsewhere = {}
    for job in task.jobs:
        elsewhere |= pool.submit(run_job, SubjectSource.of(options), task, job).result(120)
    assert set(elsewhere) == set(task.units)
    assert replace(task.assemble(elsewhere), seconds=0.0) == replace(run.measure(Need(experiment)), seconds=0.0)


def test_another_process_refuses_a_job_on_another_model(
    tiny_folder: Path, tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    task = Run(options, store=Store(tmp_path / "store")).task(Need("ablation"))
    other = tiny.save(tmp_path / "other", tiny.model(seed=1))
    refused = pool.submit(run_job, SubjectSource.of(replace(options, model=str(other))), task, task.jobs[0])
    with pytest.raises(UsageError, match=r"other is another model here: digest \w{12}, asked for \w{12}"):
        refused.result(120)
