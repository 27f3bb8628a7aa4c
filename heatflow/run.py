"""A finished run, for a notebook: what its stages wrote, by name."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
from rasterio.windows import Window

from heatflow.config.load import load
from heatflow.config.schema import Params
from heatflow.errors import InputError
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.crs import project
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io import rasters, text, vectors

WGS84 = rasterio.crs.CRS.from_epsg(4326)


@dataclass(frozen=True)
class Run:
    """What the stages of a run wrote into ``data/`` and ``metrics/``; files are read when they are asked for.

    Parameters
    ----------
    folder : Path
        Top folder of the project.

    Examples
    --------
    >>> run = Run.open(".")  # doctest: +SKIP
    >>> run.at(39.2, -116.3)["above 50 mW/m2"]  # doctest: +SKIP
    0.31
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path = ".") -> "Run":
        """Open the run in a project's top folder.

        Raises
        ------
        InputError
            It is not finished.
        """
        run = cls(Path(folder))
        for name in ("params.yaml", "data/predictions.fgb", "data/map/probability.tif", "metrics/evaluation.json"):
            if not (run.folder / name).exists():
                raise InputError(f"{run.folder / name}: no such file; make it with: dvc repro")
        return run

    @cached_property
    def params(self) -> Params:
        """Of the run, as long as params.yaml was not edited since."""
        return load(self.folder / "params.yaml")

    @cached_property
    def tile_grid(self) -> TileGrid:
        """Where tiles are."""
        with rasters.open_written(self.folder / "data/terrain.tif") as terrain:
            return TileGrid(Grid.from_dataset(terrain), self.params.tile.size, self.params.tile.step)

    @cached_property
    def tiles(self) -> geopandas.GeoDataFrame:
        """Tiles with their class, ``label``, and their out-of-fold prediction, ``predicted``, ``p0`` and so on.

        data/README.md describes all columns.
        """
        return vectors.read_features(self.folder / "data/predictions.fgb")

    @cached_property
    def wells(self) -> geopandas.GeoDataFrame:
        """Wells with ``heat_flow``, ``background`` and ``residual``, mW/m2."""
        return vectors.read_features(self.folder / "data/wells.fgb")

    @cached_property
    def best_places(self) -> geopandas.GeoDataFrame:
        """Best windows of the prediction map with their ``rank``."""
        return vectors.read_features(self.folder / "data/map/top.fgb")

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Scores of the network, of baselines and of their differences."""
        return text.read_json(self.folder / "metrics/evaluation.json")

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """Whether the network uses structure: ``answer``, ``method`` and ``reasons``."""
        return dict(text.read_json(self.folder / "metrics/saliency.json", ("verdict",))["verdict"])

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """A row for each prediction and metric: ``value``, ``low``, ``high``, ``difference``, ``verdict``."""
        return text.read_csv(self.folder / "data/tables/baselines.csv")

    def terrain(self, pixels: int = 1000) -> tuple[np.ndarray, tuple[float, float, float, float]]:
        """Detrended elevation of the region for a picture.

        Parameters
        ----------
        pixels : int
            Along its longer edge, about.

        Returns
        -------
        elevation : float32 array, shape (rows, columns)
            Metres, NaN where there is no data.
        extent : tuple of float
            left, right, bottom, top in the CRS of the run, as `matplotlib.pyplot.imshow` takes it.
        """
        with rasters.open_written(self.folder / "data/terrain.tif") as terrain:
            left, bottom, right, top = terrain.bounds
            return rasters.read_overview(terrain, pixels), (left, right, bottom, top)

    def elevation(self, tile: int) -> np.ndarray:
        """Elevation of a tile by its number; float32 array (size, size), metres, NaN where there is no data."""
        margin = self.params.tile.margin
        tiles = PackedTiles.load(self.folder / "data/tiles.npy", self.folder / "data/tiles.fgb", margin)
        self._check(tile)
        return tiles.elevation(np.array([tile]))[0]

    def saliency(self, tile: int, method: str = "grad_cam") -> np.ndarray:
        """Saliency of a tile by its number; float32 array (size, size), signed, NaN where there is no data.

        Parameters
        ----------
        tile : int
        method : str
            One of `saliency.methods`.

        Raises
        ------
        InputError
            No map of this method was made, or there is no such tile.
        """
        if method not in self.params.saliency.methods:
            raise InputError(f"{method}: no map was made of it; there are {', '.join(self.params.saliency.methods)}")
        row = self._check(tile)
        top, left = (
            int(corner[0]) for corner in self.tile_grid.corners(row[["row"]].to_numpy(), row[["col"]].to_numpy())
        )
        size = self.params.tile.size
        with rasters.open_written(self.folder / f"data/saliency/{method}.tif") as maps:
            return maps.read(1, window=Window(left, top, size, size))

    def at(self, latitude: float, longitude: float) -> dict[str, float]:
        """The prediction map at a point.

        Parameters
        ----------
        latitude, longitude : float
            Degrees, WGS 84.

        Returns
        -------
        dict of str to float
            The probability of each class and of being high by the name of the band, ``disagreement`` (standard
            deviation between networks), and ``inside`` (1 in the area of applicability, 0 outside). NaN where nothing
            is predicted.

        Raises
        ------
        InputError
            The point is outside the region.
        """
        x, y = project(WGS84, self.tile_grid.grid.crs, np.array([longitude]), np.array([latitude]))
        with rasters.open_written(self.folder / "data/map/probability.tif") as probability:
            grid = Grid.from_dataset(probability)
            row, column = grid.pixel(x, y)
            if not grid.contains(row, column)[0]:
                raise InputError(f"{latitude}, {longitude}: outside the region of the run")
            here = Window(int(column[0]), int(row[0]), 1, 1)
            names = [str(name).removeprefix("probability of ") for name in probability.descriptions]
            found = dict(zip(names, probability.read(window=here).ravel().tolist(), strict=True))
        for name, file in (("disagreement", "uncertainty"), ("inside", "applicability")):
            with rasters.open_written(self.folder / f"data/map/{file}.tif") as raster:
                found[name] = float(raster.read(2, window=here)[0, 0])
        return found

    def _check(self, tile: int) -> pd.Series:
        """The row of a tile that was kept."""
        rows = self.tiles[self.tiles["tile"] == tile]
        if rows.empty:
            raise InputError(f"tile {tile}: no such tile was predicted; Run.tiles has those that were")
        return rows.iloc[0]
