"""Rasters of a region, elevation and further layers: opening any, checking that it can be used, and reading it.

A pixel without data is NaN from the moment it is read. What counts as without data comes from the file's nodata
value, its mask or alpha band, NaN, infinity, or an explicit override; never from a value that merely looks empty.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio import DatasetReader
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from heatflow.config.schema import Terrain
from heatflow.errors import InputError
from heatflow.io.untrusted import is_remote, opened_raster

MAX_BLOCK = 1_000_000_000  # bytes of a block of the source, which is decoded as a whole
MAX_HELD = 250_000_000  # source pixels that have to be held at a time: 1 GB of float32
ELEVATION = "data.elevation"
METRES = ("m", "metre", "metres", "meter", "meters", "unknown")


@dataclass(frozen=True)
class SourceRaster:
    """An open raster, the band that is read, and how to tell its nodata.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
    band : int
        From 1.
    nodata : float, optional
        Value that means no data, in place of the file's own.
    lowest : float, optional
        What is lower is no data.
    param : str, optional
        That names the file, for messages.
    """

    dataset: DatasetReader
    band: int
    nodata: float | None = None
    lowest: float | None = None
    param: str = ELEVATION

    @property
    def unit(self) -> str:
        """Of the values, as the file says; empty where it says nothing."""
        return self.dataset.units[self.band - 1] or ""

    def read(self, window: Window) -> np.ndarray:
        """Values in a window of the raster, scale and offset of the band applied.

        Returns
        -------
        float32 array, shape (window.height, window.width)
            NaN where there is no data; elevation in metres.

        Raises
        ------
        InputError
            The window is too large for memory, or the file is damaged.
        """
        if window.width * window.height > MAX_HELD:
            need = f"{int(window.width):,} x {int(window.height):,} of its pixels are needed at a time"
            remedy = f"at most {MAX_HELD:,} can be held in memory; give a finer terrain.resolution, or a coarser raster"
            raise InputError(f"{self.param}: {self.dataset.name}: {need}, and {remedy}")
        ds, band = self.dataset, self.band
        try:
            raw = ds.read(band, window=window)
            values = raw.astype(np.float32)
            scale, offset = ds.scales[band - 1], ds.offsets[band - 1]
            if (scale, offset) != (1.0, 0.0):
                values = (raw.astype(np.float64) * scale + offset).astype(np.float32)
            if self.nodata is None:
                values[ds.read_masks(band, window=window) == 0] = np.nan
            else:
                values[raw == raw.dtype.type(self.nodata)] = np.nan
                if MaskFlags.per_dataset in ds.mask_flag_enums[band - 1]:
                    values[ds.dataset_mask(window=window) == 0] = np.nan
            lowest = -np.inf if self.lowest is None else self.lowest
            values[~np.isfinite(values) | (values < lowest)] = np.nan
            return values
        except RasterioError as error:
            rows = f"rows {int(window.row_off)} to {int(window.row_off) + int(window.height)} cannot be read ({error})"
            damage = "is the file damaged, or cut short?"
            raise InputError(f"{self.param}: {self.dataset.name}: {rows}; {damage}") from None


@contextmanager
def open_elevation(path: str, terrain: Terrain = Terrain()) -> Iterator[SourceRaster]:
    """Open a raster for reading elevation from it.

    Parameters
    ----------
    path : str
        A file or a URL that GDAL can read.
    terrain : Terrain
        Of which the band, the driver, the nodata value and the lowest elevation are used.

    Yields
    ------
    SourceRaster

    Raises
    ------
    InputError
        The file is missing, is not a raster or is one whose driver has to be named, has blocks too large for memory, no
        CRS or georeference, several bands and none chosen, complex values, or a unit other than metre.

    Examples
    --------
    >>> with open_elevation("data/demo/elevation.tif", Terrain(min_elevation=0)) as source:  # doctest: +SKIP
    ...     grid = working_grid(source, Terrain(resolution=400))
    """
    remedy = "you trust it and name its driver with terrain.driver"
    with _opened(path, ELEVATION, terrain.driver, remedy) as dataset:
        band = _chosen_band(dataset, path, terrain.band)
        _check_values(dataset, path, band, terrain.nodata)
        yield SourceRaster(dataset, band, terrain.nodata, terrain.min_elevation)


@contextmanager
def open_layers(paths: Mapping[str, str], param: str = "data.layers.{}") -> Iterator[dict[str, SourceRaster]]:
    """Open rasters of further quantities, each with one band of plain numbers, by their names.

    Parameters
    ----------
    paths : dict of str
        Files or URLs that GDAL can read without a driver that has to be named, by the names of the layers.
    param : str, optional
        What messages call a layer, with ``{}`` for its name.

    Yields
    ------
    dict of str to SourceRaster

    Raises
    ------
    InputError
        As `open_elevation` does.
    """
    with ExitStack() as stack:
        opened = {}
        for name, path in paths.items():
            called = param.format(name)
            dataset = stack.enter_context(_opened(path, called, None, "it is rewritten with: gdal_translate"))
            bands = _bands(dataset)
            if len(bands) != 1:
                remedy = "a layer has one: write it to a file of its own with: gdal_translate -b <band>"
                raise InputError(f"{called}: {path}: has {len(bands)} bands; {remedy}")
            _refuse_complex(dataset, path, bands[0], called)
            opened[name] = SourceRaster(dataset, bands[0], param=called)
        yield opened


@contextmanager
def _opened(path: str, param: str, driver: str | None, remedy: str) -> Iterator[DatasetReader]:
    """Open a raster whose place is known; `remedy` is for one that points at other files."""
    if not is_remote(path, param) and not path.startswith("/vsi") and not Path(path).exists():
        raise InputError(f"{param}: {path}: no such file")
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), ExitStack() as stack:
        try:
            dataset = stack.enter_context(opened_raster(path, driver))
        except (RasterioError, OSError, ValueError) as error:
            pointer = "One that points at other files or addresses, such as a VRT or a netCDF-4 file, is read only if"
            raise InputError(
                f"{param}: {path}: not a raster that GDAL can read ({error}). {pointer} {remedy}"
            ) from None
        _check_place(dataset, path, param)
        yield dataset


def _check_place(dataset: DatasetReader, path: str, param: str) -> None:
    """Refuse a raster whose blocks do not fit in memory, or whose place on Earth is not known."""
    together = dataset.count if dataset.interleaving is Interleaving.pixel else 1  # bands decoded with one another
    sizes = (np.dtype(d).itemsize * h * w for d, (h, w) in zip(dataset.dtypes, dataset.block_shapes, strict=True))
    if (block := together * max(sizes, default=0)) > MAX_BLOCK:
        limit = f"at most {MAX_BLOCK:,} can be held in memory; rewrite it with: gdal_translate -co TILED=YES"
        raise InputError(f"{param}: {path}: has blocks of {block:,} bytes, and {limit}")
    if dataset.crs is None:
        remedy = "assign the right one with: gdal_edit.py -a_srs EPSG:<code> FILE"
        raise InputError(f"{param}: {path}: has no coordinate reference system; {remedy}")
    if dataset.transform.is_identity or dataset.transform.is_degenerate:
        raise InputError(f"{param}: {path}: has no geotransform; its place on the map is unknown")


def _chosen_band(dataset: DatasetReader, path: str, wanted: int | None) -> int:
    """The band that is named, or the only one."""
    bands = _bands(dataset)
    if wanted is None and len(bands) != 1:
        raise InputError(f"data.elevation: {path}: has {len(bands)} bands; choose one with terrain.band")
    if wanted is not None and wanted not in bands:
        raise InputError(f"terrain.band: {path} has no band {wanted} of elevation; it has {bands}")
    return bands[0] if wanted is None else wanted


def _bands(dataset: DatasetReader) -> list[int]:
    """Numbers of the bands that hold values."""
    return [b for b, c in zip(dataset.indexes, dataset.colorinterp, strict=True) if c != ColorInterp.alpha]


def _check_values(dataset: DatasetReader, path: str, band: int, nodata: float | None) -> None:
    """Refuse a band whose values are no elevation in metres, and a nodata value that it cannot hold."""
    unit = dataset.units[band - 1] or "m"
    if unit.strip().lower() not in METRES:
        remedy = "elevation must be in metres; convert it, for instance with: gdal_calc.py"
        raise InputError(f"data.elevation: {path}: its unit is {unit!r}, and {remedy}")
    dtype = _refuse_complex(dataset, path, band, ELEVATION)
    if nodata is not None and dtype.kind in "iu":
        info = np.iinfo(dtype)
        if not (float(nodata).is_integer() and info.min <= nodata <= info.max):
            raise InputError(f"terrain.nodata: {nodata:g} cannot occur in {path}, whose values are {dtype}")


def _refuse_complex(dataset: DatasetReader, path: str, band: int, param: str) -> np.dtype:
    """Type of the values of a band, which are no complex numbers."""
    dtype = np.dtype(dataset.dtypes[band - 1])
    if dtype.kind == "c":
        raise InputError(f"{param}: {path}: band {band} holds complex numbers ({dtype})")
    return dtype
