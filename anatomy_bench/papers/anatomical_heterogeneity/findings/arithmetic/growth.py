"""The growth experiment's model and results: Tables 6, 8 and 9 against the text."""

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from anatomy_bench.claim.claim import Claim, Estimate, NotApplicable
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
    printed,
    rows,
    table,
    text,
)


def _layers() -> list[Row]:
    return rows("growth_architecture", "layers")


def _multipliers_by_role() -> Estimate:
    stated = text("4.6.1")["ffn_multiplier"]
    return counted([row for row in _layers() if stated[row["role"]] == row["ffn_multiplier"]], "rows as stated")


def _width() -> int:
    """Width of the model, which the paper does not state: from ×1 to ×2, three feed-forward matrices grow by width²."""
    narrow, wide = (
        next(int(row["parameters"]) for row in _layers() if row["ffn_multiplier"] == multiplier)
        for multiplier in ("1", "2")
    )
    return isqrt((wide - narrow) // 3)


def _parameters_of(multiplier: int) -> int:
    width = _width()
    attention, feed_forward, norms = 4 * width**2, 3 * multiplier * width**2, 2 * width
    return attention + feed_forward + norms


def _sizes_that_fit() -> Estimate:
    fitting = [row for row in _layers() if _parameters_of(int(row["ffn_multiplier"])) == int(row["parameters"])]
    return counted(fitting, f"width {_width()}, four attention matrices, a gated feed-forward block, two norms")


def _embedding_rows_left_over() -> Estimate:
    total = int(table("growth_architecture")["total_parameters"])
    embeddings = total - sum(int(row["parameters"]) for row in _layers())
    fitting, left = divmod(embeddings, _width())
    note = f"{embeddings:,} are no layer's: {fitting} rows, or {fitting - 1} tokens (tied) and a final norm"
    return Estimate(float(left), None, note)


def _total_millions() -> Estimate:
    total = Fraction(table("growth_architecture")["total_parameters"])
    return Printed.exact(total / 10**6).estimate("Table 6's total")


def _loss(configuration: str) -> Printed:
    return Printed.parse(table("growth_results")[configuration]["validation_loss"])


def _improvement(configuration: str) -> Callable[[], Estimate]:
    def estimate() -> Estimate:
        return (_loss("uniform_100") / _loss(configuration)).estimate("ratio of the printed losses")

    return estimate


def _time_saved() -> Estimate:
    growth, uniform = (
        Printed.parse(table("growth_results")[name]["seconds"]) for name in ("growth_100", "uniform_100")
    )
    return ((1 - growth / uniform) * 100).estimate("seconds of Table 8")


def _half_budget_percent() -> Fraction:
    half, full = (int(table("growth_results")[name]["steps"]) for name in ("growth_50", "uniform_100"))
    return Fraction(half, full) * 100


def _half_budget() -> Estimate:
    return Printed.exact(_half_budget_percent()).estimate("share of the full budget's steps")


def _half_budget_saved() -> Estimate:
    return Printed.exact(100 - _half_budget_percent()).estimate("steps of Table 8")


def _completions() -> list[Row]:
    return rows("growth_generation", "completions")


def _uniform_artefacts() -> Estimate:
    broken = [row for row in _completions() if "." in row["uniform_100"]]
    different = [row for row in _completions() if row["uniform_100"] != row["growth_100"]]
    return counted(broken, f"completions that run on past a full stop; {len(different)} differ from Growth's")


def _half_budget_matches() -> Estimate | NotApplicable:
    shown = [row for row in _completions() if "growth_50" in row]
    if not shown:
        return NotApplicable("Table 9 has no column for Growth at half budget")
    same = [row for row in shown if row["growth_50"] == row["uniform_100"]]
    return counted(same, f"word for word, of {len(shown)} shown")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "ffn-multipliers",
        "Feed-forward multipliers are 4 for critical, 2 for minor, 1 for redundant layers",
        "Section 4.6.1 against Table 6",
        counts_to(len(by_layer("growth_architecture")), "layers"),
        _multipliers_by_role,
    ),
    claim(
        "layer-sizes",
        "The layers' sizes differ by their feed-forward multiplier alone",
        "Section 4.6.1 against Table 6",
        counts_to(len(by_layer("growth_architecture")), "layers"),
        _sizes_that_fit,
    ),
    claim(
        "embedding-rows",
        "What Table 6's layers leave of its total is a whole number of embedding rows",
        "Table 6 against itself",
        counts_to(0, "parameters left over"),
        _embedding_rows_left_over,
    ),
    claim(
        "growth-parameters",
        "Growth and Uniform have 9.57 million parameters",
        "Section 4.6.1 and Table 8 against Table 6",
        rounds_to(printed("4.6.1", "parameters_millions"), "million parameters"),
        _total_millions,
    ),
    claim(
        "growth-improvement",
        "Growth's validation loss is 4.7 times better than Uniform's",
        "Abstract against Table 8",
        rounds_to(printed("abstract", "growth_improvement"), "times"),
        _improvement("growth_100"),
    ),
    claim(
        "half-budget-improvement",
        "Growth at half budget is 2.1 times better than Uniform",
        "Section 4.6.3 against Table 8",
        rounds_to(printed("4.6.3", "half_budget_improvement"), "times"),
        _improvement("growth_50"),
    ),
    claim(
        "growth-time",
        "Growth is 13 % faster than Uniform",
        "Abstract against Table 8",
        rounds_to(printed("abstract", "growth_time_saved_percent"), "%"),
        _time_saved,
    ),
    claim(
        "half-budget-steps-saved",
        "Growth at half budget takes 37 % fewer steps",
        "Section 4.6.3 against Table 8",
        rounds_to(printed("4.6.3", "half_budget_steps_saved_percent"), "%"),
        _half_budget_saved,
    ),
    claim(
        "half-budget",
        "Half the budget is half of the steps",
        "Section 4.6.3 against Table 8",
        rounds_to(printed("4.6.3", "half_budget_percent"), "%"),
        _half_budget,
    ),
    claim(
        "uniform-artefacts",
        "Uniform produces artefacts on two of the prompts",
        "Section 4.6.3 against Table 9",
        counts_to(count("4.6.3", "uniform_artefact_count"), "prompts"),
        _uniform_artefacts,
    ),
    claim(
        "half-budget-generation",
        "Growth at half budget matches Uniform on all twelve prompts",
        "Section 4.6.3 against Table 9",
        counts_to(count("4.6.3", "prompt_count"), "prompts"),
        _half_budget_matches,
    ),
)
