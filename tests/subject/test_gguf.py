"""A GGUF file is its bytes alone, and its conversion is what was written or is written again."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
import tiny_gguf
import torch
from safetensors.torch import load_file

from anatomy_bench.base.conversions import (
    conversion_of,
    conversions_in,
    folder_name,
    leftover_conversions,
    verify_conversions,
)
from anatomy_bench.base.errors import DamagedUnitWarning, UsageError
from anatomy_bench.base.locations import converted_folder
from anatomy_bench.base.plain import remove
from anatomy_bench.base.sealed import SEAL, file_sha256, is_as_sealed, seal
from anatomy_bench.subject.gguf import converted

WEIGHTS = "model.safetensors"
HOSTILE_CODE = "from pathlib import Path\nPath({trace!r}).touch()\nclass Custom: pass\n"


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.save(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def made(gguf_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the file's conversion."""
    cache = tmp_path_factory.mktemp("made") / "cache"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ANATOMY_BENCH_CACHE", str(cache))
        converted(gguf_file)
    return cache


@pytest.fixture
def conversion(made: Path, cache: Path) -> Path:
    """The conversion, in this test's own cache."""
    shutil.copytree(made, cache, dirs_exist_ok=True)
    (folder,) = (each for each in (cache / "converted").iterdir() if each.is_dir())
    return folder


def test_the_weights_are_those_of_the_file(conversion: Path) -> None:
    found, wanted = load_file(conversion / WEIGHTS), tiny.model("llama").state_dict()
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_nothing_beside_the_file_is_read(
    gguf_file: Path, conversion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither code, which standard input would let run, nor another tokenizer or config; nor the current folder."""
    beside = tmp_path / "beside"
    shutil.copytree(tiny.save(tmp_path / "other", tiny.model(layers=5)), beside)
    shutil.copy(gguf_file, beside / "tiny.gguf")
    (beside / "custom.py").write_text(HOSTILE_CODE.format(trace=str(tmp_path / "trace")))
    automatic = {"AutoTokenizer": ["custom.Custom", "custom.Custom"], "AutoConfig": "custom.Custom"}
    for name in ("tokenizer_config.json", "config.json"):
        content = json.loads((beside / name).read_text())
        (beside / name).write_text(json.dumps({**content, "auto_map": automatic, "model_type": "custom"}))
    text = (beside / "tokenizer.json").read_text()
    (beside / "tokenizer.json").write_text(text.replace('"Ġ"', '"Ġ "'))
    for name in ("tiny.gguf", "model.gguf"):
        (tmp_path / name).write_bytes(b"GGUF, but another one")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    again = converted(beside / "tiny.gguf")
    assert again.name == conversion.name
    assert {each.name: file_sha256(each) for each in again.iterdir()} == {
        each.name: file_sha256(each) for each in conversion.iterdir()
    }
    assert sys.stdin.read() == "y\n" * 9
    assert not (tmp_path / "trace").exists()


def _flip(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-100] ^= 4
    (folder / WEIGHTS).write_bytes(content)


def _truncate(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 1000)


def _add(folder: Path) -> None:
    (folder / "custom.py").write_text("")


def _unseal(folder: Path) -> None:
    (folder / SEAL).unlink()


def _link(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder.parent.parent / "elsewhere")


def _replace_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"Ġ"', '"Ġ "'))


@pytest.mark.parametrize("damage", [_flip, _truncate, _add, _unseal, _link, _replace_tokenizer])
def test_a_conversion_that_is_not_what_was_written_is_written_again(
    conversion: Path, gguf_file: Path, damage: Callable[[Path], None]
) -> None:
    before = {each.name: file_sha256(each) for each in conversion.iterdir()}
    damage(conversion)
    with pytest.warns(DamagedUnitWarning, match="converting again"):
        assert converted(gguf_file) == conversion
    assert {each.name: file_sha256(each) for each in conversion.iterdir()} == before


def test_a_whole_conversion_is_not_written_again(conversion: Path, gguf_file: Path) -> None:
    before = (conversion / WEIGHTS).stat()
    converted(gguf_file)
    assert (conversion / WEIGHTS).stat().st_ino == before.st_ino


def test_other_versions_of_the_readers_keep_a_conversion_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = folder_name(conversion_of("a" * 64))
    monkeypatch.setattr("anatomy_bench.base.conversions.version", lambda name: "0")
    assert folder_name(conversion_of("a" * 64)) != here


def test_what_a_killed_conversion_has_left_is_removed_by_the_next(conversion: Path, gguf_file: Path) -> None:
    left = conversion.with_name(f".{conversion.name}.abc")
    left.mkdir()
    (left / WEIGHTS).write_bytes(b"half")
    remove([conversion])
    assert converted(gguf_file) == conversion
    assert not left.exists()


def test_leftovers_are_seen_and_aged_and_outdated_ones_are_known(
    conversion: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = converted_folder()
    for name in (f".{conversion.name}.abc", "of a version that wrote no digests"):
        (root / name).mkdir()
        (root / name / WEIGHTS).write_bytes(b"half")
    assert leftover_conversions(root) == ()  # somebody may be at them
    for folder in root.iterdir():
        os.utime(folder, (0, 0))
    assert {each.name for each in leftover_conversions(root)} == {
        f".{conversion.name}.abc",
        "of a version that wrote no digests",
    }
    (kept,) = conversions_in(root)
    assert (kept.folder, kept.is_current) == (conversion, True)
    assert kept.bytes == sum(each.stat().st_size for each in conversion.iterdir())
    monkeypatch.setattr("anatomy_bench.base.conversions.version", lambda name: "0")
    assert not conversions_in(root)[0].is_current


def test_the_store_command_checks_conversions(conversion: Path) -> None:
    assert verify_conversions(converted_folder()) == (1, ())
    _flip(conversion)
    whole, (aside,) = verify_conversions(converted_folder())
    assert (whole, aside.parent, conversion.exists()) == (0, conversion.parent, False)


FULL = """
import resource, sys
from pathlib import Path
from anatomy_bench.base.errors import UsageError
from anatomy_bench.subject.gguf import converted
import transformers, transformers.modeling_gguf_pytorch_utils  # their own files are written before the disk is full
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    converted(Path(sys.argv[1]))
except UsageError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(gguf_file: Path, cache: Path) -> None:
    command = [sys.executable, "-c", FULL, str(gguf_file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1), ended.stderr
    assert str(cache) in ended.stdout
    assert "File too large" in ended.stdout
    assert [each.name for each in (cache / "converted").iterdir() if each.suffix != ".lock"] == []


def test_a_linked_conversion_is_not_believed(conversion: Path, gguf_file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    conversion.rename(elsewhere)
    conversion.symlink_to(elsewhere)
    before = {each.name: file_sha256(each) for each in elsewhere.iterdir()}
    with pytest.warns(DamagedUnitWarning):
        converted(gguf_file)
    assert not conversion.is_symlink()
    assert {each.name: file_sha256(each) for each in elsewhere.iterdir()} == before


def test_a_seal_holds_of_plain_files_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    seal(tmp_path, {"source": "x"})
    assert is_as_sealed(tmp_path)
    (tmp_path / "inner").mkdir()
    assert not is_as_sealed(tmp_path)


def test_a_cache_that_is_a_file_is_a_usage_error(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="cannot write to the cache"):
        converted(gguf_file)
