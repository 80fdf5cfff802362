"""Results as rows of named numbers, and as data frames where pandas is installed."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from anatomy_bench.base.errors import UsageError
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import Measurement
from anatomy_bench.values.record import Record

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]
_OF_EVERY_MEASUREMENT = {field.name for field in fields(Measurement)} | {"config"}


def frame(rows: Sequence[Row], **attributes: Any) -> "DataFrame":
    """Rows as a data frame.

    Args:
        rows: from the functions below.
        attributes: of the frame as a whole (`DataFrame.attrs`).

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("to_frame() needs pandas; run: pip install pandas") from None
    made = pd.DataFrame(rows)
    made.attrs.update(attributes)
    return made


def verdict_rows(ledger: Ledger) -> list[Row]:
    """One row per claim, with its finding."""
    return [
        {
            "finding": finding.id,
            "conclusion": finding.conclusion.value,
            "claim": claim.id,
            "statement": claim.statement,
            "place": claim.place,
            "kind": claim.kind.value,
            "published": claim.published,
            "measured": claim.verdict.value,
            **_ends("interval95", claim.verdict.interval95),
            "numerical_error": claim.verdict.numerical_error.value if claim.verdict.numerical_error else None,
            "unit": claim.unit,
            "criterion": claim.criterion,
            "verdict": claim.verdict.word.value,
            "reason": claim.verdict.reason,
            "note": claim.verdict.note,
        }
        for finding in ledger.findings
        for claim in finding.claims
    ]


def measurement_rows(measurement: Measurement) -> list[Row]:
    """One row for each innermost record of a measurement; columns have the names of the JSON, joined by dots.

    Series of numbers, such as the scores of single sentences, are left out.
    """
    own = {
        field.name: getattr(measurement, field.name)
        for field in fields(measurement)
        if field.name not in _OF_EVERY_MEASUREMENT
    }
    return _rows(own)


def _rows(values: Mapping[str, Any]) -> list[Row]:
    """Rows of a record: its single values, repeated beside each row of its lists of records."""
    single: Row = {}
    lists: dict[str, Sequence[Record]] = {}
    for name, value in values.items():
        if isinstance(value, tuple):
            if value and isinstance(value[0], Record):
                lists[name] = value
        else:
            single |= _single(name, value)
    if not lists:
        return [single]
    return [
        {**single, **({"part": name} if len(lists) > 1 else {}), **_apart(name, row, single)}
        for name, records in lists.items()
        for record in records
        for row in _rows(_fields(record))
    ]


def _apart(name: str, row: Row, others: Row) -> Row:
    """The row, with a prefix before names that its container also has."""
    return {(f"{name}.{key}" if key in others else key): value for key, value in row.items()}


def _fields(record: Any) -> Row:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _single(name: str, value: Any) -> Row:
    if isinstance(value, Interval):
        return _ends(name, value)
    if isinstance(value, Mapping | Record):
        inner = value if isinstance(value, Mapping) else _fields(value)
        found = [_single(f"{name}.{key}", each) for key, each in inner.items() if not isinstance(each, tuple)]
        return {key: each for part in found for key, each in part.items()}
    return {name: value}


def _ends(name: str, interval: Interval | None) -> Row:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}
