"""Table 10, the proposed training budget, and section 5.1's groups against the tables on which they are based."""

from collections import Counter
from fractions import Fraction

from anatomy_bench.claim.claim import Claim, Estimate
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    claim,
    counted,
    counts_to,
    rounds_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    Row,
    by_layer,
    count,
    layer_count,
    layer_names,
    printed,
    rows,
    text,
)


def _groups() -> list[Row]:
    return rows("budget", "groups")


def _cost_saved() -> Estimate:
    saved = 1 - Fraction(count("5.4", "growth_steps"), count("5.4", "uniform_steps"))
    return Printed.exact(saved * 100).estimate("of the printed steps")


def _steps_by(bound: str) -> Fraction:
    shares = sum((len(group["layers"]) * Fraction(group[bound]) for group in _groups()), start=Fraction(0))
    return shares * count("5.4", "steps_per_layer")


def _nearest_allowed_steps() -> Estimate:
    least, most = _steps_by("ratio_low"), _steps_by("ratio_high")
    nearest = min(max(Fraction(count("5.4", "growth_steps")), least), most)
    return Estimate(float(nearest), None, f"nearest that the ratios allow, from {float(least):g} to {float(most):g}")


def _in_one_group(groups: list[Row]) -> Estimate:
    times = Counter(layer for group in groups for layer in group["layers"])
    every = range(layer_count())
    missing = layer_names(layer for layer in every if times[layer] == 0)
    double = layer_names(layer for layer in every if times[layer] > 1)
    return counted([layer for layer in every if times[layer] == 1], f"missing: {missing}; in two groups: {double}")


def _budgeted_layers_tested() -> Estimate:
    tested = by_layer("recovery").keys()
    untested = [group["group"] for group in _groups() if not tested & set(group["layers"])]
    return counted(tested, f"groups without one tested layer: {', '.join(untested) or 'none'}")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "anatomical-groups",
        "The anatomical interpretation gives every layer one place",
        "Section 5.1 against Table 1",
        counts_to(layer_count(), "layers"),
        lambda: _in_one_group(text("5.1")["groups"]),
    ),
    claim(
        "budget-groups",
        "The budget gives every layer one ratio",
        "Table 10 against Table 1",
        counts_to(layer_count(), "layers"),
        lambda: _in_one_group(_groups()),
    ),
    claim(
        "budget-rests-on-recovery",
        "The budget of every layer rests on its recovery speed",
        "Table 10 against Table 5",
        counts_to(layer_count(), "layers", why="a layer that was not noised has no recovery speed"),
        _budgeted_layers_tested,
    ),
    claim(
        "growth-steps",
        "The budget comes to 2,760 steps",
        "Section 5.4 against Table 10's ratios",
        counts_to(
            count("5.4", "growth_steps"),
            "steps",
            why="the ratios are ranges, and their total may lie anywhere between the ends'",
        ),
        _nearest_allowed_steps,
    ),
    claim(
        "cost-saved",
        "2,760 of 6,000 steps are a reduction by 54 %",
        "Sections 1.3 and 5.4 against Table 10",
        rounds_to(printed("5.4", "steps_saved_percent"), "%"),
        _cost_saved,
    ),
)
