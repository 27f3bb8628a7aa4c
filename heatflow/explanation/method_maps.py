"""Maps of one method on all tiles, and what they score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from heatflow.config.schema import Saliency, Tile
from heatflow.explanation.attribution import PER_ELEVATION, TITLES, importance
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.known_features import KnownFeatures
from heatflow.explanation.lattice import lattice_share
from heatflow.explanation.out_of_fold import spread
from heatflow.explanation.removal import Curves
from heatflow.explanation.sanity import SanityChecks

PLAIN = 60  # tiles whose maps are made without averages over shifts too, to compare


@dataclass(frozen=True)
class MethodMaps:
    """Maps of one method.

    Parameters
    ----------
    method : str
    maps : float32 array, shape (n, size, size)
        Signed saliency of all kept tiles, NaN for no data.
    of_class : list of float32 array, shape (n, size, size)
        The same of each class, where they were asked for.
    scores : dict
        What the maps scored: of lattice and zeros, of the sanity checks, of known features.
    """

    method: str
    maps: np.ndarray
    of_class: list[np.ndarray]
    scores: dict[str, Any]

    @property
    def units(self) -> str:
        return "score per km" if self.method in PER_ELEVATION else "score"

    def bands(self, tile: Tile, target: str | int) -> dict[str, np.ndarray]:
        """Bands of a raster by their descriptions: maps of the `target`, their size, then each class."""
        title, explained = TITLES[self.method], tile.explained(target)
        bands = {f"{title} of {explained}": self.maps, f"size of {title} of {explained}": np.abs(self.maps)}
        return bands | {f"{title} of {tile.explained(k)}": maps for k, maps in enumerate(self.of_class)}

    def limit(self) -> float:
        """98th percentile of the size over some tiles, for colours; 1 where that is 0."""
        return float(np.nanquantile(np.abs(self.maps[:: max(1, len(self.maps) // PLAIN)]), 0.98)) or 1.0


def explain_method(
    method: str, tiles: ExplainedTiles, saliency: Saliency, checks: SanityChecks, tested: KnownFeatures | None,
    on_tiles: Callable[[int], object] = lambda n: None,
) -> tuple[MethodMaps, Curves, dict[str, np.ndarray]]:  # fmt: skip
    """Make the maps of one method and test them.

    Parameters
    ----------
    method : str
        See `attribute`.
    tiles : ExplainedTiles
    saliency : Saliency
        What is explained, and averages over shifts.
    checks : SanityChecks
    tested : KnownFeatures or None
        The known features that maps of the log-odds are tested on.
    on_tiles : callable, optional
        Receives numbers of tiles that are done.

    Returns
    -------
    MethodMaps
    Curves
        Deletion and insertion.
    dict of str to float32 array, shape (m, size, size)
        Under the method, the size of the maps of the log-odds on the tiles of `tested`; empty without these.
    """
    networks, every, shifts = tiles.networks, np.arange(len(tiles.predictions)), saliency.smooth_shifts
    target = tiles.target(saliency.target)
    maps = networks.maps(method, every, target, shifts, on_tiles)
    scores: dict[str, Any] = map_statistics(maps, networks.stride)
    if shifts > 1:
        few = spread(every, PLAIN)
        plain = networks.maps(method, few, None if target is None else target[few])
        for when, shown in (("before", plain), ("after", maps[few])):
            scores[f"lattice_share_{when}"] = lattice_share(shown, networks.stride)
    same = saliency.target == "predicted"  # the checks are of the predicted class, whatever is drawn
    checked, curves = checks.check(method, maps if same else networks.maps(method, every, tiles.predicted, shifts))
    scores, strength = scores | checked, {}
    if tested:
        log_odds = networks.maps(method, tested.index, None, shifts)
        strength[method] = np.abs(log_odds)
        scores[tested.name] = tested.score(importance(method, log_odds), tiles.predicted_high[tested.index])
    classes = range(tiles.tile.n_classes) if saliency.per_class else ()
    of_class = [networks.maps(method, every, np.full(len(every), k), shifts) for k in classes]
    missing = np.isnan(networks.data.elevation(every))
    for each in (maps, *of_class):
        each[missing] = np.nan
    return MethodMaps(method, maps, of_class, scores), curves, strength


def map_statistics(maps: np.ndarray, period: int) -> dict[str, Any]:
    """How many maps, (n, size, size), and pixels are zero, and their `lattice_share`."""
    zero = ~maps.any(axis=(1, 2))
    return {
        "all_zero_maps": int(zero.sum()),
        "all_zero_share": float(zero.mean()),
        "zero_pixel_share": float(np.mean(maps == 0)),
        "lattice_share": lattice_share(maps, period),
    }
