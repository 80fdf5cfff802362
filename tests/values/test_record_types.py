"""Every type of record that the package has survives JSON, whatever is in it."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import anatomy_bench
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import _OnLayers
from anatomy_bench.run.ledger import KeptMeasurement
from anatomy_bench.run.store import StoredJob
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.record import Record, from_data, from_json, to_data, to_json

HEAVY = ("anatomy_bench.engine", "anatomy_bench.subject", "anatomy_bench.pytest_plugin")
"""Modules that define no records and load torch or pytest."""


def record_types() -> Iterator[type[Record]]:
    """All that are written: those of which no other is a kind, and which stand alone, as an interval never does."""
    for module in pkgutil.walk_packages(anatomy_bench.__path__, "anatomy_bench."):
        if not module.name.startswith(HEAVY):
            importlib.import_module(module.name)
    kinds: list[type[Record]] = [Record]
    for kind in kinds:
        below = kind.__subclasses__()
        kinds += [each for each in below if each not in kinds]
        if not below and kind is not Interval:
            yield kind


TEXT = st.text(max_size=5)
DATA: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
LAYERS = st.sets(st.integers(0, 99), min_size=1, max_size=4).map(lambda chosen: tuple(sorted(chosen)))
BOUNDS = st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)).map(sorted)

st.register_type_strategy(Interval, BOUNDS.map(lambda bounds: Interval(*bounds)))
st.register_type_strategy(
    StoredJob,
    st.builds(
        StoredJob,
        st.dictionaries(TEXT, DATA),
        TEXT,
        st.lists(DATA, max_size=3).map(tuple),
        st.lists(st.floats(), max_size=3).map(tuple),
    ),
)
st.register_type_strategy(KeptMeasurement, st.builds(KeptMeasurement, data=st.dictionaries(TEXT, DATA)))


def records(kind: type[Record]) -> st.SearchStrategy[Record]:
    return st.builds(kind, layers=LAYERS) if issubclass(kind, _OnLayers) else st.from_type(kind)


@pytest.mark.parametrize("kind", list(record_types()), ids=lambda kind: kind.__name__)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_record_survives(kind: type[Record], data: st.DataObject):
    record = data.draw(records(kind))
    text = to_json(record)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    # By their repr, in which NaN is NaN, and a list is no tuple.
    assert repr(from_json(kind, text)) == repr(record)
    assert repr(from_data(kind, to_data(record))) == repr(record)
