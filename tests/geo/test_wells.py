"""The wells that can be used: residuals, background, and a ledger of all others."""

import numpy as np
import pytest
import rasterio

from heatflow.config.schema import Background, Wells
from heatflow.errors import InputError
from heatflow.geo.well_tables import read_wells
from heatflow.geo.wells import select_wells


@pytest.fixture
def terrain(write_raster):
    """Ten by eight pixels of 200 m, the first without data."""
    array = np.zeros((8, 10), dtype=np.float32)
    array[0, 0] = np.nan
    with rasterio.open(write_raster(array, nodata=np.nan)) as dataset:
        yield dataset


def read(tmp_path, text, **options):
    (tmp_path / "wells.csv").write_text(text)
    return read_wells(str(tmp_path / "wells.csv"), Wells(crs=32611, **options))


def test_wells_read_are_wells_kept_and_wells_in_the_ledger(tmp_path, terrain):
    rows = "500100,4399900,5,80\n500300,4399900,12,90\n500500,4399900,,85\n502500,4399900,7,81\n"
    wells = select_wells(read(tmp_path, f"x,y,residual,q\n{rows}"), terrain)
    assert wells.kept[["id", "background", "residual"]].to_numpy().tolist() == [[2, 78, 12]]
    assert wells.dropped[["id", "x", "residual", "reason"]].to_numpy().tolist() == [
        [1, 500100, "5", "on nodata"], [3, 500500, "", "no residual"], [4, 502500, "7", "outside the raster"],
    ]  # fmt: skip
    assert wells.n_read == 4
    assert wells.metrics["dropped"] == {"no_residual": 1, "on_nodata": 1, "outside_the_raster": 1}
    assert wells.background is None
    assert np.isnan(wells.background_map()).all()


def test_background_comes_from_wells_beyond_the_edge_too(tmp_path, terrain):
    rows = "".join(
        f"{x},4399100,{q}\n" for x, q in ((500500, 70), (501100, 90), (498000, 80), (504000, 80), (506000, 80))
    )
    background = Background(radius=10_000, decluster=0)
    wells = select_wells(read(tmp_path, f"x,y,q\n{rows}"), terrain, Wells(background=background))
    np.testing.assert_allclose(wells.kept["residual"], [-10, 10], atol=3)
    np.testing.assert_allclose(wells.kept["residual"] + wells.kept["background"], [70, 90])
    assert wells.background is not None
    assert wells.background_map().shape == wells.map_grid.shape
    with pytest.raises(InputError, match=r"none of its 1 wells can be used \(1 too few wells around it"):
        select_wells(read(tmp_path, "x,y,q\n500500,4399100,70\n"), terrain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": ["A*"]}, "has no column of quality codes; name it with wells.quality_column"),
        ({"min_depth": 100}, "has no column of depths; name it with wells.depth"),
        ({"background": Background(when="always")}, "has no column of heat flow to estimate it from"),
    ],
)
def test_tables_that_lack_what_is_asked_for_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, "x,y,residual\n1,2,3\n", **options)
