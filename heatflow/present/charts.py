"""Small charts as inline SVG: they take the page's colours, scale with it, and have a label for screen readers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from textwrap import wrap

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from heatflow.present.wording import exists

WIDTH, ROW = 640, 26
LETTER, LINE = 7, 14  # width and height of text, about
# after Okabe and Ito (2008), the light ones darkened: 3:1 or more against white and against the dark page
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46A9D", "#3A8FC4", "#B07A00", "#777777")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "12 3 2 3 2 3", "4 4")
QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def interval_chart(rows: Sequence[tuple[str, float, float | None, float | None]], axis: str, reference: float,
                   label: str, width: int = WIDTH, names: int = 220) -> Markup:  # fmt: skip
    """A dot with its interval for each row.

    Parameters
    ----------
    rows : sequence of (name, value, low, high)
        Without an interval where low or high is None or NaN.
    axis : str
        What the values are.
    reference : float
        Value of a vertical line, such as the value of a guess.
    label : str
        For screen readers.
    width, names : int
        Of the whole, and of the names at its left; a longer name goes into two lines.

    Returns
    -------
    Markup
        An SVG element.
    """
    ends = [(n, v, low if exists(low) else v, high if exists(high) else v) for n, v, low, high in rows]
    values = [value for _, *three in ends for value in three] + [reference]
    ticks = MaxNLocator(7 if width == WIDTH else 4, steps=[1, 2, 5, 10]).tick_values(min(values), max(values))
    lines = [wrap(name, names // LETTER) for name, *_ in ends]
    row = ROW + LINE * (max(map(len, lines)) - 1) // 2
    left, right, bottom = names + 10, width - 20, len(rows) * row + 10

    x = partial(np.interp, xp=(ticks[0], ticks[-1]), fp=(left, right))
    parts = [f'<line x1="{x(reference):.1f}" x2="{x(reference):.1f}" y1="4" y2="{bottom}" class="reference"/>']
    for k, (_, value, low, high) in enumerate(ends):
        y = 10 + (k + 0.5) * row
        for n, line in enumerate(lines[k]):
            at = y + 4 + LINE * (n - (len(lines[k]) - 1) / 2)
            parts.append(f'<text x="{left - 10}" y="{at:.1f}" text-anchor="end">{escape(line)}</text>')
        parts.append(f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}" class="interval"/>')
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="5" class="value"/>')
    parts += _bottom_axis(ticks, x, bottom, axis, (left + right) / 2)
    return _svg(parts, width, bottom + 44, label)


def line_chart(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_axis: str, y_axis: str,
               label: str) -> Markup:  # fmt: skip
    """Lines between 0 and 1 on both axes, over the diagonal.

    Parameters
    ----------
    series : mapping of str to (x, y)
        The first one is drawn thick. If it is the only one its points are marked, and there is no legend.
    x_axis, y_axis : str
        What the values are.
    label : str
        For screen readers.

    Returns
    -------
    Markup
        An SVG element.
    """
    left, right, top, bottom = 60, 420, 10, 320

    x, y = (partial(np.interp, xp=(0, 1), fp=ends) for ends in ((left, right), (bottom, top)))
    parts = [f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{top}" class="reference"/>']
    for tick in QUARTERS:
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    height = 22
    for k, (name, (xs, ys)) in enumerate(series.items()):
        colour, dash = COLOURS[k % len(COLOURS)], DASHES[(k + k // len(COLOURS)) % len(DASHES)]
        points = [(x(a), y(b)) for a, b in zip(xs, ys, strict=True) if np.isfinite([a, b]).all()]
        style = f'stroke="{colour}" stroke-width="{3 if k == 0 else 1.8}" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" {style}/>')
        if len(series) == 1:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}"/>' for a, b in points]
        else:
            parts.append(f'<line x1="{right + 20}" x2="{right + 50}" y1="{height}" y2="{height}" {style}/>')
            for line in wrap(name, (WIDTH - right - 56) // LETTER):
                parts.append(f'<text x="{right + 56}" y="{height + 4}">{escape(line)}</text>')
                height += LINE
            height += 6
    parts += _bottom_axis(QUARTERS, x, bottom, x_axis, (left + right) / 2)
    turned = f"translate(14 {(top + bottom) / 2:.0f}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(y_axis)}</text>')
    return _svg(parts, WIDTH if len(series) > 1 else right + 20, bottom + 44, label)


def _bottom_axis(ticks: Iterable[float], x: Callable[[float], float], bottom: float, axis: str,
                 middle: float) -> Iterator[str]:  # fmt: skip
    for tick in ticks:
        yield f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom}" y2="{bottom + 5}" class="tick"/>'
        yield f'<text x="{x(tick):.1f}" y="{bottom + 19}" text-anchor="middle">{tick:.4g}</text>'
    yield f'<text x="{middle:.0f}" y="{bottom + 38}" text-anchor="middle">{escape(axis)}</text>'


def _svg(parts: list[str], width: float, height: float, label: str) -> Markup:
    """An SVG element: its text stays legible on a phone, where the chart scrolls."""
    size = f'viewBox="0 0 {width} {height:.0f}" style="width:{width}px"'
    return Markup(f'<svg class="chart" {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>')
