"""Table 1, the importance profile, against the text that describes it and the thresholds that label it."""

from collections.abc import Callable

from anatomy_bench.claim.claim import Claim, Criterion, Estimate, above, at_least, at_most
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    claim,
    counted,
    counts_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    by_layer,
    count,
    degradations,
    labels,
    layer_count,
    layer_names,
    numbered,
    printed,
    text,
    thresholded,
)


def _of_category(category: str, categories: dict[int, str]) -> list[int]:
    return [layer for layer, name in categories.items() if name == category]


def _distribution() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = text("4.1")["distribution"]
    return found


def _counts_that_follow(categories: dict[int, str]) -> Estimate:
    follow = {name: len(_of_category(name, categories)) for name in _distribution()}
    right = [name for name, layers in follow.items() if layers == int(_distribution()[name]["layers"])]
    return counted(right, "counted anew: " + ", ".join(f"{layers} {name}" for name, layers in follow.items()))


def _percentages_that_follow_from_counts() -> Estimate:
    right = [
        name
        for name, row in _distribution().items()
        if Printed.parse(row["percent"]).agrees_with(Printed.exact(int(row["layers"])) / layer_count() * 100)
    ]
    total = sum(int(row["layers"]) for row in _distribution().values())
    return counted(right, f"the four counts add up to {total}")


def _labels_that_follow_from_thresholds() -> Estimate:
    printed_labels, stated = labels(), thresholded()
    wrong = [layer for layer in printed_labels if printed_labels[layer] != stated[layer]]
    return counted(printed_labels.keys() - wrong, f"mislabelled: {layer_names(wrong)}")


def _redundant_by_text() -> Estimate:
    return Estimate(float(_distribution()["Redundant"]["layers"]), None, "as section 4.1 counts them")


def _redundant(categories: dict[int, str]) -> Estimate:
    redundant = _of_category("Redundant", categories)
    return counted(redundant, layer_names(redundant))


def _degradation_of(layer: int) -> Callable[[], Estimate]:
    def estimate() -> Estimate:
        return degradations()[layer].estimate("Table 1's degradation; negative is an improvement")

    return estimate


def _layers_with_two_neighbours() -> Estimate:
    layers = degradations()
    complete = [layer for layer in layers if layer - 1 in layers and layer + 1 in layers]
    unchanged = [layer for layer, degradation in layers.items() if degradation.value == 0]
    return counted(
        complete,
        f"one neighbour: {layer_names(layers.keys() - complete)}; print exactly 0.0: {layer_names(unchanged)}",
    )


def _span() -> Estimate:
    sizes = [abs(degradation) for degradation in degradations().values() if degradation.value != 0]
    by_value = sorted(sizes, key=lambda size: size.value)
    return (by_value[-1] / by_value[0]).estimate("the largest degradation over the smallest that is not zero")


def _brain_over_anti_layer() -> Estimate:
    return (abs(degradations()[11]) / abs(degradations()[17])).estimate("sizes of Table 1's percentages")


def _ends_that_agree() -> Estimate:
    values = sorted(degradations().values(), key=lambda degradation: degradation.value)
    asserted = (printed("4.1", "minimum_degradation_percent"), printed("abstract", "maximum_degradation_percent"))
    ends = (values[0], values[-1])
    right = [end for end, number in zip(ends, asserted, strict=True) if end.agrees_with(number)]
    return counted(right, f"Table 1 runs from {float(ends[0].value):g} % to {float(ends[1].value):g} %")


def _core() -> list[int]:
    return numbered("abstract", "critical_core_layers")


def _core_labelled_critical() -> Estimate:
    critical = [layer for layer in _core() if labels()[layer] == "Critical"]
    return counted(critical, f"labelled critical: {layer_names(critical)}")


def _core_among_most_damaging() -> Estimate:
    core = _core()
    ranked = sorted(degradations().items(), key=lambda item: item[1].value, reverse=True)
    most = [layer for layer, _ in ranked[: len(core)]]
    return counted(set(core) & set(most), f"most damaging: {layer_names(most)}")


def _brain_over_next() -> Estimate:
    brain = text("5.1")["brain_layer"]
    ratio = _over_next(degradations(), brain)
    noise = {layer: Printed.parse(row["noise_perplexity"]) for layer, row in by_layer("recovery").items()}
    return ratio.estimate(f"of degradations; of perplexities under noise (Table 5) {_over_next(noise, brain)}")


def _over_next(figures: dict[int, Printed], layer: int) -> Printed:
    others = (figure for other, figure in figures.items() if other != layer)
    return figures[layer] / max(others, key=lambda figure: figure.value)


CLAIMS: tuple[Claim, ...] = (
    claim(
        "distribution-by-labels",
        "Ten layers are redundant, eleven minor, one important, eight critical, by the labels",
        "Section 4.1 against Table 1",
        counts_to(len(_distribution()), "counts"),
        lambda: _counts_that_follow(labels()),
    ),
    claim(
        "distribution-by-thresholds",
        "Ten layers are redundant, eleven minor, one important, eight critical, by the thresholds",
        "Section 4.1 against section 3.2 and Table 1",
        counts_to(len(_distribution()), "counts"),
        lambda: _counts_that_follow(thresholded()),
    ),
    claim(
        "distribution-percentages",
        "The percentages of the distribution follow from its counts",
        "Section 4.1 against itself",
        counts_to(len(_distribution()), "percentages"),
        _percentages_that_follow_from_counts,
    ),
    claim(
        "nine-redundant-by-labels",
        "Nine layers are redundant, by the labels",
        "Section 3.5 against Table 1",
        counts_to(count("3.5", "redundant_layer_count"), "layers"),
        lambda: _redundant(labels()),
    ),
    claim(
        "nine-redundant-by-text",
        "Nine layers are redundant, by the text of the results",
        "Section 3.5 against section 4.1",
        counts_to(count("3.5", "redundant_layer_count"), "layers"),
        _redundant_by_text,
    ),
    claim(
        "nine-redundant-by-thresholds",
        "Nine layers are redundant, by the stated thresholds",
        "Section 3.5 against section 3.2 and Table 1",
        counts_to(count("3.5", "redundant_layer_count"), "layers"),
        lambda: _redundant(thresholded()),
    ),
    claim(
        "labels-follow-thresholds",
        "Every layer's label follows from its degradation and the thresholds",
        "Table 1 against section 3.2",
        counts_to(layer_count(), "layers"),
        _labels_that_follow_from_thresholds,
    ),
    *(
        claim(
            f"anti-layer-l{layer}",
            f"Ablating anti-layer L{layer} leaves perplexity equal or better",
            "Table 1's caption and section 3.2 against Table 1",
            Assertion(at_most(0), unit="%", why="an anti-layer's degradation is zero or negative"),
            _degradation_of(layer),
        )
        for layer in numbered("abstract", "anti_layers")
    ),
    claim(
        "all-layers-ablated",
        "Every layer is replaced by the average of its two neighbours",
        "Section 3.2 against Table 1",
        counts_to(layer_count(), "layers", why="the formula needs a layer on either side"),
        _layers_with_two_neighbours,
    ),
    claim(
        "range",
        "The importance profile spans a range beyond 10^7",
        "Section 4.1 against Table 1",
        Assertion(
            above(10 ** count("4.1", "range_exceeds_power_of_ten")),
            unit="times",
            why="the bound as printed",
            published=10 ** count("4.1", "range_exceeds_power_of_ten"),
        ),
        _span,
    ),
    claim(
        "brain-over-anti-layer",
        "L11 is about 10^6 times as important as L17",
        "Section 4.1 against Table 1",
        Assertion(
            Criterion(
                low=10 ** (count("4.1", "layer_11_over_layer_17_power_of_ten") - 0.5),
                high=10 ** (count("4.1", "layer_11_over_layer_17_power_of_ten") + 0.5),
            ),
            unit="times",
            why="the values whose nearest power of ten is the printed one",
            published=10 ** count("4.1", "layer_11_over_layer_17_power_of_ten"),
        ),
        _brain_over_anti_layer,
    ),
    claim(
        "extremes",
        "Degradation runs from −0.6 % to +63,419 %",
        "Abstract and section 4.1 against Table 1",
        counts_to(2, "ends", why="both ends must round to the printed ones"),
        _ends_that_agree,
    ),
    claim(
        "core-critical",
        "All of the critical core, L8 to L11, is critical",
        "Abstract against Table 1",
        counts_to(len(_core()), "layers"),
        _core_labelled_critical,
    ),
    claim(
        "core-most-damaging",
        "The critical core is the top of the importance hierarchy",
        "Abstract against Table 1",
        counts_to(len(_core()), "layers", why="as many layers as the core has, by degradation"),
        _core_among_most_damaging,
    ),
    claim(
        "brain-beyond-others",
        "L11 exceeds every other layer by orders of magnitude",
        "Section 5.1 against Tables 1 and 5",
        Assertion(
            at_least(10 ** count("5.1", "brain_over_others_power_of_ten")),
            unit="times",
            why="one order of magnitude, the most generous reading",
            published=10 ** count("5.1", "brain_over_others_power_of_ten"),
        ),
        _brain_over_next,
    ),
)
