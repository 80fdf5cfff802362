"""How every figure is drawn: one size of type, colours of the page, the same bytes every time.

Lines and type are drawn in placeholder colours, which are then replaced by the page's own variables, so that one
drawing serves light, dark and print. The colours are those of Okabe and Ito, which colour-blind people can distinguish;
every series also has a marker of its own.
"""

import hashlib
import html
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import Floats

WIDTH_INCHES = 7.2
_LONGEST_NAME = 24
_LINEAR_TO = 10.0
_FEW_DECADES = 3
INK, _GRID = "#010101", "#020202"
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, INK)
MARKERS = ("o", "s", "^", "v", "P", "X", "d")
PUBLISHED = {"marker": "D", "color": INK, "markerfacecolor": "none", "linestyle": "none", "markersize": 5}
"""The paper's own values look the same in every figure."""
REFERENCE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3)), "zorder": 1.2}
"""The look of a bound or a null."""
_VARIABLES = {
    INK: "currentColor",
    _GRID: "var(--grid)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    YELLOW: "var(--yellow)",
    SKY: "var(--sky)",
}
_ON_WHITE = {INK: "#1b1f24", _GRID: "#dfe3e8"}
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "anatomy_bench",
    "text.color": INK,
    "text.parse_math": False,  # names of components come from outside: a $ is a $
    "xtick.color": INK,
    "ytick.color": INK,
}
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
_SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def draw(
    paint: Callable[..., None], description: str, *, height: float, rows: int = 1, columns: int = 1, **shape: Any
) -> str:
    """An `<svg>` element.

    Args:
        paint: takes the canvas and the axes, one or an array of them.
        description: for readers who cannot see the figure.
        height: in inches; the width is the same for all figures.
        rows: of axes.
        columns: of axes.
        shape: further arguments of matplotlib's `subplots`.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, **_STYLE}):
        canvas = Canvas(figsize=(WIDTH_INCHES, height), layout="constrained")
        axes = canvas.subplots(rows, columns, **shape)
        paint(canvas, axes)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return _element(buffer.getvalue(), description)


def _element(document: str, description: str) -> str:
    """The drawing as an element of a page, with unique identifiers and no style that reaches beyond it."""
    drawn = document[document.index("<svg") :].strip()
    drawn = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    prefix = f"f{hashlib.sha256((drawn + description).encode()).hexdigest()[:8]}-"
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", drawn)
    drawn = re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], drawn)
    return re.sub(
        r'<svg\b[^>]*?(viewBox="[^"]*")[^>]*>',
        lambda found: f'<svg role="img" aria-label="{html.escape(description)}" {found[1]} {_SPACES}>',
        drawn,
        count=1,
    )


def standalone(svg: str) -> str:
    """A drawing as a file of its own, with fixed colours instead of a page's."""
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(variable, _ON_WHITE.get(colour, colour))
    return svg.replace("<svg ", '<svg style="background: #ffffff" ', 1) + "\n"


def finite(values: Sequence[float] | Floats) -> Floats:
    """The values, with NaN where there is none to draw."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def errors(values: Sequence[float], intervals: Sequence[Interval | None]) -> Floats:
    """Lengths of error bars, down and up; 0 where the interval is unknown."""
    lows = [value if each is None else each.low for value, each in zip(values, intervals, strict=True)]
    highs = [value if each is None else each.high for value, each in zip(values, intervals, strict=True)]
    with np.errstate(invalid="ignore"):
        lengths = np.array([np.subtract(values, lows), np.subtract(highs, values)])
    return np.where(np.isfinite(lengths), np.maximum(lengths, 0), 0.0)


def points(axes: Any, x: Any, values: Sequence[float], intervals: Sequence[Interval | None], **style: Any) -> None:
    """Values with their intervals, upwards."""
    axes.errorbar(x, finite(values), yerr=errors(values, intervals), **{"elinewidth": 0.9, **style})


def bars(axes: Any, values: Sequence[float], y: Any, intervals: Sequence[Interval | None], **style: Any) -> None:
    """Values with their intervals, sideways."""
    axes.errorbar(
        finite(values), y, xerr=errors(values, intervals), **{"elinewidth": 0.9, "linestyle": "none", **style}
    )


def ends(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[float]:
    """Everything that an axis must include: values and the ends of their intervals."""
    return [*values, *(end for interval in intervals if interval for end in (interval.low, interval.high))]


def signed_log(axis: Any, values: Sequence[float]) -> None:
    """A signed logarithmic scale of percentages, linear between −10 and 10.

    Within ±10 %, the limit of a redundant layer, it is linear, so that signs and noise look as they are.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
        values: everything that is shown, to choose limits and ticks.
    """
    shown = [value for value in values if math.isfinite(value)]
    low, high = min([-_LINEAR_TO, *shown]), max([10 * _LINEAR_TO, *shown])
    on_y = axis.axis_name == "y"
    set_scale, set_limits = (
        (axis.axes.set_yscale, axis.axes.set_ylim) if on_y else (axis.axes.set_xscale, axis.axes.set_xlim)
    )
    set_scale("symlog", linthresh=_LINEAR_TO, linscale=0.6)
    decades = math.ceil(math.log10(max(high, -low)))
    powers = [10.0**power for power in range(round(math.log10(_LINEAR_TO)), decades + 1, max(1, decades // 7))]
    axis.set_ticks([*(-tick for tick in powers if -tick >= low), 0.0, *(tick for tick in powers if tick <= 2 * high)])
    axis.set_minor_locator(mpl.ticker.NullLocator())
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: short(value)))
    set_limits(1.5 * low, 2 * high)


def log_scale(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic scale with ticks at 1, 2 and 5 times each power of ten.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
        values: everything that is shown, to choose limits and ticks; values that are not positive are left out.
    """
    shown = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = min(shown) / 1.25, max(shown) * 1.25
    on_y = axis.axis_name == "y"
    set_scale, set_limits = (
        (axis.axes.set_yscale, axis.axes.set_ylim) if on_y else (axis.axes.set_xscale, axis.axes.set_xlim)
    )
    set_scale("log")
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    steps = (1,) if len(powers) > _FEW_DECADES else (1, 2, 5)
    axis.set_ticks([tick for power in powers for step in steps if low <= (tick := step * 10.0**power) <= high])
    axis.set_minor_locator(mpl.ticker.NullLocator())
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: short(value)))
    set_limits(low, high)


def short(value: float) -> str:
    """A tick's number in a few characters, such as `100k`."""
    size = abs(value)
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if 10**power <= size < 10 ** (power + 3):
            return f"{value / 10**power:g}{letter}"
    return f"{value:g}".replace("-", "−")


def brief(name: str) -> str:
    """A name cut to leave room for the drawing; the page's tables have it in full."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def layer_ticks(axes: Any) -> None:
    """Whole numbers of layers along the x axis."""
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=16, integer=True))
    axes.set_xlabel("layer")


def legend(canvas: Any, axes: Any, columns: int) -> None:
    """One legend above the drawing."""
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper left", ncols=columns, borderaxespad=0.2, columnspacing=1.4)
