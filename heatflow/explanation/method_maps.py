"""Maps of one method on all tiles, and what they score."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from heatflow.config.schema import Saliency, Tile
from heatflow.explanation.attribution import OF_ALL_INPUTS, PER_ELEVATION, TITLES
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.lattice import lattice_share
from heatflow.explanation.out_of_fold import spread

PART = 60  # tiles whose maps are made at a time
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
    of_input : dict of str to float32 array, shape (n, size, size)
        The same as `maps` of what networks see beside elevation, by its name; of methods that tell inputs apart.
    """

    method: str
    maps: np.ndarray
    of_class: list[np.ndarray]
    scores: dict[str, Any]
    of_input: dict[str, np.ndarray]

    @classmethod
    def read(cls, tiles: ExplainedTiles, method: str, saliency: Saliency, scores: dict[str, Any]) -> "MethodMaps":
        """The maps on disk, where what has no data becomes NaN."""
        classes = range(tiles.tile.n_classes) if saliency.per_class else ()
        maps = [tiles.maps(method, explained) for explained in dict.fromkeys((saliency.target, *classes))]
        of_input = {name: tiles.maps(method, saliency.target, k) for k, name in inputs_told_apart(tiles, method)}
        data, inner = tiles.networks.data, tiles.networks.inner
        for k in range(len(tiles.predictions)):
            missing = np.isnan(data.surroundings(np.array([k]))[0, :, inner, inner])
            for each in maps:
                each[k][missing[0]] = np.nan
            for each, gaps in zip(of_input.values(), missing[1:], strict=False):
                each[k][gaps] = np.nan
        return cls(method, maps[0], [tiles.maps(method, k) for k in classes], scores, of_input)

    @property
    def units(self) -> tuple[str, ...]:
        """Of each band."""
        of_elevation, of_others = ("score per km", "score per unit") if self.method in PER_ELEVATION else ("score",) * 2
        return (of_elevation,) * (1 + len(self.of_class)) + (of_others,) * len(self.of_input)

    def bands(self, tile: Tile, target: str | int) -> dict[str, np.ndarray]:
        """Bands of a raster by their descriptions: maps of the `target`, then each class, then each further input."""
        title, maps = TITLES[self.method], {target: self.maps} | dict(enumerate(self.of_class))
        bands = {f"{title} of {tile.explained(k)}": of for k, of in maps.items()}
        return bands | {f"{title} of {tile.explained(target)} by {name}": of for name, of in self.of_input.items()}

    def limit(self) -> float:
        """98th percentile of the size over some tiles, for colours; 1 where that is 0."""
        return float(np.nanquantile(np.abs(self.maps[:: max(1, len(self.maps) // PLAIN)]), 0.98)) or 1.0


def parts_of_maps(tiles: ExplainedTiles) -> list[np.ndarray]:
    """Index of the tiles of each part that maps are made of: whole batches of one fold, of some PART tiles."""
    size, fold = tiles.networks.batch_size, tiles.networks.data.test_fold
    of_folds = (np.flatnonzero(fold == k) for k in np.unique(fold))
    step = max(PART // size, 1) * size
    return [here[k : k + step] for here in of_folds for k in range(0, len(here), step)]


def inputs_told_apart(tiles: ExplainedTiles, method: str) -> list[tuple[int, str]]:
    """Channels beside elevation, and their names, that a method has maps of."""
    return [] if method in OF_ALL_INPUTS else list(enumerate(tiles.inputs, start=1))


def make_maps(
    tiles: ExplainedTiles, index: np.ndarray, method: str, explained: str | int, shifts: int, channel: int = 0
) -> np.ndarray:
    """`OutOfFoldNetworks.maps` of some of the tiles."""
    target = tiles.target(explained)
    return tiles.networks.maps(method, index, None if target is None else target[index], shifts, channel)


def method_statistics(tiles: ExplainedTiles, method: str, explained: str | int, shifts: int) -> dict[str, Any]:
    """`map_statistics` of the maps on disk, with the lattice before and after averages over shifts."""
    maps, stride = tiles.maps(method, explained), tiles.networks.stride
    scores = map_statistics(maps, stride)
    if shifts > 1:
        few = spread(np.arange(len(maps)), PLAIN)
        for when, shown in (("before", make_maps(tiles, few, method, explained, 1)), ("after", maps[few])):
            scores[f"lattice_share_{when}"] = lattice_share(shown, stride)
    return scores


def map_statistics(maps: np.ndarray, period: int) -> dict[str, Any]:
    """How many maps, (n, size, size), and pixels are zero, and their `lattice_share`."""
    zero = ~maps.any(axis=(1, 2))
    return {
        "all_zero_maps": int(zero.sum()),
        "all_zero_share": float(zero.mean()),
        "zero_pixel_share": float(np.mean(maps == 0)),
        "lattice_share": lattice_share(maps, period),
    }
