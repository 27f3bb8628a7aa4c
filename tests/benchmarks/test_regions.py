"""The campaign of regions: what is kept of a region, and what is said of several."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import regions

ROW = {
    "tiles": 9, "sites": 20, "tile": 0.7, "site": 0.8, "tile_terrain": 0.6, "site_best": 0.5, "site_ceiling": 0.9,
    "added_loss": -0.1, "added_loss_high": -0.05,
}  # fmt: skip


def test_the_best_baseline_of_sites_may_be_any_and_that_of_tiles_is_made_of_terrain():
    scored = {"auc_high": 0.7, "site_auc": 0.8, "site_ceiling": 0.9, "tiles": 9, "sites": 20}
    baselines = {"count": (0.9, 0.6), "local": (0.65, 0.4), "terrain": (0.6, 0.5)}
    named = {name: dict(zip(("auc_high", "site_auc"), pair, strict=True)) for name, pair in baselines.items()}
    found = regions.headline(scored | {"baseline": named, "added": {"loss": -0.1, "loss_high": -0.05}})
    assert (found["tile_terrain"], found["site_best"]) == (0.65, 0.6)


def test_the_page_has_each_region_and_the_interval_over_them():
    table = pd.DataFrame([{"key": "0", "seed": seed} | ROW | {"site": site} for seed, site in ((3, 0.7), (4, 0.9))])
    lines = regions.page(table).splitlines()
    (row,) = (line for line in lines if line.startswith("| 4"))
    assert [cell.strip() for cell in row.split("|")][2:5] == ["0.700", "0.600", "0.900"]
    (mean,) = (line for line in lines if line.startswith("| AUC of sites"))
    low, high = regions.interval_of_mean(np.array([0.2, 0.4]))
    assert [cell.strip() for cell in mean.split("|")][2:6] == ["0.300", f"{low:.3f} to {high:.3f}", "0.200", "0.400"]
    assert (low + high) / 2 == pytest.approx(0.3)
    assert "nan" in regions.page(table[:1])
