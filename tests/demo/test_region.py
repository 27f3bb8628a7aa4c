"""The synthetic region: repeatable, heavy-tailed, and with dials that work."""

import numpy as np
import pytest

from heatflow.config.schema import Background, Demo
from heatflow.demo.region import KIND_SHARE, make_region
from heatflow.geo.background import fit_background

SMALL = {"seed": 1, "width": 800.0, "height": 720.0, "resolution": 2000.0, "signal": 1.0, "sampling_bias": 0.5}


@pytest.fixture(scope="module")
def region():
    return make_region(Demo(**SMALL))


def test_same_seed_same_region_and_dials_leave_the_terrain_alone(region):
    again = make_region(Demo(**SMALL))
    np.testing.assert_array_equal(again.elevation, region.elevation)
    assert again.wells.equals(region.wells)
    null = make_region(Demo(**SMALL | {"signal": 0.0, "sampling_bias": 0.0}))
    np.testing.assert_array_equal(null.elevation, region.elevation)
    assert not null.wells.equals(region.wells)
    assert not np.array_equal(make_region(Demo(**SMALL | {"seed": 2})).elevation, region.elevation)


def test_erased_structures_leave_wells_and_truth_but_not_their_terrain(region):
    erased = make_region(Demo(**SMALL | {"erase": True}))
    assert erased.wells.equals(region.wells)
    assert erased.structures.equals(region.structures)
    away = region.influence < 1e-3
    # steepness tells a place with a structure from one without, and no longer once they are erased
    for r, least, most in ((region, 1.15, 1.5), (erased, 0.9, 1.08)):
        step = np.abs(np.diff(r.elevation, axis=1))
        assert least < np.nanmean(step[~away[:, 1:]]) / np.nanmean(step[away[:, 1:]]) < most


def test_relief_and_ragged_edge(region):
    z = region.elevation[np.isfinite(region.elevation)]
    assert 1000 < z.max() - np.median(z) < 4500
    edge = np.isnan(np.concatenate([region.elevation[0], region.elevation[-1]])).mean()
    assert edge > 0.5
    assert 0.02 < np.isnan(region.elevation).mean() < 0.2


def test_structures_in_the_published_shares(region):
    shares = region.structures["kind"].value_counts(normalize=True)
    published = np.array(list(KIND_SHARE.values())) / sum(KIND_SHARE.values())
    np.testing.assert_allclose([shares[k] for k in KIND_SHARE], published, atol=0.1)


def share_near_structures(region, hot):
    r, c = region.grid.pixel(region.wells.x, region.wells.y)
    inside = region.grid.contains(r, c)
    near = region.influence[r[inside], c[inside]] > 0.5
    return near[(region.wells.residual[inside] > 200) == hot].mean()


def test_signal_sets_how_far_heat_follows_structure(region):
    null = make_region(Demo(**SMALL | {"signal": 0.0}))
    assert share_near_structures(region, True) > 0.5
    assert share_near_structures(null, True) < 0.3
    assert not null.structures["hot"].any()


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
    assert abs(error.median()) < 6
    assert error.std() < 10
    truth = np.searchsorted([25, 50, 200], wells.residual)
    assert np.mean(np.searchsorted([25, 50, 200], wells.heat_flow - estimate) == truth) > 0.95


def test_layers_hold_no_truth_about_wells(region):
    layers = region.layers()
    assert list(layers["wells"].columns) == ["heat_flow", "geometry"]
    assert [len(layers[name]) for name in ("wells", "structures", "faults")] == [
        len(region.wells), len(region.structures), len(region.faults),
    ]  # fmt: skip
