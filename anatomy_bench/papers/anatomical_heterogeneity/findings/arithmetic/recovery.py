"""Table 5, recovery from noise, against the text and hypothesis H3."""

import numpy as np

from anatomy_bench.claim.claim import Claim, Estimate, at_least, at_most
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    claim,
    counted,
    counts_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    Row,
    by_layer,
    degradations,
    labels,
    layer_names,
    numbered,
    rows,
    table,
    text,
)
from anatomy_bench.values.statistics import rank_correlation

_STRONG_CORRELATION = 0.5
_TIGHTEST = "1.1"


def _steps() -> dict[int, int]:
    return {layer: int(row["steps_below"][_TIGHTEST]) for layer, row in by_layer("recovery").items()}


def _tested_layers() -> Estimate:
    announced, reported = set(numbered("3.6", "tested_layers")), set(by_layer("recovery"))
    return counted(announced & reported, f"in one of the two only: {layer_names(announced ^ reported)}")


def _instant_group() -> Row:
    return next(row for row in rows("budget", "groups") if "steps_to_converge_high" in row)


def _instant_bound() -> int:
    return int(_instant_group()["steps_to_converge_high"])


def _instant_layers() -> list[int]:
    return numbered("4.5", "critical_instantly_recovering_layers")


def _fastest_instant() -> Estimate:
    steps = {layer: _steps()[layer] for layer in _instant_layers()}
    needed = ", ".join(f"L{layer} {steps[layer]}" for layer in steps)
    return Estimate(float(min(steps.values())), None, f"steps to <{_TIGHTEST}×: {needed}; the fewest")


def _instant_and_critical() -> Estimate:
    printed_labels = labels()
    critical = [layer for layer in _instant_layers() if printed_labels[layer] == "Critical"]
    return counted(critical, ", ".join(f"L{layer} {printed_labels[layer]}" for layer in _instant_layers()))


def _thresholds_crossed_by_l3() -> Estimate:
    layer, limit = text("4.5")["not_converging_layer"], int(table("recovery")["step_limit"])
    row = by_layer("recovery")[layer]
    crossed = {multiple: steps for multiple, steps in row["steps_below"].items() if 0 < int(steps) < limit}
    when = ", ".join(f"<{multiple}× after {steps} steps" for multiple, steps in crossed.items()) or "none"
    return counted(crossed, f"{when}; the final perplexity is {row['final_perplexity']}")


def _slowest_instant_of_budget() -> Estimate:
    group = _instant_group()
    steps = {layer: needed for layer, needed in _steps().items() if layer in group["layers"]}
    untested = layer_names(set(group["layers"]) - steps.keys())
    return Estimate(float(max(steps.values())), None, f"the slowest of those tested; never tested: {untested}")


def _correlation_with_importance(*, boundary: bool) -> Estimate:
    steps, importance = _steps(), degradations()
    last = max(importance)
    layers = [layer for layer in steps if boundary or 0 < layer < last]
    rho, interval = rank_correlation(
        np.array([float(importance[layer].value) for layer in layers]),
        np.array([float(steps[layer]) for layer in layers]),
    )
    return Estimate(rho, interval, f"Spearman's, over {len(layers)} layers; Fisher's z with Bonett-Wright error")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "tested-layers",
        "Recovery is reported for the thirteen layers announced",
        "Section 3.6 against Table 5",
        counts_to(len(numbered("3.6", "tested_layers")), "layers"),
        _tested_layers,
    ),
    claim(
        "instant-recovery",
        "L23 and L24 recover instantly from noise",
        "Sections 4.5 and 5.1 against Table 5",
        Assertion(at_most(_instant_bound()), unit="steps", why="Table 10 calls 0 to 10 steps instant"),
        _fastest_instant,
    ),
    claim(
        "instant-and-critical",
        "L23 and L24 are critical by ablation",
        "Section 4.5 against Table 1",
        counts_to(len(_instant_layers()), "layers"),
        _instant_and_critical,
    ),
    claim(
        "l3-no-convergence",
        "L3 does not converge at all in 200 steps",
        "Section 4.5 against Table 5",
        counts_to(0, "thresholds", why="a layer that does not converge falls below no threshold"),
        _thresholds_crossed_by_l3,
    ),
    claim(
        "instant-group",
        "The redundant layers of Table 10 converge in 0 to 10 steps",
        "Table 10 against Table 5",
        Assertion(at_most(_instant_bound()), unit="steps", why="the range as printed", published=_instant_bound()),
        _slowest_instant_of_budget,
    ),
    claim(
        "recovery-tracks-importance",
        "Recovery speed strongly correlates with importance",
        "Abstract and H3 against Tables 1 and 5",
        Assertion(
            at_least(_STRONG_CORRELATION), unit="correlation", why="0.5, where a correlation is commonly called strong"
        ),
        lambda: _correlation_with_importance(boundary=True),
    ),
    claim(
        "recovery-tracks-importance-inside",
        "Recovery speed strongly correlates with importance, boundary layers aside",
        "Abstract and H3 against Tables 1 and 5",
        Assertion(
            at_least(_STRONG_CORRELATION), unit="correlation", why="0.5, where a correlation is commonly called strong"
        ),
        lambda: _correlation_with_importance(boundary=False),
    ),
)
