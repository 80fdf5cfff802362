"""The model of section 3.1 and the figures on its weights: Tables 2 and 3, and section 4.2."""

from anatomy_bench.claim.claim import Claim, Estimate, within
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    claim,
    counted,
    counts_to,
    rounds_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    count,
    percent_above,
    printed,
    rows,
    table,
    text,
)

_DELTA_TOLERANCE = 0.01


def _hidden_left_over() -> Estimate:
    hidden, heads = count("3.1", "hidden_size"), count("3.1", "attention_heads")
    return Estimate(float(hidden % heads), None, f"{hidden // heads} for each of {heads} heads")


def _tables_with_every_layer() -> Estimate:
    every = count("1.3", "metric_layer_count")
    results = ("ablation", "predictability", "delta_correlation", "manipulation", "recovery")
    covered = {table(name)["place"]: len(table(name).get("layers", ())) for name in results}
    return counted(
        [place for place, layers in covered.items() if layers == every],
        "layers with a figure of their own: " + ", ".join(f"{place} {layers}" for place, layers in covered.items()),
    )


def _gate_proj_r2() -> Estimate:
    mean_r2 = {row["component"]: row["mean_r2"] for row in rows("predictability", "components")}
    return Printed.parse(mean_r2["mlp.gate_proj"]).estimate("mlp.gate_proj's average over target layers")


def _delta_farthest_from_published() -> Estimate:
    published = printed("4.3", "delta_correlation").value
    farthest = max(
        rows("delta_correlation", "components"), key=lambda row: abs(Printed.parse(row["mean"]).value - published)
    )
    return Printed.parse(farthest["mean"]).estimate(f"{farthest['component']} lies farthest off")


def _one_predicted_layer() -> Estimate:
    replaced = printed("4.2", "one_layer_perplexity")
    return percent_above(replaced, printed("3.1", "baseline_perplexity")).estimate()


def _nine_predicted_layers() -> Estimate:
    bound = Printed.exact(count("4.2", "nine_layers_perplexity_above"))
    return percent_above(bound, printed("3.1", "baseline_perplexity")).estimate("what the perplexity bound amounts to")


def _thousands(key: str) -> Printed:
    return Printed.parse(text("4.2")[key], unit="1000")


CLAIMS: tuple[Claim, ...] = (
    claim(
        "heads-divide",
        "The hidden dimension divides evenly among the attention heads",
        "Section 3.1 against itself",
        counts_to(0, "dimensions left over"),
        _hidden_left_over,
    ),
    claim(
        "metrics-of-every-layer",
        "Five metrics map all thirty layers",
        "Sections 1.3 and 6 against Tables 1 to 5",
        counts_to(count("1.3", "metric_count"), "metrics", why="a metric maps a layer by a figure of its own"),
        _tables_with_every_layer,
    ),
    claim(
        "gate-proj-r2",
        "R² is 0.91 for gate_proj",
        "Abstract, sections 2.4 and 6 against Table 2",
        rounds_to(printed("abstract", "gate_proj_r2"), "R²"),
        _gate_proj_r2,
    ),
    claim(
        "delta-correlation",
        "The delta correlation is about −0.50 for every component",
        "Abstract, sections 1.3 and 4.3 against Table 3",
        Assertion(
            within(float(printed("4.3", "delta_correlation").value), _DELTA_TOLERANCE),
            unit="correlation",
            why="'about', read as one unit of the last printed place",
            published=float(printed("4.3", "delta_correlation").value),
        ),
        _delta_farthest_from_published,
    ),
    claim(
        "one-predicted-layer",
        "Replacing one layer by its prediction costs 16 %",
        "Section 4.2 against the baseline of section 3.1",
        rounds_to(printed("4.2", "one_layer_degradation_percent"), "%"),
        _one_predicted_layer,
    ),
    claim(
        "nine-predicted-layers",
        "A perplexity beyond 100,000 is a degradation beyond 442,000 %",
        "Section 4.2 against the baseline of section 3.1",
        rounds_to(_thousands("nine_layers_degradation_above_percent"), "%"),
        _nine_predicted_layers,
    ),
)
