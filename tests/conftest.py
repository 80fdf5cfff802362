"""Fixtures that every test gets."""

import os
import signal
from pathlib import Path

import pytest

# Before anything imports the hub's client, and inherited by the processes that tests start.
os.environ["HF_HUB_OFFLINE"] = "1"
# Matrices of width 32 are faster on one thread than on the hand-over between two.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell starts in the background ignores interrupts, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Processes that tests start are no workers, even where the tests run in one.
for name in [each for each in os.environ if each.startswith("PYTEST_XDIST")]:
    del os.environ[name]

pytest_plugins = ["pytester", "claim_runs"]


def pytest_configure(config: pytest.Config) -> None:
    """A warning fails a test of this project; not a claim, whose session other plugins may warn in."""
    config.addinivalue_line("filterwarnings", "error")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own for every test: the user's is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved random Llama of four layers with its tokenizer."""
    import tiny

    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture
def tiny_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growth of a narrow model: four arms of two steps, at two seeds."""
    from dataclasses import replace

    from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import Growth

    configure = Growth.configure

    def tiny_config(self, profile, layers):
        config = configure(self, profile, layers)
        setup = replace(config.setup, architecture=replace(config.setup.architecture, width=8, heads=2))
        arms = ("growth", "uniform", "growth_half", "growth_fresh")
        return replace(config, setup=setup, full_steps=2, half_steps=1, arms=arms, seeds=2, replicas=0)

    monkeypatch.setattr(Growth, "configure", tiny_config)
