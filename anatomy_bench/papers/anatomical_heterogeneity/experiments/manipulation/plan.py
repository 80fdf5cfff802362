"""What is done to which layers when several are changed at once (paper 3.5, 4.4, Table 4).

The paper's nine layers include the first and the last, which it never ablated. So its set is measured beside the same
set without them, the two anti-layers, random sets, and all layers. Sets that the paper names by layer number exist only
in a 30-layer model; the layers that a model's own ablation finds redundant ask the same question of any model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from anatomy_bench.engine.interventions import Intervention
from anatomy_bench.experiments.layers import require_layers
from anatomy_bench.papers.anatomical_heterogeneity.experiments import layer_sets
from anatomy_bench.papers.anatomical_heterogeneity.experiments.manipulation.strategies import (
    Blend,
    Clone,
    LowRankBlend,
    Noise,
    Scale,
    SkipAll,
    writes_residual,
)
from anatomy_bench.values.measurement import SubjectRecord
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Draws, Record

ALPHAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.05, 1.1)
"""The paper's factors (3.5), and some around 1, which show whether the curve has its minimum at 1."""

SURVIVING_ALPHA = 0.9
"""The factor that the paper finds viable (4.4)."""

NOISE_RELATIVE_NORM = 0.1
"""The share of a matrix's norm that scaling by 0.9 removes."""

LOW_RANK = 64
"""Singular values in a low-rank blend. The paper says only that they are few; this is the width of a head of its model,
which is the rank of what one head reads or writes."""


@dataclass(frozen=True)
class ManipulationConfig(Record):
    """How the manipulation is run.

    Attributes:
        layers: the one set to manipulate; `None` for the named sets.
        redundant: the layers that the ablation has found redundant; `None` if they are not needed.
        alphas: factors for scaling all matrices, on the paper's set, its interior, or the given set.
        written_alphas: factors for scaling only the matrices that write to the residual stream, on the same sets;
            `quick` has only those that claims read.
        alphas_elsewhere: factors on the anti-layers and on every layer; `quick` has only the one that claims read.
        alphas_of_redundant: factors on the layers of `redundant`; `quick` has only those that claims read.
        low_ranks: singular values kept in a low-rank blend; `None` is all, the other reading (profile `paper`).
        noise_draws: noises on each set; 3 (`quick`) give an interval, 10 a useful one.
        random_sets: random sets of interior layers; 5 (`quick`) give an interval, 20 a useful one.
        resamples: bootstrap resamples of the sentences, as in the ablation.
    """

    layers: tuple[int, ...] | None
    redundant: tuple[int, ...] | None
    alphas: tuple[float, ...]
    written_alphas: tuple[float, ...]
    alphas_elsewhere: tuple[float, ...]
    alphas_of_redundant: tuple[float, ...]
    low_ranks: tuple[int | None, ...]
    noise_draws: int
    random_sets: int
    resamples: Draws


def plan(
    subject: SubjectRecord, config: ManipulationConfig, seed: int
) -> dict[tuple[str, tuple[int, ...]], dict[str, Intervention]]:
    """Interventions by name of the strategy, for each set by its name and layers. The seed draws sets and noises."""

    def every_strategy(layers: tuple[int, ...]) -> dict[str, Intervention]:
        written = _scalings_of_written(layers, subject, config)
        return _replacements(layers, subject, config) | _scalings(layers, config.alphas) | written | noises(layers)

    def fewer_scalings(layers: tuple[int, ...]) -> dict[str, Intervention]:
        return _replacements(layers, subject, config) | _scalings(layers, config.alphas_elsewhere) | noises(layers)

    def failing_or_viable(layers: tuple[int, ...]) -> dict[str, Intervention]:
        return _replacements(layers, subject, config) | _scalings(layers, config.alphas_of_redundant)

    def noises(layers: tuple[int, ...]) -> dict[str, Intervention]:
        drawn = generator(seed, "noise").integers(2**31, size=config.noise_draws).tolist()
        return {f"noise_{index}": Noise(layers, NOISE_RELATIVE_NORM, each) for index, each in enumerate(drawn)}

    if config.layers is not None:
        given = tuple(sorted(set(require_layers(config.layers, subject.layers))))
        return {("given", given): every_strategy(given)}
    paper, interior = layer_sets.PAPER_REDUNDANT, layer_sets.PAPER_INTERIOR
    anti, every = layer_sets.PAPER_ANTI_LAYERS, tuple(range(subject.layers))
    named = {
        ("paper", paper): every_strategy(paper),
        ("paper_interior", interior): every_strategy(interior),
        ("anti_layers", anti): fewer_scalings(anti),
    }
    drawn = layer_sets.random_interior(subject.layers, config.random_sets, generator(seed, "random sets"))
    return {
        **(named if subject.layers == layer_sets.PAPER_LAYER_COUNT else {}),
        **{(name, layers): failing_or_viable(layers) for name, layers in _redundant(subject.layers, config).items()},
        ("every_layer", every): fewer_scalings(every),
        **{
            (f"random_{index}", layers): {"skip": SkipAll(layers), **_scalings(layers, (SURVIVING_ALPHA,))}
            for index, layers in enumerate(drawn)
        },
    }


def _replacements(
    layers: tuple[int, ...], subject: SubjectRecord, config: ManipulationConfig
) -> dict[str, Intervention]:
    if len(layers) == subject.layers:  # no layer is left to copy from
        return {"skip": SkipAll(layers)}
    ranks = {"full" if rank is None else str(rank): rank for rank in config.low_ranks}
    blends = {f"low_rank_blend_{name}": LowRankBlend(layers, rank) for name, rank in ranks.items()}
    return {"skip": SkipAll(layers), "clone": Clone(layers), "blend": Blend(layers), **blends}


def _scalings(layers: tuple[int, ...], alphas: Sequence[float]) -> dict[str, Intervention]:
    return {f"scale_{alpha:g}": Scale(layers, alpha) for alpha in alphas}


def _scalings_of_written(
    layers: tuple[int, ...], subject: SubjectRecord, config: ManipulationConfig
) -> dict[str, Intervention]:
    if not any(map(writes_residual, subject.components)):
        return {}
    return {f"scale_written_{alpha:g}": Scale(layers, alpha, "residual_writing") for alpha in config.written_alphas}


def _redundant(layer_count: int, config: ManipulationConfig) -> dict[str, tuple[int, ...]]:
    """The measured set, and the same set without the first and the last layer if any layer is left."""
    measured = config.redundant or ()
    interior = tuple(layer for layer in measured if 0 < layer < layer_count - 1)
    return {name: layers for name, layers in (("redundant", measured), ("redundant_interior", interior)) if layers}
