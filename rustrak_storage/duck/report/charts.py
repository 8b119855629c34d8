"""Charts as SVG, by matplotlib. Texts of events are drawn as they are: nothing in them is markup or mathematics."""

import functools
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, ParamSpec

from rustrak_storage.duck.errors import MissingLibraryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

LEVELS = {"fatal": "#7a1f3d", "error": "#c8443f", "warning": "#e0a03c", "info": "#5b8db8", "debug": "#9aa5ad"}
_ACCENT = "#c8443f"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LABEL_MAX = 58
_WIDE, _HALF = 11.0, 5.4
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rustrak",
    "text.parse_math": False,
    "font.family": ["sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a9199",
    "axes.labelcolor": "#4a5057",
    "xtick.color": "#4a5057",
    "ytick.color": "#4a5057",
    "grid.color": "#e4e7ea",
}


def _styled(draw: Callable[P, str]) -> Callable[P, str]:
    """Have a chart drawn in our style, all of it, for texts take theirs as they are made."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            import matplotlib as mpl
        except ImportError as error:
            raise MissingLibraryError("a report", "'rustrak[report]'") from error
        with mpl.rc_context(_STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # texts are the browser's to draw, in whichever font has them
            return draw(*args, **kwargs)

    return drawn


@_styled
def daily(days: Sequence[date], counts: Mapping[str, Sequence[int]], width: int = 1) -> str:
    """Return bars of events a day, by level, a bar for *width* days; *counts* has a number for each of *days*."""
    figure, axes = _figure(_WIDE, 2.8)
    epoch = date(1970, 1, 1).toordinal() - (width - 1) / 2  # as matplotlib counts days; a bar is in its days' middle
    places = [day.toordinal() - epoch for day in days]
    bottom = [0] * len(days)
    shown = [level for level in LEVELS if any(counts.get(level, ()))]
    for level in shown:
        axes.bar(places, counts[level], bottom=bottom, color=LEVELS[level], width=0.85 * width, label=level)
        bottom = [below + more for below, more in zip(bottom, counts[level], strict=True)]
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_ylabel("events")
    if len(shown) > 1:
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(shown))
    step = len(places) // 12 + 1
    axes.set_xticks(places[::step], [day.strftime("%d %b" if step * width < 12 else "%b %Y") for day in days[::step]])
    return _svg(figure, f"Events a day, {len(days) * width} days")


@_styled
def ranking(labels: Sequence[str], values: Sequence[float], *, unit: str) -> str:
    """Return horizontal bars, the first on top."""
    figure, axes = _figure(_HALF, 0.6 + 0.27 * max(len(labels), 1))
    places = range(len(labels), 0, -1)
    axes.barh(places, values, color=_ACCENT, height=0.7)
    axes.set_yticks(places, [_shortened(label) for label in labels])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(unit)
    return _svg(figure, f"{len(labels)} bars of {unit}")


@_styled
def heatmap(grid: Sequence[Sequence[int]]) -> str:
    """Return a map of weekdays, Monday first, by hours."""
    figure, axes = _figure(_WIDE, 2.4)
    cells = axes.pcolormesh(grid, cmap="Reds", vmin=0, edgecolors="white", linewidth=1)
    axes.invert_yaxis()
    axes.set_yticks([day + 0.5 for day in range(7)], _WEEKDAYS)
    axes.set_xticks([hour + 0.5 for hour in range(24)], [f"{hour:02}" for hour in range(24)])
    axes.set_xlabel("hour (UTC)")
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    scale = figure.colorbar(cells, ax=axes, label="events", pad=0.01)
    if scale.solids is not None:
        scale.solids.set_rasterized(False)  # an image within the page would be one more thing to allow
    scale.outline.set_visible(False)
    return _svg(figure, "Events by weekday and hour")


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: "Figure", title: str) -> str:
    """Return the figure as an element of HTML that says of what it is."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Title": title})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _shortened(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _LABEL_MAX else f"{line[: _LABEL_MAX - 1]}…"


def printable(text: str) -> str:
    """Return *text* on one line, with U+FFFD for what no page can show."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
