"""Tables of features between stages."""

import geopandas
import numpy as np
import pyogrio
import pytest

from heatflow.errors import InputError
from heatflow.io.vectors import read_features, read_table, write_features


def test_rows_keep_their_order_and_bytes_depend_on_the_table_alone(tmp_path, table):
    for name in ("a.fgb", "b.fgb"):
        write_features(tmp_path / name, table, "wells")
    assert (tmp_path / "a.fgb").read_bytes() == (tmp_path / "b.fgb").read_bytes()
    assert read_features(tmp_path / "a.fgb").geometry.x.tolist() == [-117, -116]
    plain = read_table(tmp_path / "a.fgb")
    assert not isinstance(plain, geopandas.GeoDataFrame)
    assert plain["residual"].tolist() == [1, 2]


def test_a_table_without_rows_is_read_as_such(tmp_path, table):
    write_features(tmp_path / "none.fgb", table[:0], "wells")
    assert len(read_features(tmp_path / "none.fgb")) == len(read_table(tmp_path / "none.fgb")) == 0


def test_table_cut_short_is_damaged_and_not_a_shorter_table(tmp_path, write_wells):
    table = geopandas.read_file(write_wells(np.arange(50.0), np.arange(50.0), residual=np.arange(50.0)))
    write_features(tmp_path / "t.fgb", table, "t")
    raw = (tmp_path / "t.fgb").read_bytes()
    for length in range(0, len(raw), 97):
        (tmp_path / "t.fgb").write_bytes(raw[:length])
        with pytest.raises(InputError, match=r"t\.fgb: damaged, or cut short"):
            read_features(tmp_path / "t.fgb")


def test_table_that_promises_more_than_it_holds_is_damaged(tmp_path, table):
    write_features(tmp_path / "w.fgb", table, "w")
    raw = (tmp_path / "w.fgb").read_bytes()
    at = next(k for k in range(12, len(raw)) if int.from_bytes(raw[k : k + 8], "little") == 2)
    (tmp_path / "w.fgb").write_bytes(raw[:at] + (10**7).to_bytes(8, "little") + raw[at + 8 :])
    with pytest.raises(InputError, match=r"damaged.*promises 10,000,000 features"):
        read_table(tmp_path / "w.fgb")


def test_table_of_an_earlier_stage_is_a_flatgeobuf_and_nothing_else(tmp_path, table):
    pyogrio.write_dataframe(table, tmp_path / "w.gpkg")
    with pytest.raises(InputError, match="not a FlatGeobuf"):
        read_table((tmp_path / "w.gpkg").rename(tmp_path / "w.fgb"))
