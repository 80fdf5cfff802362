"""What JUnit XML and report logs say about a verdict."""

import math

from anatomy_bench.claim.claim import Claim, Verdict


def properties(claim: Claim, verdict: Verdict) -> dict[str, str | float]:
    """What is published and measured, by name (`anatomy_bench_…`); what is unknown is left out.

    Values are in the claim's unit.
    """
    interval = verdict.interval95
    values = {
        "claim": claim.id,
        "statement": claim.statement,
        "kind": claim.kind.value,
        "place": claim.place,
        "verdict": verdict.word.value,
        "published": claim.published,
        "measured": verdict.value,
        "interval95_low": interval.low if interval else None,
        "interval95_high": interval.high if interval else None,
        "numerical_error": verdict.numerical_error.value if verdict.numerical_error else None,
        "unit": claim.unit or None,
        "criterion": str(claim.criterion),
        "reason": verdict.reason or None,
        "note": verdict.note or None,
    }
    # Not every reader of JSON accepts NaN.
    return {
        f"anatomy_bench_{name}": str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
        if value is not None
    }
