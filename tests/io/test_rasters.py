"""Rasters between stages."""

from pathlib import Path

import numpy as np
import pytest

from heatflow.errors import InputError
from heatflow.grid.grids import Grid
from heatflow.io.rasters import open_written, read_around, sample, write_cog

VRT = (
    '<VRTDataset rasterXSize="9" rasterYSize="8"><Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>'
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename>/etc/passwd</SourceFilename>'
    "<LineOffset>9</LineOffset></VRTRasterBand></VRTDataset>"
)


def test_strips_are_written_as_one_raster_and_read_at_places(tmp_path, grid):
    values = np.arange(80, dtype=np.float32).reshape(8, 10)
    rows = []
    strips = ((top, values[top : top + 3]) for top in range(0, 8, 3))
    write_cog(tmp_path / "x.tif", grid, strips, units="mW/m2", on_strip=rows.append)
    assert rows == [3, 3, 2]
    with open_written(tmp_path / "x.tif") as dataset:
        assert Grid.from_dataset(dataset) == grid
        assert (dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"], dataset.units[0]) == ("COG", "mW/m2")
        np.testing.assert_array_equal(dataset.read(1), values)
        row, column = np.array([7, 0, 4]), np.array([9, 0, 5])
        np.testing.assert_array_equal(sample(dataset, row, column), values[row, column])
        (around,) = read_around(dataset, 6, 8, 2, 1)
    np.testing.assert_array_equal(around[:3, :3], values[5:, 7:])
    assert np.isnan(around[3]).all()
    assert np.isnan(around[:, 3]).all()
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]


def test_raster_that_is_no_geotiff_is_damaged(tmp_path):
    (tmp_path / "terrain.tif").write_text(VRT)
    with pytest.raises(InputError, match="damaged"), open_written(tmp_path / "terrain.tif"):
        pass
    with pytest.raises(InputError, match="dvc repro"), open_written(tmp_path / "none.tif"):
        pass


def test_own_raster_is_opened_without_what_lies_beside_it(write_raster, tmp_path):
    path = Path(write_raster(np.ones((8, 9), dtype=np.float32)))
    (tmp_path / "dem.tif.msk").write_text(VRT)
    with open_written(path) as written:
        assert [Path(f).name for f in written.files] == ["dem.tif"]
        assert (written.read_masks(1) == 255).all()
