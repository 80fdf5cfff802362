"""Every mistake on the command line is told in one line; a measurement on it is what the plain loop measures."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from anatomy_bench import cli
from anatomy_bench.engine import naive
from anatomy_bench.engine.interventions import Intact, NeighbourAverage, Skip
from anatomy_bench.registry import all_claims
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus

COMMAND = Path(sys.executable).with_name("anatomy-bench")

Result = tuple[int, str, str]
CommandLine = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Run the command line in this process, in an empty folder: exit code, standard output, standard error."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["anatomy-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def assert_told(result: Result, code: int, *named: str) -> None:
    """One line on standard error that names the problem, and nothing written into the current folder."""
    found, _, errors = result
    assert errors.startswith("anatomy-bench: ")
    assert errors.count("\n") == 1
    for each in named:
        assert each in errors
    assert found == code
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], ["command"]),
        (["dissect"], ["dissect"]),
        (["verify", "--modle", "bundled"], ["--modle"]),
        (["verify", "--model"], ["--model"]),
        (["verify", "surplus"], ["surplus"]),
        (["measure"], ["experiment"]),
        (["measure", "dissection"], ["dissection", "ablation", "structure"]),
        (["measure", "experiment"], ["experiment"]),
        (["measure", "ablation", "--dtype", "float8"], ["float8", "bfloat16"]),
        (["measure", "ablation", "--profile", "slow"], ["slow", "quick"]),
        (["measure", "ablation", "--seed", "-1"], ["--seed"]),
        (["measure", "ablation", "--seed", "one"], ["--seed", "integer"]),
        (["measure", "ablation", "--model", "./nothing"], ["./nothing"]),
        (["measure", "ablation", "--model", "nothing.gguf"], ["nothing.gguf"]),
        (["measure", "ablation", "--model", "not a name"], ["not a name"]),
        (["measure", "ablation", "--model", ""], ["no such model"]),
        (["measure", "ablation", "--model", "nobody/nothing"], ["nobody/nothing", "hub"]),
        (["verify", "--expected", "nothing.toml"], ["nothing.toml"]),
        (["claims", "--format", "json"], ["--format"]),
        (["report", "nothing.json"], ["--out"]),
        (["report", "nothing.json", "--out", "out"], ["nothing.json", "No such file"]),
        (["compare", "nothing.json"], ["LEDGER"]),
        (["compare", "nothing.json", "nothing.json"], ["nothing.json", "No such file"]),
    ],
)
def test_a_mistake_is_told_in_one_line(run: CommandLine, arguments: list[str], named: list[str]) -> None:
    result = run(*arguments)
    assert_told(result, 2, *named)
    assert result[1] == ""


@pytest.mark.parametrize(
    ("device", "named"),
    [("cuda", "cuda"), ("cuda:1", "cuda:1"), ("cuda:-1", "cuda:-1"), ("gpu", "gpu"), ("meta", "meta"), ("", "''")],
)
def test_a_device_that_is_not_there_is_told(
    run: CommandLine, tiny_folder: Path, device: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert_told(run("measure", "ablation", "--model", tiny_folder, "--device", device), 2, named)


def test_a_revision_of_a_local_model_is_told(run: CommandLine, tiny_folder: Path) -> None:
    assert_told(run("measure", "ablation", "--model", tiny_folder, "--revision", "main"), 2, "--revision")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b" \n\n\t\n", "empty"),
        (b"text\0text\n", "binary"),
        ("Gr\u00fc\u00dfe".encode("latin-1"), "UTF-8"),
        (b"A whole sentence.\n~\n", "'~' is a single token"),
        (b"~ " * tiny.CONTEXT, f"the model reads {tiny.CONTEXT}"),
    ],
    ids=["missing", "empty", "blank", "binary", "latin-1", "one token", "too long"],
)
def test_a_corpus_that_cannot_be_scored_is_told(
    run: CommandLine, tiny_folder: Path, tmp_path: Path, content: bytes | None, named: str
) -> None:
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    options = ["--model", tiny_folder, "--allow-untrained", "--corpus", corpus]
    assert_told(run("measure", "ablation", *options, "--json", "out.json"), 2, named)


def test_a_corpus_that_is_a_folder_is_told(run: CommandLine, tmp_path: Path) -> None:
    assert_told(run("measure", "ablation", "--corpus", tmp_path), 2, str(tmp_path), "directory")


def test_an_unfit_model_is_told_with_a_code_of_its_own(run: CommandLine, tiny_folder: Path) -> None:
    assert_told(run("measure", "ablation", "--model", tiny_folder, "--json", "out.json"), 3, "--allow-untrained")
    assert_told(run("verify", "--model", tiny_folder, "--report", "out"), 3, "--allow-untrained")


def expected_toml(tiny_folder: Path, **changes: str) -> str:
    fields = {"subject": str(tiny_folder), "digest": "0" * 64, "claim": next(iter(all_claims())), "word": "SUPPORTED"}
    fields |= changes
    return 'subject = "{subject}"\ndigest = "{digest}"\n[verdicts.quick]\n"{claim}" = "{word}"\n'.format(**fields)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text.replace("=", ":"), "malformed"),
        (lambda text: text.replace("SUPPORTED", "PERHAPS"), "PERHAPS"),
        (lambda text: text.replace("quick", "hasty"), "hasty"),
        (lambda text: text.replace(next(iter(all_claims())), "no.such-claim"), "no.such-claim"),
        (lambda text: text.replace("digest", "digits"), "digest"),
        (lambda text: 'verdicts = "all"\n', "malformed"),
        (lambda text: "", "verdicts"),
        (lambda text: text.encode() + b"\xff", "malformed"),
    ],
    ids=[
        "not toml",
        "no such verdict",
        "no such table",
        "no such claim",
        "no digest",
        "no tables",
        "empty",
        "not text",
    ],
)
def test_a_malformed_record_is_told_before_a_model_is_loaded(
    run: CommandLine, tiny_folder: Path, tmp_path: Path, change: Callable[[str], str | bytes], named: str
) -> None:
    changed = change(expected_toml(tiny_folder))
    record = tmp_path / "record.toml"
    record.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    # The untrained model would be refused with exit code 3 if it were loaded.
    result = run("verify", "--model", tiny_folder, "--expected", record)
    assert_told(result, 2, str(record), named)
    assert result[1] == ""


def test_a_record_of_other_weights_is_told(run: CommandLine, tiny_folder: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.toml"
    record.write_text(expected_toml(tiny_folder))
    result = run("verify", "--model", tiny_folder, "--allow-untrained", "--expected", record)
    assert_told(result, 2, str(record), "0" * 12, "--record-expected")


@pytest.mark.parametrize("arguments", [["measure", "ablation", "--json"], ["verify", "--report"]])
def test_a_target_that_cannot_be_written_to_is_told(
    run: CommandLine, tiny_folder: Path, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    options = ["--model", tiny_folder, "--allow-untrained"]
    assert_told(run(*arguments, tmp_path / "file" / "out", *options), 2, str(tmp_path / "file"))


def test_a_store_that_cannot_be_written_to_is_told(
    run: CommandLine, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "file"))
    options = ["--model", tiny_folder, "--allow-untrained"]
    assert_told(run("measure", "ablation", *options), 2, str(tmp_path / "file"))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_ablation_agrees_with_the_plain_loop(run: CommandLine, tmp_path: Path, architecture: str) -> None:
    model = tiny.model(architecture, layers=5)
    folder = tiny.save(tmp_path / architecture, model)
    code, out, errors = run("measure", "ablation", "--model", folder, "--allow-untrained", "--json", "-")
    assert (code, errors) == (0, "")
    made = json.loads(out)
    stack = Subject(model, tiny.tokenizer(), name=architecture).stack
    texts = load_corpus("ten").sentences
    sentences = [list(ids) for ids in tiny.tokenizer()(list(texts))["input_ids"]]
    tokens = sum(len(sentence) - 1 for sentence in sentences)

    def perplexity(intervention: Any) -> float:
        return math.exp(sum(naive.score(stack, sentences, intervention)) / tokens)

    def close(value: float) -> Any:
        return pytest.approx(value, rel=1e-3)  # 0.1 % of perplexity: the contract

    assert made["experiment"] == "ablation"
    assert made["subject"]["layers"] == 5
    assert made["subject"]["name"] == str(folder)
    assert (made["corpus"]["sentences"], made["corpus"]["tokens"]) == (10, tokens)
    assert made["seconds"] > 0
    baseline = perplexity(Intact())
    assert made["baseline_perplexity"] == close(baseline)
    assert [(layer["layer"], layer["boundary"]) for layer in made["layers"]] == [
        (0, True), (1, False), (2, False), (3, False), (4, True),
    ]  # fmt: skip
    for layer in made["layers"]:
        for name, make in (("neighbour_average", NeighbourAverage), ("skip", Skip)):
            variant = layer["variants"][name]
            assert variant["perplexity"] == close(perplexity(make(layer["layer"])))
            assert variant["degradation_percent"] == pytest.approx(
                (variant["perplexity"] / baseline - 1) * 100, abs=0.1
            )
            low, high = variant["interval95_percent"]
            assert low < variant["degradation_percent"] < high


def test_measuring_twice_writes_the_same_bytes(run: CommandLine, tiny_folder: Path, tmp_path: Path) -> None:
    options = ["--model", tiny_folder, "--allow-untrained"]
    for experiment in ("ablation", "structure"):
        _, first, _ = run("measure", experiment, *options, "--json", "-")
        _, second, _ = run("measure", experiment, *options, "--json", "-")
        assert first == second
        assert run("measure", experiment, *options, "--json", tmp_path / "out.json") == (0, "", "")
        assert (tmp_path / "out.json").read_text() == first
        assert json.loads(first)["experiment"] == experiment


def test_a_table_is_printed_without_json(run: CommandLine, tiny_folder: Path) -> None:
    code, out, errors = run("measure", "ablation", "--model", tiny_folder, "--allow-untrained")
    assert (code, errors) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["L0", "L1", "L2", "L3"]


def test_all_claims_are_listed(run: CommandLine) -> None:
    code, out, errors = run("claims", "--json")
    assert (code, errors) == (0, "")
    listed = json.loads(out)
    assert [each["id"] for each in listed] == list(all_claims())
    for each in listed:
        assert {"id", "place", "statement", "published", "criterion", "kind"} <= each.keys()
    assert all(claim in run("claims")[1] for claim in all_claims())


@pytest.mark.usefixtures("tiny_growth")
def test_verify_exits_with_1_only_if_strict(run: CommandLine, tiny_folder: Path) -> None:
    options = ["--model", tiny_folder, "--allow-untrained"]
    code, out, errors = run("verify", *options)
    assert (code, errors) == (0, "")
    assert "REFUTED" in out
    assert str(tiny_folder) in out.splitlines()[0]
    assert run("verify", *options, "--strict")[0] == 1


def test_the_installed_command_works_and_needs_no_torch_to_list_claims() -> None:
    listed = subprocess.run([COMMAND, "claims"], capture_output=True, text=True, check=True)
    assert next(iter(all_claims())) in listed.stdout
    code = "import sys; from anatomy_bench.cli import app; sys.argv[1:] = ['claims']; app(standalone_mode=False); "
    code += "assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_an_interrupt_ends_with_130_and_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    # A corpus that nobody writes: the process waits in its own code, with its handlers in place.
    corpus = tmp_path / "corpus"
    os.mkfifo(corpus)
    options = ["--model", tiny_folder, "--allow-untrained", "--corpus", corpus, "--json", tmp_path / "out"]
    process = subprocess.Popen([COMMAND, "measure", "ablation", *options], stderr=subprocess.PIPE, text=True)
    writer = opened_by_reader(corpus, process)
    try:
        process.send_signal(signal.SIGINT)
    finally:
        os.close(writer)  # or one that is about to read would wait for ever, the signal noted and not yet raised
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.startswith("anatomy-bench: interrupted")
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def opened_by_reader(pipe: Path, process: "subprocess.Popen[str]") -> int:
    """A file descriptor of the writing end, once the process reads."""
    while process.poll() is None:
        with suppress(OSError):  # nobody reads yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    raise AssertionError("the process ended without reading the corpus")
