"""Cutting tiles, placing wells and detrending."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import rasterio
from rasterio.crs import CRS
from rasterio.windows import Window

from benchmarks.measure import ROOT, Rows, side_by_side, times
from heatflow.geo.tiles import cut_tiles, footprints
from heatflow.grid.grids import Grid, TileGrid
from heatflow.io.rasters import write_cog
from tests.geo.definition import trend_at

UTM = CRS.from_epsg(32611)
SIZE = 200
PEAK = "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')))"  # kB


def compare(rounds: int) -> Rows:
    """Rows of the table of results."""
    return compare_tiling(rounds) + compare_well_join(rounds) + compare_detrending()


def terrain_strips(width: int, height: int, rows: int = 512) -> Iterator[tuple[int, np.ndarray]]:
    """Hills with the roughness of a real elevation model, in centimetres, so that it compresses as one does."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (rows, 4096)).cumsum(axis=1)
    noise -= np.linspace(0, 1, 4096) * noise[:, -1:]  # ends where it starts
    hills = np.tile(noise.astype(np.float32), -(-width // 4096))[:, :width]
    for top in range(0, height, rows):
        n = min(rows, height - top)
        yield top, (np.round(hills[:n] * 100) / 100 + np.float32(800 * np.sin(top / 9000))).astype(np.float32)


def in_process(code: str, folder: Path = ROOT) -> tuple[list[float], float]:
    """Run code in a process of its own; returns the numbers that it prints, and the GB of memory that it had at most.

    The process reads its own high-water mark: what wait4 gives counts this one's too.
    """
    command, environment = [sys.executable, "-c", f"{code}; {PEAK}"], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    *lines, peak = done.stdout.splitlines()
    return [float(line) for line in lines if line[:1].isdigit()], int(peak) / 1e6


def every_tile(tiles: TileGrid) -> pd.DataFrame:
    """A table of all tiles of a grid."""
    row, column = np.indices(tiles.shape)
    return pd.DataFrame({"row": row.ravel(), "col": column.ravel()})


def compare_tiling(rounds: int) -> Rows:
    """All tiles of a deflated GeoTIFF, against opening the raster for every tile and against reading it whole."""
    edge = 8000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path, packed = Path(folder) / "terrain.tif", Path(folder) / "packed.npy"
        grid = Grid(500_000, 4_400_000, 200, edge, edge, UTM)
        write_cog(path, grid, terrain_strips(edge, edge))
        tiles = TileGrid(grid, SIZE, SIZE)
        table = every_tile(tiles)
        corners = [*(SIZE * table).itertuples(index=False)]

        def own() -> None:
            with rasterio.open(path) as terrain:
                cut_tiles(terrain, tiles, table, packed)

        def read(row: int, column: int) -> np.ndarray:
            with rasterio.open(path) as terrain:
                return terrain.read(1, window=Window(column, row, SIZE, SIZE))

        def whole() -> None:
            with rasterio.open(path) as terrain:
                array = terrain.read(1)
            np.save(packed, [array[row : row + SIZE, column : column + SIZE] for row, column in corners])

        def naive() -> None:
            np.save(packed, [read(*corner) for corner in corners])

        seconds = side_by_side({"own": own, "naive": naive, "whole": whole}, rounds)
        size = path.stat().st_size / (4 * edge * edge)
    return [
        (f"tiling from a GeoTIFF deflated to {size:.0%}", f"{len(table) / seconds['own']:.0f} tiles/s"),
        ("- times opening the raster for every tile", times(seconds["naive"], seconds["own"])),
        ("- times reading it whole (and not looking for low-data tiles)", times(seconds["whole"], seconds["own"])),
    ]


def compare_detrending() -> Rows:
    """A region like the Great Basin at 200 m, trend of 40 km, against the definition evaluated pixel by pixel."""
    width, height, radius = 5700, 5300, 200.0
    (seconds,), peak = in_process(
        "import time; from benchmarks.geography import terrain_strips; from heatflow.geo.trend import detrend;"
        f"strips = list(terrain_strips({width}, {height})); start = time.perf_counter();"
        f"[None for _ in detrend(iter(strips), ({height}, {width}), {radius})]; print(time.perf_counter() - start)"
    )
    sample = np.concatenate([strip for _, strip in terrain_strips(1000, 1000)])
    row, column = np.random.default_rng(0).integers(0, 1000, (2, 30))
    start = time.perf_counter()
    trend_at(sample, row, column, radius)
    direct = (time.perf_counter() - start) / 30 * width * height
    return [
        (f"detrending {width} x {height} pixels, radius {radius:g} pixels", f"{seconds:.1f} s"),
        ("- peak memory, the raster itself included", f"{peak:.2f} GB"),
        ("- times the definition pixel by pixel (extrapolated from 30)", f"{direct / seconds:,.0f}"),
    ]


def compare_well_join(rounds: int) -> Rows:
    """Wells to tiles by floor division against geopandas.sjoin; a tenth of the wells lie on edges of tiles."""
    grid = Grid(500_000, 4_400_000, 200, 28 * SIZE, 26 * SIZE, UTM)
    tiles = TileGrid(grid, SIZE, SIZE)
    rng = np.random.default_rng(0)
    n, cell = 100_000, SIZE * 200
    x, y = rng.uniform(500_000, 500_000 + 28 * cell, n), rng.uniform(4_400_000 - 26 * cell, 4_400_000, n)
    x[: n // 10] = 500_000 + rng.integers(0, 28, n // 10) * cell
    table = every_tile(tiles)
    cells = geopandas.GeoDataFrame(table, geometry=footprints(tiles, table))
    counted = {}

    def own() -> None:
        counted["own"] = len(tiles.tiles_of(*grid.pixel(x, y))[0])

    def spatial(predicate: str) -> None:
        wells = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(x, y, crs=UTM))
        counted[predicate] = len(geopandas.sjoin(wells, cells, predicate=predicate))

    predicates = ("intersects", "within")
    seconds = side_by_side({"own": own} | {p: partial(spatial, p) for p in predicates}, rounds)
    joins = [(f"- times geopandas.sjoin {p!r}, which counts {counted[p]}", p) for p in predicates]
    first = f"well join, {n} wells, a tenth on edges of tiles: wells counted"
    return [(first, str(counted["own"])), *((what, times(seconds[p], seconds["own"])) for what, p in joins)]
