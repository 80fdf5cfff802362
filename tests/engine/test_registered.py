"""Interventions as JSON: every kind is read back as itself, and no two are called alike."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy_bench.engine import interventions
from anatomy_bench.engine.interventions import OneLayer, intervention_from_data, registered
from anatomy_bench.registry import experiment_names, get_experiment
from anatomy_bench.values.record import Record, to_data

for name in experiment_names():
    get_experiment(name)  # which registers the experiment's own
KINDS = dict(interventions._KINDS)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field may hold: layers in ascending order; not NaN, which nothing equals."""
    if hint == tuple[int, ...]:
        return st.sets(st.integers(0, 99), min_size=1).map(lambda layers: tuple(sorted(layers)))
    return st.floats(allow_nan=False) if hint is float else st.from_type(hint)


def any_of(kind: type[Record]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})


def subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is registered for that test alone."""
    monkeypatch.setattr(interventions, "_KINDS", dict(KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_back_as_itself(kind: str):
    @settings(max_examples=50, deadline=None)
    @given(any_of(KINDS[kind]))
    def check(intervention: Any) -> None:
        data = to_data(intervention)
        assert data["kind"] == kind
        read = intervention_from_data(data)
        assert read == intervention
        assert type(read) is KINDS[kind]

    check()


def test_every_intervention_of_the_package_is_registered():
    """A record that replaces layers, unless other classes only build on it."""
    found = {each for each in subclasses(Record) if hasattr(each, "replacement") and hasattr(each, "kind")}
    ours = {each for each in found if each.__module__.startswith("anatomy_bench.")}
    assert ours == set(KINDS.values())
    assert len(ours) > 5


def test_a_kind_from_elsewhere_is_read_once_its_module_is_loaded():
    data = {"kind": "turn", "layer": 2, "angle": 0.5}
    with pytest.raises(ValueError, match=r"no kind of intervention 'turn'; there are: .*neighbour_average"):
        intervention_from_data(data)
    turn = made("their_package.turning")
    assert intervention_from_data(data) == turn(2, 0.5)


@pytest.mark.parametrize(
    "data",
    [{}, {"layer": 1}, {"kind": None}, {"kind": ["skip"]}, {"kind": "skip"}, {"kind": "skip", "layer": "up"},
     {"kind": "skip", "layer": 1, "more": 2}],
)  # fmt: skip
def test_what_is_no_intervention_is_refused(data: dict[str, Any]):
    with pytest.raises(ValueError, match=r"no kind of intervention|validation error"):
        intervention_from_data(data)


def test_two_modules_that_call_an_intervention_alike_are_both_named():
    made("their_package.turning")
    with pytest.raises(ValueError, match=r"'turn': their_package\.turning\..*Turn and my_package\.turning\..*Turn"):
        made("my_package.turning")


def test_a_module_that_is_loaded_anew_takes_the_place_of_its_old_self():
    made("their_package.turning")
    anew = made("their_package.turning")
    assert type(intervention_from_data({"kind": "turn", "layer": 2, "angle": 0.5})) is anew


def made(module: str) -> Any:
    """A class of that module, registered."""

    @dataclass(frozen=True)
    class Turn(OneLayer):
        angle: float
        kind: Literal["turn"] = "turn"

    Turn.__module__ = module
    return registered(Turn)
