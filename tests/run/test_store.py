"""The store gives back what was put in, never anything else, and lets one process measure for all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need
from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.experiments.scored import SentenceScores
from anatomy_bench.run import provenance
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.measurement import Measurement

KEY = {"experiment": "ablation", "subject": "abc", "units": [{"kind": "skip", "layer": 3}, {"kind": "intact"}]}
FINISHED = (Finished(SentenceScores((1.5, 2.25)), 0.5), Finished(SentenceScores((1.0,)), 0.25))
NOBODY = 65534
LATER = tuple(replace(each, seconds=9.0) for each in FINISHED)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(), max_size=5), st.floats(0, 1e9))
def test_gives_back_every_float_to_the_bit(tmp_path_factory: Any, nll_nats: list[float], seconds: float) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    store.put(KEY, [Finished(SentenceScores(tuple(nll_nats)), seconds)])
    (found,) = store.get(KEY, SentenceScores) or ()
    assert isinstance(found.result, SentenceScores)
    # As text, because NaN is not equal to itself.
    assert [repr(each) for each in found.result.nll_nats] == [repr(each) for each in nll_nats]
    assert found.seconds == seconds


def test_an_unknown_key_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, FINISHED)
    assert store.get({**KEY, "units": KEY["units"][:1]}, SentenceScores) is None
    assert Store(tmp_path / "empty").get(KEY, SentenceScores) is None


def test_the_latest_of_a_key_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, FINISHED)
    store.put(KEY, LATER)
    assert store.get(KEY, SentenceScores) == LATER
    assert len(files(tmp_path)) == 1


def refused_with_warning(store: Store) -> None:
    (file,) = files(store.folder)
    with pytest.warns(UserWarning, match="damaged, set aside as"):
        assert store.get(KEY, SentenceScores) is None
    assert file.with_suffix(".damaged").exists()
    assert not file.exists()
    assert store.get(KEY, SentenceScores) is None  # told once
    store.put(KEY, FINISHED)
    assert store.get(KEY, SentenceScores) == FINISHED


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_byte_that_flipped_never_changes_a_result(tmp_path_factory: Any, data: st.DataObject) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    store.put(KEY, FINISHED)
    (file,) = files(store.folder)
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        assert store.get(KEY, SentenceScores) in (None, FINISHED)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"2.25", b"2.26"),
        lambda content: b"\xff" + content,
        lambda content: b"[1]",
        lambda content: b"{}",
    ],
    ids=["empty", "truncated", "edited", "not text", "a list", "no fields"],
)
def test_a_damaged_file_is_set_aside_with_a_warning(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = Store(tmp_path)
    store.put(KEY, FINISHED)
    (file,) = files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    refused_with_warning(store)


def test_a_file_under_the_wrong_name_is_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, FINISHED)
    (file,) = files(tmp_path)
    other = {**KEY, "units": KEY["units"][:1]}
    store.put(other, LATER)
    (moved,) = [each for each in files(tmp_path) if each != file]
    moved.replace(file)
    refused_with_warning(store)


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_place_that_cannot_be_written_to_is_a_usage_error(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / inside)
    with pytest.raises(UsageError, match=r"cannot write.*file"):
        store.put(KEY, FINISHED)
    with pytest.raises(UsageError, match=r"cannot write to the store.*file"), store.claimed(KEY, wait=True):
        pytest.fail("the body must not run")


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that one may read, also where the tests are run by root: with somebody else's rights."""
    folder = Path(tempfile.mkdtemp())  # not `tmp_path`, which its owner alone may enter
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, -1)  # a store of somebody else's would be refused
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.rmdir()


def test_a_read_only_folder_is_a_usage_error(read_only: Path) -> None:
    store = Store(read_only)
    assert store.get(KEY, SentenceScores) is None
    with pytest.raises(UsageError, match="cannot write to the store"), store.claimed(KEY, wait=False):
        pytest.fail("the body must not run")
    with pytest.raises(UsageError, match="cannot write"):
        store.put(KEY, FINISHED)
    assert not list(read_only.iterdir())


def test_an_error_of_the_body_is_not_taken_for_the_stores(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="mine"), Store(tmp_path).claimed(KEY, wait=True):
        raise PermissionError(13, "mine")


def test_a_job_is_one_process_at_a_time_and_others_are_free(tmp_path: Path) -> None:
    store, other = Store(tmp_path), {**KEY, "units": KEY["units"][:1]}
    with store.claimed(KEY, wait=False) as is_ours, Store(tmp_path).claimed(KEY, wait=False) as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
        with Store(tmp_path).claimed(other, wait=False) as is_free:
            assert is_free
    with Store(tmp_path).claimed(KEY, wait=False) as is_free:
        assert is_free


def test_what_was_stored_before_a_moment_is_not_there_since(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, FINISHED)
    (file,) = files(tmp_path)
    os.utime(file, (100.0, 100.0))
    assert store.get(KEY, SentenceScores, since=100.0) == FINISHED
    assert store.get(KEY, SentenceScores, since=100.5) is None
    assert file.exists()


def measured(folder: Path, store: Path, **options: Any) -> set[str]:
    """Names of the files that a run reads or writes: the digests of their keys."""
    defaults = {"model": str(folder), "device": "cpu", "allow_untrained": True}
    for experiment in ("ablation", "structure"):
        Run(Options(**{**defaults, **options}), store=Store(store)).measure(Need(experiment))
    return {path.stem for path in files(store)}


def test_keys_differ_with_everything_that_determines_a_result(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.save(tmp_path / "other", tiny.model(seed=1))
    base = measured(tiny_folder, tmp_path / "base")
    assert len(base) == 1 + 7  # a sweep, and a component each
    runs = {
        "weights": measured(other, tmp_path / "weights"),
        "dtype": measured(tiny_folder, tmp_path / "dtype", dtype="bfloat16"),
    }
    monkeypatch.setattr(provenance, "code_digest", lambda experiment: "edited")
    runs["code"] = measured(tiny_folder, tmp_path / "code")
    assert {name: keys & base for name, keys in runs.items()} == {name: set() for name in runs}


def test_keys_do_not_differ_with_what_does_not_determine_a_result(tiny_folder: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(reversed(load_corpus("ten").sentences)))
    moved = Path(shutil.copytree(tiny_folder, tmp_path / "moved"))
    base = measured(tiny_folder, tmp_path / "base")
    assert measured(moved, tmp_path / "elsewhere") == base
    # Structure reads no text; ablation draws nothing at random while it scores.
    assert len(measured(tiny_folder, tmp_path / "text", corpus=corpus) & base) == 7
    assert len(measured(tiny_folder, tmp_path / "seed", seed=1) & base) == 1


def test_a_second_run_measures_nothing(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    first = Run(options, store=Store(tmp_path)).measure(Need("ablation"))
    monkeypatch.setattr(
        "anatomy_bench.experiments.ablation.experiment.Ablation.run", lambda *_: pytest.fail("measured again")
    )
    assert Run(options, store=Store(tmp_path)).measure(Need("ablation")) == first


def untimed(measurement: Measurement) -> Measurement:
    return replace(measurement, seconds=0.0)


@pytest.mark.parametrize("experiment", ["ablation", "manipulation", "perturbation", "predictability", "noise_floor"])
def test_only_what_is_missing_is_measured_and_to_the_same_bits(
    tiny_folder: Path, tmp_path: Path, experiment: str
) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    first = Run(options, store=Store(tmp_path)).measure(Need(experiment))
    for lost in files(tmp_path):
        kept = {path: path.stat().st_mtime_ns for path in files(tmp_path) if path != lost}
        lost.unlink()
        again = Run(options, store=Store(tmp_path)).measure(Need(experiment))
        assert lost.exists()
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert untimed(again) == untimed(first)


def test_units_measured_before_among_others_do_not_change_a_result(tiny_folder: Path, tmp_path: Path) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    alone = Run(options, store=Store(tmp_path / "alone")).measure(Need("ablation"))
    Run(options, store=Store(tmp_path / "shared")).measure(Need("ablation", layers=(1, 2)))
    assert untimed(Run(options, store=Store(tmp_path / "shared")).measure(Need("ablation"))) == untimed(alone)


def test_fresh_measures_everything_again(tiny_folder: Path, tmp_path: Path) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    Run(options, store=Store(tmp_path)).measure(Need("ablation"))
    written = {path: path.stat().st_ino for path in files(tmp_path)}
    Run(replace(options, fresh=True), store=Store(tmp_path)).measure(Need("ablation"))
    # Files are replaced, not rewritten, so a new file of the same name has a number of its own.
    assert all(path.stat().st_ino != number for path, number in written.items())


def test_fresh_reads_what_was_stored_since_the_run_began(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    fresh = Run(replace(options, fresh=True), store=Store(tmp_path))
    meanwhile = Run(options, store=Store(tmp_path)).measure(Need("ablation"))
    part = Run(replace(options, fresh=True), store=Store(tmp_path), began=fresh.began)
    monkeypatch.setattr(
        "anatomy_bench.experiments.ablation.experiment.Ablation.run", lambda *_: pytest.fail("measured again")
    )
    assert fresh.measure(Need("ablation")) == part.measure(Need("ablation")) == meanwhile
