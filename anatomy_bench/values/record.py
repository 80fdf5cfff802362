"""Frozen dataclasses that round-trip through JSON, NaN and infinity included."""

import json
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

RecordT = TypeVar("RecordT", bound="Record")


class Record:
    """Base of every value that is written to JSON.

    Non-finite floats are written as the strings ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``, so that the output stays standard JSON; reading turns them back into floats.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings", extra="forbid")


Draws: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
"""How often something is drawn at random. A ledger may not name more: judging it again draws as often."""

RecordKind: TypeAlias = type[Record] | UnionType
"""A record class, or a union of several with different fields, such as `Scores | Weights`."""

_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Cached, because making an adapter takes longer than using it."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def to_json(record: Record, *, indent: int | None = None) -> bytes:
    """The record as UTF-8 JSON, fields in the order of their declaration."""
    return _adapter(type(record)).dump_json(record, indent=indent)


def to_data(record: Record) -> Any:
    """The record as dictionaries, lists, strings and finite numbers, as `json.loads(to_json(…))` would give it."""
    return json.loads(to_json(record))


def from_data(kind: type[RecordT] | UnionType, data: Any) -> RecordT:
    """Build a record from the output of `to_data`.

    Raises:
        ValueError: the data are not of this kind (a pydantic `ValidationError`).
    """
    record: RecordT = _adapter(kind).validate_python(data)
    return record


def from_json(kind: type[RecordT], text: bytes | str) -> RecordT:
    """Read a record of the given kind.

    Raises:
        ValueError: the text is not JSON, or not of this kind (a pydantic `ValidationError`).
    """
    record: RecordT = _adapter(kind).validate_json(text)
    return record


def json_schema(kind: type[Record]) -> dict[str, Any]:
    """The JSON schema of a kind of record, as `docs/` shows it."""
    return _adapter(kind).json_schema(mode="serialization")
