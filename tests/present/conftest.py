"""A run of two tiles, with numbers missing and names that would run in a browser if they could."""

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from heatflow.config.schema import Model, Params, Tile
from heatflow.geo.tiles import PackedTiles
from heatflow.present.report import ReportInputs
from tests.helpers import CRS, LEFT, TOP, make_raster
from tests.present.helpers import EVIL, NAN, make_baselines, make_evaluation, make_method


@pytest.fixture
def params():
    """Of a region of 3 by 2 tiles of 20 pixels, in two classes."""
    tile = Tile(size=20, edges=[50], binary_edge=50, statistic="mean")
    return Params(tile=tile, model=Model(channels=[3]))


@pytest.fixture(scope="session")
def rasters(tmp_path_factory):
    """The rasters of a run, open for reading."""
    folder, rng = tmp_path_factory.mktemp("rasters"), np.random.default_rng(0)
    terrain = rng.normal(size=(40, 60)).cumsum(axis=0).astype(np.float32)
    share = np.tile(np.float32([0, NAN, 0.5, 1]), (10, 4))[:, :15]
    arrays = {
        "terrain": terrain,
        "saliency": terrain,
        "probability": np.stack([share, share]),
        "applicability": np.stack([share] * 2),
    }
    resolution = {"probability": 800.0, "applicability": 800.0}
    opened = {}
    for name, array in arrays.items():
        path = make_raster(folder / f"{name}.tif", array, nodata=NAN, resolution=resolution.get(name, 200.0))
        with rasterio.open(path, "r+") as raster:
            raster.set_band_unit(1, EVIL)
        opened[name] = rasterio.open(path)
    yield opened
    for raster in opened.values():
        raster.close()


@pytest.fixture
def make_report_inputs(tmp_path, rasters):
    """Inputs of the report, as a function; its arguments replace single numbers or fields."""
    tiles = {"tile": [0, 5], "row": [0, 1], "col": [0, 2], "label": [0, 1], "predicted": [1, 1], "fold": [0, 1]}
    table = pd.DataFrame(tiles | {"n_wells": [1, 3], "residual": [-3.0, 61.2], "p0": [0.001, 0.4], "p1": [0.999, 0.6]})
    wells = geopandas.GeoDataFrame(
        {"residual": [-3.0, 60.0]},
        geometry=geopandas.points_from_xy([LEFT + 1000, LEFT + 9000], [TOP - 500, TOP - 7000]),
        crs=CRS,
    )
    place = {"rank": 1, "p_high": 0.9999, "p_cautious": 0.0001, "networks": 1, "disagreement": NAN,
             "dissimilarity": NAN, "n_wells": 0, "lat": 39.2, "lon": -116.3}  # fmt: skip
    window = shapely.box(LEFT + 4000, TOP - 8000, LEFT + 8000, TOP - 4000)
    auc = {"auc": 0.6, "auc_low": 0.5, "auc_high": 0.7, "tiles": 2, "high_share": 0.5}
    tables = {
        "baselines": make_baselines(),
        "strata": pd.DataFrame([{"wells": "1", "prediction": "network"} | auc]),
        "statistics": pd.DataFrame([{"wells": "equal", "prediction": "count", "statistic": "p90"} | auc]),
        "success_rate": pd.DataFrame({"prediction": "network", "searched": [0, 1], "found": [0, 1]}),
        "reliability": pd.DataFrame({"predicted": [0.2, 0.8], "observed": [0.3, NAN]}),
        "confusion": pd.DataFrame({"actual": ["0: <=50", "1: >50"], "predicted": ["1: >50", "1: >50"]}),
    }
    numbers = {
        "wells": {"read": 4, "kept": 2, "dropped": {EVIL: 2}},
        "tiles": {"tiles": 2, "wells_in_no_tile": 3},
        "filter": {"kept": 2, "dropped": {}, "classes": {"0": 1, "1": 1}},
        "saliency": {
            "verdict": {"answer": "cannot be told", "reasons": [EVIL]}, "controls": {"slope": {"auc": 0.6}},
            "effects": {"structures": {
                "tiles": 5, "control": "look-alikes", "effect": 0.2, "effect_low": 0.1, "effect_high": NAN,
                "lost": 0.2, "lost_low": 0.1, "lost_high": NAN,
                "lost_elsewhere": 0.0, "lost_elsewhere_low": -0.1, "lost_elsewhere_high": 0.1,
            }},
            "methods": {"grad_cam": make_method(structures={"auc": 0.7}), "gradient": make_method()},
        },
        "map": {"mapped_share": 0.9, "inside_applicability": NAN, "networks_per_window": 1.0,
                "correlation_with_out_of_fold": None},
        "evaluation": make_evaluation(),
    }  # fmt: skip
    made = tmp_path / "made.csv"
    made.write_text("a\n")
    pixels = np.random.default_rng(0).normal(size=(2, 1, 20, 20)).astype(np.float32)

    def build(evaluation=None, **fields):
        return ReportInputs(**{
            "numbers": numbers | ({"evaluation": evaluation} if evaluation else {}), "tables": tables,
            "predictions": table, "wells": wells, "top": geopandas.GeoDataFrame([place], geometry=[window], crs=CRS),
            "tiles": PackedTiles(pixels, np.array([0, 5])), "rasters": rasters, "pictures": (), "files": [made],
        } | fields)  # fmt: skip

    return build
