"""A QGIS project that opens the maps of a run together: terrain, probabilities, best places, wells, tiles, saliency.

Paths are relative to the project, so that the folder can be moved, and its text depends on nothing but the run. Rasters
take the style of the .qml file beside them, so that they look the same when opened alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import colors
from rasterio import DatasetReader

from heatflow.config.schema import Params, Tile
from heatflow.io.rasters import read_overview
from heatflow.present.images import class_colours
from heatflow.present.qgis import style
from heatflow.present.wording import named, range_text

MULTIPLY = 6  # of QGIS's blend modes: the terrain below stays visible
FAR = 1e9  # mW/m2, beyond any residual: QGIS has no class without limits
HILLSHADE = Markup(  # light and steepness as in `heatflow.present.figures.hillshade`
    '<pipe><rasterrenderer type="hillshade" band="1" azimuth="315" angle="40" zfactor="3" multidirection="0" '
    'opacity="1" alphaBand="-1"/></pipe>'
)
OUTSIDE = Markup(
    '<pipe><rasterrenderer type="paletted" band="2" opacity="1" alphaBand="-1"><colorPalette>'
    '<paletteEntry value="0" color="#4d4d4d" alpha="170" label="terrain unlike that of the training tiles"/>'
    '<paletteEntry value="1" color="#ffffff" alpha="0" label="inside"/></colorPalette></rasterrenderer></pipe>'
)


@dataclass(frozen=True)
class RasterLayer:
    """A raster and how it is drawn; `path` is from the folder of the project."""

    title: str
    path: str
    pipe: Markup
    shown: bool = False
    blend: int = 0
    provider: str = "gdal"


@dataclass(frozen=True)
class Class:
    """A class of a vector layer: a value, or a range that includes its upper limit, and its colour as QGIS has it."""

    low: float | str
    high: float | str
    label: str
    colour: str


@dataclass(frozen=True)
class VectorLayer:
    """A table of features and how it is drawn; `path` is from the folder of the project.

    Parameters
    ----------
    title, path : str
    geometry : str
        "Point", "LineString" or "Polygon".
    field : str
        That the classes are of.
    classes : tuple of Class
        Empty for one colour.
    graduated : bool
        Whether the classes are ranges.
    label : str
        Expression of QGIS; "" for no labels.
    shape : str
        Of points.
    size, width : float
        Of points and of outlines, mm.
    colour, line : str
        Of the inside where there are no classes, and of outlines.
    shown : bool
    """

    title: str
    path: str
    geometry: str
    field: str = ""
    classes: tuple[Class, ...] = ()
    graduated: bool = False
    label: str = ""
    shape: str = "circle"
    size: float = 1.6
    width: float = 0.15
    colour: str = "0,0,0,0"
    line: str = "0,0,0,255"
    shown: bool = False
    provider: str = "ogr"

    @property
    def colours(self) -> list[str]:
        """Of its symbols, in order."""
        return [one.colour for one in self.classes] or [self.colour]


@dataclass(frozen=True)
class Group:
    """Layers under one title, the uppermost first."""

    title: str
    layers: Sequence[RasterLayer | VectorLayer]


def make_project(folder: Path, rasters: Mapping[str, DatasetReader], passed: Mapping[str, bool], params: Params) -> str:
    """The QGIS project of a run.

    Parameters
    ----------
    folder : Path
        Where the outputs of the run are, and the project will be.
    rasters : mapping of str to rasterio.DatasetReader
        ``terrain``, ``trend``, ``background`` and ``probability``, open for reading.
    passed : mapping of str to bool
        For each attribution method whether its maps passed the sanity checks.
    params : Params
        Of the run.

    Returns
    -------
    str
        Content of a .qgs file.
    """
    terrain = rasters["terrain"]
    groups = [
        *_vector_groups(params),
        Group("Prediction", list(_prediction(folder, rasters["probability"], params.tile))),
        Group("Saliency", [
            RasterLayer(f"{named(name)} ({'passed' if good else 'failed'} its sanity checks)", f"saliency/{name}.tif",
                        _pipe(folder / f"saliency/{name}.qml"), blend=MULTIPLY)
            for name, good in sorted(passed.items(), key=lambda item: not item[1])
        ]),
        Group("Terrain and background", list(_ground(rasters))),
    ]  # fmt: skip
    code = terrain.crs.to_authority()
    environment = Environment(
        loader=PackageLoader("heatflow.present", "project"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("heatflow.qgs").render(
        groups=list(_with_keys(groups)), wkt=terrain.crs.to_wkt(), authid=":".join(code) if code else "",
        bounds=[float(end) for end in terrain.bounds],
        title="heatflow: " + ("synthetic demo region" if params.data.is_demo else "region"),
    )  # fmt: skip


def _with_keys(groups: Iterable[Group]) -> Iterator[dict[str, Any]]:
    """Groups as the template has them: each layer has a key, which QGIS wants to be of more than ten letters."""
    for g, group in enumerate(groups):
        layers = [{"key": f"heatflow_layer_{g}_{k}", "colours": [], "graduated": False} | _fields(layer)
                  for k, layer in enumerate(group.layers)]  # fmt: skip
        yield {"title": group.title, "layers": layers}


def _fields(layer: RasterLayer | VectorLayer) -> dict[str, Any]:
    return vars(layer) | ({"colours": layer.colours} if isinstance(layer, VectorLayer) else {})


def _vector_groups(params: Params) -> Iterator[Group]:
    """Best places, known structures of the demo, wells and tiles."""
    tile = params.tile
    ranges = tuple(_residual_classes(tile, 255))
    yield Group("Best places", [
        VectorLayer("best places, by rank", "map/top.fgb", "Polygon", label='"rank"', width=0.7, line="230,0,30,255",
                    shown=True),
    ])  # fmt: skip
    if params.data.is_demo:
        hot = (Class("true", "true", "hot", "200,0,0,255"), Class("false", "false", "cold", "60,60,60,255"))
        yield Group("Known truth of the demo", [
            VectorLayer("structures", "demo/structures.fgb", "Point", "hot", hot, shape="triangle", size=2.6),
            VectorLayer("look-alikes", "demo/lookalikes.fgb", "Point", "hot", hot, shape="diamond", size=2.2),
            VectorLayer("faults", "demo/faults.fgb", "LineString", width=0.26),
        ])  # fmt: skip
    kind = f"{named(tile.statistic)} residual"
    yield Group("Wells", [
        VectorLayer("wells: residual, mW/m²", "wells.fgb", "Point", "residual", ranges, True, line="255,255,255,255",
                    size=1.5, shown=True),
        VectorLayer("sites of 2 km: median residual, mW/m²", "sites.fgb", "Point", "residual", ranges, True,
                    line="0,0,0,255", shape="square", size=1.8),
    ])  # fmt: skip
    yield Group("Tiles", [
        VectorLayer(f"class of the tile: {kind}, mW/m²", "predictions.fgb", "Polygon", "label",
                    tuple(_label_classes(tile)), line="255,255,255,255", width=0.2),
        VectorLayer("predicted class, out of fold, mW/m²", "predictions.fgb", "Polygon", "predicted",
                    tuple(_label_classes(tile)), line="255,255,255,255", width=0.2),
    ])  # fmt: skip


def _colours(tile: Tile, alpha: int) -> list[str]:
    """Of each class, as QGIS writes them."""
    shades = (colors.to_rgb(name) for name in class_colours(tile.n_classes))
    return [",".join(str(round(255 * part)) for part in shade) + f",{alpha}" for shade in shades]


def _residual_classes(tile: Tile, alpha: int) -> Iterator[Class]:
    """Ranges of residuals; QGIS takes the first that fits, so that a limit belongs to the lower one."""
    limits = (-FAR, *tile.edges, FAR)
    for low, high, text, colour in zip(limits, limits[1:], tile.class_ranges, _colours(tile, alpha), strict=False):
        yield Class(low, high, range_text(text), colour)


def _label_classes(tile: Tile) -> Iterator[Class]:
    for k, (text, colour) in enumerate(zip(tile.class_ranges, _colours(tile, 150), strict=True)):
        yield Class(k, k, range_text(text), colour)


def _prediction(folder: Path, probability: DatasetReader, tile: Tile) -> Iterator[RasterLayer]:
    """Probabilities, that of being high first, and how far they can be trusted."""
    yield RasterLayer("outside the area of applicability", "map/applicability.tif", OUTSIDE, shown=True)
    *classes, high = ((text or "").replace("<=", "≤").replace("m2", "m²") for text in probability.descriptions)
    yield RasterLayer(high, "map/probability.tif", _pipe(folder / "map/probability.qml"), shown=True)
    for band, text in enumerate(classes, start=1):
        yield RasterLayer(text, "map/probability.tif", _pipe_of(style(band, 0, 1, "viridis")))
    yield RasterLayer("disagreement between networks", "map/uncertainty.tif", _pipe_of(style(2, 0, 0.3, "cividis")))
    yield RasterLayer("entropy", "map/uncertainty.tif", _pipe(folder / "map/uncertainty.qml"))
    yield RasterLayer("dissimilarity to the training tiles", "map/applicability.tif",
                      _pipe(folder / "map/applicability.qml"))  # fmt: skip


def _ground(rasters: Mapping[str, DatasetReader]) -> Iterator[RasterLayer]:
    """Hillshade and, where they have numbers, elevation, trend and background."""
    for key, path, title, colours in (
        ("background", "background.tif", "background heat flow, mW/m²", "inferno"),
        ("trend", "trend.tif", "regional trend of elevation, m", "YlGn_r"),
        ("terrain", "terrain.tif", "elevation without its trend, m", "BrBG_r"),
    ):
        values = read_overview(rasters[key])
        if np.isfinite(values).any():
            low, high = (float(f"{end:.3g}") for end in np.nanquantile(values, (0.02, 0.98)))
            pipe = _pipe_of(style(1, low, max(high, low + 1e-6), colours))
            yield RasterLayer(title, path, pipe, blend=MULTIPLY if key == "terrain" else 0)
    yield RasterLayer("hillshade", "terrain.tif", HILLSHADE, shown=True)


def _pipe(path: Path) -> Markup:
    """How a raster is drawn, from the .qml file beside it."""
    return _pipe_of(path.read_text(encoding="utf-8"))


def _pipe_of(text: str) -> Markup:
    """The part of a style that says how a raster is drawn."""
    return Markup(text[text.index("<pipe>") : text.index("</pipe>")] + "</pipe>")
