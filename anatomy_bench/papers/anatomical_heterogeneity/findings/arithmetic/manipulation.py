"""Table 4, the manipulation strategies, against the protocol of section 3.5 and the abstract."""

from anatomy_bench.claim.claim import Claim, Estimate, at_least, within
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    claim,
    counted,
    counts_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import Row, count, rows, text

_SAME_PERPLEXITY_TOLERANCE = 0.01


def _rows() -> list[Row]:
    return rows("manipulation", "rows")


def _families_tested() -> Estimate:
    families = {row["family"] for row in _rows()} & set(text("3.5")["strategy_families"])
    return counted(families, f"in {len(_rows())} rows")


def _rows_on_all_nine() -> Estimate:
    fewer = [row["strategy"] for row in _rows() if "2 layers" in row["strategy"]]
    rest = [row for row in _rows() if row["strategy"] not in fewer]
    return counted(rest, f"marked otherwise: {'; '.join(fewer) or 'none'}")


def _scales_reported() -> Estimate:
    tested = text("3.5")["scale_alphas"]
    reported = {row.get("alpha") for row in _rows()}
    missing = [alpha for alpha in tested if alpha not in reported]
    return counted([alpha for alpha in tested if alpha in reported], f"missing: {', '.join(missing) or 'none'}")


def _mildest_catastrophe() -> Estimate:
    catastrophes = [row for row in _rows() if row["family"] in text("abstract")["catastrophic_families"]]
    mildest = min(catastrophes, key=lambda row: Printed.parse(row["degradation_percent"]).value)
    return Printed.parse(mildest["degradation_percent"]).estimate(f"the mildest: {mildest['strategy']}")


def _scaling_to_zero_over_zeroing() -> Estimate:
    scaled = next(row for row in _rows() if row.get("alpha") == "0.0")
    zeroed = next(row for row in _rows() if row["family"] == "zero")
    ratio = Printed.parse(scaled["perplexity"]) / Printed.parse(zeroed["perplexity"])
    return ratio.estimate(f"'{scaled['strategy']}' over '{zeroed['strategy']}'")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "strategies",
        "Five strategies of weight manipulation are tested",
        "Abstract and section 3.5 against Table 4",
        counts_to(count("abstract", "strategy_count"), "strategies"),
        _families_tested,
    ),
    claim(
        "nine-layers-at-once",
        "Every strategy is applied to the nine redundant layers at once",
        "Sections 3.5 and 4.4 against Table 4's row names",
        counts_to(len(_rows()), "rows", why="a row that names another number of layers is not of nine"),
        _rows_on_all_nine,
    ),
    claim(
        "scales-reported",
        "The results of all tested scales are presented",
        "Sections 3.5 and 4.4 against Table 4",
        counts_to(len(text("3.5")["scale_alphas"]), "scales"),
        _scales_reported,
    ),
    claim(
        "millions-of-percent",
        "Zeroing, cloning and blending cost millions of percent",
        "Abstract against Table 4",
        Assertion(
            at_least(count("abstract", "catastrophic_degradation_above_percent")),
            unit="%",
            why="the mildest of the three costs at least one million",
            published=count("abstract", "catastrophic_degradation_above_percent"),
        ),
        _mildest_catastrophe,
    ),
    claim(
        "zero-is-zero",
        "Zeroing weights and scaling them by 0.0 are one operation with one result",
        "Section 3.5 against Table 4",
        Assertion(
            within(1, _SAME_PERPLEXITY_TOLERANCE),
            unit="ratio",
            why="the same weights give the same perplexity, to the noise of arithmetic",
            published=1.0,
        ),
        _scaling_to_zero_over_zeroing,
    ),
)
