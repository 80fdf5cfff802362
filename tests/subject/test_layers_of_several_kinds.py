"""Models whose layers are of several kinds: what can be measured is; the rest is NOT_APPLICABLE with a reason."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import odd_models
import pytest
import tiny
import torch

from anatomy_bench import cli
from anatomy_bench.base.errors import InapplicableError
from anatomy_bench.claim.claim import Need, VerdictWord
from anatomy_bench.engine.interventions import NeighbourAverage, Skip
from anatomy_bench.registry import all_claims, all_findings
from anatomy_bench.report.planned import plan_text
from anatomy_bench.report.writing import write_report
from anatomy_bench.run.ledger import make_ledger, rests_on
from anatomy_bench.run.options import Options
from anatomy_bench.run.plan import needs_of
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject import Subject
from anatomy_bench.values.record import from_data, to_data

AVERAGED = {"dense-first": {2, 3, 4, 5}, "hybrid": set(), "shared-keys": {0, 1, 2, 5, 6, 7}}
SENTENCES = tiny.sentences((9, 4, 7))


def subject_of(name: str) -> Subject:
    return Subject(odd_models.model(name), tiny.tokenizer(), name=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "dense-first", odd_models.model("dense-first"))


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = Options(str(folder), device="cpu", allow_untrained=True)
    return Run(options, store=Store(tmp_path_factory.mktemp("store")))


def naive_nll(model: Any, layers: Any) -> list[float]:
    """By a plain loss; `layers` is unused but keeps the changed copy's layers alive."""
    del layers
    with torch.no_grad():
        ids = [torch.tensor([each]) for each in SENTENCES]
        return [float(model(input_ids=each, labels=each).loss) * (each.shape[1] - 1) for each in ids]


def layers_of(model: Any) -> Any:
    return model.model.layers


@pytest.mark.parametrize("name", odd_models.SEVERAL_KINDS)
def test_layers_whose_neighbours_are_like_them_can_be_averaged(name: str) -> None:
    record = subject_of(name).record
    assert {layer for layer in range(record.layers) if record.can_average(layer)} == AVERAGED[name]


@pytest.mark.parametrize("name", odd_models.SEVERAL_KINDS)
def test_skipping_and_averaging_are_what_a_plain_loop_gives(name: str) -> None:
    subject = subject_of(name)
    count = subject.record.layers
    variants = [*map(Skip, range(count)), *map(NeighbourAverage, AVERAGED[name])]
    found = subject.score(SENTENCES, variants)
    for layer in range(count):
        model = copy.deepcopy(subject.model)
        # The layer runs, so that later layers find the keys that it shares; what it adds is dropped.
        layers_of(model)[layer].register_forward_hook(lambda _, args, output: args[0])
        assert found[Skip(layer)] == pytest.approx(naive_nll(model, layer), rel=1e-4)
    for layer in AVERAGED[name]:
        model = copy.deepcopy(subject.model)
        sources = [dict(layers_of(subject.model)[each].named_parameters()) for each in (layer - 1, layer + 1)
                   if 0 <= each < count]  # fmt: skip
        with torch.no_grad():
            for parameter_name, parameter in layers_of(model)[layer].named_parameters():
                parameter.copy_(sum(source[parameter_name] for source in sources) / len(sources))
        assert found[NeighbourAverage(layer)] == pytest.approx(naive_nll(model, layer), rel=1e-4)


def test_models_of_one_kind_say_nothing_of_kinds() -> None:
    record = Subject(tiny.model(), tiny.tokenizer(), name="llama").record
    assert "layer_kinds" not in to_data(record)
    assert from_data(type(record), to_data(record)) == record


def test_kinds_round_trip_through_json() -> None:
    record = subject_of("dense-first").record
    assert to_data(record)["layer_kinds"] == [0, 1, 1, 1, 1, 1]
    assert from_data(type(record), to_data(record)) == record


def test_the_ablation_leaves_out_averages_that_there_are_not(run: Run) -> None:
    measured: Any = run.measure(Need("ablation"))
    assert {each.layer for each in measured.layers if "neighbour_average" in each.variants} == AVERAGED["dense-first"]
    assert all("skip" in each.variants for each in measured.layers)
    assert list(measured.table()[1][0][1:4]) == ["–", "", "not applicable"]
    with pytest.raises(InapplicableError, match="layer 1 and its neighbours"):
        measured.layer(1).variant("neighbour_average")


def test_structure_compares_the_matrices_that_all_layers_have(run: Run) -> None:
    measured: Any = run.measure(Need("structure"))
    names = [each.component for each in measured.components]
    assert "self_attn.o_proj" in names
    assert not any(name.startswith("mlp.") for name in names)


@pytest.mark.parametrize("experiment", ["manipulation", "predictability"])
def test_an_experiment_that_needs_layers_of_one_kind_says_so_in_one_line(run: Run, experiment: str) -> None:
    with pytest.raises(InapplicableError, match=f"{experiment} needs layers of one kind; parameters of layers 0 and 1"):
        run.measure(Need(experiment))


def test_a_dry_run_says_what_will_not_be_measured(run: Run) -> None:
    plan = run.plan(needs_of(all_claims().values(), run.subject.record.layers))
    assert {need.experiment for need in plan.inapplicable} == {"manipulation", "predictability"}
    assert "manipulation: not applicable: manipulation needs layers of one kind" in plan_text(plan)


def test_every_claim_gets_a_verdict_and_the_report_is_written(run: Run, tiny_growth: None, tmp_path: Path) -> None:
    claims = {claim.id.partition(".")[2]: claim for claim in all_claims().values()}
    verdicts = {name: run.judge(claim) for name, claim in claims.items() if not name.startswith("growth.")}
    assert verdicts["importance-hierarchy.spread"].word is VerdictWord.NOT_APPLICABLE
    assert "layer 1 and its neighbours" in verdicts["importance-hierarchy.spread"].reason
    assert verdicts["importance-hierarchy.first-skip"].word is not VerdictWord.NOT_APPLICABLE
    assert verdicts["importance-hierarchy.first-average"].word is VerdictWord.NOT_APPLICABLE
    assert verdicts["importance-hierarchy.last-average"].word is not VerdictWord.NOT_APPLICABLE
    assert "of 4 layers tried" in verdicts["anti-layers.any"].note
    by_id = {verdict.claim: verdict for verdict in verdicts.values()}
    measured = {need: run.measure(need) for need in rests_on(by_id, all_claims())}
    written = write_report(make_ledger(all_findings(), by_id, measured, run.options), tmp_path / "report")
    assert all(path.stat().st_size for path in written)


def test_the_command_line_ends_with_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["measure", "predictability", "--model", str(folder), "--device", "cpu", "--allow-untrained"]
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_model_without_a_common_matrix_has_no_structure(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "hybrid", odd_models.model("hybrid"))
    options = Options(str(folder), device="cpu", allow_untrained=True)
    run = Run(options, store=Store(tmp_path / "store"))
    measured: Any = run.measure(Need("structure"))
    assert {each.component for each in measured.components} == {"feed_forward.w1", "feed_forward.w2", "feed_forward.w3"}
    assert json.dumps(to_data(measured))
