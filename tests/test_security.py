"""What `docs/security.md` promises and no other test holds."""

import ast
import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ledgers
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import anatomy_bench
from anatomy_bench.base.errors import UnfitModelError, UsageError
from anatomy_bench.base.locations import cache_folder
from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.run.expected import EXPECTED_FOLDER, expected_path
from anatomy_bench.run.inventory import Selection, prune_store, take_inventory, verify_store
from anatomy_bench.run.ledger import read_ledger, write_ledger
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

PACKAGE = Path(anatomy_bench.__file__).parent
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "yaml"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Files are as open as their maker allows."""
    before = os.umask(0)
    yield
    os.umask(before)


class Hostile:
    """Pickled code that leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_that_is_read_can_run_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & UNSAFE_CALLS
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "np.load", "os.system"}:
            found.add(ast.unparse(node.func))
    assert found & (UNSAFE_MODULES | UNSAFE_CALLS | {"torch.load", "np.load", "os.system"}) == set()


@pytest.mark.parametrize("allowed", [False, True])
def test_code_in_pickled_weights_does_not_run(tiny_folder: Path, tmp_path: Path, allowed: bool) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    weights = {**load_file(folder / "model.safetensors"), "hostile": Hostile(tmp_path / "trace")}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnfitModelError):
        _ = Run(Options(str(folder), device="cpu", allow_untrained=True, allow_pickled_weights=allowed)).subject
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("file", "automatic"),
    [
        ("config.json", {"AutoConfig": "custom.Custom"}),
        ("config.json", {"AutoModelForCausalLM": "custom.Custom"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["custom.Custom", "custom.Custom"]}),
    ],
    ids=["config", "model", "tokenizer"],
)
def test_code_that_comes_with_a_model_does_not_run_unasked(
    tiny_folder: Path, tmp_path: Path, file: str, automatic: dict[str, Any]
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    (folder / "custom.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\nclass Custom: pass\n")
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**content, "model_type": "custom", "auto_map": automatic}))
    try:
        _ = Run(Options(str(folder), device="cpu", allow_untrained=True)).subject
    except UnfitModelError as error:
        assert "--trust-remote-code" in str(error) or "custom" in str(error)  # noqa: PT017 (it may also do without)
    assert not (tmp_path / "trace").exists()


@given(st.one_of(st.text(max_size=20), st.lists(st.sampled_from(["..", "/", ".", "a", "~", "\\"])).map("".join)))
def test_expected_verdicts_stay_in_their_folder(name: str) -> None:
    root = Path("/root-of-a-project")
    path = expected_path(root, name)
    assert Path(os.path.normpath(path)).parent == root / EXPECTED_FOLDER


def test_a_planted_unit_reaches_nothing_outside_the_store(tmp_path: Path) -> None:
    outside = tmp_path / "precious.json"
    outside.write_text("{}")
    store = Store(tmp_path / "cache" / "store")
    store.put({"experiment": "ablation", "units": [{}]}, [Finished(SentenceScores((1.5,)), 0.5)])
    (file,) = store.folder.rglob("*.json")
    file.write_bytes(file.read_bytes().replace(b'"ablation"', b'"../../precious"'))
    assert [each.experiment for each in take_inventory(store.folder).holdings] == ["../../precious"]
    assert verify_store(store.folder) == (0, (file.with_suffix(".damaged"),))
    prune_store(store.folder, Selection(older_than_days=0))
    assert outside.read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "precious.json"]


@pytest.mark.usefixtures("open_umask")
def test_the_cache_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "parent" / "cache"))
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700
    store = Store(cache_folder() / "store")
    store.put({"experiment": "ablation"}, [Finished(SentenceScores((1.5,)), 0.5)])
    (file,) = store.folder.rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_cache_that_anybody_can_write_to_is_not_believed(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(folder))
    with pytest.raises(UsageError, match="chmod o-w"):
        Run(Options(str(tiny_folder), device="cpu", allow_untrained=True)).measure(Need("ablation"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\x00"])
def test_a_ledger_cannot_rule_a_terminal(tmp_path: Path, character: str) -> None:
    made = ledgers.ledger()
    titled = replace(made, findings=(replace(made.findings[0], title=f"{character}]0;owned"), *made.findings[1:]))
    write_ledger(titled, tmp_path / "ledger.json")
    with pytest.raises(UsageError, match="control characters"):
        read_ledger(tmp_path)


def test_an_error_is_one_line_whatever_a_stranger_wrote_into_it() -> None:
    assert str(UsageError("cannot load \x1b[2J\nmodel\u202e")) == "cannot load ?[2J model?"
