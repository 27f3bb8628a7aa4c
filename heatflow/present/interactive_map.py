"""Content of the report's interactive map: layers over the terrain, pictures of the tiles, and their numbers."""

from collections.abc import Mapping
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely
from PIL import Image
from rasterio import DatasetReader
from rasterio.windows import Window

from heatflow.config.schema import Tile
from heatflow.geo.labels import classify
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import TileGrid
from heatflow.io.rasters import read_overview
from heatflow.present import images
from heatflow.present.wording import named, range_text

PIXELS = 800  # about, along an edge of a layer
MOST_THUMBNAILS = 1000  # tiles; with more, the page would be too large for an e-mail
MOST_WELLS = 6000
THUMBNAIL = 72  # pixels along the edge of a tile's picture


def terrain_layer(terrain: DatasetReader) -> str:
    """Hillshade of the region as a data URI."""
    elevation = read_overview(terrain, PIXELS)
    return images.data_uri(images.shaded(elevation, terrain.res[0] * terrain.width / elevation.shape[1]), "JPEG")


def overlays(rasters: Mapping[str, DatasetReader], high: str, method: str, explained: str) -> list[dict[str, Any]]:
    """Layers that can be shown over the terrain.

    Parameters
    ----------
    rasters : mapping of str to rasterio.DatasetReader
        ``probability``, ``applicability`` and ``saliency``, as the stages write them.
    high : str
        Such as "above 50 mW/m²".
    method, explained : str
        Name of the attribution method, and what it explains.

    Returns
    -------
    list of dict
        ``key``, ``title``, ``uri``, ``width`` and ``height`` (km), ``ends`` (what the ends of the colours mean) and
        ``ramp`` (CSS).
    """
    probability, applicability, saliency = (rasters[name] for name in ("probability", "applicability", "saliency"))
    shares, strength = probability.read(probability.count), read_overview(saliency, PIXELS)
    outside = np.where(applicability.read(2) == 0, 1.0, np.nan)
    limit = float(np.nanquantile(np.abs(strength), 0.98)) or 1.0
    ends = f"{method} from −{limit:.2g} to +{limit:.2g}, {saliency.units[0]}"
    layers = (
        ("probability", probability, shares, ("viridis", 0, 1), f"probability {high}", "probability from 0 to 1"),
        ("outside", applicability, outside, ("Greys", 0, 1), "area of applicability", "outside of it"),
        ("saliency", saliency, strength, ("PuOr_r", -limit, limit, 0.65), f"{method} of {explained}", ends),
    )  # fmt: skip
    return [
        {"key": key, "uri": images.layer(values, *colours), "title": title, "ends": ends,
         "ramp": "#000" if key == "outside" else images.ramp(colours[0]),
         "width": raster.width * raster.res[0] / 1000, "height": raster.height * raster.res[1] / 1000}
        for key, raster, values, colours, title, ends in layers
    ]  # fmt: skip


def thumbnails(predictions: pd.DataFrame, tiles: PackedTiles, saliency: DatasetReader,
               grid: TileGrid) -> dict[str, Any] | None:  # fmt: skip
    """All tiles in one picture, and in a second one with saliency over them; one tile is in memory at a time.

    Parameters
    ----------
    predictions : DataFrame
        ``tile``, ``row``, ``col``
    tiles : PackedTiles
    saliency : rasterio.DatasetReader
        On the grid of `grid`.
    grid : TileGrid

    Returns
    -------
    dict or None
        ``columns`` and ``edge`` (pixels) of the pictures, ``terrain`` and ``saliency`` as data URIs. None for no
        tiles, or more than MOST_THUMBNAILS.
    """
    if not 0 < len(predictions) <= MOST_THUMBNAILS:
        return None
    ids, row, col = (predictions[name].to_numpy() for name in ("tile", "row", "col"))
    columns = int(np.ceil(np.sqrt(len(ids))))
    shape = columns * THUMBNAIL, -(-len(ids) // columns) * THUMBNAIL
    sheets = {name: Image.new("RGB", shape, "#eeeeee") for name in ("terrain", "saliency")}
    for k, (top, left) in enumerate(zip(*grid.corners(row, col), strict=True)):
        shade = images.shaded(tiles.elevation(ids[k : k + 1])[0], grid.grid.resolution)
        over = images.with_saliency(shade, saliency.read(1, window=Window(left, top, grid.size, grid.size)))
        place = k % columns * THUMBNAIL, k // columns * THUMBNAIL
        for name, image in (("terrain", shade), ("saliency", over)):
            sheets[name].paste(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS), place)
    uris = {name: images.data_uri(sheet, "JPEG") for name, sheet in sheets.items()}
    return {"columns": columns, "edge": THUMBNAIL} | uris


def map_data(predictions: pd.DataFrame, wells: geopandas.GeoDataFrame, top: geopandas.GeoDataFrame, grid: TileGrid,
             tile: Tile, sheets: dict[str, Any] | None) -> dict[str, Any]:  # fmt: skip
    """What the map's script needs: tiles, wells and best places in km from the upper-left corner of the region.

    Parameters
    ----------
    predictions : DataFrame
        ``tile``, ``row``, ``col``, ``label``, ``predicted``, ``fold``, ``n_wells``, ``residual``, ``p0`` ...
    wells : GeoDataFrame
        Points with ``residual``, in the CRS of the grid.
    top : GeoDataFrame
        Outlines of the best places with ``rank``, in the same CRS.
    grid : TileGrid
    tile : Tile
    sheets : dict or None
        Result of `thumbnails`.
    """
    km = grid.grid.resolution / 1000
    y, x = grid.corners(predictions["row"].to_numpy(), predictions["col"].to_numpy())
    columns = {"tile": "id", "label": "label", "predicted": "predicted", "fold": "fold", "n_wells": "wells"}
    table = predictions[list(columns)].astype(int).rename(columns=columns)
    table = table.assign(x=(x * km).round(3), y=(y * km).round(3), residual=predictions["residual"].round(3))
    probability = predictions[tile.class_columns].to_numpy(dtype=float).round(3).tolist()
    some = np.unique(np.linspace(0, max(len(wells) - 1, 0), min(len(wells), MOST_WELLS)).astype(int))
    shown = wells.iloc[some]
    y, x = (place * km for place in grid.grid.position(*shapely.get_coordinates(shown.geometry.array).T))
    places = np.column_stack([x, y]).round(2).tolist()
    ends = top.bounds  # of windows: their upper-left corners
    y, x = (place * km for place in grid.grid.position(ends["minx"].to_numpy(), ends["maxy"].to_numpy()))
    best = np.column_stack([x, y, top["rank"]]).round(2).tolist()
    label = classify(shown["residual"].to_numpy(), tile.edges).tolist()
    return {
        "tiles": [t | {"p": p} for t, p in zip(table.to_dict("records"), probability, strict=True)],
        "wells": [[*place, k] for place, k in zip(places, label, strict=True)], "places": best, "size": grid.size * km,
        "classes": [range_text(text) for text in tile.class_ranges], "colours": images.class_colours(tile.n_classes),
        "statistic": f"{named(tile.statistic)} residual",
        "sheet": None if sheets is None else {k: sheets[k] for k in ("columns", "edge")},
    }  # fmt: skip
