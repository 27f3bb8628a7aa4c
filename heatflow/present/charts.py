"""Small charts as inline SVG: they take the page's colours, scale with it, and are read aloud by their label."""

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH, ROW = 640, 26
# after Okabe and Ito (2008), the light ones darkened: 3:1 or more against white and against the dark page
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46A9D", "#3A8FC4", "#B07A00", "#777777")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "12 3 2 3 2 3", "4 4")


def interval_chart(rows: Sequence[tuple[str, float, float, float]], axis: str, reference: float, label: str) -> str:
    """A dot with its interval for each row.

    Parameters
    ----------
    rows : (name, value, low, high); low and high may be None or NaN: no interval
    axis : what the values are
    reference : drawn as a line, such as the value of a guess
    label : read aloud
    """
    rows = [(n, value, value if _none(low) else low, value if _none(high) else high) for n, value, low, high in rows]
    numbers = [v for _, *values in rows for v in values] + [reference]
    first, last, ticks = _axis(min(numbers), max(numbers))
    left, right = 190, WIDTH - 20

    def x(value):
        return left + (value - first) / (last - first) * (right - left)

    bottom = len(rows) * ROW + 10
    parts = [f'<line x1="{x(reference):.1f}" x2="{x(reference):.1f}" y1="4" y2="{bottom}" class="reference"/>']
    for k, (name, value, low, high) in enumerate(rows):
        y = 10 + (k + 0.5) * ROW
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}" class="interval"/>')
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="5" class="value"/>')
    parts += _bottom_axis(ticks, x, bottom, axis, (left + right) / 2)
    return _svg(parts, bottom + 44, label)


def line_chart(series: dict[str, tuple[Sequence[float], Sequence[float]]], x_axis: str, y_axis: str, label: str) -> str:
    """Lines from 0 to 1 on both axes.

    Parameters
    ----------
    series : for each name its x and y; the first is drawn thick
    """
    left, right, top, bottom = 60, 420, 10, 320

    def x(value):
        return left + value * (right - left)

    def y(value):
        return bottom - value * (bottom - top)

    parts = [f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{top}" class="reference"/>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for k, (name, (xs, ys)) in enumerate(series.items()):
        colour, dash = COLOURS[k % len(COLOURS)], DASHES[k % len(DASHES)]
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True) if np.isfinite([a, b]).all())
        style = f'stroke="{colour}" stroke-width="{3 if k == 0 else 1.8}" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{points}" fill="none" {style}/>')
        height = 22 + 20 * k
        parts.append(f'<line x1="{right + 20}" x2="{right + 50}" y1="{height}" y2="{height}" {style}/>')
        parts.append(f'<text x="{right + 56}" y="{height + 4}">{escape(name)}</text>')
    parts += _bottom_axis([0, 0.25, 0.5, 0.75, 1], x, bottom, x_axis, (left + right) / 2)
    parts.append(
        f'<text transform="translate(14 {(top + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_axis)}</text>"
    )
    return _svg(parts, bottom + 44, label)


def _none(value):
    return value is None or not np.isfinite(value)


def _axis(low, high):
    """Ends and round ticks of an axis that holds two numbers."""
    spread = max(high - low, 1e-3)
    step = next(m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5) if spread / (m * 10.0**e) <= 7)
    first, last = np.floor(low / step) * step, np.ceil(high / step) * step
    return first, last, np.arange(round((last - first) / step) + 1) * step + first


def _bottom_axis(ticks, x, bottom, axis, middle):
    for tick in ticks:
        yield f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom}" y2="{bottom + 5}" class="tick"/>'
        yield f'<text x="{x(tick):.1f}" y="{bottom + 19}" text-anchor="middle">{tick:.4g}</text>'
    yield f'<text x="{middle:.0f}" y="{bottom + 38}" text-anchor="middle">{escape(axis)}</text>'


def _svg(parts, height, label):
    inner = "".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{inner}</svg>"
    )
