"""How the time of the map of all layers grows with layers and with sentences."""

from collections.abc import Callable, Sequence
from typing import Any

from anatomy_bench.report.benchmarks import Benchmark, Benchmarks
from anatomy_bench.report.drawing import MARKERS, SERIES, draw, legend, log_scale
from anatomy_bench.report.figures import Figure
from anatomy_bench.values.quantities import quantity


def scaling(benchmarks: Benchmarks) -> Figure | None:
    """The figure, if the benchmarks measured this."""
    sizes = benchmarks.sizes()
    if not sizes:
        return None
    return Figure(
        title="Seconds by layers and by sentences",
        caption=_caption(sizes),
        svg=draw(
            lambda canvas, axes: _paint(canvas, axes, sizes),
            "Seconds of the naive loop and of one walk, by number of layers and by number of sentences",
            height=3.2,
            columns=2,
            sharey=True,
        ),
        headers=("way", "layers", "sentences", "seconds"),
        rows=[(size.way, size.number("layers"), size.number("sentences"), quantity(size.seconds)) for size in sizes],
    )


def _caption(sizes: Sequence[Benchmark]) -> str:
    fewest, shallowest = _fewest(sizes, "sentences"), _fewest(sizes, "layers")
    return (
        "The map of every layer averaged away and skipped, on sentences of the corpus wide. "
        f"Left: {fewest} of them. Right: the first {shallowest} layers. Both axes are logarithmic."
    )


def _fewest(sizes: Sequence[Benchmark], name: str) -> int:
    return min(int(size.details[name]) for size in sizes)


def _paint(canvas: Any, axes: Any, sizes: Sequence[Benchmark]) -> None:
    ways = dict.fromkeys(size.way for size in sizes)
    panels: tuple[tuple[str, Callable[[Benchmark], bool]], ...] = (
        ("layers", lambda one: one.details["sentences"] == _fewest(sizes, "sentences")),
        ("sentences", lambda one: one.details["layers"] == _fewest(sizes, "layers")),
    )
    for axis, (name, is_shown) in zip(axes, panels, strict=True):
        shown = [size for size in sizes if is_shown(size)]
        for way, colour, marker in zip(ways, SERIES, MARKERS, strict=False):
            line = [benchmark for benchmark in shown if benchmark.way == way]
            axis.plot(
                [one.details[name] for one in line],
                [benchmark.seconds for benchmark in line],
                color=colour,
                marker=marker,
                label=way,
            )
        log_scale(axis.xaxis, [one.details[name] for one in shown])
        axis.set_xlabel(name)
    log_scale(axes[0].yaxis, [size.seconds for size in sizes])
    axes[0].set_ylabel("seconds")
    legend(canvas, axes[0], columns=len(ways))
