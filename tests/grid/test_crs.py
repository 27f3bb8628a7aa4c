"""Coordinate reference systems as people write them."""

import pytest
import rasterio.crs

from heatflow.errors import InputError
from heatflow.grid.crs import parse_crs, require_metric

UTM = rasterio.crs.CRS.from_epsg(32611)


@pytest.mark.parametrize("value", [32611, "32611", "EPSG:32611", "+proj=utm +zone=11 +datum=WGS84", UTM.to_wkt()])
def test_code_proj_string_and_wkt_name_one_system(value):
    assert parse_crs(value, "terrain.crs") == UTM


def test_wkt_is_read_from_a_file(tmp_path):
    (tmp_path / "site.wkt").write_text(UTM.to_wkt())
    assert parse_crs(str(tmp_path / "site.wkt"), "terrain.crs") == UTM


@pytest.mark.parametrize("text", ["/vsicurl?url=http%3A%2F%2Fh%2Fx", "/vsis3/b/x", "http://h/x"])
def test_address_is_no_crs_nor_in_a_file_of_wkt(tmp_path, text):
    (tmp_path / "x.wkt").write_text(text)
    for given in (text, str(tmp_path / "x.wkt")):
        with pytest.raises(InputError, match="is an address"):
            parse_crs(given, "terrain.crs")


def test_nonsense_is_refused_with_the_param_s_name():
    with pytest.raises(InputError, match=r"terrain\.crs: 'nonsense' is not a coordinate reference system"):
        parse_crs("nonsense", "terrain.crs")


def test_degrees_and_feet_are_no_metres():
    with pytest.raises(InputError, match="degrees"):
        require_metric(rasterio.crs.CRS.from_epsg(4326), "the CRS", "set terrain.crs")
    with pytest.raises(InputError, match="not metre"):
        require_metric(rasterio.crs.CRS.from_epsg(2225), "the CRS", "set terrain.crs")
