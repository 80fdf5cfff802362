"""The same command gives the same measurement, in whatever process, and draws from no generator but its own."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crashes import untimed

from anatomy_bench.claim.claim import Need
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.record import to_data

# All but growth, whose trainings are held to their seeds in test_growth_training.py.
EXPERIMENTS = ("ablation", "structure", "predictability", "perturbation", "manipulation", "recovery", "noise_floor")

MEASURE_ALL = """
import json, sys
from pathlib import Path
from anatomy_bench.claim.claim import Need
from anatomy_bench.run.options import Options
from anatomy_bench.values.record import to_data
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

model, store, *experiments = sys.argv[1:]
run = Run(Options(model, device="cpu", allow_untrained=True), store=Store(Path(store)))
print(json.dumps({name: to_data(run.measure(Need(name))) for name in experiments}))
"""


HASH_SEEDS = (1, 2, 3)
"""Each has the strings of a set in another order. An order that decides what shares a product changes last bits."""


@pytest.fixture(scope="module")
def elsewhere(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What other processes measure."""
    return [measured_with(seed, tiny_folder, tmp_path_factory.mktemp("store")) for seed in HASH_SEEDS]


def measured_with(hash_seed: int, model: Path, store: Path) -> Any:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", MEASURE_ALL, model, store, *EXPERIMENTS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def generators() -> tuple[Any, ...]:
    """The state of every generator that a process shares."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (the one that must not be touched)
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_measurements_are_the_same_bytes_and_no_shared_generator_is_touched(
    tiny_folder: Path, tmp_path: Path, elsewhere: list[Any], experiment: str
) -> None:
    before = generators()
    run = Run(Options(str(tiny_folder), device="cpu", allow_untrained=True), store=Store(tmp_path))
    made = to_data(run.measure(Need(experiment)))
    assert generators() == before
    for other in elsewhere:
        assert json.dumps(untimed(made)) == json.dumps(untimed(other[experiment]))
    # Drawing from the shared generators first changes nothing either.
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    again = Run(Options(str(tiny_folder), device="cpu", allow_untrained=True), store=Store(tmp_path / "again"))
    assert untimed(to_data(again.measure(Need(experiment)))) == untimed(made)


def test_another_seed_gives_another_measurement(tiny_folder: Path, tmp_path: Path) -> None:
    made = [
        to_data(
            Run(
                Options(str(tiny_folder), device="cpu", allow_untrained=True, seed=seed), store=Store(tmp_path)
            ).measure(Need("perturbation"))
        )["layers"]
        for seed in (0, 1)
    ]
    assert untimed(made[0]) != untimed(made[1])
