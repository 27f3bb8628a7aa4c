"""How the report and the summary write keys and numbers; with the standard library alone."""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, TypeGuard

NAMES = {
    "network": "network", "constant": "constant guess", "terrain": "terrain statistics, trees",
    "terrain_linear": "terrain statistics, linear", "terrain_trend": "terrain and regional trend, trees",
    "terrain_trend_linear": "terrain and regional trend, linear", "random_features": "random convolutional features",
    "local": "terrain around each place", "nearest_sites": "nearest sites (kriging)", "count": "number of wells",
    "position": "position of the tile", "count_position": "number of wells and position",
    "count_position_network": "number of wells, position and network",
    "guided_backprop": "guided backpropagation", "smooth_gradient": "SmoothGrad", "grad_cam": "Grad-CAM",
    "random": "random numbers", "edge": "edge detector", "lookalikes": "look-alikes", "range_front": "range fronts",
    "max": "largest", "p90": "90th percentile",
}  # fmt: skip
VERDICTS = {"above": "better", "below": "worse", "within noise of": "no clear difference"}


def named(key: str) -> str:
    """A key of the metrics as a name for readers.

    >>> named("terrain_linear"), named("on_nodata")
    ('terrain statistics, linear', 'on nodata')
    """
    return NAMES.get(key, key.replace("_", " "))


def compared(verdict: str) -> str:
    """How the network compares with a baseline, from a verdict of metrics/evaluation.json."""
    return VERDICTS.get(verdict, "too few blocks to tell")


def exists(value: float | None) -> TypeGuard[float]:
    """Whether there is a number: not None, NaN or infinite."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 3) -> str:
    """A number as text; a dash where there is none.

    >>> number(0.5), number(1200), number(-3.14159, 2), number(None)
    ('0.500', '1,200', '−3.14', '–')
    """
    if not exists(value):
        return "–"
    return (f"{value:,}" if isinstance(value, Integral) else f"{value:,.{digits}f}").replace("-", "−")


def short(value: float | None) -> str:
    """A number with two digits after the point."""
    return number(value, 2)


def percent(value: float | None) -> str:
    """A share as text."""
    return f"{number(100 * value, 1)}\u00a0%" if exists(value) else "–"


def signed(value: float | None) -> str:
    """A difference as text, with its sign."""
    return f"{value:+.3f}".replace("-", "−") if exists(value) else "–"


def chance(value: float) -> str:
    """A probability with two digits; never rounded to 0 or 1.

    >>> chance(0.999), chance(0.5), chance(0.0001)
    ('>0.99', '0.50', '<0.01')
    """
    return "–" if not exists(value) else ">0.99" if value > 0.99 else "<0.01" if value < 0.01 else f"{value:.2f}"


def within(scores: dict[str, Any], key: str, text: Callable[[float | None], str] = number) -> str:
    """A score with its 95 % confidence interval, if it has one. The interval never breaks across lines.

    Parameters
    ----------
    scores : dict
        The score under `key`, its interval under ``{key}_low`` and ``{key}_high``.
    text : callable
        Writes a number.
    """
    value, low, high = (scores.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if not (exists(value) and exists(low) and exists(high)) or text(low) == text(high):
        return text(value)
    return f"{text(value)} ({text(low)}\u00a0to\u00a0{text(high)})"


def breakable(text: str) -> str:
    """Text with plain spaces, for a terminal or Markdown.

    >>> breakable(percent(0.5))
    '50.0 %'
    """
    return text.replace("\N{NO-BREAK SPACE}", " ")


def range_text(text: str) -> str:
    """A class range as `Tile.class_ranges` has it, for readers.

    >>> range_text("<=25")
    '≤25'
    """
    return text.replace("<=", "≤")
