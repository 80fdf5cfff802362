"""A model that repeats a layer: what does not change from layer to layer has no correlation, and a reason says so."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from anatomy_bench.claim.claim import Need, VerdictWord
from anatomy_bench.registry import get_finding
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Of six layers, of which the third repeats the second, as a merge of a model with itself does."""
    model = tiny.model(layers=6)
    model.model.layers[2].load_state_dict(model.model.layers[1].state_dict())
    folder = tiny.save(tmp_path / "repeats", model)
    options = Options(str(folder), device="cpu", allow_untrained=True)
    return Run(options, store=Store(tmp_path / "store"))


def test_claims_on_changes_of_weights_say_which_layers_are_the_same(run: Run) -> None:
    claims = [each for each in get_finding("delta-correlation").claims if not each.applies(6)]
    verdicts = [run.judge(claim) for claim in claims]
    changed = [each for each in verdicts if each.word is VerdictWord.NOT_APPLICABLE]
    assert any("is the same in two of layers 0 to 2: no change has no correlation" in each.reason for each in changed)
    assert not any(each.value is not None and each.value != each.value for each in verdicts)


def test_the_rest_is_measured(run: Run) -> None:
    measured: Any = run.measure(Need("ablation"))
    assert [each.layer for each in measured.layers if "neighbour_average" in each.variants] == list(range(6))
