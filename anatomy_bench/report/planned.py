"""A plan as text."""

from collections.abc import Sequence

from tabulate import tabulate

from anatomy_bench.run.plan import Plan, Planned

_MINUTE, _HOUR = 60, 3600
_GIGA = 10**9


def plan_text(plan: Plan) -> str:
    """One row per measurement, then the time and memory for all of them."""
    headers = ("experiment", "text", "jobs", "stored", "GFLOP", "time", "memory")
    rows = [_row(plan, measurement) for measurement in plan.measurements]
    table = tabulate(rows, headers, disable_numparse=True, colalign=("left", "left", *["right"] * 5))
    inapplicable = [f"{need.name}: not applicable: {reason}" for need, reason in plan.inapplicable.items()]
    return "\n\n".join(filter(None, (table, "\n".join(inapplicable), _summary(plan))))


def _row(plan: Plan, planned: Planned) -> Sequence[str]:
    need = planned.need
    layers = f", {len(need.layers)} layers" if need.layers else ""
    done = planned.jobs - len(planned.missing)
    if planned.is_stored:
        return need.experiment + layers, need.corpus or "the run's", str(planned.jobs), str(done), "", "", ""
    more = "" if planned.is_whole else "≥ "
    return (
        need.experiment + layers,
        need.corpus or "the run's",
        f"{more}{planned.jobs}",
        str(done),
        f"{more}{planned.flops / _GIGA:,.0f}",
        more + duration_text(plan.seconds(planned)),
        _memory_text(plan.weight_bytes + planned.bytes),
    )


def _summary(plan: Plan) -> str:
    missing = [measurement for measurement in plan.measurements if not measurement.is_stored]
    if not missing:
        return "Nothing to measure: all of it is stored." if plan.measurements else "Nothing to measure."
    seconds = sum(plan.seconds(each) for each in missing)
    peak = plan.weight_bytes + max(each.bytes for each in missing)
    rate = f"{plan.flops_per_second / _GIGA:,.0f} GFLOP/s"
    return (
        f"About {duration_text(seconds)} at {rate}, as the intact model just took; {_memory_text(peak)} at the peak,\n"
        f"the model's {_memory_text(plan.weight_bytes)} included. Nothing was measured."
    )


def duration_text(seconds: float) -> str:
    """A duration in seconds, minutes or hours, whichever reads best."""
    if seconds < 2 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"


def _memory_text(count: int) -> str:
    return f"{count / _GIGA:.1f} GB" if count >= _GIGA // 10 else f"{count / 10**6:.0f} MB"
