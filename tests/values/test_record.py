"""Records survive JSON, NaN and infinity included."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy_bench.claim.claim import NumericalError, Verdict, VerdictWord
from anatomy_bench.engine.interventions import Intact, NeighbourAverage, Skip
from anatomy_bench.experiments.scored import SentenceScores, Variant
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.record import from_data, from_json, json_schema, to_data, to_json

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(st.lists(ANY_FLOAT, max_size=5))
def test_every_float_survives_and_the_text_is_standard_json(values: list[float]):
    text = to_json(SentenceScores(tuple(values)))
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    found = from_json(SentenceScores, text).nll_nats
    assert len(found) == len(values)
    assert all(map(same, found, values))


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.sampled_from(VerdictWord), st.text(max_size=20))
def test_nested_records_survive(low: float, width: float, word: VerdictWord, reason: str):
    verdict = Verdict("a.b", word, low, Interval(low, low + width), NumericalError(width, low, width), reason)
    assert from_json(Verdict, to_json(verdict)) == verdict
    assert from_data(Verdict, to_data(verdict)) == verdict


@given(ANY_FLOAT)
def test_plain_data_survives_as_json_text_too(value: float):
    variant = Variant(value, value, None, "Minor", (value,))
    found = from_data(Variant, json.loads(json.dumps(to_data(variant), allow_nan=False)))
    assert same(found.perplexity, value)
    assert found.interval95_percent is None


@pytest.mark.parametrize("value", [Intact(), NeighbourAverage(layer=3), Skip(layer=3)])
def test_interventions_survive_and_differ(value):
    assert from_data(type(value), to_data(value)) == value
    assert len({json.dumps(to_data(each)) for each in (Intact(), NeighbourAverage(layer=3), Skip(layer=3))}) == 3


def test_intervals_are_pairs():
    assert to_data(Interval(1.0, 2.0)) == [1.0, 2.0]
    with pytest.raises(ValueError, match="reversed"):
        from_data(Interval, [2.0, 1.0])


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match="extra"):
        from_json(SentenceScores, b'{"nll_nats": [], "extra": 1}')


def test_records_describe_themselves():
    assert set(json_schema(Variant)["properties"]) == {
        "perplexity", "degradation_percent", "interval95_percent", "category", "sentence_nll_nats",
    }  # fmt: skip
