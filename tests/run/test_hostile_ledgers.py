"""Ledgers that do not hang together, or ask for endless work, are one line wherever they are read."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ledgers
import pytest

from anatomy_bench import cli
from anatomy_bench.base.errors import UsageError
from anatomy_bench.notebook import judge
from anatomy_bench.registry import get_experiment
from anatomy_bench.run.ledger import Ledger, write_ledger
from anatomy_bench.values.record import from_data, to_data

SCORED = ("ablation", "manipulation", "perturbation", "predictability", "recovery")


def with_config(experiment: str, **entries: Any) -> Ledger:
    return ledgers.with_data(ledgers.ledger(), experiment, lambda data: data["config"].update(entries))


@pytest.mark.parametrize("experiment", SCORED)
@pytest.mark.parametrize("resamples", [0, -1, 10**9, 1_000_001])
def test_draws_are_bounded(experiment: str, resamples: int) -> None:
    ledger = with_config(experiment, resamples=resamples)
    need = next(kept.need for kept in ledger.measurements if kept.need.experiment == experiment)
    started = time.monotonic()
    with pytest.raises(UsageError, match=f"measurement of {experiment} is not of this version.* or was altered"):
        ledger.measurement(need)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("draws", [0, 10**9])
def test_draws_of_nulls_are_bounded(draws: int) -> None:
    for experiment in ("structure", "predictability"):
        ledger = with_config(experiment, null_draws=draws)
        need = next(kept.need for kept in ledger.measurements if kept.need.experiment == experiment)
        with pytest.raises(UsageError, match="altered"):
            ledger.measurement(need)


def test_a_run_asks_for_no_more_than_a_ledger_may() -> None:
    for kept in ledgers.ledger().measurements:
        kind = get_experiment(kept.need.experiment).measurement_type
        assert to_data(from_data(kind, kept.data)) == kept.data


def _without_layers(data: dict[str, Any]) -> None:
    data["layers"] = data["layers"][:3]


def _without_scores(data: dict[str, Any]) -> None:
    data["baseline_sentence_nll_nats"] = []


def _of_no_text(data: dict[str, Any]) -> None:
    data["corpus"] = None


@pytest.mark.parametrize("change", [_without_layers, _without_scores, _of_no_text])
@pytest.mark.parametrize("command", ["report", "atlas", "compare", "judge"])
def test_what_does_not_hang_together_is_at_most_one_line(
    change: Callable[[dict[str, Any]], None], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_ledger(ledgers.with_data(ledgers.ledger(), "ablation", change), tmp_path / "ledger.json")
    if command == "judge":
        with pytest.raises(UsageError, match="hang together"):
            judge(tmp_path / "ledger.json")
        return
    path = str(tmp_path / "ledger.json")
    arguments = {"compare": [path, path]}.get(command, [path, "--out", str(tmp_path / "out")])
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", command, *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert (ended.value.code or 0, told.count("\n")) in {(0, 0), (2, 1)}
    if command == "report":
        assert "hang together" in told


def test_a_good_ledger_is_believed(tmp_path: Path) -> None:
    ledger = ledgers.ledger()
    write_ledger(ledger, tmp_path / "ledger.json")
    assert [each.id for each in judge(tmp_path / "ledger.json").ledger.findings] == [
        each.id for each in ledger.findings
    ]
