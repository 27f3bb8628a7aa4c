"""The model bundle: a folder with all that is needed to predict another region, and nothing that can run.

It holds the networks of all folds and seeds as weights, their scalings, the classes, what the terrain has to be, and
the tiles that the networks were trained on: their terrain statistics, by which the area of applicability is told, and
their outlines, so that no network predicts what it was trained on.
"""

import errno
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import geopandas
import numpy as np
import pandas as pd
import shapely
from pydantic import Field, ValidationError

from heatflow.config.schema import Background, Filter, Map, Section, Terrain, Tile
from heatflow.errors import InputError, fault_of_machine, one_line
from heatflow.evaluation.prediction_sets import PredictionSets
from heatflow.geo.inputs import DETRENDED, TREND
from heatflow.grid.crs import transform_table
from heatflow.grid.grids import Grid, WindowGrid
from heatflow.io.rasters import open_written
from heatflow.io.text import read_json, write_json
from heatflow.io.vectors import read_features, write_features
from heatflow.learning.engine import Engine
from heatflow.learning.fold_data import FoldData
from heatflow.learning.models import load_networks, save_networks
from heatflow.learning.network import NetworkInNetwork, fused
from heatflow.learning.scaling import Scaling, numbers
from heatflow.prediction.area_of_applicability import AreaOfApplicability
from heatflow.prediction.ensemble import Ensemble
from heatflow.prediction.prediction_map import Region, pixels_of
from heatflow.prediction.training_area import TrainingArea

FORMAT = 2
MANIFEST, NETWORK = "bundle.json", "network.json"
OTHER = "another version"
UNUSABLE = (InputError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
NOTHING = TrainingArea(np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0, dtype=int))
FIXED = ("resolution", "resampling", "detrend_radius")  # params of the terrain that another region has to share
TERRAIN_OF_TRAINING = (*FIXED, "min_elevation")  # those that are no property of one raster
LEARNT = ("train", "validation")
SEGMENTS = 16  # of each edge of a tile that is brought to another CRS, in which it is a curve
ROUNDED = 6  # decimals of a pixel: what is left of sums of coordinates is no overlap


class BundleSettings(Section):
    """Contents of ``bundle.json``."""

    format: int = FORMAT
    """of the bundle; another number cannot be read"""
    versions: dict[str, str] = Field(default_factory=dict)
    """of the packages that made it"""
    folds: Annotated[int, Field(ge=1)]
    terrain: Terrain
    """resolution, radius of the trend, resampling and lowest elevation of the terrain"""
    source_pixel: float = Field(gt=0)
    """m, edge of a pixel of the raster that the terrain was made from"""
    inputs: list[str] = Field(default_factory=lambda: [*DETRENDED], min_length=1)
    """what networks see, in order: "detrended", "trend" where they were given the trend too, and names of layers"""
    tile: Tile
    filter: Filter
    map: Map
    block_size: Annotated[int, Field(ge=1)]
    """tiles, edge of the blocks that intervals are drawn from"""
    background: Background
    """of heat flow, for wells without residuals"""
    scalings: list[Scaling]
    """of each fold"""
    sets: PredictionSets
    """rule of the prediction sets of sites"""
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each other file of the bundle, by its name"""
    digest: str | None = None
    """SHA-256 of all of the above, as `signed` gives it; None of a bundle from before there was one"""

    @property
    def layers(self) -> list[str]:
        """Names of the layers that networks see beside what is made of elevation."""
        return [name for name in self.inputs if name not in (*DETRENDED, TREND)]


def terrain_of_training(terrain: Terrain) -> Terrain:
    """Params of the terrain without those that belong to one raster: its CRS, band, driver, nodata and bounds."""
    return Terrain(**{name: getattr(terrain, name) for name in TERRAIN_OF_TRAINING})


def write_bundle(folder: Path, data: FoldData, grid: Grid, networks: Sequence[Sequence[NetworkInNetwork]],
                 areas: Sequence[TrainingArea], statistics: np.ndarray, card: str,
                 settings: BundleSettings) -> None:  # fmt: skip
    """Write a bundle.

    Parameters
    ----------
    folder : Path
        An existing, empty folder.
    data : FoldData
    grid : Grid
        Of the terrain.
    networks : sequence of sequences of NetworkInNetwork
        Of each fold that is scored.
    areas : sequence of TrainingArea
        Of the same folds.
    statistics : float64 array, shape (tiles, 16 + channels)
        As `heatflow.prediction.ensemble.tile_statistics` gives them.
    card : str
        The model card, Markdown.
    settings : BundleSettings
        Without `files` and `digest`, which this fills in.
    """
    save_networks(folder, networks)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    roles = {f"fold{k}": data.roles[fold] for k, fold in enumerate(data.split.scored)}
    columns = dict(zip(_statistics(statistics.shape[1]), statistics.T, strict=True))
    tiles = geopandas.GeoDataFrame({"tile": data.table["tile"]} | roles | columns, geometry=data.table.geometry)
    write_features(folder / "tiles.fgb", tiles, "tiles")
    write_features(folder / "wells.fgb", _held_wells(areas, grid), "wells")
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, settings.model_copy(update={"files": files}).model_dump(mode="json"), digits=12)
    write_json(folder / MANIFEST, signed(read_json(folder / MANIFEST)), digits=12)


def signed(content: dict[str, Any]) -> dict[str, Any]:
    """The contents of ``bundle.json`` with the digest of all else in it: a number that was changed is not taken.

    >>> signed({"format": 2, "digest": None}) == signed({"format": 2})
    True
    """
    rest = {name: value for name, value in content.items() if name != "digest"}
    return rest | {"digest": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}


def _statistics(number: int) -> list[str]:
    """Columns of the terrain statistics."""
    return [f"statistic{k}" for k in range(number)]


def _held_wells(areas: Sequence[TrainingArea], grid: Grid) -> geopandas.GeoDataFrame:
    """Middles of the pixels with wells that patches of any fold may have held, with 1 in the column of each such
    fold."""
    tables = [pd.DataFrame({"row": area.rows, "col": area.columns, f"fold{k}": 1}) for k, area in enumerate(areas)]
    folds = pd.concat(tables).groupby(["row", "col"]).max().fillna(0).astype(np.int32).reset_index()
    x = grid.left + (folds.pop("col").to_numpy() + 0.5) * grid.resolution
    y = grid.top - (folds.pop("row").to_numpy() + 0.5) * grid.resolution
    return geopandas.GeoDataFrame(folds, geometry=geopandas.points_from_xy(x, y), crs=grid.crs.to_wkt())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Say that a bundle is damaged where something of it cannot be used."""
    try:
        yield
    except Exception as error:
        # what is too short makes torch seek before its beginning
        of_file = isinstance(error, OSError) and error.errno == errno.EINVAL
        if not of_file and (not isinstance(error, UNUSABLE) or fault_of_machine(error) is not None):
            raise
        remedy = "get it again, or make it again with: dvc repro bundle"
        raise InputError(f"{folder}: a damaged model bundle ({one_line(error)}); {remedy}") from None


def _manifest(path: Path) -> dict[str, Any]:
    """Contents of ``bundle.json``."""
    try:
        content: dict[str, Any] = read_json(path, ("format", "files"))
    except (InputError, RecursionError):
        raise InputError(f"{MANIFEST} cannot be read") from None
    return content


def _check_fit(settings: BundleSettings, network: dict[str, Any]) -> None:
    """Refuse settings that are not those of the networks, as ``network.json`` gives the latter."""
    tile, inputs = settings.tile, len(settings.inputs)
    needed = {
        "folds": settings.folds, "classes": tile.n_classes, "size": tile.size, "margin": tile.margin,
        "first_high": tile.first_high, "inputs": inputs,
    }  # fmt: skip
    for name, number in needed.items():
        if (has := network.get(name, 1 if name == "inputs" else None)) != number:
            raise InputError(f"{NETWORK}: {name}: {has}, and {MANIFEST} needs {number}")
    scales = [numbers(scaling, name) for scaling in settings.scalings for name in ("offset", "scale")]
    if len(settings.scalings) != settings.folds or any(len(values) != inputs for values in scales):
        raise InputError(f"{MANIFEST}: scalings: {settings.folds} folds of {inputs} inputs need one each")
    if TREND in settings.inputs and settings.terrain.detrend_radius is None:
        raise InputError(f"{MANIFEST}: inputs: there is no trend without terrain.detrend_radius")


def _checked(folder: Path, content: dict[str, Any]) -> BundleSettings:
    """Settings of a bundle whose files are those that it was written with."""
    try:
        settings = BundleSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if settings.digest is not None and signed(content)["digest"] != settings.digest:
        raise InputError(f"{MANIFEST} is changed")
    for name, digest in settings.files.items():
        path = folder / Path(name).name
        if not path.is_file() or _digest(path) != digest:
            raise InputError(f"{path.name} is {'changed or cut short' if path.is_file() else 'missing'}")
    _check_fit(settings, read_json(folder / NETWORK, ("folds", "seeds")))
    return settings


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk that is whole.

    Parameters
    ----------
    folder : Path
    settings : BundleSettings
    """

    folder: Path
    settings: BundleSettings

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Check that a bundle is whole and of a format that can be read.

        Raises
        ------
        InputError
            It is none, it is damaged, or it has another format.

        Examples
        --------
        >>> Bundle.open(Path("data/bundle")).settings.tile.edges  # doctest: +SKIP
        [25.0, 50.0, 200.0]
        """
        if not (folder / MANIFEST).is_file():
            remedy = "give data/bundle of a finished run, or what `dvc artifacts get` brought"
            raise InputError(f"{folder}: no model bundle (it has no {MANIFEST}); {remedy}")
        with _whole(folder):
            content = _manifest(folder / MANIFEST)
        if content["format"] != FORMAT:
            versions = content.get("versions")
            made = versions.get("heatflow", OTHER) if isinstance(versions, dict) else OTHER
            needs = f"this version of heatflow ({version('heatflow')}) reads format {FORMAT}"
            what = f"{folder}: a model bundle of format {content['format']}, made by heatflow {made}"
            raise InputError(f"{what}, and {needs}; use that version, or make the bundle again")
        with _whole(folder):
            return cls(folder, _checked(folder, content))

    def ensemble(self, grid: Grid, engine: Engine, everywhere: bool = False) -> Ensemble:
        """The networks, for terrain on a grid.

        Parameters
        ----------
        grid : Grid
        engine : Engine
        everywhere : bool
            Whether all networks predict everywhere, also what they were trained on.
        """
        settings = self.settings
        with _whole(self.folder):
            loaded = [load_networks(self.folder, fold) for fold in range(settings.folds)]
            weights = chain.from_iterable(network.state_dict().values() for network in chain.from_iterable(loaded))
            if not all(value.isfinite().all() for value in weights):
                raise InputError("a network has weights that are no finite numbers")
            networks = [[engine.place(fused(network)) for network in members] for members in loaded]
            tiles = read_features(self.folder / "tiles.fgb")
            folds = [f"fold{k}" for k in range(settings.folds)]
            roles = tiles[folds].to_numpy(dtype=object).T
            columns = [tiles[name].to_numpy(dtype=np.float64) for name in tiles if str(name).startswith("statistic")]
            statistics = np.ascontiguousarray(np.transpose(columns))  # its sums have one order
            applicability = AreaOfApplicability.fit(statistics, roles)
            areas = [NOTHING] * settings.folds if everywhere else self._areas(tiles, roles, grid)
        return Ensemble(networks, settings.scalings, areas, applicability, settings.tile, engine)

    def _areas(self, tiles: geopandas.GeoDataFrame, roles: np.ndarray, grid: Grid) -> list[TrainingArea]:
        """Training areas on another grid: of a tile in another CRS the rectangle around it."""
        rectangles = _rectangles(tiles, grid)
        wells = transform_table(read_features(self.folder / "wells.fgb"), grid.crs, str(self.folder))
        x, y = wells.geometry.x.to_numpy(), wells.geometry.y.to_numpy()
        there = np.isfinite(x) & np.isfinite(y)
        row, column = grid.pixel(x[there], y[there])
        areas = []
        for k, role in enumerate(roles):
            learnt, held = np.isin(role, LEARNT), wells[f"fold{k}"].to_numpy()[there] == 1
            mine = rectangles[learnt]
            areas.append(TrainingArea(mine[np.isfinite(mine).all(axis=1)], row[held], column[held]))
        return areas


def _rectangles(tiles: geopandas.GeoDataFrame, grid: Grid) -> np.ndarray:
    """Upper, left, lower and right edge of outlines on a grid, pixels; float64 (n, 4), infinite where there is none."""
    edge = float(np.ptp(tiles.geometry.iloc[0].exterior.coords.xy[0]))
    outlines = geopandas.GeoDataFrame(geometry=shapely.segmentize(tiles.geometry.array, edge / SEGMENTS), crs=tiles.crs)
    west, south, east, north = transform_table(outlines, grid.crs, "tiles of the bundle").bounds.to_numpy().T
    (upper, left), (lower, right) = grid.position(west, north), grid.position(east, south)
    return np.column_stack([upper, left, lower, right]).round(ROUNDED)


@dataclass(frozen=True)
class RegionFiles:
    """Files that another region is predicted from; called, it opens them.

    Parameters
    ----------
    bundle : Path
    terrain : Path
        Raster of the terrain as the bundle needs it.
    stride : int
        Pixels from one window to the next.
    engine : Engine
    everywhere : bool
        See `Bundle.ensemble`.
    wells : Path, optional
        Of the wells of the region, in the CRS of the terrain.
    """

    bundle: Path
    terrain: Path
    stride: int
    engine: Engine
    everywhere: bool = False
    wells: Path | None = None

    def __call__(self) -> Region:
        """Open them."""
        with open_written(self.terrain) as terrain:
            grid = Grid.from_dataset(terrain)
        bundle = Bundle.open(self.bundle)
        wells = NOTHING.rows, NOTHING.columns
        if self.wells is not None:
            wells = pixels_of(self.wells, grid)
        ensemble = bundle.ensemble(grid, self.engine, self.everywhere)
        return Region(self.terrain, WindowGrid(grid, bundle.settings.tile.size, self.stride), ensemble, wells)
