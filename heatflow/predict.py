"""Predict another region: a model bundle and a raster of elevation in, a folder of maps out (``heatflow predict``)."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
import shapely
from pydantic import ValidationError

import heatflow
from heatflow.config.schema import Map, Section, Terrain, Train, Wells
from heatflow.errors import InputError
from heatflow.evaluation.prediction_sets import PredictionSets
from heatflow.geo.elevation import SourceRaster, open_elevation, open_layers
from heatflow.geo.terrain import write_terrain
from heatflow.geo.warp import require_overlap, source_pixel, working_grid
from heatflow.geo.well_tables import read_points, read_wells
from heatflow.geo.wells import explain_no_fit, select_wells
from heatflow.grid.crs import transform_table
from heatflow.grid.grids import Grid
from heatflow.io.atomic import replacing
from heatflow.io.rasters import open_written
from heatflow.io.text import parse_yaml, write_csv, write_json
from heatflow.io.vectors import read_features, write_features
from heatflow.learning.checkpoints import Checkpoints, fingerprint
from heatflow.learning.engine import Engine
from heatflow.prediction.bundle import FIXED, MANIFEST, Bundle, RegionFiles
from heatflow.prediction.near_wells import NO_SITES, KnownSites
from heatflow.prediction.places import OUTSIDE, PlaceTask, Squares, place_table, predict_squares
from heatflow.prediction.prediction_map import CACHE, MapTask, PredictionMap, Region, predict_map
from heatflow.prediction.well_scores import WellScores, WellTiles, score_wells
from heatflow.present.map_files import write_map
from heatflow.present.messages import prediction as messages
from heatflow.present.terminal import GDAL, library_messages, progress, say, warn

SUMMARY = "summary.json"
COARSEST, SAME = 2.0, 1.02  # pixels of the source over those of training: refused beyond, warned of beyond
SECTIONS: dict[str, type[Section]] = {"terrain": Terrain, "wells": Wells, "map": Map, "train": Train}
LAYER = "--layer {}"  # what messages call a layer
DEVICE = "train.device"  # the only one of its section


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Parameters
    ----------
    model : Path
        Folder of the bundle.
    elevation : str
        A file or a URL that GDAL can read.
    out : Path
        Folder to write.
    wells : str, optional
        Table of wells to score the predictions on.
    places : tuple of str
        Each ``LON,LAT`` in degrees, or the path of a table of points.
    settings : tuple of str
        Each ``section.name=value``, as in params.yaml.
    everywhere : bool
        Whether networks also predict the terrain that they were trained on.
    layers : tuple of str
        Each ``NAME=PATH``: rasters that the model sees beside elevation.
    """

    model: Path
    elevation: str
    out: Path
    wells: str | None = None
    places: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    everywhere: bool = False
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Params of a prediction: those of the bundle, and what the new region changes."""

    terrain: Terrain
    wells: Wells
    map: Map
    device: str


@dataclass(frozen=True)
class Inputs:
    """What was read of a region before any long work.

    Parameters
    ----------
    grid : Grid
    coarseness : float
        Finest detail of the raster over that of the raster of training.
    wells : GeoDataFrame, optional
        As `read_wells` gives it.
    places : GeoDataFrame
        Points in the CRS of the grid with ``name``.
    """

    grid: Grid
    coarseness: float
    wells: geopandas.GeoDataFrame | None
    places: geopandas.GeoDataFrame


def predict(request: Request) -> None:
    """Predict a region; every message goes to the terminal.

    Raises
    ------
    InputError
        Something cannot be used; nothing is written then. A run that was killed goes on where it was when the same is
        asked for again.
    """
    with library_messages(), rasterio.Env(**GDAL | {"GDAL_CACHEMAX": CACHE}):
        bundle = Bundle.open(request.model)
        settings = read_settings(bundle, request.settings)
        if settings.map.near_wells and request.wells is None:
            raise InputError("--near-wells: there are no wells whose residuals are known; give them with --wells TABLE")
        _check_folder(request.out)
        engine, paths = Engine.choose(settings.device, "float32", compile=False), read_layers(bundle, request.layers)
        with open_elevation(request.elevation, settings.terrain) as source, open_layers(paths, LAYER) as layers:
            inputs = read_inputs(request, bundle, settings, source, layers)
            warn(messages.coarseness_warnings(inputs.coarseness, bundle.settings.source_pixel, SAME))
            kept = _kept(request, paths, settings, engine)
            with _cleared_if_refused(kept):
                wells = _prepare(source, layers, inputs, settings, kept, bundle)
        files = RegionFiles(
            request.model, kept.folder / "terrain.tif", settings.map.step(bundle.settings.tile.size), engine,
            request.everywhere, wells,
        )  # fmt: skip
        with _cleared_if_refused(kept):
            prediction, table, scores = _predict_region(files, settings, bundle, inputs.places, kept)
            _write(request, bundle, inputs, prediction, table, scores, kept)
    say(messages.region_lines(prediction, table, scores, bundle.settings.sets, request.out))
    warn(messages.applicability_warnings(prediction))
    shutil.rmtree(kept.folder.parent, ignore_errors=True)


@contextmanager
def _cleared_if_refused(kept: Checkpoints) -> Iterator[None]:
    """Leave nothing of a region that cannot be used: the same command would not go on with it."""
    try:
        yield
    except InputError:
        kept.clear()
        with suppress(OSError):  # others may be unfinished there
            kept.folder.parent.rmdir()
        raise


def _predict_region(
    files: RegionFiles, settings: Settings, bundle: Bundle, places: geopandas.GeoDataFrame, kept: Checkpoints
) -> tuple[PredictionMap, pd.DataFrame, WellScores | None]:
    """The map, the table of places, and the scores on wells where there are some."""
    points, found = PlaceTask(files, bundle.settings.filter.min_valid), None
    if files.wells is not None:  # wells that cannot be used are refused before the long work
        rules = bundle.settings.tile, bundle.settings.filter
        found = WellTiles.from_wells(read_features(files.wells), points.opened, *rules)
    prediction = _predict_map(files, settings, bundle, kept)
    table = predict_places(points, places, bundle.settings.sets)
    scores = _score(points, bundle, found, settings.map.near_wells)
    if settings.map.near_wells and scores is not None:
        above = f"above_{bundle.settings.tile.binary_edge:g}"
        known = KnownSites.fit(scores.sites, scores.sites[above].to_numpy(), bundle.settings.tile.binary_edge)
        scores = replace(scores, metrics=scores.metrics | {"near_wells": known.summary()})
        prediction, table = known.on_map(prediction), _near_wells(known, table, places, above)
    return prediction, table, scores


def read_layers(bundle: Bundle, texts: tuple[str, ...]) -> dict[str, str]:
    """Paths of the layers that a bundle needs, by their names in its order, from texts such as ``gravity=gravity.tif``.

    Raises
    ------
    InputError
        A layer is missing, or the bundle knows none of this name.
    """
    needed, given = bundle.settings.layers, dict[str, str]()
    known = f"the model sees {', '.join(needed) if needed else 'no layers'} beside elevation"
    for text in texts:
        name, _, path = text.partition("=")
        if name not in needed or not path:
            raise InputError(f"--layer {text}: {known}; give NAME=PATH for each, and no other")
        given[name] = path
    if missing := [name for name in needed if name not in given]:
        wanted = " ".join(f"--layer {name}=PATH" for name in missing)
        raise InputError(f"--layer: {known}; give also: {wanted}")
    return {name: given[name] for name in needed}


def read_settings(bundle: Bundle, texts: tuple[str, ...]) -> Settings:
    """Params of the bundle with changes such as ``terrain.crs=EPSG:32611``.

    Raises
    ------
    InputError
        There is no such param, it cannot have this value, or the bundle sets it.
    """
    trained = bundle.settings
    content: dict[str, dict[str, Any]] = {
        "terrain": trained.terrain.model_dump(), "wells": {"background": trained.background.model_dump()},
        "map": trained.map.model_dump() | {"near_wells": False}, "train": {},
    }  # fmt: skip
    for text in texts:
        key, equals, value = text.partition("=")
        section, *names = key.split(".")
        if not equals or section not in content or not names or (section == "train" and key != DEVICE):
            known = f"terrain.<name>, wells.<name>, map.<name> or {DEVICE}, with a value after ="
            raise InputError(f"-S {text}: give {known}")
        if section == "terrain" and names[0] in FIXED:
            own = getattr(trained.terrain, names[0])
            raise InputError(f"-S {key}: the model was trained with {own}, and other terrain is nothing to it")
        part = content[section]
        for name in names[:-1]:
            part = part.setdefault(name, {})
            if not isinstance(part, dict):
                raise InputError(f"-S {key}: there is no such param")
        try:
            part[names[-1]] = parse_yaml(value)[0]
        except ValueError as error:
            raise InputError(f"-S {text}: {error}") from None
    sections = {name: _section(name, SECTIONS[name], values) for name, values in content.items()}
    return Settings(sections["terrain"], sections["wells"], sections["map"], sections["train"].device)


def _section(name: str, kind: type[Section], values: dict[str, Any]) -> Any:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join([name, *(str(part) for part in fault["loc"] if isinstance(part, str))])
        raise InputError(f"-S {key}: {fault['msg'].removeprefix('Value error, ')}") from None


def _check_folder(out: Path) -> None:
    """Refuse to replace what this command did not write."""
    if out.exists() and not (out / SUMMARY).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"--out {out}: is there already and holds no prediction; choose another folder")


def read_inputs(
    request: Request, bundle: Bundle, settings: Settings, source: SourceRaster, layers: dict[str, SourceRaster]
) -> Inputs:
    """Read what is given of a region, and refuse what cannot be used.

    Raises
    ------
    InputError
        The raster is too coarse or too small, or no layer, no well or no place lies on it.
    """
    trained = bundle.settings
    try:
        grid = working_grid(source, settings.terrain)
    except InputError as error:
        raise InputError(str(error).replace("set terrain.crs to", "give with --crs")) from None
    size, radius = trained.tile.size, trained.terrain.detrend_radius
    measures = f"--elevation {request.elevation}: measures {grid.width} x {grid.height} pixels of {grid.resolution:g} m"
    if min(grid.shape) < size:
        raise InputError(f"{measures}, and the model looks at {size} x {size} of them; give a larger raster")
    if radius is not None and radius > (longest := max(grid.shape) * grid.resolution):
        needs = f"the trend within {radius:g} m is to be subtracted, more than its longer edge ({longest:g} m)"
        raise InputError(f"{measures}: {needs}; give a larger raster")
    finest, pixel = max(grid.resolution, trained.source_pixel), source_pixel(source, grid)
    coarseness = max(grid.resolution, pixel) / finest
    if coarseness > COARSEST * SAME:
        why = f"its pixels of {pixel:.0f} m are more than {COARSEST:g} times those that the model was trained on"
        remedy = f"give a raster of {finest:.0f} m or finer, or a model that was trained on such pixels"
        raise InputError(f"--elevation {request.elevation}: {why} ({finest:.0f} m): it shows too little; {remedy}")
    for layer in layers.values():
        require_overlap(layer, grid)
    places, wells = read_places(request.places, grid), None
    if request.wells is not None:
        try:
            wells = read_wells(request.wells, settings.wells)
        except InputError as error:
            raise InputError(str(error).replace("data.wells", "--wells")) from None
        if not _on_grid(transform_table(wells, grid.crs, "wells.crs"), grid).any():
            why = f"none of its {len(wells)} wells lies on {request.elevation}; do both show the same region?"
            raise InputError(f"--wells {request.wells}: {why}{explain_no_fit(wells, grid)}")
    if request.places and not _on_grid(places, grid).any():
        raise InputError(
            f"--at: none of the {len(places)} places lies on {request.elevation}; is it longitude,latitude?"
        )
    return Inputs(grid, coarseness, wells, places)


def _on_grid(points: geopandas.GeoDataFrame, grid: Grid) -> np.ndarray:
    """Whether each point lies on a grid, bool (n,)."""
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    there = np.isfinite(x) & np.isfinite(y)
    there[there] = grid.contains(*grid.pixel(x[there], y[there]))
    return there


def read_places(texts: tuple[str, ...], grid: Grid) -> geopandas.GeoDataFrame:
    """Places such as ``-117.5,39.2`` and tables of points, in the CRS of a grid, with ``name``.

    Raises
    ------
    InputError
        One is neither.
    """
    parts = []
    for k, text in enumerate(texts, start=1):
        number = r"\s*([+-]?\d+\.?\d*)\s*"
        if match := re.fullmatch(f"{number},{number}", text):
            lon, lat = map(float, match.groups())
            if abs(lon) > 360 or abs(lat) > 90:
                raise InputError(f"--at {text}: no place on Earth; give longitude,latitude in degrees")
            part = geopandas.GeoDataFrame({"name": [f"place {k}"]}, geometry=[shapely.Point(lon, lat)], crs="EPSG:4326")
        else:
            if not Path(text).is_file():
                raise InputError(f"--at {text}: neither longitude,latitude in degrees nor a table of points")
            try:
                points = read_points(text)
            except InputError as error:
                raise InputError(str(error).replace("data.wells", "--at")) from None
            name = [f"{Path(text).name}:{row}" for row in range(1, len(points) + 1)]
            part = geopandas.GeoDataFrame({"name": name}, geometry=points.geometry.to_numpy(), crs=points.crs)
        parts.append(transform_table(part, grid.crs, f"--at {text}"))
    if not parts:
        return geopandas.GeoDataFrame({"name": []}, geometry=[], crs=grid.crs.to_wkt())
    return geopandas.GeoDataFrame(pd.concat(parts, ignore_index=True))


def _kept(request: Request, layers: dict[str, str], settings: Settings, engine: Engine) -> Checkpoints:
    """Where parts of the work are kept beside the folder to write until it is done."""
    code = sorted(Path(heatflow.__file__).parent.rglob("*.py"))
    rasters = [path for path in (request.elevation, *layers.values()) if Path(path).is_file()]
    wells = [request.wells] if request.wells is not None else []
    asked = [request.elevation, layers, settings, str(engine), request.everywhere]
    key = fingerprint(asked, [request.model / MANIFEST, *rasters, *wells, *code])
    return Checkpoints(request.out.parent / f".{request.out.name}.unfinished", key)


def _prepare(source: SourceRaster, layers: dict[str, SourceRaster], inputs: Inputs, settings: Settings,
             kept: Checkpoints, bundle: Bundle) -> Path | None:  # fmt: skip
    """Write the terrain, and the wells that can be used; the path of the latter."""
    terrain, trend, wells = (kept.folder / name for name in ("terrain.tif", "trend.tif", "wells.fgb"))
    if not terrain.exists():
        with replacing(terrain) as beside, progress(inputs.grid.height, "terrain", "row") as bar:
            seen, paths = bundle.settings.inputs, (beside, trend)
            write_terrain(source, inputs.grid, settings.terrain, *paths, seen, layers, on_strip=bar.update)
    if inputs.wells is None:
        return None
    block = bundle.settings.block_size * bundle.settings.tile.size
    with open_written(terrain) as opened:
        usable = select_wells(inputs.wells, opened, settings.wells, (block, 0))
    say(messages.usable_lines(usable))
    write_features(wells, usable.kept, "wells")
    write_csv(kept.folder / "wells_dropped.csv", usable.dropped)
    return wells


def _predict_map(files: RegionFiles, settings: Settings, bundle: Bundle, kept: Checkpoints) -> PredictionMap:
    task = MapTask(files, bundle.settings.filter.min_valid, sites=True, kept=kept)
    region: Region = task.opened
    if settings.map.near_wells and not region.ensemble.has_sites:
        raise InputError(NO_SITES)
    with progress(len(region.windows.starts(region.windows.grid.height)), "map", "row of windows") as bar:
        return predict_map(task, settings.map.top, bar.update)


def predict_places(task: PlaceTask, places: geopandas.GeoDataFrame, sets: PredictionSets) -> pd.DataFrame:
    """Predictions of places, in their order.

    Parameters
    ----------
    task : PlaceTask
    places : GeoDataFrame
        Points in the CRS of the terrain with ``name``.
    sets : PredictionSets

    Returns
    -------
    DataFrame
        ``name``, ``lon``, ``lat`` and the columns of `place_table`.
    """
    if places.empty:
        return pd.DataFrame()
    region: Region = task.opened
    grid, ensemble = region.windows.grid, region.ensemble
    on, degrees = _on_grid(places, grid), places.to_crs("EPSG:4326").geometry
    table = pd.DataFrame({"name": places["name"], "lon": degrees.x.round(5), "lat": degrees.y.round(5)})
    x, y = (getattr(places.geometry[on], axis) for axis in "xy")
    squares = Squares.around(*grid.position(x, y), grid, region.windows.size)
    found = predict_squares(task, squares)
    predicted = place_table(found, ensemble.tile, ensemble.applicability.threshold, task.min_valid, sets)
    predicted.index = table.index[on]
    joined = table.join(predicted)
    return joined.assign(reason=joined["reason"].where(on, OUTSIDE))


def _near_wells(known: KnownSites, table: pd.DataFrame, places: geopandas.GeoDataFrame, above: str) -> pd.DataFrame:
    """The table of places with ``near_wells``: the probability with the wells near it, NaN where none is predicted."""
    if table.empty:
        return table
    p_high = table[above].to_numpy(dtype=np.float64)
    near, there = np.full(len(table), np.nan), np.isfinite(p_high)
    near[there] = known.correct(p_high[there], shapely.get_coordinates(places.geometry.array)[there])
    return table.assign(near_wells=near)


def _score(task: PlaceTask, bundle: Bundle, found: WellTiles | None, near_wells: bool) -> WellScores | None:
    if found is None:
        return None
    with progress(0, "wells", "part") as bar:
        rules = bundle.settings.block_size, bundle.settings.sets
        return score_wells(task, found, *rules, near_wells, on_done=bar.update)


def _write(request: Request, bundle: Bundle, inputs: Inputs, prediction: PredictionMap, places: pd.DataFrame,
           scores: WellScores | None, kept: Checkpoints) -> None:  # fmt: skip
    """Write the folder of results, whole or not at all."""
    grid, trained = inputs.grid, bundle.settings
    summary: dict[str, Any] = {
        "model": {"format": trained.format, "versions": trained.versions, "files": trained.files},
        "region": {"width": grid.width, "height": grid.height, "resolution": grid.resolution, "crs": grid.crs.to_wkt()},
        "coarseness": inputs.coarseness, "map": prediction.summary(),
    }  # fmt: skip
    with replacing(request.out) as folder:
        folder.mkdir()
        write_map(folder, prediction)
        if len(places):
            write_csv(folder / "places.csv", places)
        if scores is not None:
            write_features(folder / "wells.fgb", scores.sites, "sites")
            shutil.copyfile(kept.folder / "wells_dropped.csv", folder / "wells_dropped.csv")
            summary["wells"] = scores.metrics
        write_json(folder / SUMMARY, summary)
