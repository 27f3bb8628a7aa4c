"""The report: one HTML page that holds everything about a run and needs nothing but a browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from rasterio import DatasetReader

from heatflow.config.schema import Params
from heatflow.geo.tiles import PackedTiles
from heatflow.grid.grids import Grid, TileGrid
from heatflow.present import answers, images, interactive_map, provenance, report_content, wording

NUMBERS = {  # metrics/*.json that the report reads, and the keys that it uses
    "wells": ("read", "kept", "dropped"),
    "tiles": ("tiles", "wells_in_no_tile"),
    "filter": ("kept", "dropped", "classes"),
    "saliency": ("verdict", "methods", "controls", "effects"),
    "map": ("mapped_share", "inside_applicability", "networks_per_window", "correlation_with_out_of_fold"),
    "evaluation": ("auc_high", "site_auc", "site_ceiling", "added", "baseline", "skill", "tiles", "sites"),
}
TABLES = {  # tables that the report reads, and the columns that it uses
    "baselines": (
        "prediction", "metric", "value", "low", "high", "difference", "difference_low", "difference_high", "verdict",
    ),
    "strata": ("wells", "prediction", "tiles", "high_share", "auc", "auc_low", "auc_high"),
    "statistics": ("wells", "prediction", "statistic", "auc", "auc_low", "auc_high"),
    "success_rate": ("prediction", "searched", "found"),
    "reliability": ("predicted", "observed"),
    "confusion": ("actual", "predicted"),
}  # fmt: skip
MOST_ROWS = 600  # of the table of tiles


@dataclass(frozen=True)
class ReportInputs:
    """What the report shows of a run.

    Parameters
    ----------
    numbers : mapping of str to dict
        Metrics by the names in `NUMBERS`.
    tables : mapping of str to DataFrame
        Tables by the names in `TABLES`.
    predictions : DataFrame
        Out-of-fold predictions: ``tile``, ``row``, ``col``, ``n_wells``, ``residual``, ``label``, ``fold``,
        ``predicted``, ``p0`` ...
    wells : GeoDataFrame
        Points with ``residual``.
    top : GeoDataFrame
        Best windows of the prediction map.
    tiles : PackedTiles
    rasters : mapping of str to rasterio.DatasetReader
        ``terrain``, ``probability``, ``applicability`` and ``saliency`` (of `shown_method`), open for reading.
    pictures : sequence of Path
        PNG files.
    files : sequence of Path
        Outputs whose checksums are listed.
    ablation : DataFrame or None
        Experiments of the source report, if they were run on this region.
    """

    numbers: Mapping[str, dict[str, Any]]
    tables: Mapping[str, pd.DataFrame]
    predictions: pd.DataFrame
    wells: geopandas.GeoDataFrame
    top: geopandas.GeoDataFrame
    tiles: PackedTiles
    rasters: Mapping[str, DatasetReader]
    pictures: Sequence[Path]
    files: Sequence[Path]
    ablation: pd.DataFrame | None = None


def shown_method(methods: Sequence[str]) -> str:
    """The attribution method whose map the interactive map shows: Grad-CAM, or the first one without it."""
    return "grad_cam" if "grad_cam" in methods else methods[0]


def make_report(inputs: ReportInputs, params: Params) -> str:
    """The report of a run as HTML.

    Parameters
    ----------
    inputs : ReportInputs
    params : Params
        Of the run; all but those of the demo are listed on the page.

    Returns
    -------
    str
    """
    tile, rasters, high = params.tile, inputs.rasters, f"above {params.tile.binary_edge:g}"
    grid = Grid.from_dataset(rasters["terrain"])
    tiles, km = TileGrid(grid, tile.size, tile.step), grid.resolution / 1000
    explained = tile.explained(params.saliency.target).replace("m2", "m²").replace("class predicted", "predicted class")
    method = wording.named(shown_method(params.saliency.methods))
    sheets = interactive_map.thumbnails(inputs.predictions, inputs.tiles, rasters["saliency"], tiles)
    values = {
        "answers": _answers(inputs, f"{high} mW/m²", tile.size * km),
        "tile": tile, "params": params, "high": high, "explained": explained,
        "classes": [wording.range_text(text) for text in tile.class_ranges],
        "rows": inputs.predictions.head(MOST_ROWS).to_dict("records"),
        "top": inputs.top.drop(columns="geometry").sort_values("rank").to_dict("records"),
        "ablation": [] if inputs.ablation is None else report_content.ablation_rows(inputs.ablation),
        "extent": [grid.width * km, grid.height * km], "tile_km": tile.size * km, "sheets": sheets,
        "most_wells": interactive_map.MOST_WELLS, "terrain": interactive_map.terrain_layer(rasters["terrain"]),
        "overlays": interactive_map.overlays(rasters, f"{high} mW/m²", method, explained),
        "map_data": interactive_map.map_data(inputs.predictions, inputs.wells, inputs.top, tiles, tile, sheets),
        "images": {path.name: images.picture(path) for path in inputs.pictures},
    }  # fmt: skip
    return page_environment().get_template("report.html").render(vars(inputs) | values)


def _answers(inputs: ReportInputs, high: str, tile_km: float) -> list[answers.Answer]:
    """The first screen."""
    evaluation, centres = inputs.numbers["evaluation"], inputs.top.geometry.centroid
    picture = answers.map_picture(
        inputs.rasters["terrain"], inputs.rasters["probability"], inputs.top.assign(x=centres.x, y=centres.y), high
    )
    skilled = evaluation["skill"]["constant"]["verdict"] == "above"
    return [
        answers.skill(evaluation, inputs.tables["baselines"], high),
        answers.structure(inputs.numbers["saliency"]),
        answers.places(inputs.top, picture, high, tile_km, skilled=skilled),
    ]


def page_environment() -> Environment:
    """Templates of ``heatflow/present/page``; everything that comes from data is escaped.

    They write numbers and names with the functions of `wording` as filters, and make charts and tables with those of
    `report_content` and `provenance`.
    """
    page = PackageLoader("heatflow.present", "page")
    environment = Environment(
        loader=page, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= dict(getmembers(wording, isfunction))
    environment.globals |= {"content": report_content, "provenance": provenance, "wording": wording}
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment
