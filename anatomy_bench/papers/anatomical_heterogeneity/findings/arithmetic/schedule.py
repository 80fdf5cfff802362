"""Table 7, the six developmental phases, against the epochs and exposures that the text reports."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate

from anatomy_bench.claim.claim import Claim, Estimate, above
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import (
    Assertion,
    about,
    claim,
    counted,
    counts_to,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.published import (
    Row,
    by_layer,
    count,
    numbered,
    rows,
    table,
)

_EPOCHS_OFF = 5
_TIMES_OFF = 1


def _phases() -> list[Row]:
    return rows("growth_schedule", "phases")


def _clones() -> list[Row]:
    return [clone for phase in _phases() for clone in phase["clones"]]


def _epochs() -> int:
    return sum(int(phase["epochs"]) for phase in _phases())


def _steps() -> int:
    return int(table("growth_results")["growth_100"]["steps"])


def _phases_of(layers: list[int]) -> list[Row]:
    return [phase for phase in _phases() if set(layers) <= set(phase["layers"])]


def _epochs_of(layers: list[int]) -> int:
    return sum(int(phase["epochs"]) for phase in _phases_of(layers))


def _of_role(role: str) -> list[int]:
    return [layer for layer, row in by_layer("growth_architecture").items() if row["role"] == role]


def _listed(phases: Iterable[int]) -> str:
    return ", ".join(str(phase) for phase in sorted(phases))


def _core() -> list[int]:
    return numbered("4.6.2", "core_layers")


def _phases_of_core() -> Estimate:
    trained = {phase["phase"] for phase in _phases_of(_core())}
    stated = set(numbered("4.6.2", "core_phases"))
    sources = {phase["phase"] for phase in _phases() for clone in phase["clones"] if clone["source"] in _core()}
    note = f"Table 7 trains them in phases {_listed(trained)}; they are clone sources in {_listed(sources)}"
    return counted(trained & stated, note)


def _core_epochs_of_table() -> Estimate:
    return Estimate(float(_epochs_of(_core())), None, "epochs of the phases that train L4 and L5")


def _core_epochs_of_text() -> Estimate:
    stated = numbered("4.6.2", "core_phases")
    epochs = sum(int(phase["epochs"]) for phase in _phases() if phase["phase"] in stated)
    return Estimate(float(epochs), None, f"Table 7's epochs of phases {_listed(stated)}, which section 4.6.2 names")


def _redundant_epochs() -> Estimate:
    return Estimate(float(_epochs_of(_of_role("redundant"))), None, "epochs of the phases that train them")


def _steps_left_over() -> Estimate:
    steps, epochs = _steps(), _epochs()
    totals = accumulate(int(phase["epochs"]) for phase in _phases())
    fits = [
        f"phases 1 to {phase['phase']} ({total} epochs of {steps // total})"
        for phase, total in zip(_phases(), totals, strict=True)
        if steps % total == 0
    ]
    note = f"{epochs} epochs in {steps} steps are {steps / epochs:.2f} each; whole only for {', '.join(fits) or 'none'}"
    return Estimate(float(steps % epochs), None, note)


def _uniform_epochs() -> Estimate:
    per_epoch = Fraction(_steps(), _epochs())
    uniform = int(table("growth_results")["uniform_100"]["steps"]) / per_epoch
    return Estimate(float(uniform), None, f"at the {float(per_epoch):.2f} steps an epoch of the growth schedule")


def _stated_exposure() -> Estimate:
    ratio = Fraction(count("4.6.4", "core_epochs"), count("4.6.4", "uniform_epochs"))
    return Estimate(float(ratio), None, "the section's own epochs, core over uniform")


def _scheduled_exposure() -> Estimate:
    ratio = _epochs_of(_core()) / _uniform_epochs().value
    return Estimate(ratio, None, "epochs by Table 7 over those of as many uniform steps")


def _layers_with_one_phase() -> Estimate:
    every = by_layer("growth_architecture")
    own = [phase for phase in _phases() if set(phase["layers"]) != every.keys()]
    once = [layer for layer in every if sum(layer in phase["layers"] for phase in own) == 1]
    return counted(once, f"{len(own)} phases train layers of their own")


def _critical_over_other_exposure() -> Estimate:
    exposure = {layer: _epochs_of([layer]) for layer in by_layer("growth_architecture")}
    critical = _of_role("critical")
    least = min(exposure[layer] for layer in critical)
    most_other = max(epochs for layer, epochs in exposure.items() if layer not in critical)
    return Estimate(
        float(least - most_other), None, f"critical layers at least {least} epochs, others at most {most_other}"
    )


def _clones_of_one_size() -> Estimate:
    sizes = {layer: row["parameters"] for layer, row in by_layer("growth_architecture").items()}
    fits = {
        f"L{clone['source']} → L{clone['target']}": sizes[clone["source"]] == sizes[clone["target"]]
        for clone in _clones()
    }
    return counted(
        [pair for pair, fit in fits.items() if fit],
        f"of unequal size: {', '.join(pair for pair, fit in fits.items() if not fit) or 'none'}",
    )


CLAIMS: tuple[Claim, ...] = (
    claim(
        "core-phases",
        "Core layers L4 and L5 are trained in phases 1, 2, 3 and 6",
        "Section 4.6.2 against Table 7",
        counts_to(len(numbered("4.6.2", "core_phases")), "phases"),
        _phases_of_core,
    ),
    claim(
        "core-epochs-by-table",
        "Core layers accumulate about 95 epochs, by the schedule",
        "Section 4.6.2 against Table 7",
        about(count("4.6.2", "core_epochs"), _EPOCHS_OFF, "epochs"),
        _core_epochs_of_table,
    ),
    claim(
        "core-epochs-by-text",
        "Core layers accumulate about 95 epochs, by the phases that the text names",
        "Section 4.6.2 against Table 7's epochs",
        about(count("4.6.2", "core_epochs"), _EPOCHS_OFF, "epochs"),
        _core_epochs_of_text,
    ),
    claim(
        "core-epochs-sum",
        "Core layers see 30 + 20 + 20 + 15 = 85 epochs, by the phases that the text names",
        "Section 4.6.4 against section 4.6.2 and Table 7's epochs",
        counts_to(count("4.6.4", "core_epochs"), "epochs"),
        _core_epochs_of_text,
    ),
    claim(
        "redundant-epochs",
        "Redundant layers receive 21 epochs, those of phases 5 and 6",
        "Section 4.6.2 against Table 7",
        counts_to(count("4.6.2", "redundant_epochs"), "epochs"),
        _redundant_epochs,
    ),
    claim(
        "steps-per-epoch",
        "The six phases' epochs make up the 656 steps",
        "Table 7 against Table 8",
        counts_to(0, "steps left over", why="every epoch of one data set has as many steps"),
        _steps_left_over,
    ),
    claim(
        "uniform-epochs",
        "Uniform trains every layer for about 11 epochs",
        "Section 4.6.4 against Tables 7 and 8",
        about(count("4.6.4", "uniform_epochs"), _EPOCHS_OFF, "epochs"),
        _uniform_epochs,
    ),
    claim(
        "core-exposure-by-text",
        "Core layers see 8 times as many epochs as under uniform training, by the text",
        "Section 4.6.4 against itself",
        about(count("4.6.4", "core_exposure_ratio"), _TIMES_OFF, "times"),
        _stated_exposure,
    ),
    claim(
        "core-exposure-by-schedule",
        "Core layers see 8 times as many epochs as under uniform training, by the schedule",
        "Section 4.6.4 against Tables 7 and 8",
        about(count("4.6.4", "core_exposure_ratio"), _TIMES_OFF, "times"),
        _scheduled_exposure,
    ),
    claim(
        "phases-cover-layers",
        "Each of the twelve layers has exactly one phase of its own before the last",
        "Section 4.6.1 against Table 7",
        counts_to(count("4.6.1", "layer_count"), "layers"),
        _layers_with_one_phase,
    ),
    claim(
        "critical-most-exposed",
        "Critical layers receive the most exposure",
        "Section 4.6.2 against Tables 6 and 7",
        Assertion(above(0), unit="epochs more", why="the least exposed critical layer against the most exposed other"),
        _critical_over_other_exposure,
    ),
    claim(
        "clones-fit",
        "Every cloned layer is of its source's size",
        "Table 7 against Table 6",
        counts_to(len(_clones()), "clones", why="weights of another shape cannot be copied"),
        _clones_of_one_size,
    ),
)
