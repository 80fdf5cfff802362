"""`--paper` and `--finding` on the command line: what is listed and what is measured."""

import json
from pathlib import Path

import pytest

from anatomy_bench.base.errors import UsageError
from anatomy_bench.cli import app


def run(*arguments: object) -> None:
    app([str(each) for each in arguments], standalone_mode=False)


@pytest.fixture
def on_tiny(tiny_folder: Path) -> list[str]:
    return ["--model", str(tiny_folder), "--device", "cpu", "--allow-untrained"]


def test_what_the_claims_of_a_finding_read_is_measured(on_tiny: list[str], capsys: pytest.CaptureFixture[str]):
    run("measure", "--finding", "delta-correlation", "--finding", "anti-layers", "--json", "-", *on_tiny)
    measured = [each["experiment"] for each in json.loads(capsys.readouterr().out)]
    assert measured == ["ablation", "structure", "noise_floor"]  # claims on layers that four do not have are left out


def test_an_experiment_that_a_finding_reads_is_measured_alone(on_tiny: list[str], capsys: pytest.CaptureFixture[str]):
    run("measure", "structure", "--paper", "anatomical-heterogeneity", "--json", "-", *on_tiny)
    assert json.loads(capsys.readouterr().out)["experiment"] == "structure"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["measure"], "name an experiment, or select claims"),
        (["measure", "ablation", "--finding", "arithmetic"], "read no measurement of ablation"),
        (["measure", "--finding", "arithmetic"], "read no measurement"),
        (["measure", "--finding", "nothing"], "no finding 'nothing'"),
        (["claims", "--paper", "nobody"], "no paper 'nobody'"),
        (["verify", "--paper", "nobody"], "no paper 'nobody'"),
    ],
)
def test_what_cannot_be_selected_is_one_line(arguments: list[str], message: str):
    with pytest.raises(UsageError, match=message):
        run(*arguments)


def test_the_list_of_claims_is_that_of_the_selection(capsys: pytest.CaptureFixture[str]):
    run("claims", "--finding", "anti-layers", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert {(each["paper"], each["finding"]) for each in listed} == {("anatomical-heterogeneity", "anti-layers")}
    run("claims", "--finding", "anti-layers")
    text = capsys.readouterr().out
    assert "arXiv 2603.19348" in text
    assert all(each["id"] in text for each in listed)
