"""Normalisation: an offset and a scale fitted to the training tiles of each fold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from heatflow.errors import InputError
from heatflow.geo.tiles import PackedTiles

SAMPLE = 2000  # pixels of each tile that quantiles are taken from
Scaling = dict[str, float | list[float]]  # a number each, or of several channels a list of them, as JSON has them


def numbers(scaling: Scaling, name: str) -> list[float]:
    """One of the numbers of a scaling, for each channel.

    >>> numbers({"offset": 1.5}, "offset"), numbers({"offset": [1.5, 2.0]}, "offset")
    ([1.5], [1.5, 2.0])
    """
    value = scaling[name]
    return value if isinstance(value, list) else [value]


def fit_scaling(tiles: Iterable[np.ndarray], method: str) -> dict[str, float]:
    """Offset and scale of one channel such that (value - offset) / scale is normalised.

    Parameters
    ----------
    tiles : iterable of float arrays
        Training tiles, NaN where there is no data.
    method : str
        "max" (divide by the largest value, as in the report), "standard" (mean and standard deviation), "robust"
        (median and interquartile range) or "none".

    Returns
    -------
    dict of float
        ``offset``, ``scale`` and the range of the values, ``low`` and ``high``.

    Raises
    ------
    InputError
        The training tiles hold no data, or their values give no scale.

    Examples
    --------
    >>> fit_scaling([np.array([[1.0, 3.0]]), np.array([[np.nan, 5.0]])], "max")
    {'offset': 0.0, 'scale': 5.0, 'low': 1.0, 'high': 5.0}
    """
    count, mean, spread, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    kept = []
    for tile in tiles:
        values = tile[np.isfinite(tile)].astype(np.float64)
        if not values.size:
            continue
        low, high = min(low, values.min()), max(high, values.max())
        # Chan, Golub and LeVeque (1983). sklearn's StandardScaler.partial_fit does the same, to other last digits.
        delta, total = values.mean() - mean, count + values.size
        spread += values.var() * values.size + delta**2 * count * values.size / total
        mean, count = mean + delta * values.size / total, total
        if method == "robust":
            kept.append(values[:: max(1, values.size // SAMPLE)].astype(np.float32))
    if not count:
        raise InputError("normalize: the training tiles of a fold hold no data at all; check filter.min_valid")
    match method:
        case "max":
            offset, scale = 0.0, high
        case "standard":
            offset, scale = mean, np.sqrt(spread / count)
        case "robust":
            q1, offset, q3 = np.quantile(np.concatenate(kept), [0.25, 0.5, 0.75])
            scale = q3 - q1
        case _:
            offset, scale = 0.0, 1.0
    if not scale > 0:
        raise InputError(
            f"normalize.method: {method!r} would divide by {scale:g} (the values run from {low:g} to {high:g}); "
            "use standard, or check the raster"
        )
    return {"offset": float(offset), "scale": float(scale), "low": float(low), "high": float(high)}


@dataclass(frozen=True)
class FoldScalings:
    """The scaling of each fold.

    Parameters
    ----------
    fits : list of dict
        One for each fold: what `fit_scaling` gives, or of several channels a list of each number.
    """

    fits: list[Scaling]

    @property
    def content(self) -> dict[str, Scaling]:
        """Contents of ``data/scaling.json``."""
        return {f"fold{k}": fit for k, fit in enumerate(self.fits)}

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Range of the terrain of training tiles ``before`` (metres) and ``after``: ``metrics/normalize.json``."""
        terrain = [{name: numbers(fit, name)[0] for name in fit} for fit in self.fits]
        low, high = ([(fit[k] - fit["offset"]) / fit["scale"] for fit in terrain] for k in ("low", "high"))
        before = {"low": min(fit["low"] for fit in terrain), "high": max(fit["high"] for fit in terrain)}
        return {"before": before, "after": {"low": min(low), "high": max(high)}}


def fit_folds(tiles: PackedTiles, ids: np.ndarray, roles: np.ndarray, method: str) -> FoldScalings:
    """Fit the scaling of each channel of each fold to its training tiles alone.

    Parameters
    ----------
    tiles : PackedTiles
    ids : int array, shape (n,)
        Numbers of the tiles that are split.
    roles : object array of str, shape (folds, n)
    method : str
        As for `fit_scaling`.

    Returns
    -------
    FoldScalings
    """
    fits = []
    for fold in roles:
        fits.append(_joined([*_fit_channels(tiles, tiles.rows(ids[fold == "train"]), method)]))
    return FoldScalings(fits)


def _fit_channels(tiles: PackedTiles, rows: np.ndarray, method: str) -> Iterator[dict[str, float]]:
    for channel in range(tiles.channels):
        try:
            yield fit_scaling((tiles.stack[row, channel] for row in rows), method)
        except InputError as error:
            where = f" (input {channel + 1} of the network, of which the first is the terrain)" if channel else ""
            raise InputError(f"{error}{where}") from None


def _joined(fits: list[dict[str, float]]) -> Scaling:
    """Scalings of channels as one."""
    return {name: [fit[name] for fit in fits] if len(fits) > 1 else fits[0][name] for name in fits[0]}
