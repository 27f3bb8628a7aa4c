"""The synthetic region: repeatable, heavy-tailed, with dials that work and look-alikes that relief does not tell."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, mannwhitneyu

from benchmarks.demo_controls import local_statistics, on_terrain, sites_of
from heatflow.config.schema import Background, Demo
from heatflow.demo.region import KIND_SHARE, make_region
from heatflow.geo.background import fit_background

SMALL = {"seed": 1, "width": 800.0, "height": 720.0, "resolution": 2000.0}


@cache
def make(**changes):
    """A region that tests share; none of them changes it."""
    return make_region(Demo(**SMALL | changes))


def places(region):
    """Structures and look-alikes in one table."""
    return pd.concat([region.structures.assign(true=True), region.lookalikes.assign(true=False)], ignore_index=True)


def auc(values, positive):
    """Chance that a positive value is larger than another."""
    return mannwhitneyu(values[positive], values[~positive]).statistic / (positive.sum() * (~positive).sum())


@pytest.fixture(scope="module")
def region():
    return make()


@pytest.fixture(scope="module")
def fine():
    """Large enough for a comparison of hundreds of places, at a resolution that still shows foothills."""
    return make(seed=11, width=1200.0, height=1000.0, resolution=800.0)


def test_same_seed_same_region_and_dials_leave_the_terrain_alone(region):
    again = make()
    np.testing.assert_array_equal(again.elevation, region.elevation)
    assert again.wells.equals(region.wells)
    null = make(signal=0.0, sampling_bias=1.0, active=0.5, lookalike_heat=0.5)
    np.testing.assert_array_equal(null.elevation, region.elevation)
    assert not null.wells.equals(region.wells)
    assert not np.array_equal(make(seed=2).elevation, region.elevation)


def test_erased_places_leave_wells_and_truth_but_not_their_terrain(region):
    erased = make(erase=True)
    for name in ("wells", "structures", "lookalikes"):
        assert getattr(erased, name).equals(getattr(region, name))
    near = np.zeros(region.grid.shape, dtype=bool)
    near[region.grid.pixel(*places(region)[["x", "y"]].to_numpy().T)] = True
    # steepness tells a structure or a look-alike from other terrain, and no longer once they are erased
    for r, least, most in ((region, 1.2, 2.5), (erased, 0.85, 1.15)):
        steep = np.hypot(*np.gradient(r.elevation))
        assert least < np.nanmean(steep[near]) / np.nanmean(steep) < most


def test_relief_and_ragged_edge(region):
    z = region.elevation[np.isfinite(region.elevation)]
    assert 1000 < z.max() - np.median(z) < 4500
    edge = np.isnan(np.concatenate([region.elevation[0], region.elevation[-1]])).mean()
    assert edge > 0.5
    assert 0.02 < np.isnan(region.elevation).mean() < 0.2


def test_structures_in_the_published_shares_and_as_many_lookalikes(region):
    published = np.array(list(KIND_SHARE.values())) / sum(KIND_SHARE.values())
    counts = [
        table["kind"].value_counts()[[*KIND_SHARE]].to_numpy() for table in (region.structures, region.lookalikes)
    ]
    for count in counts:
        np.testing.assert_allclose(count / count.sum(), published, atol=0.1)
    np.testing.assert_allclose(*counts, atol=15)  # pairs of which one lies outside the region


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_structures_and_lookalikes_are_drilled_alike_unless_wells_follow_heat(bias):
    table = pd.concat([places(make(seed=seed, sampling_bias=bias)) for seed in range(1, 5)])
    alike = ks_2samp(table.wells[table.true], table.wells[~table.true]).pvalue > 0.01
    assert alike == (bias == 0)
    assert (table.wells[table.hot] > 0).mean() == pytest.approx(1 if bias else 0.95, abs=0.02)


def test_wells_lie_around_structures_as_around_lookalikes(fine):
    away = {}
    for name in ("structures", "lookalikes"):
        own, other = (getattr(fine, t)[["x", "y"]].to_numpy() for t in ("structures", "lookalikes"))
        if name == "lookalikes":
            own, other = other, own
        wells = fine.wells[["x", "y"]].to_numpy()[:, None]
        to_own, to_other = (np.hypot(*np.moveaxis(wells - each, -1, 0)).min(axis=1) for each in (own, other))
        away[name] = to_own[(to_own < 8e3) & (to_other > 20e3)]
    np.testing.assert_allclose(*(np.median(d) for d in away.values()), rtol=0.1)


def test_signal_sets_whether_heat_follows_structure():
    shares = {}
    for signal in (1.0, 0.0):
        table = pd.concat([places(make(seed=seed, signal=signal)) for seed in range(1, 5)])
        shares[signal] = table.groupby("true")["hot"].mean()
    assert shares[1.0][True] == pytest.approx(0.9, abs=0.04)
    assert shares[1.0][False] == 0
    assert shares[0.0][True] == pytest.approx(shares[0.0][False], abs=0.08)
    assert shares[0.0].mean() == pytest.approx(0.45, abs=0.05)


def test_without_signal_the_residuals_of_all_places_have_one_law():
    null = make(seed=3, width=1200.0, height=1000.0, signal=0.0)
    sites = sites_of(null)
    away = np.hypot(*(sites[[c]].to_numpy() - null.lookalikes[c].to_numpy() for c in ("x", "y"))).min(axis=1)
    near_structure, near_lookalike = sites.residual[sites.distance < 6e3], sites.residual[away < 6e3]
    assert abs((near_structure > 50).mean() - (near_lookalike > 50).mean()) < 0.1


def test_heat_of_lookalikes_can_be_that_of_structures():
    table = places(make(active=0.8, lookalike_heat=0.8))
    assert table.groupby("true")["hot"].mean().to_numpy() == pytest.approx([0.8, 0.8], abs=0.1)


def test_where_relief_controls_heat_other_places_are_cold():
    relief = make(active=0.9, lookalike_heat=0.9)
    wells, known = (table[["x", "y"]].to_numpy() for table in (relief.wells, places(relief)))
    elsewhere = np.hypot(*np.moveaxis(wells[:, None] - known, -1, 0)).min(axis=1) > 15e3
    assert elsewhere.sum() > 30
    assert relief.wells.residual[elsewhere].max() < 100


def test_distance_to_structures_tells_hot_sites_and_local_terrain_does_not(fine):
    sites = sites_of(fine)
    high = (sites.residual > 50).to_numpy()
    assert auc(-sites.distance.to_numpy(), high) > 0.8
    table = on_terrain(places(fine), fine)
    statistics, true = local_statistics(fine.elevation, fine.grid, table), table.true.to_numpy()
    tolerance = 4 * np.sqrt(len(true) / (12 * true.sum() * (~true).sum()))  # four standard errors of an AUC of 0.5
    assert tolerance < 0.11
    for name in ("relief_5", "slope_2", "slope_5", "curvature_5", "roughness_5", "elevation_5", "relief_13"):
        assert abs(auc(statistics[name].to_numpy(), true) - 0.5) < tolerance, name


def test_residuals_and_wells_are_heavy_tailed(region):
    residual = region.wells["residual"]
    assert -100 < residual.min() < -40
    assert residual.max() > 1000
    r, c = region.grid.pixel(region.wells.x, region.wells.y)
    counts = np.unique(r // 20 * 1000 + c // 20, return_counts=True)[1]
    assert np.mean(counts <= 3) > 0.4
    assert counts.max() > 24


def test_background_is_recovered_from_the_wells_alone(region):
    wells = region.wells
    fit = fit_background(wells.x, wells.y, wells.heat_flow, Background(radius=150e3, decluster=5e3))
    estimate = fit.predict(wells.x.to_numpy(), wells.y.to_numpy())
    error = estimate - (wells.background + wells.residual[wells.residual < 25].median())
    assert abs(error.median()) < 10
    assert np.ptp(np.quantile(error, [0.25, 0.75])) < 20
    assert np.mean((wells.heat_flow - estimate > 50) == (wells.residual > 50)) > 0.96


def test_layers_hold_no_truth_about_wells(region):
    layers = region.layers()
    assert list(layers["wells"].columns) == ["heat_flow", "geometry"]
    for name in ("structures", "lookalikes"):
        assert list(layers[name].columns) == ["kind", "hot", "geometry"]
    for name, layer in layers.items():
        assert len(layer) == len(getattr(region, name))


def test_blocks_of_lookalikes_are_no_faults(region):
    assert {kind for kind, _ in region.faults} == {"range front", "splay", "cross fault"}
