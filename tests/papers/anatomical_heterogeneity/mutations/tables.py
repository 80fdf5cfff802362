"""Mutations of what the paper prints: what turns the verdict on each claim of its arithmetic."""

from collections.abc import Iterator, Mapping
from typing import Any

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.papers.anatomical_heterogeneity import published
from mutations import INC, Changes, R, S

PRINTED = published.load()


def percentages_of(baseline: float, digits: int) -> Changes:
    """Table 4 with its percentages taken of that baseline, to so many digits."""

    def printed(row: Mapping[str, Any]) -> Iterator[str]:
        percent = 100 * (float(row["perplexity"]) / baseline - 1)
        last = len(f"{percent:.0f}") - digits
        yield f"{round(percent, -last):.{max(0, -last)}f}"
        yield str(10**last) if last > 0 else None

    rows = {place: list(printed(row)) for place, row in enumerate(PRINTED["manipulation"]["rows"])}
    return {
        f"manipulation/rows/{place}/{key}": value
        for place, row in rows.items()
        for key, value in zip(("degradation_percent", "degradation_unit"), row, strict=True)
    }


def recovery_from(at_once: str, later: str) -> Changes:
    """Table 5 of two rows: from one perplexity no step leads below 1.1 times the baseline, from the other ten do."""
    cells = ((14, at_once, "0"), (11, later, "10"))
    return {
        "recovery/layers": [
            {"layer": layer, "noise_perplexity": perplexity, "steps_below": {"1.1": steps}}
            for layer, perplexity, steps in cells
        ]
    }


def steps_by_importance(sign: int) -> Changes:
    """Table 5 with the more steps for a layer the more (or the less) it matters."""
    importance = {row["layer"]: float(row["degradation_percent"]) for row in PRINTED["ablation"]["layers"]}
    layers = [row["layer"] for row in PRINTED["recovery"]["layers"]]
    ranked = sorted(layers, key=lambda layer: sign * importance[layer])
    return {f"recovery/layers/{place}/steps_below/1.1": str(ranked.index(layer)) for place, layer in enumerate(layers)}


def every_layer(**fields: str) -> list[dict[str, Any]]:
    return [{"layer": layer, **fields} for layer in range(30)]


WITH_NEIGHBOURS = [{"layer": layer, "degradation_percent": "1.0"} for layer in range(-1, 31)]
TWO_LAYER_ROWS = (2, 4, 5, 6)
UNMARKED_ROWS = (2, 3, 4, 6)

TURNS: dict[str, dict[VerdictWord, Changes]] = {
    "heads-divide": {R: {"text/3.1/attention_heads": "7"}},
    "metrics-of-every-layer": {
        S: {f"{table}/layers": every_layer() for table in (
            "predictability", "delta_correlation", "manipulation", "recovery"
        )}
    },
    "gate-proj-r2": {
        R: {"predictability/components/0/mean_r2": "0.899"}, INC: {"predictability/components/0/mean_r2": "0.9"}
    },
    "delta-correlation": {
        R: {"delta_correlation/components/0/mean": "-0.600"}, INC: {"delta_correlation/components/0/mean": "-0.51"}
    },
    "one-predicted-layer": {
        R: {"text/4.2/one_layer_perplexity": "30.00"}, INC: {"text/4.2/one_layer_perplexity": "26"}
    },
    "nine-predicted-layers": {
        R: {"text/4.2/nine_layers_perplexity_above": "200000"}, INC: {"text/3.1/baseline_perplexity": "22.6"}
    },
    "distribution-by-labels": {S: {"ablation/layers/1/category": "Redundant"}},
    "distribution-by-thresholds": {
        S: {"ablation/layers/3/degradation_percent": "3.4", "ablation/layers/2/degradation_percent": "1.0"}
    },
    "distribution-percentages": {R: {"text/4.1/distribution/Minor/percent": "40"}},
    "nine-redundant-by-labels": {R: {"ablation/layers/3/category": "Minor"}},
    "nine-redundant-by-text": {S: {"text/4.1/distribution/Redundant/layers": "9"}},
    "nine-redundant-by-thresholds": {S: {"ablation/layers/3/degradation_percent": "3.4"}},
    "labels-follow-thresholds": {S: {"ablation/layers/3/category": "Minor"}},
    "anti-layer-l14": {
        S: {"ablation/layers/14/degradation_percent": "-5.0"}, INC: {"ablation/layers/14/degradation_percent": "0.0"}
    },
    "anti-layer-l17": {
        R: {"ablation/layers/17/degradation_percent": "0.6"}, INC: {"ablation/layers/17/degradation_percent": "0.0"}
    },
    "all-layers-ablated": {S: {"ablation/layers": WITH_NEIGHBOURS}},
    "range": {
        S: {"ablation/layers/17/degradation_percent": "-0.0006"},
        INC: {"ablation/layers/17/degradation_percent": "-0.006"},
    },
    "brain-over-anti-layer": {
        S: {"ablation/layers/17/degradation_percent": "-0.06"}, INC: {"ablation/layers/17/degradation_percent": "-0.02"}
    },
    "extremes": {R: {"ablation/layers/11/degradation_percent": "63420.2"}},
    "core-critical": {R: {"ablation/layers/9/category": "Minor"}},
    "core-most-damaging": {S: {"ablation/layers/1/degradation_percent": "100.0"}},
    "brain-beyond-others": {
        S: {"ablation/layers/10/degradation_percent": "1000.0"},
        INC: {"ablation/layers/10/degradation_percent": "6341.9"},
    },
    "strategies": {R: {"manipulation/rows/2/family": "scale"}},
    "nine-layers-at-once": {S: {f"manipulation/rows/{row}/strategy": "All nine" for row in TWO_LAYER_ROWS}},
    "scales-reported": {S: {"manipulation/rows/2/alpha": "0.1", "manipulation/rows/4/alpha": "0.3"}},
    "millions-of-percent": {
        S: {"manipulation/rows/2/degradation_percent": "2000000"},
        INC: {"manipulation/rows/2/degradation_percent": "1000000"},
    },
    "zero-is-zero": {
        S: {"manipulation/rows/7/perplexity": "969198"}, INC: {"manipulation/rows/7/perplexity": "978890"}
    },
    "scale-abstract-against-table": {
        S: {"manipulation/rows/0/degradation_percent": "49"}, INC: {"manipulation/rows/0/degradation_percent": "50"}
    },
    "scale-from-stated-baseline": {
        R: {"manipulation/rows/0/perplexity": "30.00"}, INC: {"manipulation/rows/0/perplexity": "27"}
    },
    "scale-from-implied-baseline": {
        R: {"manipulation/rows/0/perplexity": "30.00"}, INC: {"manipulation/rows/0/perplexity": "27"}
    },
    "manipulation-baseline": {S: percentages_of(22.60, digits=8), INC: percentages_of(22.60, digits=2)},
    "recovery-baseline": {S: recovery_from("24.859", "24.862"), INC: recovery_from("24.859", "25.5")},
    "one-baseline": {R: recovery_from("24.859", "24.862"), INC: recovery_from("19.85", "20.5")},
    "noise-below-stated-baseline": {R: {"recovery/layers/0/noise_perplexity": "22.6"}},
    "noise-below-implied-baseline": {S: {f"recovery/layers/{row}/noise_perplexity": "17.0" for row in (0, 1)}},
    "final-below-implied-baseline": {S: {"recovery/layers/0/final_perplexity": "17.0"}},
    "quoted-after-noise": {
        S: {"recovery/layers/0/noise_perplexity": "18.2", "recovery/layers/1/noise_perplexity": "17.6"}
    },
    "arrows": {S: {f"recovery/layers/{row}/mark": "↓" for row in UNMARKED_ROWS}},
    "brain-final": {
        R: {"recovery/layers/11/final_perplexity": "100.0"}, INC: {"recovery/layers/11/final_perplexity": "177.4"}
    },
    "tested-layers": {R: {"recovery/layers/0/layer": 2}},
    "instant-recovery": {S: {"recovery/layers/4/steps_below/1.1": "10"}},
    "instant-and-critical": {S: {"ablation/layers/23/category": "Critical"}},
    "l3-no-convergence": {S: {"recovery/layers/5/steps_below/1.5": "200"}},
    "instant-group": {S: {"recovery/layers/5/steps_below/1.1": "10"}},
    "recovery-tracks-importance": {S: steps_by_importance(1), R: steps_by_importance(-1)},
    "recovery-tracks-importance-inside": {S: steps_by_importance(1), R: steps_by_importance(-1)},
    "ffn-multipliers": {R: {"growth_architecture/layers/0/ffn_multiplier": "2"}},
    "layer-sizes": {R: {"growth_architecture/layers/1/parameters": "1049089"}},
    "embedding-rows": {R: {"growth_architecture/total_parameters": "9570049"}},
    "growth-parameters": {R: {"growth_architecture/total_parameters": "9600000"}},
    "growth-improvement": {
        R: {"growth_results/growth_100/validation_loss": "0.137"},
        INC: {"growth_results/growth_100/validation_loss": "0.13"},
    },
    "half-budget-improvement": {
        S: {"growth_results/growth_50/validation_loss": "0.285"}, R: {"growth_results/growth_50/validation_loss": "0.2"}
    },
    "growth-time": {R: {"growth_results/growth_100/seconds": "40.0"}, INC: {"growth_results/growth_100/seconds": "52"}},
    "half-budget-steps-saved": {R: {"growth_results/growth_50/steps": "300"}},
    "half-budget": {S: {"growth_results/growth_50/steps": "328"}},
    "uniform-artefacts": {R: {"growth_generation/completions/0/uniform_100": "paris"}},
    "half-budget-generation": {
        S: {f"growth_generation/completions/{row}/growth_50": each["uniform_100"]
            for row, each in enumerate(PRINTED["growth_generation"]["completions"])},
        R: {"growth_generation/completions/0/growth_50": "rome"},
    },
    "core-phases": {
        S: {"growth_schedule/phases/1/layers": [1, 2, 4, 5], "growth_schedule/phases/2/layers": [4, 5, 8, 9]}
    },
    "core-epochs-by-table": {S: {"growth_schedule/phases/0/epochs": "80"}},
    "core-epochs-by-text": {S: {"growth_schedule/phases/0/epochs": "40"}},
    "core-epochs-sum": {R: {"growth_schedule/phases/0/epochs": "40"}},
    "redundant-epochs": {R: {"growth_schedule/phases/4/epochs": "7"}},
    "steps-per-epoch": {S: {"growth_results/growth_100/steps": "618"}},
    "uniform-epochs": {S: {"growth_results/uniform_100/steps": "70"}},
    "core-exposure-by-text": {R: {"text/4.6.4/uniform_epochs": "20"}},
    "core-exposure-by-schedule": {S: {"growth_results/uniform_100/steps": "36"}},
    "phases-cover-layers": {R: {"growth_schedule/phases/1/layers": [1, 2, 3]}},
    "critical-most-exposed": {R: {"growth_schedule/phases/4/epochs": "60"}},
    "clones-fit": {S: {f"growth_architecture/layers/{layer}/parameters": "1049088" for layer in (7, 10)}},
    "anatomical-groups": {S: {"text/5.1/groups": [{"name": "all", "layers": list(range(30))}]}},
    "budget-groups": {R: {"budget/groups/0/layers": [14]}},
    "budget-rests-on-recovery": {S: {"recovery/layers": every_layer()}},
    "growth-steps": {R: {"budget/groups/5/ratio_low": "0.80"}},
    "cost-saved": {R: {"text/5.4/growth_steps": "2700"}},
}  # fmt: skip
"""By claim, what takes its verdict from that on the printed numbers to another."""
