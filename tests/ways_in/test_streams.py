"""Closed streams, names that are not UTF-8 and other oddities of the outside end in one line and the right code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from anatomy_bench.base.errors import UsageError
from anatomy_bench.notebook import load_subject, measure

MAIN = "from anatomy_bench.cli import main; main()"
ODD_NAME = os.fsdecode(b"caf\xe9.txt")


def run(shell: str, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command line in a shell that redirects as it says."""
    command = ["sh", "-c", f'exec "$0" -c "{MAIN}" "$@" {shell}', sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=cwd, check=False)


def fit(model: Path) -> list[str]:
    return ["--model", str(model), "--device", "cpu", "--allow-untrained"]


@pytest.mark.parametrize("arguments", [["claims"], ["claims", "--json"], ["store"], ["--help"]], ids=" ".join)
def test_closed_standard_output_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    ended = run(">&-", *arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (2, "anatomy-bench: standard output is closed\n")


def test_with_standard_output_closed_a_file_gets_what_belongs_to_it(tiny_folder: Path, tmp_path: Path) -> None:
    """Python hands the closed stream's number to the next file that is opened."""
    ended = run(">&-", "measure", "ablation", *fit(tiny_folder), "--json", "out.json", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads((tmp_path / "out.json").read_text())["experiment"] == "ablation"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["claims"], 0), (["dissect"], 2), (["measure", "ablation", "--model", "/nowhere"], 2), (["report", "x"], 2)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full", "2>&- <&-"])
def test_the_exit_code_does_not_need_standard_error(
    arguments: list[str], code: int, shell: str, tmp_path: Path
) -> None:
    ended = run(shell, *arguments, cwd=tmp_path)
    assert ended.returncode == code
    assert (ended.stdout == "") == (code != 0)


def test_standard_output_is_written_on(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("yesterday\n")
    ended = run(">> log", "measure", "ablation", *fit(tiny_folder), "--json", "/dev/stdout", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    before, _, made = (tmp_path / "log").read_text().partition("\n")
    assert before == "yesterday"
    assert json.loads(made)["experiment"] == "ablation"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_names_that_are_not_utf8_are_written_with_a_sign_in_their_place(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / ODD_NAME).write_text("A sentence of my own.\nAnd another one of mine.\n")
    out, chosen = os.fsdecode(b"out\xff"), ["--finding", "delta-correlation"]
    ended = run("", "verify", *fit(tiny_folder), "--corpus", ODD_NAME, "--report", out, *chosen, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    ledger = json.loads((tmp_path / out / "ledger.json").read_text(encoding="utf-8"))
    assert "caf\ufffd.txt" in ledger["options"]
    measured = run("", "measure", "ablation", *fit(tiny_folder), "--corpus", ODD_NAME, "--json", "-", cwd=tmp_path)
    assert (measured.returncode, measured.stderr) == (0, "")
    assert json.loads(measured.stdout)["corpus"]["name"] == "caf\ufffd.txt"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_model_whose_folder_is_not_utf8_is_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    """The libraries that read weights take no such path."""
    odd = Path(shutil.copytree(tiny_folder, tmp_path / os.fsdecode(b"mod\xe8le")))
    ended = run("", "measure", "ablation", *fit(odd), "--json", "-", cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "mod\ufffdle" in ended.stderr


def test_a_token_beyond_the_embedding_in_the_users_text_is_one_line(tmp_path: Path) -> None:
    """The built-in text has no such token: the tokenizer was given one, the model no row for it."""
    folder = tiny.save(tmp_path / "model")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"].append(
        {**content["added_tokens"][0], "id": tiny.VOCABULARY, "content": "<new>", "special": True}
    )
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "own.txt").write_text("A plain sentence.\nOne with a <new> token.\n")
    ended = run("", "measure", "ablation", *fit(folder), "--corpus", "own.txt", "--json", "-", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
    assert all(each in ended.stderr for each in ("<new>", f"token {tiny.VOCABULARY}", f"{tiny.VOCABULARY} embeddings"))


@pytest.mark.parametrize("name", ["nope", "../ten", "ten.txt"])
def test_an_unknown_corpus_is_a_usage_error_in_notebooks(tiny_folder: Path, name: str) -> None:
    subject = load_subject(tiny_folder, device="cpu", allow_untrained=True)
    with pytest.raises(UsageError, match=r"no corpus .*; there are ten, wide"):
        measure(subject, "ablation", corpus=name)
