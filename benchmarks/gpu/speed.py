"""Seconds of the map, recovery and growth beside the loops that one would write, in turn, in the same run."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from loops import batched_loop, naive_loop

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training import train
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import growth_corpus
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched import recover
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.plain import recover_plainly
from gpu.figures import interleaved
from gpu.parity import arm
from gpu.setting import OPTIMISER, DType, Setting

_SECONDS = 8.0
"""After which no further round of a section's ways is begun."""

MAP_AT_MOST, MAP_TIMES, RECOVERY_TIMES = 0.1, 100, 10


def speed_of_map(setting: Setting) -> None:
    """The walk, the batched loop over all variants, and the naive loop over some, in each precision."""
    dtypes: tuple[DType, ...] = ("float32", "bfloat16")
    for dtype in dtypes:
        stack, ten, variants = setting.subject(dtype).stack, setting.ten, setting.variants
        some = variants[:: setting.sizes.every]
        scale = len(variants) / len(some)
        naive = f"naive loop ({len(some)} of {len(variants)} variants timed, seconds times {scale:.3g})"
        subject = setting.subject(dtype)
        ways: dict[str, Callable[[], Any]] = {
            "one walk": lambda subject=subject, ten=ten, variants=variants: subject.score(ten, variants),
            "batched loop": lambda stack=stack, ten=ten, variants=variants: batched_loop(stack, ten, variants),
            naive: lambda stack=stack, ten=ten, some=some: naive_loop(stack, ten, some),
        }
        taken = interleaved(ways, setting.wait, setting.sizes.rounds, _SECONDS)
        taken[naive] = [seconds * scale for seconds in taken[naive]]
        _note_seconds(setting, "map", f"map, {dtype}", taken, {"one walk": MAP_AT_MOST})
        for name, least in (("batched loop", None), (naive, MAP_TIMES)):
            _note_times(setting, "map", f"map, {dtype}: one walk", name, taken["one walk"], taken[name], least)


def speed_of_recovery(setting: Setting) -> None:
    """All layers in one loop, and each by itself with whole forward passes."""
    stack, starts = setting.subject().stack, setting.starts(setting.sizes.recovered_layers)
    ways: dict[str, Callable[[], Any]] = {
        "one loop": lambda: recover(stack, setting.batches, setting.ten, starts, OPTIMISER),
        "plain loop": lambda: recover_plainly(stack, setting.batches, setting.ten, starts, OPTIMISER),
    }
    taken = interleaved(ways, setting.wait, setting.sizes.rounds, _SECONDS)
    what = f"recovery of {len(starts)} layers, {len(setting.batches)} steps, scored before and after each"
    _note_seconds(setting, "recovery", what, taken, {})
    _note_times(setting, "recovery", "one loop", "plain loop", taken["one loop"], taken["plain loop"], RECOVERY_TIMES)


def speed_of_growth(setting: Setting) -> None:
    """Steps a second of the growth arm, and of a loop that asks for all gradients."""
    from bench_growth import held_out_of_all_gradients

    training, device = arm(setting.sizes), torch.device(setting.device)
    sentences = growth_corpus().sentences
    ways: dict[str, Callable[[], Any]] = {
        "this package": lambda: train(training, sentences, device, lambda _: None),
        "plain loop": lambda: held_out_of_all_gradients(training, sentences, device),
    }
    taken = interleaved(ways, setting.wait, setting.sizes.rounds, _SECONDS)
    for name, rounds in taken.items():
        rate = training.steps / median(rounds)
        what = f"growth, {training.steps} steps with a validation at the end of each phase: {name}"
        setting.figures.note("growth", what, rate, "steps/s", rounds=rounds)
    _note_times(setting, "growth", "this package", "plain loop", taken["this package"], taken["plain loop"], None)


def _note_seconds(
    setting: Setting, section: str, what: str, taken: dict[str, list[float]], bounds: dict[str, float]
) -> None:
    for name, rounds in taken.items():
        bound = {"at_most": bounds[name]} if name in bounds else {}
        setting.figures.note(section, f"{what}: {name}", median(rounds), "s", rounds=rounds, **bound)


def _note_times(
    setting: Setting, section: str, fast: str, slow: str, quick: list[float], long: list[float], least: float | None
) -> None:
    """The median of the rounds' ratios: both ways of a round ran right after one another."""
    ratios = [other / own for own, other in zip(quick, long, strict=True)]
    bound = {} if least is None else {"at_least": least}
    setting.figures.note(section, f"{fast}, times as fast as {slow}", median(ratios), "", rounds=ratios, **bound)
