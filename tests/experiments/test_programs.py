"""Programs that a person types: what comes of them, from Python and from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny

import anatomy_bench
from anatomy_bench.base.errors import UsageError
from anatomy_bench.cli import app
from anatomy_bench.engine.arrangement import Arrangement
from anatomy_bench.engine.naive import score_program
from anatomy_bench.engine.program_text import read_program
from anatomy_bench.experiments.programs.experiment import ProgramsMeasurement
from anatomy_bench.values.record import from_json, to_json

PROGRAMS = ("0 2-3", "3-0", "0 [1|2]/2 3", "0-3", ".")


@pytest.fixture
def subject(tiny_folder: Path):
    return anatomy_bench.load_subject(tiny_folder, device="cpu", profile="quick", allow_untrained=True)


def test_programs_are_scored_with_intervals_against_the_intact_model(subject):
    made = anatomy_bench.score(subject, *PROGRAMS).measurement
    assert isinstance(made, ProgramsMeasurement)
    assert [each.program for each in made.programs] == list(PROGRAMS)
    assert made.baseline.perplexity == pytest.approx(np.exp(made.baseline.nll_nats))
    by_program = {each.program: each for each in made.programs}
    sentences = subject.subject.tokenize(subject.corpus.sentences)
    tokens = sum(map(len, sentences)) - len(sentences)
    for text, found in by_program.items():
        plain = score_program(subject.subject.stack, sentences, Arrangement(read_program(text)))
        assert found.delta_nll_nats == pytest.approx(sum(plain.nll_nats) / tokens - made.baseline.nll_nats, abs=1e-5)
        assert found.kl_nats == pytest.approx(sum(plain.kl_nats) / tokens, abs=1e-5)
        assert found.last_kl_nats == pytest.approx(np.mean(plain.last_kl_nats), abs=1e-5)
        assert found.perplexity == pytest.approx(made.baseline.perplexity * np.exp(found.delta_nll_nats))
    reversed_ = by_program["3-0"]
    assert reversed_.interval95_nats.low < reversed_.delta_nll_nats < reversed_.interval95_nats.high
    assert 0 <= reversed_.kl_interval95_nats.low < reversed_.kl_nats < reversed_.kl_interval95_nats.high
    assert (by_program["0-3"].delta_nll_nats, by_program["0-3"].kl_nats) == (0, 0)
    assert from_json(ProgramsMeasurement, to_json(made)) == made


def test_without_programs_each_layer_is_left_out_in_turn(subject):
    made = anatomy_bench.measure(subject, "programs").measurement
    assert [each.program for each in made.programs] == ["1-3", "0 2-3", "0-1 3", "0-2"]


def test_the_first_token_can_be_kept(subject):
    free = anatomy_bench.score(subject, "0 2-3").measurement.programs[0]
    kept = anatomy_bench.score(subject, "0 2-3", keeps_first_token=True).measurement.programs[0]
    assert kept.delta_nll_nats != free.delta_nll_nats


@pytest.mark.parametrize(
    ("program", "message"), [("0 9", "runs layer 9; the model has layers 0 to 3"), ("0 [", "ends")]
)
def test_a_program_that_cannot_be_run_is_one_line(subject, program: str, message: str):
    with pytest.raises(UsageError, match=message):
        anatomy_bench.score(subject, program)


def test_the_command_writes_what_the_contract_says(tiny_folder: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--model", str(tiny_folder), "--device", "cpu", "--allow-untrained"]
    app(["score", *PROGRAMS, *options, "--json", "-"], standalone_mode=False)
    written = json.loads(capsys.readouterr().out)
    assert {"schema", "subject", "corpus", "baseline", "programs"} <= written.keys()
    assert written["baseline"].keys() == {"nll_nats", "perplexity"}
    assert [each["program"] for each in written["programs"]] == list(PROGRAMS)
    told = {"delta_nll_nats", "interval95_nats", "perplexity", "kl_nats", "kl_interval95_nats"}
    assert all(told <= each.keys() for each in written["programs"])
    app(["score", *PROGRAMS, *options], standalone_mode=False)
    assert "KL nats" in capsys.readouterr().out


def test_an_architecture_that_cannot_be_walked_is_scored_one_program_at_a_time():
    from anatomy_bench.subject.subject import Subject

    made = Subject(tiny.model("bloom"), tiny.tokenizer(), name="bloom")
    whole, reversed_ = (Arrangement(read_program(text)) for text in ("0-3", "3-0"))
    found = made.score_programs(tiny.sentences((5, 8)), [whole, reversed_])
    assert max(found[whole].kl_nats) == pytest.approx(0, abs=1e-6)
    assert min(found[reversed_].kl_nats) > 0.01
