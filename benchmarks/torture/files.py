"""Files of strangers, damaged: rasters, tables and vector files, read by the stages terrain and wells."""

import math
import random
import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import rasterio.shutil
from rasterio.transform import from_origin

from benchmarks.torture.campaign import Campaign, damaged, require, run_stage, write_params
from stages import terrain, wells

CRS, LEFT, TOP, STEP = "EPSG:32611", 500_000.0, 4_400_000.0, 200.0
HEIGHT, WIDTH, WELLS = 66, 77, 80


def base_rasters(folder: Path) -> list[Path]:
    """Write the terrain as GeoTIFFs of floats and of integers, and as text."""
    rng = np.random.default_rng(5)
    rough = rng.normal(0, 60, (HEIGHT, WIDTH)).cumsum(axis=0).cumsum(axis=1)
    array = (rough / np.abs(rough).max() * 900).astype(np.float32)
    array[20:26, 30:39] = np.nan
    whole = np.where(np.isnan(array), -32768, array.round()).astype(np.int16)
    tiled = {"compress": "DEFLATE", "tiled": True, "blockxsize": 32, "blockysize": 32, "predictor": 3}
    for name, values, nodata, options in (("tiled", array, np.nan, tiled), ("strips", whole, -32768, {})):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", dtype=values.dtype.name, nodata=nodata, crs=CRS, width=WIDTH,
            height=HEIGHT, count=1, transform=from_origin(LEFT, TOP, STEP, STEP), **options,
        ) as out:  # fmt: skip
            out.write(values, 1)
    rasterio.shutil.copy(folder / "strips.tif", folder / "grid.asc", driver="AAIGrid")
    return [folder / name for name in ("tiled.tif", "strips.tif", "grid.asc")]


def wells_table() -> geopandas.GeoDataFrame:
    """Wells in the terrain."""
    rng = np.random.default_rng(11)
    x = LEFT + STEP * rng.uniform(2, WIDTH - 2, WELLS)
    y = TOP - STEP * rng.uniform(2, HEIGHT - 2, WELLS)
    columns = {"name": [f"w\u00e9ll {k}" for k in range(WELLS)], "residual": rng.normal(20, 60, WELLS).round(2)}
    return geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(x, y, crs=CRS)).to_crs(4326)


def base_tables(folder: Path) -> list[Path]:
    """Write the wells as text with every separator and in every encoding."""
    made, paths = wells_table(), []
    table = pd.DataFrame(made[["name", "residual"]]).assign(longitude=made.geometry.x, latitude=made.geometry.y)
    for number, separator in enumerate(",;\t"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            paths.append(folder / f"{number}-{encoding}.csv")
            table.round(6).to_csv(paths[-1], index=False, sep=separator, encoding=encoding)
    return paths


def base_vectors(folder: Path) -> list[Path]:
    """Write the wells in every vector format, and as a zipped shapefile."""
    paths = [folder / f"{ending}.{ending}" for ending in ("gpkg", "fgb", "geojson", "shp", "kml", "gml")]
    for path in paths:
        driver = "LIBKML" if path.suffix == ".kml" else None
        pyogrio.write_dataframe(wells_table(), path, layer="shp" if path.suffix == ".shp" else "wells", driver=driver)
    with zipfile.ZipFile(folder / "zip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for part in folder.glob("shp.*"):
            archive.write(part, part.name)
    return [*paths, folder / "zip.zip"]


def check_terrain(source: Path) -> str | None:
    """Compare what the terrain stage made of a raster with a plain reading of it."""
    with rasterio.open(source) as raw:
        values = raw.read(1).astype(np.float64) * raw.scales[0] + raw.offsets[0]
        values[raw.read_masks(1) == 0] = np.nan
        transform, crs = raw.transform, raw.crs
    values = values.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    with rasterio.open("data/terrain.tif") as made:
        got = made.read(1)
        if made.crs == crs and made.transform == transform and made.shape == values.shape:
            return None if np.array_equal(got, values, equal_nan=True) else "pixels differ"
    low, high = np.nanmin(values), np.nanmax(values)
    slack = 0.3 * (high - low) + 1e-3 * abs(high)
    inside = np.nanmin(got) >= low - slack and np.nanmax(got) <= high + slack
    return None if inside else f"{np.nanmin(got)} to {np.nanmax(got)} out of {low} to {high}"


def check_wells(source: Path) -> str | None:
    """Every residual that was kept stands in the input, no more often than there."""
    kept = pyogrio.read_dataframe("data/wells.fgb", read_geometry=False)
    there = numbers_in(source) if source.suffix == ".csv" else residuals(source)
    more = Counter(f"{v:.6g}" for v in kept["residual"]) - Counter(f"{v:.6g}" for v in there)
    return f"{dict(more)} are not in the input" if more else None


def numbers_in(path: Path) -> list[float]:
    """Whatever looks like a number in a text."""
    raw = path.read_bytes()
    text = raw.decode("utf-16", "replace") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else raw.decode("latin-1")
    numbers = re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)
    numbers += [number.replace(",", ".") for number in re.findall(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", text)]
    numbers += [number.replace(",", "") for number in re.findall(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)]
    return [float(number) for number in numbers if math.isfinite(float(number))]


def residuals(path: Path) -> list[float]:
    """Residuals of a vector file as GDAL reads it, of an archive what can be unpacked of it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with suppress(zipfile.BadZipFile, zlib.error):
                    archive.extract(name, path.with_suffix(""))
        path = path.with_suffix("") / "shp.shp"
    table = pyogrio.read_dataframe(path)
    column = next(c for c in table.columns if c.lower() == "residual")
    return [float(v) for v in table[column] if v is not None]


def with_terrain(campaign: Campaign) -> Path:
    """A folder in which the terrain stage has run."""
    folder = campaign.folder()
    write_params(folder, data={"elevation": str(base_rasters(folder)[0])})
    require(run_stage(terrain, folder))
    return folder


def strangers(bases: Callable[[Path], list[Path]], campaign: Campaign, n: int) -> None:
    """Files of one kind, damaged; those that belong to them, such as .dbf to .shp, are whole."""
    rng = random.Random(f"{campaign.seed} {bases.__name__}")
    raster = bases is base_rasters
    stage, param, check = (terrain, "elevation", check_terrain) if raster else (wells, "wells", check_wells)
    ready = None if raster else with_terrain(campaign)
    whole = bases(campaign.folder())
    for _ in range(n):
        folder, base = campaign.folder(ready), rng.choice(whole)
        for part in base.parent.glob(f"{base.stem}.*"):
            shutil.copy(part, folder)
        what, content = damaged(rng, base.read_bytes())
        path = folder / base.name
        path.write_bytes(content)
        write_params(folder, data={param: str(path)}, terrain={"resolution": rng.choice([200, 200, 350])})
        kind, outcome = bases.__name__.removeprefix("base_"), run_stage(stage, folder)
        campaign.case(kind, f"{base.name} {what}", outcome, folder, partial(check, path))
