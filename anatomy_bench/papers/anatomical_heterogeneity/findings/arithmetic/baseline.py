"""The baseline perplexity that the tables imply, against the 22.60 that the paper states.

Table 4 prints perplexity and percentage side by side, and Table 5 prints perplexities beside the steps to fall below
multiples of the baseline. The baseline can be computed from each of them.
"""

from collections.abc import Callable
from fractions import Fraction

from anatomy_bench.claim.claim import Claim, Estimate, within
from anatomy_bench.claim.printed import Printed, common
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    claim,
    counted,
    counts_to,
    rounds_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    Row,
    by_layer,
    layer_names,
    numbered,
    percent_above,
    printed,
    rows,
    text,
)

_ONE_BASELINE_TOLERANCE = 0.02


def stated_baseline() -> Printed:
    """The baseline perplexity of section 3.1."""
    return printed("3.1", "baseline_perplexity")


def manipulation_baseline() -> Printed:
    """The baseline that Table 4's percentages share, the best scale's aside, on which abstract and table differ."""
    return common(_implied(row) for row in rows("manipulation", "rows") if row != _best_scale())


def recovery_baseline() -> Printed:
    """The baseline for which Table 5's cells of 0 steps, and no others, are below their threshold from the start."""
    cells = _recovery_cells()
    at_once = [perplexity.low / multiple for perplexity, multiple, steps in cells if steps == 0]
    later = [perplexity.high / multiple for perplexity, multiple, steps in cells if steps > 0]
    return Printed.between(max(at_once), min(later))


def _implied(row: Row) -> Printed:
    degradation = Printed.parse(row["degradation_percent"], unit=row.get("degradation_unit"))
    return Printed.parse(row["perplexity"]) / (1 + degradation / 100)


def _recovery_cells() -> list[tuple[Printed, Fraction, int]]:
    return [
        (Printed.parse(row["noise_perplexity"]), Fraction(multiple), int(steps))
        for row in by_layer("recovery").values()
        for multiple, steps in row["steps_below"].items()
    ]


def _best_scale() -> Row:
    alpha = text("abstract")["scale_alpha"]
    return next(row for row in rows("manipulation", "rows") if row.get("alpha") == alpha)


def _best_scale_printed() -> Estimate:
    return Printed.parse(_best_scale()["degradation_percent"]).estimate("as Table 4 prints it")


def _best_scale_from(baseline: Callable[[], Printed]) -> Callable[[], Estimate]:
    def estimate() -> Estimate:
        degradation = percent_above(Printed.parse(_best_scale()["perplexity"]), baseline())
        return degradation.estimate(f"{_best_scale()['perplexity']} against {baseline()}")

    return estimate


def _manipulation_baseline() -> Estimate:
    others = len(rows("manipulation", "rows")) - 1
    best = _best_scale()["strategy"]
    return manipulation_baseline().estimate(f"shared by {others} rows; {best} implies {_implied(_best_scale())}")


def _recovery_baseline() -> Estimate:
    wrong = [
        f"L{row['layer']} <{multiple}×"
        for row in by_layer("recovery").values()
        for multiple, steps in row["steps_below"].items()
        if int(steps) > 0
        and Printed.parse(row["noise_perplexity"]).value < Fraction(multiple) * stated_baseline().value
    ]
    return recovery_baseline().estimate(
        f"with {text('3.1')['baseline_perplexity']}, no steps would be needed for {', '.join(wrong) or 'none more'}"
    )


def _baselines_agree() -> Estimate:
    ratio = recovery_baseline() / manipulation_baseline()
    return ratio.estimate(f"Table 5 implies {recovery_baseline()}, Table 4 {manipulation_baseline()}")


def _anti_layers() -> list[int]:
    return numbered("abstract", "anti_layers")


def _below(baseline: Callable[[], Printed], column: str) -> Callable[[], Estimate]:
    def estimate() -> Estimate:
        figures = {layer: Printed.parse(row[column]) for layer, row in by_layer("recovery").items()}
        lower = {layer for layer, perplexity in figures.items() if perplexity.high < baseline().low}
        changes = {layer: percent_above(figures[layer], baseline()) for layer in _anti_layers()}
        anti = ", ".join(
            f"L{layer} {float(figures[layer].value):g} ({float(change.value):+.1f} %)"
            for layer, change in changes.items()
        )
        return counted(lower & changes.keys(), f"{anti}; other layers below: {layer_names(lower - changes.keys())}")

    return estimate


def _quoted_after_noise() -> Estimate:
    quoted = {row["layer"]: row["perplexity"] for row in text("4.5")["after_noise"]}
    recovery = by_layer("recovery")
    right = [layer for layer, perplexity in quoted.items() if recovery[layer]["noise_perplexity"] == perplexity]
    final = [layer for layer, perplexity in quoted.items() if recovery[layer]["final_perplexity"] == perplexity]
    return counted(right, f"{len(final)} of {len(quoted)} are the perplexity after retraining")


def _arrows_that_agree() -> Estimate:
    baseline = stated_baseline().value
    tested = by_layer("recovery").values()
    improved = {row["layer"]: Printed.parse(row["final_perplexity"]).value < baseline for row in tested}
    right = [row for row in tested if (row["mark"] == "↓") == improved[row["layer"]]]
    arrows = sum(row["mark"] == "↓" for row in tested)
    return counted(right, f"{sum(improved.values())} final perplexities lie below, {arrows} are marked")


def _brain_final() -> Estimate:
    final = Printed.parse(by_layer("recovery")[text("5.1")["brain_layer"]]["final_perplexity"])
    return (final / stated_baseline()).estimate(f"by the baseline Table 4 implies {final / manipulation_baseline()}")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "scale-abstract-against-table",
        "Scaling by 0.9 costs 49 %",
        "Abstract against Table 4",
        rounds_to(printed("abstract", "scale_degradation_percent"), "%"),
        _best_scale_printed,
    ),
    claim(
        "scale-from-stated-baseline",
        "Scaling by 0.9 costs 19 %, by the stated baseline",
        "Table 4 against section 3.1",
        rounds_to(Printed.parse(_best_scale()["degradation_percent"]), "%"),
        _best_scale_from(stated_baseline),
    ),
    claim(
        "scale-from-implied-baseline",
        "Scaling by 0.9 costs 49 %, by the baseline of Table 4's other rows",
        "Abstract against Table 4",
        rounds_to(printed("abstract", "scale_degradation_percent"), "%"),
        _best_scale_from(manipulation_baseline),
    ),
    claim(
        "manipulation-baseline",
        "Table 4's percentages are taken of the baseline perplexity, 22.60",
        "Section 3.1 against Table 4",
        rounds_to(stated_baseline(), "perplexity"),
        _manipulation_baseline,
    ),
    claim(
        "recovery-baseline",
        "Table 5's thresholds are multiples of the baseline perplexity, 22.60",
        "Section 3.1 against Table 5",
        rounds_to(stated_baseline(), "perplexity"),
        _recovery_baseline,
    ),
    claim(
        "one-baseline",
        "Tables 4 and 5 are measured against one baseline",
        "Table 4 against Table 5",
        Assertion(
            within(1, _ONE_BASELINE_TOLERANCE),
            unit="ratio",
            why="1, as near as Table 5's cells can tell",
            published=1.0,
        ),
        _baselines_agree,
    ),
    claim(
        "noise-below-stated-baseline",
        "Noise in either anti-layer improves on the stated baseline",
        "Section 4.5 against Table 5 and section 3.1",
        counts_to(len(_anti_layers()), "layers"),
        _below(stated_baseline, "noise_perplexity"),
    ),
    claim(
        "noise-below-implied-baseline",
        "Noise in either anti-layer improves on the baseline that Table 4 implies",
        "Section 4.5 and Table 5 against Table 4",
        counts_to(len(_anti_layers()), "layers"),
        _below(manipulation_baseline, "noise_perplexity"),
    ),
    claim(
        "final-below-implied-baseline",
        "Retraining either noised anti-layer improves on the baseline that Table 4 implies",
        "Section 4.5 and Table 5 against Table 4",
        counts_to(len(_anti_layers()), "layers"),
        _below(manipulation_baseline, "final_perplexity"),
    ),
    claim(
        "quoted-after-noise",
        "L14 and L17 reach 18.2 and 17.6 after noise injection",
        "Section 4.5 against Table 5's column PPL+noise",
        counts_to(len(text("4.5")["after_noise"]), "perplexities"),
        _quoted_after_noise,
    ),
    claim(
        "arrows",
        "An arrow marks every final perplexity below the baseline",
        "Table 5's caption against its rows and section 3.1",
        counts_to(len(by_layer("recovery")), "rows"),
        _arrows_that_agree,
    ),
    claim(
        "brain-final",
        "L11 remains at 7.8 times the baseline",
        "Section 4.5 against Table 5 and section 3.1",
        rounds_to(printed("4.5", "layer_11_final_over_baseline"), "times"),
        _brain_final,
    ),
)
