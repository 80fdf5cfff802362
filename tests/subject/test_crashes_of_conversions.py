"""Conversions that are killed, damaged or short of disk leave nothing wrong behind: a sample of `make faults`."""

import random
import signal
from pathlib import Path

import crashes_of_conversions as conversions
import pytest
from crashes_of_conversions import DAMAGES_OF_WEIGHTS, SIGNALS, GgufReference


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> GgufReference:
    return GgufReference.of(tmp_path_factory.mktemp("reference") / "gguf")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_conversion_that_is_ended_by_a_signal_is_made_again(
    reference: GgufReference, tmp_path: Path, rng: random.Random, number: signal.Signals
) -> None:
    counts = conversions.disturb(reference, tmp_path, rng, number)
    assert counts.is_clean, counts
    assert counts.finished == 1


def test_a_damaged_conversion_is_said_and_made_again(
    reference: GgufReference, tmp_path: Path, rng: random.Random
) -> None:
    cache = tmp_path / "cache"
    reference.again(tmp_path / "first", cache)
    for kind in DAMAGES_OF_WEIGHTS:
        counts = conversions.damage(reference, tmp_path / kind.replace(" ", "-"), cache, kind, rng)
        assert counts.is_clean, (kind, counts)
        assert counts.finished == 1


@pytest.mark.parametrize("file_bytes", [1_000, 20_000], ids=["none of it", "all but the weights"])
def test_a_disk_that_is_full_is_one_line(reference: GgufReference, tmp_path: Path, file_bytes: int) -> None:
    counts = conversions.starve(reference, tmp_path, file_bytes)
    assert counts.is_clean, counts
    assert (counts.finished, counts.writing) == (1, 0)
