"""The campaign of regions: what is kept of a region, and what is said of several."""

import geopandas
import numpy as np
import pandas as pd
import pytest

from benchmarks import regions
from benchmarks.known_structures import known_structures
from heatflow.config.schema import Tile

ROW = {
    "tiles": 9, "sites": 20, "tile": 0.7, "site": 0.8, "tile_terrain": 0.6, "site_best": 0.5, "site_ceiling": 0.9,
    "added_loss": -0.1, "added_loss_high": -0.05, "tile_known": 0.75, "site_known": 0.85,
    "tile_by_sites": 0.8, "best_by_sites": 0.65, "tile_known_by_sites": 0.78,
}  # fmt: skip


def test_the_best_baseline_of_sites_may_be_any_and_that_of_tiles_is_made_of_terrain():
    scored = {"auc_high": 0.7, "site_auc": 0.8, "site_ceiling": 0.9, "tiles": 9, "sites": 20}
    baselines = {"count": (0.9, 0.6), "local": (0.65, 0.4), "terrain": (0.6, 0.5)}
    named = {name: dict(zip(("auc_high", "site_auc"), pair, strict=True)) for name, pair in baselines.items()}
    by_sites = {"auc_high": 0.8, "baseline_auc_high": 0.7}
    more = {"added": {"loss": -0.1, "loss_high": -0.05}, "by_sites": by_sites}
    found = regions.headline(scored | {"baseline": named} | more)
    assert (found["tile_terrain"], found["site_best"], found["best_by_sites"]) == (0.65, 0.6, 0.7)


def test_the_page_has_each_region_and_the_interval_over_them():
    table = pd.DataFrame([{"key": "0", "seed": seed} | ROW | {"site": site} for seed, site in ((3, 0.7), (4, 0.9))])
    lines = regions.page(table).splitlines()
    (row,) = (line for line in lines if line.startswith("| 4"))
    assert [cell.strip() for cell in row.split("|")][2:9] == [
        "0.700", "0.600", "0.750", "0.800", "0.650", "0.780", "0.900",
    ]  # fmt: skip
    (mean,) = (line for line in lines if line.startswith("| AUC of sites, network minus the best baseline"))
    low, high = regions.interval_of_mean(np.array([0.2, 0.4]))
    assert [cell.strip() for cell in mean.split("|")][2:6] == ["0.300", f"{low:.3f} to {high:.3f}", "0.200", "0.400"]
    assert (low + high) / 2 == pytest.approx(0.3)
    assert "nan" in regions.page(table[:1])


def test_who_knows_the_structures_knows_tiles_and_sites_that_hang_on_them():
    rng = np.random.default_rng(0)
    left, bottom = (40e3 * each.ravel() for each in np.mgrid[:12, :12])
    hot = rng.random(len(left)) < 0.5
    boxes = geopandas.GeoSeries.from_wkt([f"POINT ({x + 20e3} {y + 20e3})" for x, y in zip(left, bottom, strict=True)])
    tiles = geopandas.GeoDataFrame(
        {"tile": np.arange(len(left)), "label": np.where(hot, 2, 0), "fold": np.arange(len(left)) // 36},
        geometry=boxes.buffer(20e3, cap_style="square"), crs=32611,
    )  # fmt: skip
    inside = boxes.translate(3e3, 3e3)
    sites = geopandas.GeoDataFrame({"tile": tiles["tile"], "residual": 100.0 * hot}, geometry=inside, crs=32611)
    kinds = np.where(rng.random(hot.sum()) < 0.5, "tip", "step-over")
    structures = geopandas.GeoDataFrame({"kind": kinds}, geometry=boxes[hot].to_numpy(), crs=32611)
    assert min(known_structures(tiles, sites, structures, Tile()).values()) > 0.95
    structures.geometry = structures.geometry.sample(frac=1, random_state=0).translate(5e6).to_numpy()
    assert max(known_structures(tiles, sites, structures, Tile()).values()) < 0.7
