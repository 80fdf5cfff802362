"""Mistakes that users make, as a table: what is asked for, the exit code, and what the one line must name."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ledgers
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

from anatomy_bench.registry import all_claims
from anatomy_bench.run.ledger import LEDGER_FILE, SCHEMA
from anatomy_bench.values.record import to_data

WEIGHTS = "model.safetensors"
CLAIM = next(iter(all_claims()))


@dataclass(frozen=True)
class Mistake:
    """A command line that cannot be carried out.

    Attributes:
        arguments: with `{files}` for the folder of `make_files`, `{fit}` for options of a model that is fit.
        code: that the process must end with.
        named: what its one line must contain.
    """

    arguments: str
    code: int
    named: tuple[str, ...]

    def filled(self, files: Path) -> list[str]:
        """The words of the command line; `''` is an empty one."""
        fit = f"--model {files}/fit --allow-untrained"
        words = self.arguments.format(files=files, fit=fit, long="x" * 300).split()
        return ["" if word == "''" else word for word in words]


def told_wrongly(mistake: Mistake, code: int, out: str, err: str, prefix: str = "anatomy-bench: ") -> list[str]:
    """What is wrong with how a mistake was told; empty if nothing is."""
    wrong = {
        f"exit code {code} instead of {mistake.code}": code != mistake.code,
        "not one line": err.count("\n") != 1 or not err.startswith(prefix),
        "a traceback": "Traceback" in err,
        "longer than a reader reads": len(err) > 600,
        "standard output is not empty": out != "",
        **{f"does not name {each}": each not in err for each in mistake.named},
    }
    return [each for each, holds in wrong.items() if holds]


def leftovers(here: Path, cache: Path) -> list[str]:
    """What a failed command has left: files in the current folder, units or half of them in the store."""
    written = [*here.rglob("*"), *cache.rglob("store/*/*/*"), *cache.rglob("*.safetensors")]
    return [str(path) for path in written]


MISTAKES = (
    # Options, experiments and files that do not exist.
    Mistake("", 2, ("command",)),
    Mistake("dissect", 2, ("dissect",)),
    Mistake("verify --modle bundled", 2, ("--modle",)),
    Mistake("measure dissection", 2, ("dissection", "ablation")),
    Mistake("measure ../run", 2, ("../run", "ablation")),
    Mistake("measure ablation --dtype float8", 2, ("float8", "bfloat16")),
    Mistake("measure ablation --profile slow", 2, ("slow", "quick")),
    Mistake("measure ablation --seed -1", 2, ("--seed",)),
    Mistake("measure ablation --seed 1.5", 2, ("--seed",)),
    Mistake("measure ablation --device cuda:99 {fit}", 2, ("cuda:99",)),
    Mistake("measure ablation --device gpu {fit}", 2, ("gpu",)),
    Mistake("measure ablation {fit} --revision main", 2, ("--revision",)),
    Mistake("claims --format json", 2, ("--format",)),
    # Models.
    Mistake("measure ablation --model ''", 2, ("no such model",)),
    Mistake("measure ablation --model {files}/nothing", 2, ("nothing",)),
    Mistake("measure ablation --model {long}", 2, ("name too long",)),
    Mistake("verify --model {long}", 2, ("name too long",)),
    Mistake("measure ablation --model nobody/nothing", 2, ("nobody/nothing", "hub")),
    Mistake("measure ablation --model {files}/corpus-empty", 2, ("neither",)),
    Mistake("measure ablation --model {files}/folder", 3, ("no config.json",)),
    Mistake("measure ablation --model {files}/mute", 3, ("no tokenizer",)),
    Mistake("measure ablation --model {files}/encoder --allow-untrained", 3, ("encoder", "lacks")),
    Mistake("measure ablation --model {files}/translator", 3, ("encoder-decoder",)),
    Mistake("measure ablation --model {files}/flat", 3, ("2 layers",)),
    Mistake("measure ablation --model {files}/truncated", 3, ("truncated",)),
    Mistake("measure ablation --model {files}/weightless", 3, ("weightless",)),
    Mistake("measure ablation --model {files}/nan", 3, ("NaN", "embed_tokens")),
    Mistake("measure ablation --model {files}/garbled", 3, ("garbled",)),
    Mistake("measure ablation --model {files}/pickled", 3, ("--allow-pickled-weights",)),
    Mistake("measure ablation --model {files}/fit --json out.json", 3, ("--allow-untrained",)),
    Mistake("verify --model {files}/fit --report out", 3, ("--allow-untrained",)),
    Mistake("measure ablation --model {files}/empty.gguf", 3, ("empty.gguf",)),
    Mistake("measure ablation --model {files}/truncated.gguf", 3, ("truncated.gguf",)),
    Mistake("measure ablation --model {files}/nothing.gguf", 2, ("nothing.gguf",)),
    # Corpora.
    Mistake("measure ablation {fit} --corpus {files}/nothing", 2, ("nothing", "No such file")),
    Mistake("measure ablation {fit} --corpus {files}/folder", 2, ("folder", "directory")),
    Mistake("measure ablation {fit} --corpus {files}/corpus-empty", 2, ("empty",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-blank", 2, ("empty",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-binary", 2, ("binary",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-latin", 2, ("UTF-8",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-utf16", 2, ("UTF-8",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-one-token", 2, ("single token",)),
    Mistake("measure ablation {fit} --corpus {files}/corpus-long", 2, (str(tiny.CONTEXT), "split it")),
    Mistake("measure ablation {fit} --corpus {files}/corpus-large", 2, ("larger than",)),
    Mistake("measure ablation {fit} --corpus /dev/zero", 2, ("larger than",)),
    # Places that cannot be written to: told before anything is measured.
    Mistake("measure ablation {fit} --json {files}/corpus-empty/out", 2, ("corpus-empty",)),
    Mistake("measure ablation {fit} --json {files}/folder", 2, ("directory",)),
    Mistake("measure ablation {fit} --json /proc/nothing/out", 2, ("/proc",)),
    Mistake("measure ablation {fit} --json ''", 2, ("directory",)),
    Mistake("verify {fit} --report {files}/corpus-empty", 2, ("corpus-empty",)),
    Mistake("verify {fit} --report {files}/corpus-empty/out", 2, ("corpus-empty",)),
    Mistake("verify {fit} --record-expected --expected {files}/folder", 2, ("directory",)),
    Mistake("verify {fit} --record-expected --expected {files}/corpus-empty/x", 2, ("corpus-empty",)),
    Mistake("report {files}/ledger-good --out {files}/corpus-empty", 2, ("corpus-empty",)),
    # Expected verdicts.
    Mistake("verify {fit} --expected {files}/nothing", 2, ("nothing", "No such file")),
    Mistake("verify {fit} --expected {files}/folder", 2, ("folder", "directory")),
    Mistake("verify {fit} --expected {files}/expected-not-toml", 2, ("malformed",)),
    Mistake("verify {fit} --expected {files}/expected-binary", 2, ("malformed",)),
    Mistake("verify {fit} --expected {files}/expected-deep", 2, ("malformed", "deep")),
    Mistake("verify {fit} --expected {files}/expected-word", 2, ("PERHAPS",)),
    Mistake("verify {fit} --expected {files}/expected-list", 2, ("malformed",)),
    Mistake("verify {fit} --expected {files}/expected-table", 2, ("hasty",)),
    Mistake("verify {fit} --expected {files}/expected-claim", 2, ("no.such-claim",)),
    Mistake("verify {fit} --expected {files}/expected-stale", 2, ("0" * 12, "--record-expected")),
    # Ledgers.
    Mistake("report {files}/ledger-good", 2, ("--out",)),
    Mistake("report {files}/nothing --out out", 2, ("nothing", "No such file")),
    Mistake("report {files}/folder --out out", 2, (LEDGER_FILE, "No such file")),
    Mistake("report {files}/ledger-empty --out out", 2, ("not a ledger",)),
    Mistake("report {files}/ledger-binary --out out", 2, ("not a ledger",)),
    Mistake("report {files}/ledger-list --out out", 2, ("not a ledger",)),
    Mistake("report {files}/ledger-truncated --out out", 2, ("not a ledger",)),
    Mistake("report {files}/ledger-deep --out out", 2, ("not a ledger",)),
    Mistake("report {files}/ledger-schema --out out", 2, ("anatomy_bench/ledger/0", SCHEMA)),
    Mistake("compare {files}/ledger-good {files}/ledger-schema", 2, (SCHEMA,)),
    Mistake("compare {files}/ledger-good {files}/nothing", 2, ("nothing",)),
    Mistake("compare {files}/ledger-good", 2, ("LEDGER",)),
    # The store.
    Mistake("store tidy", 2, ("tidy",)),
    Mistake("store prune", 2, ("--outdated",)),
    Mistake("store prune --older-than -1", 2, ("--older-than",)),
    Mistake("store prune --older-than soon", 2, ("--older-than",)),
)  # fmt: skip


PLUGIN_MISTAKES = (
    Mistake("--dtype float8", 4, ("--dtype",)),
    Mistake("--profile slow", 4, ("--profile",)),
    Mistake("--seed -1", 4, ("--seed",)),
    Mistake("--sede 1", 4, ("--sede",)),
    Mistake("--model {files}/nothing", 2, ("no such model",)),
    Mistake("--model {long}", 2, ("name too long",)),
    Mistake("--model {files}/encoder", 3, ("lacks",)),
    Mistake("--model {files}/mute", 3, ("no tokenizer",)),
    Mistake("--model {files}/truncated", 3, ("truncated",)),
    Mistake("--model {files}/fit", 3, ("--allow-untrained",)),
    Mistake("{fit} --corpus {files}/corpus-empty", 2, ("empty",)),
    Mistake("{fit} --corpus {files}/corpus-one-token", 2, ("single token",)),
    Mistake("{fit} --report {files}/corpus-empty/out", 2, ("corpus-empty",)),
    Mistake("{fit} --expected {files}/expected-claim", 2, ("no.such-claim",)),
    Mistake("{fit} --record-expected --expected {files}/folder", 2, ("directory",)),
)


def make_files(folder: Path) -> Path:
    """Write every bad file of the table into a folder, and the model that is fit."""
    (folder / "folder").mkdir(parents=True)
    _make_corpora(folder)
    _make_models(folder)
    _make_expected(folder)
    _make_ledgers(folder)
    return folder


def _make_corpora(folder: Path) -> None:
    contents = {
        "empty": b"",
        "blank": b" \n\n\t\n",
        "binary": b"\x7fELF\0\0text\n",
        "latin": "Gr\u00fc\u00dfe".encode("latin-1"),
        "utf16": "A whole sentence.".encode("utf-16"),
        "one-token": b"A whole sentence.\n~\n",
        "long": b"word " * 40_000,
        "large": b"A whole sentence.\n" * 1_000_000,
    }
    for name, content in contents.items():
        (folder / f"corpus-{name}").write_bytes(content)


def _make_models(folder: Path) -> None:
    fit = tiny.save(folder / "fit")
    for name in ("mute", "truncated", "weightless", "nan", "garbled", "pickled"):
        shutil.copytree(fit, folder / name)
    (folder / "mute" / "tokenizer.json").unlink()
    content = (fit / WEIGHTS).read_bytes()
    (folder / "truncated" / WEIGHTS).write_bytes(content[: len(content) // 2])
    (folder / "weightless" / WEIGHTS).unlink()
    weights = load_file(fit / WEIGHTS)
    torch.save(weights, folder / "pickled" / "pytorch_model.bin")
    (folder / "pickled" / WEIGHTS).unlink()
    weights["model.embed_tokens.weight"].view(-1)[5] = float("nan")
    save_file(weights, folder / "nan" / WEIGHTS, metadata={"format": "pt"})
    (folder / "garbled" / "config.json").write_text("{")
    sizes: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "num_attention_heads": 4, "intermediate_size": 48}
    tiny.save(folder / "encoder", BertModel(BertConfig(**sizes, hidden_size=32, num_hidden_layers=4)))
    translator = T5Config(vocab_size=tiny.VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4)
    tiny.save(folder / "translator", T5ForConditionalGeneration(translator))
    tiny.save(folder / "flat", tiny.model(layers=2))
    (folder / "empty.gguf").write_bytes(b"")
    (folder / "truncated.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 64)


def _make_expected(folder: Path) -> None:
    good = f'subject = "fit"\ndigest = "{"0" * 64}"\n[verdicts.quick]\n"{CLAIM}" = "SUPPORTED"\n'
    contents = {
        "stale": good,
        "not-toml": good.replace("=", ":"),
        "deep": "a = " + "[" * 5_000,
        "word": good.replace("SUPPORTED", "PERHAPS"),
        "list": good.replace('"SUPPORTED"', '["SUPPORTED"]'),
        "table": good.replace("quick", "hasty"),
        "claim": good.replace(CLAIM, "no.such-claim"),
    }
    for name, text in contents.items():
        (folder / f"expected-{name}").write_text(text)
    (folder / "expected-binary").write_bytes(good.encode() + b"\xff")


def _make_ledgers(folder: Path) -> None:
    good = to_data(ledgers.ledger())
    contents = {
        "good": json.dumps(good),
        "empty": "",
        "list": "[]",
        "truncated": json.dumps(good)[:-100],
        "deep": "[" * 100_000,
        "schema": json.dumps({**good, "schema": "anatomy_bench/ledger/0"}),
    }
    for name, text in contents.items():
        (folder / f"ledger-{name}").write_text(text)
    (folder / "ledger-binary").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
